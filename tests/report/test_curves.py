"""The report of curves from elsewhere: the page, without what curves cannot tell."""

import re
from pathlib import Path

import pytest

from algoprog.cli import main
from algoprog.report.figures.figure_loss import whole

CASES = Path(__file__).parents[1] / "ceg" / "cases"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two variants, of which one lost a seed, over steps alone."""
    lines = ["variant,model,seed,step,val_loss"]
    for variant, gain in (("none", 1.0), ("arm", 1.5)):
        for seed in range(3):
            for step in range(10, 401, 10):
                loss = 2 + 6 * (gain * step) ** -0.4 + 0.001 * seed if (variant, seed) != ("arm", 2) else float("nan")
                lines.append(f"{variant},größe,{seed},{step},{loss}")
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_has_a_page_of_its_own(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(table)]) == 0
    folder = table.parent / "mine-report"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "größe" in page
    assert "6 curves" in page
    assert "3 seeds" in page
    assert f"Read from {table}" in page
    assert "0 runs" not in page
    assert re.findall(r'id="cost-(\w+)"', page) == ["steps"]
    assert f"algoprog report {table} --cost=steps --baseline=none" in page
    assert {path.name for path in folder.iterdir()} == {"report.html", "gains.csv", "gains.json", "figures"}
    assert (folder / "figures" / "loss-gr_e.svg").is_file()
    assert "Gains in" in capsys.readouterr().out


@pytest.mark.slow
def test_ends_of_sizes_have_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--baseline", "adamc_llama_scaling", "--out", str(tmp_path / "marin")]
    assert main(["report", str(CASES / "marin-ends.csv"), *words]) == 0
    assert "end-points" in (tmp_path / "marin" / "report.html").read_text(encoding="utf-8")


def test_what_only_one_kind_of_source_has_is_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(table), "--wandb"]) == 2
    assert "is no sweep" in capsys.readouterr().err
    assert main(["report", str(table), "--cost", "flops"]) == 2
    assert "has no column for cost flops" in capsys.readouterr().err
    assert not (tmp_path / "mine-report").exists()


@pytest.mark.parametrize(("cost", "text"), [(0, "0"), (50_000, "50,000"), (1e8, "10⁸")])
def test_the_linear_side_has_room_for_its_costs(cost: float, text: str) -> None:
    assert whole(cost) == text

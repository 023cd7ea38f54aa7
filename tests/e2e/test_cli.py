"""The `algoprog` command on curves from elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from algoprog.cli import main
from tests.configs import TINY_RUN

SCHEMA = Path(__file__).parents[2] / "docs" / "gains.schema.json"
KEYS = set(json.loads(SCHEMA.read_text(encoding="utf-8"))["items"]["required"])


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    """A tidy CSV of three models, two variants with a gain of 2 for `new`, and two seeds."""
    lines = ["variant,model,seed,step,tokens,flops,val_loss"]
    for model, size in (("nano", 1.0), ("micro", 2.0), ("mini", 4.0)):
        for variant, gain in (("none", 1.0), ("new", 2.0)):
            for seed in (0, 1):
                for step in range(20, 2001, 40):
                    loss = 1.8 + 6 * (gain * step * size) ** -0.25 + 0.001 * seed
                    lines.append(f"{variant},{model},{seed},{step},{step * 1000},{step * size * 1e9},{loss:.6f}")
    path = tmp_path / "curves.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_ceg_gives_exactly_the_documented_keys(curves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ceg", str(curves), "--format", "json", "--cost", "steps"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row.keys() == KEYS for row in rows)
    found = [row["ceg"] for row in rows if row["variant"] == "new" and row["estimator"] == "iso_loss"]
    assert len(found) == 3
    assert all(abs(gain - 2) < 0.02 for gain in found)


@pytest.mark.parametrize("estimator", ["iso_loss", "paper", "closest_row", "effective_speedup", "scaling_fit"])
def test_every_estimator_prints_a_table(curves: Path, capsys: pytest.CaptureFixture[str], estimator: str) -> None:
    assert main(["ceg", str(curves), "--estimator", estimator]) == 0
    table = capsys.readouterr().out
    assert "new" in table
    assert max(map(len, table.splitlines())) <= 80


def test_predict_scores_itself_on_the_largest_model(curves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(curves), "--holdout", "largest"]) == 0
    printed = capsys.readouterr().out
    assert "mini" in printed
    assert "new" in printed
    assert main(["predict", str(curves), "--holdout", "model=giant"]) == 2
    assert "hold out one of nano, micro, mini" in capsys.readouterr().err


def test_a_forecast_is_written_and_scored(curves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, path = tmp_path / "small.csv", tmp_path / "forecast.json"
    lines = curves.read_text(encoding="utf-8").splitlines(keepends=True)
    small.write_text("".join(line for line in lines if ",mini," not in line), encoding="utf-8")
    assert main(["predict", str(small), "--forecast", str(path)]) == 2
    assert "--at 1e18" in capsys.readouterr().err
    cost = max(float(line.split(",")[lines[0].strip().split(",").index("flops")]) for line in lines[1:])
    assert main(["predict", str(small), "--at", f"{cost:.17g}", "--forecast", str(path)]) == 0
    assert "sha256" in capsys.readouterr().out
    assert main(["predict", str(curves), "--score", str(path)]) == 0
    assert "prediction intervals hold" in " ".join(capsys.readouterr().out.split())


def test_literature_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["literature"]) == 0
    assert "RoPE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ceg", "{missing}"], "does not exist"),
        (["ceg", "{curves}", "--baseline", "old"], "choose --baseline among"),
        (["ceg", "{curves}", "--estimator", "magic"], "choose among"),
        (["ceg", "{curves}", "--cost", "seconds"], "seconds"),
        (["ceg", "{empty}"], "empty"),
        (["status", 300 * "a"], "cannot be used (File name too long)"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    curves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {"curves": curves, "missing": tmp_path / "missing", "empty": empty}
    assert main([word.format(**places) for word in words]) == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1


def test_an_exception_that_nobody_expected_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert main(["plan", *TINY_RUN, "attention._target_=os.path.join"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"error: TypeError: raised in .*: the traceback is in ", error)
    (log,) = tmp_path.glob("*.log")
    assert str(log) in error
    assert log.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in log.read_text()


def test_help_imports_nothing_that_computes() -> None:
    """What takes half a second is counted by what is imported, which no busy machine changes."""
    code = (
        "import sys; from contextlib import suppress; from algoprog.cli import main\n"
        "with suppress(SystemExit): main(['--help'])\n"
        "slow = ('torch', 'lightning', 'hydra', 'omegaconf', 'numpy', 'scipy', 'matplotlib', 'pydantic', 'wandb')\n"
        "print([name for name in slow if name in sys.modules], len(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, count = result.stdout.splitlines()[-1].rsplit(" ", 1)
    assert found == "[]"
    assert int(count) < 250

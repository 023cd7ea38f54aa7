"""What the command line says about input that cannot be used: one sentence, exit code 2, no traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from algoprog.cli import main

HEAD = "variant,model,seed,step,tokens,flops,seconds,val_loss\n"


def line(variant: str, step: float, loss: str, seed: str = "0", model: str = "m") -> str:
    return f"{variant},{model},{seed},{step},{step * 10},{step * 1e6},{step},{loss}\n"


def run(variant: str, losses: str = "5 4 3 2.9 2.8", steps: str = "1 2 3 4 5", **names: str) -> str:
    return "".join(line(variant, float(s), v, **names) for s, v in zip(steps.split(), losses.split(), strict=True))


GOOD = HEAD + run("none") + run("arm")
CASES: dict[str, str | bytes] = {
    "missing column": GOOD.replace("model", "sort"),
    "no baseline": HEAD + run("arm"),
    "one point": HEAD + run("none", "5", "1"),
    "all NaN": HEAD + run("none", "nan nan nan nan nan") + run("arm"),
    "unsorted steps": HEAD + run("none", steps="1 3 2 4 5") + run("arm"),
    "duplicate steps": HEAD + run("none", steps="1 2 2 4 5") + run("arm"),
    "two baselines": HEAD + run("none") + run("none") + run("arm"),
    "truncated": GOOD[:-12],
    "binary": bytes(range(256)) * 4,
    "nul": b"\x00" * 64,
    "huge": HEAD + run("none", steps="1 2 3 4 1e400") + run("arm"),
    "negative loss": HEAD + run("none", "5 4 3 2 -1") + run("arm"),
    "seed": HEAD + run("none", seed="1.5") + run("arm"),
    "header only": HEAD,
    "nothing": "",
    "semicolons": GOOD.replace(",", ";"),
    "UTF-16": GOOD.encode("utf-16"),
}


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize("command", ["ceg", "predict"])
@pytest.mark.parametrize("case", CASES)
def test_a_bad_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, case: str) -> None:
    path, content = tmp_path / "curves.csv", CASES[case]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    error = said(capsys, command, str(path))
    assert "curves.csv" in error


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


PLACES: dict[str, Callable[[Path], Path]] = {
    "empty folder": lambda root: _folder(root / "empty"),
    "folder named as CSV": lambda root: _folder(root / "curves.csv"),
    "nowhere": lambda root: root / "nowhere",
}


@pytest.mark.parametrize("command", ["ceg", "predict", "report"])
@pytest.mark.parametrize("place", PLACES)
def test_a_bad_place(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, place: str) -> None:
    path = PLACES[place](tmp_path)
    assert str(path) in said(capsys, command, str(path))


@pytest.mark.parametrize("change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n")], ids=["BOM", "CRLF"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str], change) -> None:
    path = tmp_path / "curves.csv"
    path.write_bytes(change(GOOD).encode())
    assert main(["ceg", str(path)]) == 0
    assert "arm" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["nan", "inf", "-1", "0", "low"])
def test_a_target_that_is_no_loss(capsys: pytest.CaptureFixture[str], target: str) -> None:
    with pytest.raises(SystemExit):
        main(["ceg", "curves.csv", f"--target={target}"])
    assert "a loss above 0" in capsys.readouterr().err


def test_an_estimator_named_twice_gives_its_rows_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(GOOD)
    assert main(["ceg", str(path), "--format", "csv", "--estimator", "iso_loss", "--estimator", "iso_loss"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2

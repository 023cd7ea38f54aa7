"""What a user can get wrong around W&B is one sentence, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from algoprog.cli import main
from algoprog.tracking.session import Account
from tests.report.conftest import Sweep, write_run


@pytest.mark.parametrize("mode", ["auto", "offline"])
def test_a_mode_in_the_environment_that_wandb_refuses(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    with pytest.raises(ValueError, match="WANDB_MODE=nonsense must be online, offline or disabled"):
        Account("algoprog", None, mode, 5)


@pytest.mark.parametrize(("asked", "chosen"), [("dryrun", "offline"), ("run", "online"), ("disabled", "disabled")])
def test_auto_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, asked: str, chosen: str) -> None:
    monkeypatch.setenv("WANDB_MODE", asked)
    assert Account("algoprog", None, "auto", 5).chosen == chosen
    assert Account("algoprog", None, "offline", 5).chosen == "offline"


def test_no_run_is_planned_in_such_an_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    assert main(["plan", "model=nano", "tokenizer=bytes", "trainer=cpu", "budget.steps=6", "logger=wandb"]) == 2
    assert "WANDB_MODE=nonsense must be" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("content", [b"{{{:", b"logger: {_target_: x.Wandb\n", b"\xff\xfe .Wandb", b""])
def test_a_damaged_configuration_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    write_run(tmp_path / "run", Sweep(), "nano", "ln", 0, {})
    (tmp_path / "run" / "config.yaml").write_bytes(content)
    assert main(["wandb-sync", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert f"{tmp_path / 'run' / 'config.yaml'} " in error
    assert "move its folder away and run it again" in error

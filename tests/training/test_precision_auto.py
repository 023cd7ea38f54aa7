"""`precision=auto`: what it stands for, that it stays, and that identities hold what was decided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algoprog import build
from algoprog.cli import main
from algoprog.run import precision
from algoprog.run.precision import Decision, decide, keep, measured, of_folder, settled, told
from algoprog.run.spec import priced
from tests.configs import TINY_RUN


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Makes the processor one that can do what is said."""

    def has(flags: str) -> None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nmodel name : some\nflags\t\t: fpu {flags}\n")
        monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")

    return has


@pytest.mark.parametrize(
    ("flags", "times", "wanted", "because"),
    [
        ("avx2", 9.0, "32", "the processor has neither AMX nor AVX512-BF16"),
        ("avx512_bf16", 1.5, "bf16-mixed", "a step in bf16-mixed was measured to be 1.50 times as fast"),
        ("amx_bf16 amx_tile", 1.09, "32", "1.09 times as fast, and below 1.1 it does not pay"),
    ],
)
def test_processor_and_measurement_decide(
    compose: Callable[..., dict[str, Any]],
    processor: Callable[[str], None],
    tmp_path: Path,
    flags: str,
    times: float,
    wanted: str,
    because: str,
) -> None:
    processor(flags)
    found = decide([compose(*TINY_RUN)], tmp_path, lambda config: times)
    assert found.precision == wanted
    assert because in str(found)


def test_the_slowest_model_decides_for_all(
    compose: Callable[..., dict[str, Any]], processor: Callable[[str], None], tmp_path: Path
) -> None:
    processor("amx_bf16")
    several = [compose(*TINY_RUN), compose(*TINY_RUN, "model.n_layers=2")]
    gain = {1: 2.0, 2: 1.0}
    assert decide(several, tmp_path, lambda config: gain[config["model"]["n_layers"]]).precision == "32"


def test_a_folder_keeps_its_decision_and_its_runs_their_identity(
    compose: Callable[..., dict[str, Any]], processor: Callable[[str], None], tmp_path: Path
) -> None:
    processor("avx2")
    auto, run = compose(*TINY_RUN, "precision=auto"), tmp_path / "sweep" / "run"
    found = settled(auto, run)
    assert found["precision"] == "32"
    typed = compose(*TINY_RUN)
    assert priced(found, build.tokens(found)).run_id == priced(typed, build.tokens(typed)).run_id
    assert "neither AMX" in str(told(found, run))
    processor("amx_bf16")
    assert settled(auto, run) == found
    keep(Decision("bf16-mixed", "it was"), run)
    assert of_folder(run) == Decision("32", "the processor has neither AMX nor AVX512-BF16")
    assert told({"precision": "bf16-mixed"}, run) is None
    keep(Decision("bf16-mixed", "it was"), tmp_path / "sweep")
    assert told({"precision": "bf16-mixed"}, run) == Decision("bf16-mixed", "it was")
    assert settled(typed, tmp_path / "other") == typed
    assert not (tmp_path / "other").exists()
    (run / precision.FILE).write_text("{")
    with pytest.raises(ValueError, match="is damaged: delete it, or say precision=32"):
        settled(auto, run)


def test_steps_in_both_are_measured_and_remembered(
    compose: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = {**compose(*TINY_RUN), "precision": "auto"}
    build.tokens(config)
    first = measured(config)
    assert first > 0
    monkeypatch.setattr(precision, "_gain", lambda specs, device: -1.0)
    assert measured(config) == first


def test_a_sweep_is_planned_at_what_was_decided(
    capsys: pytest.CaptureFixture[str], processor: Callable[[str], None], tmp_path: Path
) -> None:
    processor("avx2")
    plans = []
    for word in ("precision=32", "precision=auto"):
        words = [*TINY_RUN, "norm=ln", word, f"hydra.sweep.dir={tmp_path / 'sweep'}"]
        assert main(["plan", *words, "--records", str(tmp_path)]) == 0
        plans.append([line for line in capsys.readouterr().out.splitlines() if line.startswith(("none", "ln"))])
    assert [line.split()[:4] for line in plans[0]] == [line.split()[:4] for line in plans[1]]
    assert not (tmp_path / "sweep").exists()
    for words, says in (
        (["precision=32,auto"], "precision=auto decides by itself"),
        (["precision=auto", "hydra/launcher=slurm"], "hydra/launcher=slurm trains on others"),
    ):
        assert main(["plan", *TINY_RUN, *words]) == 2
        assert says in capsys.readouterr().err

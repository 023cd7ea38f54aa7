"""How a batch is cut changes neither a run nor its identity, and a cut that memory takes is found."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from algoprog import build
from algoprog.run import app, fit, micro_batch
from algoprog.run.memory import machine_memory
from algoprog.run.micro_batch import NoRoomError, fitted, least_memory, tried
from algoprog.run.spec import RunSpec, language_model, priced
from algoprog.runs.store import load_run
from algoprog.training.devices import free_memory
from algoprog.training.devices.hardware import gpus_here
from tests.configs import TINY_RUN
from tests.training.resuming import EVERY_STEP, finish, resumed

AUTO = (*TINY_RUN, "batch_size=16", "micro_batch_size=auto")
STEPS = 6
HALF_ULP = 2.0**-24

Specs = Callable[..., RunSpec]


@pytest.fixture
def spec(compose: Callable[..., dict[str, Any]]) -> Specs:
    """A run as the configuration says, before it meets a machine."""

    def spec(*words: str) -> RunSpec:
        config = compose(*AUTO, *words)
        return priced(config, build.tokens(config))

    return spec


def losses(folder: Path) -> list[float]:
    with (folder / "curve.csv").open(newline="") as file:
        return [float(row["val_loss"]) for row in csv.DictReader(file)]


def test_losses_do_not_depend_on_the_cut(spec: Specs, tmp_path: Path) -> None:
    """A step is a mean over the batch, whose float32 sum errs by half a unit in the last place a term at most."""
    curves = {}
    for size in (1, 4, 16):
        run = fit.run(spec(f"micro_batch_size={size}", "optim.eps=1e-4"), tmp_path / str(size), [])
        curves[size] = losses(tmp_path / str(size))
        assert run.protocol["micro_batch_size"] == size
        assert run.run_id == spec("optim.eps=1e-4").run_id
    terms = 16 * 32
    for size in (1, 4):
        assert curves[size] == pytest.approx(curves[16], rel=STEPS * terms * HALF_ULP)
    assert curves[16][-1] < curves[16][0] * (1 - 10 * STEPS * terms * HALF_ULP), "what is compared has moved by more"


def test_without_limits_a_batch_is_not_cut(spec: Specs) -> None:
    assert (spec().micro_batch_size, spec().accumulate, spec().auto_micro_batch) == (16, 1, True)
    assert fitted(spec(), gpus_here(), None).micro_batch_size == 16
    assert spec("trainer.devices=2").micro_batch_size == 8


@pytest.mark.parametrize("size", [1, 2, 8])
def test_the_largest_that_fits_is_taken(spec: Specs, size: int) -> None:
    room = machine_memory(spec().cut(size), gpus_here())
    assert fitted(spec(), gpus_here(), room).micro_batch_size == size
    assert fitted(spec(), gpus_here(), room).n_devices == 1


def test_what_does_not_fit_at_all_is_a_sentence(spec: Specs) -> None:
    assert least_memory(spec(), gpus_here()) == machine_memory(spec().cut(1), gpus_here())
    with pytest.raises(NoRoomError, match=r"none of nano.* with micro_batch_size=1 .* 0\.1 GB are free: use a s"):
        fitted(spec(), gpus_here(), 1e8)
    with pytest.raises(NoRoomError, match=r"with micro_batch_size=8 .*: use micro_batch_size=auto, a smaller"):
        fitted(spec("micro_batch_size=8"), gpus_here(), 1e8)


def test_a_run_alone_is_refused_before_it_trains(
    compose: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(free_memory.VARIABLE, "1e8")
    with pytest.raises(NoRoomError):
        app.prepare(compose(*AUTO))
    monkeypatch.setenv(free_memory.VARIABLE, "much")
    with pytest.raises(ValueError, match="ALGOPROG_MEMORY=much must be a number of bytes"):
        app.prepare(compose(*AUTO))


def test_branches_hold_a_second_trunk(spec: Specs) -> None:
    words = ("schedule=wsd", "schedule.decay_fraction=0.4", "schedule.warmup_steps=1", "budget.steps=16")
    alone, branched = spec(*words, "schedule.branches=1"), spec(*words, "schedule.branches=2")
    assert branched.branches()
    more = machine_memory(branched, gpus_here()) - machine_memory(alone, gpus_here())
    assert more == pytest.approx(12 * alone.n_params)


@pytest.mark.parametrize("most", [None, 4])
def test_by_trial_a_cut_that_runs_out_of_memory_is_halved(
    spec: Specs, monkeypatch: pytest.MonkeyPatch, most: int | None
) -> None:
    asked, real = [], micro_batch._pass

    def planted(cut: RunSpec, *rest: Any) -> None:
        asked.append(cut.micro_batch_size)
        if cut.micro_batch_size > 2:
            raise torch.OutOfMemoryError("planted")
        real(cut, *rest)

    monkeypatch.setattr(micro_batch, "_pass", planted)
    run = spec("model.dropout=0.5")
    gpt = language_model(run).gpt
    before, random = {name: value.clone() for name, value in gpt.state_dict().items()}, torch.get_rng_state()
    assert tried(run, gpt, torch.device("cpu"), most).micro_batch_size == 2
    assert asked == [size for size in (16, 8, 4, 2) if size <= (most or 16)]
    assert all(value.equal(before[name]) for name, value in gpt.state_dict().items())
    assert torch.get_rng_state().equal(random)
    assert all(parameter.grad is None for parameter in gpt.parameters())


def test_by_trial_nothing_may_fit(spec: Specs, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(*_: Any) -> None:
        raise torch.OutOfMemoryError("planted")

    monkeypatch.setattr(micro_batch, "_pass", planted)
    with pytest.raises(NoRoomError, match="even with micro_batch_size=1: use a smaller model"):
        tried(spec(), language_model(spec()).gpt, torch.device("cpu"))


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_its_cut_or_counts_anew(tmp_path: Path) -> None:
    words = (*EVERY_STEP, "budget.steps=8", "model.dropout=0.3")
    assert finish(tmp_path / "calm", *words, "micro_batch_size=1")[0] == 0
    for folder, size in (("kept", "auto"), ("other", "4")):
        assert finish(tmp_path / folder, *words, "micro_batch_size=1", faults={"step": 4})[0] == -9
        code, output = finish(tmp_path / folder, *words, f"micro_batch_size={size}")
        assert code == 0, output
        assert resumed(tmp_path / folder) == [3]
    assert losses(tmp_path / "kept") == losses(tmp_path / "calm")
    assert load_run(tmp_path / "kept").record.protocol["micro_batch_size"] == 1
    other = load_run(tmp_path / "other").record
    assert (other.protocol["micro_batch_size"], other.steps) == (4, 8)
    assert losses(tmp_path / "other") == pytest.approx(losses(tmp_path / "calm"), rel=0.01)  # dropout draws otherwise


MEMINFO = "MemTotal: 9000000 kB\nMemFree: 10 kB\nMemAvailable: 4000000 kB\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {}, 4096e6),
        ("0::/a/b", {"a/memory.max": "2000", "a/memory.current": "700", "a/memory.stat": "inactive_file 100"}, 1400),
        ("0::/a/b", {"a/b/memory.max": "max", "a/b/memory.current": "7", "a/b/memory.stat": "anon 1"}, 4096e6),
        (
            "5:cpu:/\n4:memory:/job\n0::/",
            {
                "memory/job/memory.limit_in_bytes": "5000",
                "memory/job/memory.usage_in_bytes": "4500",
                "memory/job/memory.stat": "total_inactive_file 500",
            },
            1000,
        ),
    ],
)
def test_free_memory_is_what_the_tightest_limit_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], expected: float
) -> None:
    monkeypatch.delenv(free_memory.VARIABLE, raising=False)
    written = {"proc/meminfo": MEMINFO, "proc/self/cgroup": groups}
    for name, text in {**written, **{f"sys/{name}": text for name, text in files.items()}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(free_memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(free_memory, "CGROUPS", tmp_path / "sys")
    assert free_memory.free_memory() == pytest.approx(0.9 * expected)


def test_a_machine_that_does_not_tell_limits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(free_memory.VARIABLE, raising=False)
    monkeypatch.setattr(free_memory, "PROC", tmp_path)
    assert free_memory.free_memory() is None

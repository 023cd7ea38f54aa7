"""The knobs of the local engine: what is refused, and which part of the machine a run is given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from algoprog.config import conf_dir
from algoprog.sweep.engine import devices
from algoprog.sweep.engine.devices import cores, cpu_shares, gpu_shares, how_a_gpu_is_shared, visible_gpus
from algoprog.sweep.engine.settings import checked

KNOBS = {
    key: value
    for key, value in yaml.safe_load((conf_dir() / "hydra" / "launcher" / "local.yaml").read_text()).items()
    if key != "_target_"
}


def test_the_yaml_is_accepted() -> None:
    assert checked(KNOBS).retries == KNOBS["retries"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gpus", "all"),
        ("gpus", 2),
        ("gpus", [1.5]),
        ("gpus_per_run", 0),
        ("gpus_per_run", "two"),
        ("runs_per_gpu", 0.5),
        ("runs", 0),
        ("runs", "many"),
        ("threads", -1),
        ("retries", -1),
        ("retries", None),
        ("retries", True),
        ("timeout", 0),
        ("timeout", "soon"),
        ("timeout", float("nan")),
        ("fail_fast", "maybe"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"hydra\.launcher\.{name}=.* must be "):
        checked({**KNOBS, name: value})


def test_an_unknown_knob_is_named() -> None:
    with pytest.raises(ValueError, match=r"hydra\.launcher\.slots is no knob of hydra/launcher=local: it has gpus, "):
        checked({**KNOBS, "slots": 1})


def test_sharing_a_gpu_and_using_several_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="cannot both be above 1"):
        checked({**KNOBS, "gpus_per_run": 2, "runs_per_gpu": 2})


@pytest.mark.parametrize("name", ["gpus_per_run", "runs_per_gpu"])
def test_gpu_knobs_are_refused_without_a_gpu(name: str) -> None:
    with pytest.raises(ValueError, match="need a GPU"):
        checked({**KNOBS, "gpus": [], name: 2}).shares(most=4)


def test_runs_share_the_cores_without_oversubscription() -> None:
    for runs in (1, 2, 3, 64):
        shares = cpu_shares(runs, "auto", most=64)
        assert len(shares) == runs
        assert sum(int(share["OMP_NUM_THREADS"]) for share in shares) <= max(cores(), runs)
    assert len(cpu_shares("auto", "auto", most=64)) <= cores()
    assert len(cpu_shares("auto", "auto", most=1)) == 1
    assert {share["CUDA_VISIBLE_DEVICES"] for share in cpu_shares(2, 1, most=9)} == {""}


@pytest.mark.parametrize(("quota", "expected"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_a_containers_quota_counts(
    quota: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited = tmp_path / "absent"
    monkeypatch.setattr(devices, "CPU_QUOTA", unlimited)
    everything = cores()
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(devices, "CPU_QUOTA", tmp_path / "cpu.max")
    assert cores() == (expected or everything)


def _visible(shares: list[dict[str, str]]) -> list[str]:
    return [share["CUDA_VISIBLE_DEVICES"] for share in shares]


def test_who_shares_a_gpu_is_told_of_mps(tmp_path: Path) -> None:
    """Whether its daemon listens, could be started, or is not there."""
    environment = {"PATH": str(tmp_path), "CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    assert "is not here" in how_a_gpu_is_shared(environment)
    daemon = tmp_path / "nvidia-cuda-mps-control"
    daemon.touch(mode=0o755)
    assert f"`{daemon.name} -d` before the sweep" in how_a_gpu_is_shared(environment)
    pipe = tmp_path / "control"
    os.mkfifo(pipe)
    assert "take turns" in how_a_gpu_is_shared(environment), "its daemon was killed"
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert how_a_gpu_is_shared(environment).endswith(f"NVIDIA MPS listens in {tmp_path}")
    finally:
        os.close(reader)


def test_gpus_are_handed_out() -> None:
    assert _visible(gpu_shares(["0", "1", "2"], 1, 1, 1)) == ["0", "1", "2"]
    assert _visible(gpu_shares(["0", "1", "2", "3", "4"], 2, 1, 1)) == ["0,1", "2,3"]
    assert _visible(gpu_shares(["0", "1"], 1, 2, 1)) == ["0", "1", "0", "1"]
    with pytest.raises(ValueError, match="gpus_per_run=3 but there are 2"):
        gpu_shares(["0", "1"], 3, 1, 1)


@pytest.mark.parametrize(
    ("environment", "count", "wanted", "expected"),
    [
        (None, 2, "auto", ["0", "1"]),
        ("2,3", 2, "auto", ["2", "3"]),
        ("2,3", 2, [1], ["3"]),
        ("GPU-aa,GPU-bb", 2, "auto", ["GPU-aa", "GPU-bb"]),
        ("GPU-aa,GPU-bb", 2, ["GPU-bb"], ["GPU-bb"]),
        (None, 2, ["GPU-cc"], ["GPU-cc"]),
        ("", 0, "auto", []),
        (None, 2, [], []),
    ],
)
def test_visible_devices_are_respected(
    environment: str | None, count: int, wanted: Any, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, environment, count)
    assert visible_gpus(wanted) == expected


@pytest.mark.parametrize(
    ("environment", "count", "wanted"),
    [(None, 2, [2]), ("3", 1, [1]), ("GPU-aa", 1, ["GPU-bb"]), (None, 0, [0]), (None, 0, ["GPU-aa"]), (None, 2, [-1])],
)
def test_a_gpu_that_is_not_here_is_refused(
    environment: str | None, count: int, wanted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, environment, count)
    with pytest.raises(ValueError, match="not among the GPUs here"):
        visible_gpus(wanted)


def test_a_gpu_named_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, "2,3", 2)
    with pytest.raises(ValueError, match="twice"):
        visible_gpus([0, 0])


def _machine(monkeypatch: pytest.MonkeyPatch, environment: str | None, count: int) -> None:
    """A machine with `count` GPUs as torch would count them."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    if environment is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", environment)

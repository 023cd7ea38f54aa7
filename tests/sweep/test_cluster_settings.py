"""What the cluster engines refuse before anything is planned, without any cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from algoprog.sweep.engine.job import Job
from algoprog.sweep.engine.ray_settings import checked
from algoprog.sweep.engine.slurm_check import answering, refuse_secrets, tasks
from hydra_plugins import algoprog_clusters

ROOT = Path(__file__).resolve().parents[2]


def knobs(**changed: Any) -> dict[str, Any]:
    known = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "hydra" / "launcher" / "ray.yaml"))
    assert isinstance(known, dict)
    del known["_target_"]
    return {**known, **changed}


def test_the_yaml_of_ray_is_what_the_engine_knows() -> None:
    assert checked(knobs()).num_cpus == 1.0
    assert checked(knobs(num_cpus=4, num_gpus=0.25)).num_gpus == 0.25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_cpus", 0),
        ("num_gpus", 1.5),
        ("num_gpus", -1),
        ("num_gpus", "all"),
        ("retries", -1),
        ("max_retries", 1.5),
        ("timeout", 0),
        ("environment", "HOME"),
        ("address", None),
    ],
)
def test_a_knob_of_ray_that_cannot_be_used_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"hydra.launcher.{name}={value} must be"):
        checked(knobs(**{name: value}))


def test_an_unknown_knob_of_ray_is_named() -> None:
    with pytest.raises(ValueError, match=r"hydra\.launcher\.gpus is no knob of hydra/launcher=ray"):
        checked(knobs(gpus=1))


def test_a_machine_without_slurm_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="needs `sbatch`, which is not on PATH"):
        answering(None)


@pytest.mark.parametrize(("devices", "per_node"), [("auto", "auto"), (2, 1), (1, 2), (-1, -1)])
def test_tasks_that_are_not_the_devices_are_refused(devices: object, per_node: object) -> None:
    with pytest.raises(ValueError, match="must be the same number under Slurm"):
        tasks(per_node, devices)


def test_slurm_is_given_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WAREHOUSE_TOKEN", "planted-0f5d7c")
    refuse_secrets([Job(("model=nano", "seed=1"), tmp_path)])
    for word in (
        "logger.entity=planted-0f5d7c",
        "logger.api_key=abc",
        "logger.tracking_uri=http://me:word@example.org",
    ):
        with pytest.raises(ValueError, match=r"\*\*\*.* holds a secret") as caught:
            refuse_secrets([Job(("model=nano", word), tmp_path)])
        assert not any(secret in str(caught.value) for secret in ("planted", "abc", "me:word"))


def test_a_missing_extra_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        algoprog_clusters._need("ray", "no_such_package")
    assert "hydra/launcher=ray needs no_such_package: pip install 'algoprog[ray]'" in capsys.readouterr().err

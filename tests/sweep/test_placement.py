"""What each launcher gives a run, and the sentence where a run asks for something else; GPUs are planted counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from algoprog.config import conf_dir
from algoprog.sweep.plan.placement import Placement, placement
from algoprog.training.devices.hardware import Gpus, count_devices

TWO = Gpus(2, 2)
SHARE = Gpus(1, 4, "hydra.launcher.gpus_per_run")
RAY = Gpus(1, None, "hydra.launcher.num_gpus")
NO_RAY_GPU = Gpus(0, None, "hydra.launcher.num_gpus")
ELSEWHERE = Gpus(None, None)


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def composed(*words: str) -> DictConfig:
    return GlobalHydra.instance().config_loader().load_configuration("config", list(words), run_mode=RunMode.MULTIRUN)


def placed(*words: str) -> tuple[Placement, DictConfig]:
    config = composed(*words)
    return placement(config), config.trainer


@pytest.mark.parametrize(
    ("accelerator", "devices", "gpus", "count"),
    [
        ("gpu", "auto", TWO, 2),
        ("gpu", -1, SHARE, 1),
        ("auto", 2, Gpus(0, 0), 2),
        ("cpu", "auto", ELSEWHERE, 1),
        ("gpu", 4, ELSEWHERE, 4),
        ("gpu", [0, 1, 2], ELSEWHERE, 3),
        ("auto", "2", ELSEWHERE, 2),
        ("auto", "auto", NO_RAY_GPU, 1),
        ("gpu", "auto", Gpus(3, None, "hydra.launcher.num_gpus"), 3),
    ],
)
def test_devices_are_counted_where_the_run_is_trained(
    accelerator: str, devices: int | str | list[int], gpus: Gpus, count: int
) -> None:
    assert count_devices(accelerator, devices, gpus) == count


@pytest.mark.parametrize(
    ("devices", "gpus", "says"),
    [
        (1, Gpus(0, 0), "sees no GPU: use trainer=cpu"),
        (3, TWO, "torch sees 2 GPU(s): ask for fewer"),
        (2, SHARE, "use hydra.launcher.gpus_per_run=2"),
        ([0, 1], SHARE, "trainer.devices=[0,1] but hydra.launcher.gpus_per_run=1 gives a run 1 GPU(s)"),
        (8, SHARE, "torch sees 4 GPU(s): ask for fewer"),
        (2, RAY, "use hydra.launcher.num_gpus=2"),
        (1, NO_RAY_GPU, "use hydra.launcher.num_gpus=1"),
        ("auto", ELSEWHERE, "give the number"),
        (-1, ELSEWHERE, "give the number"),
        (0, ELSEWHERE, "must be a number of at least 1"),
    ],
)
def test_what_a_run_will_not_find_is_refused(devices: int | str | list[int], gpus: Gpus, says: str) -> None:
    with pytest.raises(ValueError, match=r"^trainer\.") as caught:
        count_devices("gpu", devices, gpus)
    assert says in str(caught.value)


def test_each_launcher_shows_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert placed()[0].gpus == SHARE
    assert placed("hydra.launcher.gpus_per_run=2")[0].gpus.a_run == 2
    assert placed("hydra.launcher.gpus=[]")[0].gpus.a_run == 0
    assert placed("hydra/launcher=basic")[0].gpus == Gpus(4, 4)
    assert placed("hydra/launcher=slurm")[0].gpus == ELSEWHERE
    assert placed("hydra/launcher=ray", "hydra.launcher.num_gpus=0.5")[0].gpus == RAY
    with pytest.raises(ValueError, match=r"gpus_per_run=5 but there are 4 GPU\(s\)"):
        placed("hydra.launcher.gpus_per_run=5")


@pytest.mark.parametrize("launcher", ["local", "ray"])
def test_several_machines_need_slurm(launcher: str) -> None:
    where, trainer = placed(f"hydra/launcher={launcher}", "trainer.num_nodes=2")
    with pytest.raises(ValueError, match=r"use trainer\.num_nodes=1 or hydra/launcher=slurm"):
        where.check(trainer)
    where, trainer = placed("hydra/launcher=slurm", "trainer.num_nodes=2")
    where.check(trainer)


def test_slurm_starts_one_task_a_device_for_the_whole_sweep() -> None:
    where, _ = placed("hydra/launcher=slurm", "trainer=ddp", "trainer.devices=2")
    where.check(composed("trainer=ddp", "trainer.devices=2").trainer)
    with pytest.raises(ValueError, match="must be the same number under Slurm"):
        where.check(composed("trainer=ddp", "trainer.devices=4").trainer)
    with pytest.raises(ValueError, match=r"hydra\.launcher\.nodes=1 must be the same number"):
        where.check(composed("trainer=ddp", "trainer.devices=2", "trainer.num_nodes=2").trainer)


@pytest.mark.parametrize(
    "word",
    [
        "mem_gb=abc",
        "mem_gb=-1",
        "timeout_min=1.5",
        "timeout_min=0",
        "cpus_per_task=two",
        "gpus_per_node=all",
        "gpus_per_node=-1",
        "signal_delay_s=null",
        "max_num_timeout=-1",
        "array_parallelism=0",
        "partition=true",
        "setup=module",
        "retries=1.5",
        "timeout=0",
        "fail_fast=maybe",
    ],
)
def test_a_knob_of_slurm_that_cannot_be_used_is_named_before_slurm_is_asked(word: str) -> None:
    with pytest.raises(ValueError, match=rf"^hydra\.launcher\.{word.split('=')[0]}=.* must be "):
        placed("hydra/launcher=slurm", f"hydra.launcher.{word}")


def test_the_engine_refuses_such_a_knob_too() -> None:
    pytest.importorskip("submitit")
    from algoprog.sweep.engine.slurm import Slurm

    knobs = dict(composed("hydra/launcher=slurm").hydra.launcher)
    del knobs["_target_"]
    with pytest.raises(ValueError, match=r"^hydra\.launcher\.mem_gb=abc must be a number of gigabytes, or null"):
        Slurm({**knobs, "mem_gb": "abc"})


def test_knobs_that_slurm_takes_pass() -> None:
    words = [
        "mem_gb=null",
        "mem_gb=1.5",
        "gpus_per_node=2",
        "gpus_per_node='a100:2'",
        "cpus_per_task=null",
        "partition=7",
        "setup=[module load cuda]",
        "timeout=90",
    ]
    for word in words:
        assert placed("hydra/launcher=slurm", f"hydra.launcher.{word}")[0].launcher == "slurm"
    placed("hydra/launcher=slurm", "++hydra.launcher.additional_parameters={mail-user: me}")
    with pytest.raises(ValueError, match=r"hydra\.launcher\.memory is no knob of hydra/launcher=slurm: it has part"):
        placed("hydra/launcher=slurm", "+hydra.launcher.memory=3")


def test_threads_are_those_that_the_launcher_gives() -> None:
    assert placed("hydra.launcher.threads=3")[0].threads(10) == 3
    assert placed("hydra/launcher=ray", "hydra.launcher.num_cpus=4")[0].threads(10) == 4
    assert placed("hydra/launcher=slurm", "hydra.launcher.cpus_per_task=5")[0].threads(10) == 5
    assert placed("hydra/launcher=basic")[0].threads(10) is None

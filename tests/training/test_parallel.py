"""One run on two processes gives the curve of one process: same global batch, data order and validation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from algoprog.runs.record import Run
from algoprog.runs.store import load_run
from tests.configs import FLOATING_POINT_ORDER

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]

WORDS = (
    "model=nano",
    "norm=ln",
    "batch_size=4",
    "micro_batch_size=1",
    "budget.steps=12",
    "schedule.warmup_steps=2",
    "schedule.branches=2",  # what branches train is cut and reduced like the rest
    "schedule.branch_ratio=1.5",
    "gradient_clip=0.1",
    "evaluation.points=5",
    "evaluation.tokens=3000",  # 11 windows: the processes validate on unequal shares
    "trainer=cpu",
    "trainer.threads=1",
)


def train(folder: Path, *words: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    own = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    command = [sys.executable, *launcher, "train.py", *WORDS, *words, f"hydra.run.dir={folder}"]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=1200)


def trained(folder: Path, *words: str, launcher: tuple[str, ...] = ()) -> Run:
    done = train(folder, *words, launcher=launcher)
    assert done.returncode == 0, done.stdout + done.stderr
    return load_run(folder)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("one") / "run")


def assert_same_curve(run: Run, single: Run) -> None:
    assert run.record.run_id == single.record.run_id
    assert run.record.environment["n_devices"] == 2
    assert list(run.curve["step"]) == list(single.curve["step"])
    assert list(run.curve["annealed"]) == list(single.curve["annealed"])
    assert sum(run.curve["annealed"]) == 2
    for column in ("val_loss", "train_loss", "lr"):
        assert run.curve[column] == pytest.approx(single.curve[column], rel=FLOATING_POINT_ORDER, nan_ok=True)
    assert run.record.flags == single.record.flags


def test_ddp_gives_the_curve_of_one_process(single: Run, tmp_path: Path) -> None:
    assert_same_curve(trained(tmp_path / "ddp", "trainer.devices=2", "trainer.strategy=ddp"), single)


def test_fsdp_gives_the_curve_of_one_process(single: Run, tmp_path: Path) -> None:
    assert_same_curve(trained(tmp_path / "fsdp", "trainer.devices=2", "trainer.strategy=fsdp"), single)


def test_torchrun_gives_the_curve_of_one_process(single: Run, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
    words = ("trainer.devices=2", "trainer.strategy=ddp")
    with ThreadPoolExecutor() as pool:  # two at once in one folder: one trains, the other waits for it
        first, second = pool.map(lambda _: trained(tmp_path, *words, launcher=launcher), range(2))
    assert first.record == second.record
    assert_same_curve(first, single)
    assert not first.record.environment["resumed"]
    again = train(tmp_path, *words, launcher=launcher)
    assert again.returncode == 0
    assert "is finished already" in again.stdout + again.stderr


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_killed_run_goes_on_from_its_checkpoint(single: Run, tmp_path: Path, strategy: str) -> None:
    words = ("trainer.devices=2", f"trainer.strategy={strategy}", "trainer.checkpoint_steps=4")
    command = [sys.executable, "train.py", *WORDS, *words, f"hydra.run.dir={tmp_path / 'run'}"]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        while process.poll() is None and not list((tmp_path / "run" / "checkpoints").glob("*.ckpt")):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    run = trained(tmp_path / "run", *words)
    assert run.record.environment["resumed"]
    assert_same_curve(run, single)


def test_a_loss_of_one_process_alone_stops_all(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "trainer.devices=2", "trainer.strategy=ddp", "optim.lr=1e6")
    assert run.record.status == "diverged"


def test_ddp_inside_the_sweeps_own_process_is_refused_by_name(tmp_path: Path) -> None:
    words = ("-m", *WORDS, "hydra/launcher=basic", "trainer.devices=2", "trainer.strategy=ddp")
    done = subprocess.run(
        [sys.executable, "train.py", *words, f"hydra.sweep.dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode != 0
    assert "hydra/launcher=basic trains every run in the sweep's own process" in done.stderr
    assert "use hydra/launcher=local" in done.stderr


def test_ddp_runs_in_a_sweep_of_the_local_engine(single: Run, tmp_path: Path) -> None:
    words = ("-m", *WORDS, "hydra.launcher.runs=1", "trainer.devices=2", "trainer.strategy=ddp")
    threads = ("hydra.launcher.threads=4", "trainer.threads=null")
    done = subprocess.run(
        [sys.executable, "train.py", *words, *threads, "norm=none,ln", f"hydra.sweep.dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = tmp_path.glob(f"nano-ln-*{single.record.run_id[:8]}")
    run = load_run(folder)
    assert_same_curve(run, single)
    assert run.record.environment["threads"] == 2, "each process has its part of the run's four"

"""A real Slurm and a real Ray of two nodes each, and the sweep that must come out of them as from the local engine."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.record import CHOICES_FILE, COMPARE, CURVE_FILE, RECORD_FILE, SEARCH
from algoprog.runs.status import RUNNING, Status, read_status
from tests.cluster import missing
from tests.sweep.faulty import PLANTED
from tests.warm import heed_signals

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

NANO = """
    model.n_layers=1 model.d_model=16 model.n_heads=2 model.seq_len=32 tokenizer=bytes batch_size=4 micro_batch_size=4
    evaluation.points=12 evaluation.tokens=256 trainer=cpu trainer.threads=1 model.dropout=0.1
    trainer.checkpoint_steps=50 hydra.sweeper.reuse=null
""".split()  # noqa: SIM905 - words as one types them
TWELVE = [*NANO, "budget.steps=1200", "attention=dense,mqa,gqa,sparse", "seed=0,1,2"]
"""Twelve runs that are long enough for a node to die under one."""

SEARCHING = [
    *NANO,
    "budget.steps=300",
    "variant=none,ln",
    "seed=0,1",
    "tune=lr",
    "optim.lr=1e-2,4e-2",
    "tune.max_trials=3",
]
"""A search of four trials and those beyond an edge, then four compared runs."""

FAIL_FAST = [
    *NANO,
    "budget.steps=100000",
    "attention._target_=fault.Fault",
    "+attention.kind=exit3,none",
    "+attention.at=20",
    "hydra.launcher.retries=0",
    "hydra.launcher.fail_fast=true",
]
"""A run that fails early, and two that would take hours; the baseline comes first, and there is room for two."""

PATIENCE = 60.0
"""Minutes after which a test gives up waiting; so many that a busy machine is never taken for a fault."""

WALL_CLOCK = {"seconds", "tokens_per_second", "mfu", "peak_memory_bytes", "created", "beside"}

Environment = dict[str, str]


class Sweep:
    """A sweep that goes on in a process of its own.

    Args:
        words: behind `train.py -m`.
        folder: of the sweep.
        environment: variables besides our own.
    """

    def __init__(self, words: list[str], folder: Path, environment: Environment) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        command = [sys.executable, str(ROOT / "train.py"), "-m", *words, f"hydra.sweep.dir={folder}"]
        path = os.pathsep.join(filter(None, [str(PLANTED), os.environ.get("PYTHONPATH")]))
        env = {**os.environ, "PYTHONPATH": path, **environment}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True, preexec_fn=heed_signals
            )

    def wait(self, minutes: float = PATIENCE) -> int:
        """Its exit code."""
        try:
            return self.process.wait(minutes * 60)
        finally:
            if self.process.poll() is None:
                self.process.terminate()

    @property
    def said(self) -> str:
        """What it printed."""
        return self.log.read_text()

    def training(self, least: int = 20) -> list[Status]:
        """The runs that are at work and past `least` steps."""
        found = [read_status(path.parent) for path in self.folder.glob("*/status.json")]
        return [
            status
            for status in found
            if status and status.state == RUNNING and least <= status.step < status.total_steps
        ]

    def until(self, condition: Callable[[], object], minutes: float = PATIENCE) -> None:
        """Look again and again until it holds; a sweep that does not come to it is ended."""
        deadline = time.monotonic() + minutes * 60
        try:
            while not condition():
                assert self.process.poll() is None, self.said
                assert time.monotonic() < deadline, self.said
                time.sleep(0.2)
        except BaseException:
            self.process.terminate()
            raise


def outcome(folder: Path) -> dict[str, Any]:
    """Records, curves and gains of a sweep without what the clock wrote into them."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob(f"*/{RECORD_FILE}")):
        record = {key: value for key, value in json.loads(path.read_text()).items() if key not in WALL_CLOCK}
        record["environment"].pop("resumed")
        with (path.parent / CURVE_FILE).open(newline="") as file:
            rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
        found[path.parent.name] = record, rows
    found["gains"] = [gain for gain in json.loads((folder / "gains.json").read_text()) if gain["cost"] != "seconds"]
    return found


def attempts(folder: Path) -> dict[str, int]:
    """How often each run was started."""
    return {log.parent.name: log.read_text().count("=== attempt") for log in folder.glob("*/run.log")}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the twelve runs come to on the local engine."""
    folder = tmp_path_factory.mktemp("local") / "sweep"
    sweep = Sweep(TWELVE, folder, {})
    assert sweep.wait() == 0, sweep.said
    found = outcome(folder)
    assert len(found) == 13
    return found


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of two phases that the local engine trained."""
    folder = tmp_path_factory.mktemp("local") / "searched"
    sweep = Sweep(SEARCHING, folder, {})
    assert sweep.wait() == 0, sweep.said
    return folder


def assert_searched_alike(folder: Path, local: Path) -> None:
    """Both engines came to the same choices, the same records in both roles, and the same gains."""
    assert outcome(folder) == outcome(local)
    assert json.loads((folder / CHOICES_FILE).read_text()) == json.loads((local / CHOICES_FILE).read_text())
    roles = [json.loads(path.read_text())["role"] for path in folder.glob(f"*/{RECORD_FILE}")]
    assert roles.count(COMPARE) == 4
    assert roles.count(SEARCH) >= 4


@pytest.fixture(scope="session")
def slurm() -> Iterator[Environment]:
    """Variables of a Slurm of two nodes."""
    if sentence := missing.for_slurm():
        pytest.skip(sentence)
    yield from _cluster("slurm", ("SLURM_CONF", "PATH", "MASTER_ADDR"))


@pytest.fixture
def ray() -> Iterator[Environment]:
    """Variables of a Ray of two nodes; new for every test, since a node that died does not come back."""
    if sentence := missing.for_ray():
        pytest.skip(sentence)
    yield from _cluster(
        "ray", ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED", "PATH")
    )


def _cluster(name: str, variables: tuple[str, ...]) -> Iterator[Environment]:
    folder = Path(tempfile.mkdtemp(prefix=name[:2]))  # not pytest's: sockets need a short path
    start = subprocess.run(
        [HERE / f"start_{name}.sh", folder],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    try:
        assert start.returncode == 0, start.stdout + start.stderr
        shown = ". ./env && for name in " + " ".join(variables) + '; do echo "$name=${!name}"; done'
        printed = subprocess.run(["bash", "-c", shown], cwd=folder, capture_output=True, text=True, check=True).stdout
        yield {**dict(line.split("=", 1) for line in printed.splitlines()), "CLUSTER": str(folder)}
    finally:
        subprocess.run([HERE / f"stop_{name}.sh", folder], check=True)
        shutil.rmtree(folder)


def command(environment: Environment, words: str) -> str:
    """What a command of the cluster prints."""
    env = {**os.environ, **environment}
    return subprocess.run(shlex.split(words), env=env, capture_output=True, text=True, check=True, timeout=60).stdout

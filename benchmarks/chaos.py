"""Disturb a sweep in every way that machines do, and compare what comes out with an undisturbed one.

Faults strike at random moments: SIGKILL to a run, to the launcher, or to a run while it writes a checkpoint; a full
disk below one run; a damaged newest checkpoint; a second start of the same sweep beside the first. The sweep is started
again until it is complete. Every record, curve and gain must then equal the undisturbed one bit for bit, wall-clock
fields aside.

    python benchmarks/chaos.py --seed 0        # `make chaos`
    python benchmarks/chaos.py --members 3     # runs that share a process, one of which explodes

Members sum in another order when they go on in another grouping, so their numbers may differ in the last digits: by no
more than `CLOSE`.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from algoprog.runs.record import CURVE_FILE, GAINS_JSON, RECORD_FILE
from algoprog.runs.status import RUNNING, read_status

ROOT = Path(__file__).resolve().parents[1]
RUNS = 12
SWEEP = (
    "model=nano",
    "model.dropout=0.1",
    "variant=none,ln,rope,flash",
    "seed=0,1,2",
    "batch_size=2",
    "micro_batch_size=1",
    "budget.steps=400",
    "evaluation.tokens=4096",
    "trainer=cpu",
    "trainer.checkpoint_steps=10",
)
MEMBERS_SWEEP = (
    "model.n_layers=1",
    "model.d_model=16",
    "model.n_heads=2",
    "model.seq_len=32",
    "model.dropout=0.1",
    "tokenizer=bytes",
    "batch_size=4",
    "micro_batch_size=4",
    "optim.lr=1e-3,3e-3,1e5",  # one of three explodes
    "seed=0,1,2,3",
    "evaluation.tokens=2048",
    "trainer=cpu",
    "trainer.checkpoint_steps=10",
)
"""Twelve runs of one shape."""

TOGETHER = (
    "import runpy, sys; from algoprog.sweep.engine import local; local.measured = lambda *_, **__: 2.0;"
    "sys.argv[0] = 'train.py'; runpy.run_path('train.py', run_name='__main__')"
)
"""train.py where members train together whatever was measured, which a busy machine may call slower."""

CLOSE = 1e-4
"""Relative difference of numbers of members beyond which something else was computed."""

FAULTS = {"kill a run": 4, "kill a write": 3, "full disk": 3, "corrupt": 3, "kill the launcher": 3, "start twice": 1}
WALL_CLOCK = {"seconds", "tokens_per_second", "mfu", "peak_memory_bytes", "created", "beside"}
"""Fields of a record that tell when a run was trained, how long it took, and how many others trained meanwhile."""


class Chaos:
    """One sweep and what is done to it.

    Args:
        folder: of the sweep.
        words: its command line.
        rng: chooses moments and victims.
    """

    def __init__(self, folder: Path, words: list[str], rng: random.Random) -> None:
        self.folder, self.words, self.rng = folder, words, rng
        self.launchers: list[subprocess.Popen[bytes]] = []
        self.done: Counter[str] = Counter()
        faults = [name for name, count in FAULTS.items() for _ in range(count)]
        self.pending = rng.sample(faults, len(faults))

    def run(self, deadline: float) -> int:
        """Start, disturb and start again until the sweep is complete; the number of starts.

        Raises:
            SystemExit: it was not complete in time, or over before every fault had struck.
        """
        starts = 0
        while True:
            starts += 1
            self.launchers = [self.start()]
            while any(launcher.poll() is None for launcher in self.launchers):
                if time.monotonic() > deadline:
                    self.end()
                    raise SystemExit("the disturbed sweep was not complete in time: read its log")
                time.sleep(self.rng.uniform(0.2, 1.0))
                self.strike()
            if all(launcher.returncode == 0 for launcher in self.launchers):
                break
        if self.pending:
            raise SystemExit(f"the sweep was over before {', '.join(self.pending)}: raise --steps")
        return starts

    def start(self) -> subprocess.Popen[bytes]:
        """The sweep's command line, once more."""
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        return subprocess.Popen(self.words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)

    def end(self) -> None:
        """Leave nothing running."""
        for launcher in self.launchers:
            launcher.terminate()
            launcher.wait()

    def strike(self) -> None:
        """The next fault, where there is something for it to hit."""
        if self.pending and FAULT[self.pending[0]](self):
            self.done[self.pending.pop(0)] += 1

    def running(self) -> list[tuple[Path, int]]:
        """Folder and process of every run that trains now, in random order."""
        found = []
        for path in self.folder.glob("*/status.json"):
            status = read_status(path.parent)
            if status and status.state == RUNNING and status.step and _alive(status.pid):
                found.append((path.parent, status.pid))
        return self.rng.sample(found, len(found))


def kill_run(chaos: Chaos) -> bool:
    """SIGKILL to a run."""
    for _, process in chaos.running()[:1]:
        return _kill(process)
    return False


def kill_launcher(chaos: Chaos) -> bool:
    """SIGKILL to the process that started the runs."""
    alive = [launcher for launcher in chaos.launchers if launcher.poll() is None]
    if not alive or not chaos.running():
        return False
    chaos.rng.choice(alive).kill()
    return True


def kill_write(chaos: Chaos) -> bool:
    """SIGKILL to a run in the moment in which a checkpoint is half written."""
    for folder, process in chaos.running()[:1]:
        give_up = time.monotonic() + 5
        while _alive(process) and time.monotonic() < give_up:
            if any(name.endswith(".tmp") for name in _names(folder / "checkpoints")):
                return _kill(process)
    return False


def full_disk(chaos: Chaos) -> bool:
    """No file of a run may grow for three seconds, as on a disk that is full."""
    for folder, process in chaos.running()[:1]:
        limit = (folder / CURVE_FILE).stat().st_size
        try:
            before = resource.prlimit(process, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            time.sleep(3)
            resource.prlimit(process, resource.RLIMIT_FSIZE, before)
        except ProcessLookupError:
            pass  # the full disk has ended it already
        return True
    return False


def corrupt(chaos: Chaos) -> bool:
    """SIGKILL to a run, and a few wrong bytes in its newest checkpoint."""
    for folder, process in chaos.running():
        files = sorted((folder / "checkpoints").glob("*.ckpt"))
        if files and _kill(process):
            newest = max([*files, *(folder / "checkpoints").glob("*.ckpt")])
            with newest.open("r+b") as file:
                file.seek(newest.stat().st_size // 2)
                file.write(b"chaos")
            return True
    return False


def start_twice(chaos: Chaos) -> bool:
    """The same command line beside the one that is at work."""
    if not chaos.running():
        return False
    chaos.launchers.append(chaos.start())
    return True


FAULT: dict[str, Callable[[Chaos], bool]] = {
    "kill a run": kill_run,
    "kill a write": kill_write,
    "full disk": full_disk,
    "corrupt": corrupt,
    "kill the launcher": kill_launcher,
    "start twice": start_twice,
}


def outcome(folder: Path) -> dict[str, Any]:
    """Records, curves and gains of a sweep without what the clock wrote into them."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob(f"*/{RECORD_FILE}")):
        record = json.loads(path.read_text())
        record["environment"].pop("resumed")
        record["environment"].pop("members", None)  # those that were left
        found[path.parent.name] = {key: value for key, value in record.items() if key not in WALL_CLOCK}
        found[f"{path.parent.name}/{CURVE_FILE}"] = list(_rows(path.parent / CURVE_FILE))
    gains = json.loads((folder / GAINS_JSON).read_text())
    found[GAINS_JSON] = [gain for gain in gains if gain["cost"] != "seconds"]
    return found


def same(one: Any, other: Any, close: float) -> bool:
    """Whether two results are equal, numbers within a relative difference; of a run that exploded only that it did."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.get("status") == other.get("status") == "diverged":
            return one["run_id"] == other["run_id"]
        return one.keys() == other.keys() and all(same(one[key], other[key], close) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(partial(same, close=close), one, other))
    numbers = [_number(value) for value in (one, other)]
    if close and None not in numbers:
        return math.isclose(*numbers, rel_tol=close, abs_tol=close) or all(map(math.isnan, numbers))
    return bool(one == other)


def _number(value: Any) -> float | None:
    """Of JSON, or of a cell of a table."""
    if isinstance(value, bool) or not isinstance(value, float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _exploded(folder: Path) -> set[str]:
    """Names of the runs that ended by an explosion."""
    return {path.parent.name for path in _records(folder) if json.loads(path.read_text())["status"] == "diverged"}


def main() -> int:
    """Both sweeps, the comparison, and what happened as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None, help="of the faults (default: another one every time)")
    parser.add_argument("--steps", type=int, default=None, help="of every run (default: 300, of members 4000)")
    parser.add_argument("--minutes", type=float, default=10, help="after which everything is given up")
    parser.add_argument("--members", type=int, default=0, help="runs that share a process, at most (default: none do)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(2))
    deadline = time.monotonic() + 60 * options.minutes
    root = Path(tempfile.mkdtemp(prefix="algoprog-chaos-"))
    print(f"fault seed {seed}, logs in {root}", flush=True)
    together = [*MEMBERS_SWEEP, f"hydra.launcher.together={options.members}"]
    program = ["-c", TOGETHER] if options.members else ["train.py"]
    words = [sys.executable, *program, "-m", *(together if options.members else SWEEP)]
    words.append(f"budget.steps={options.steps or (4000 if options.members else 300)}")
    began = time.monotonic()
    calm = Chaos(root / "calm", [*words, f"hydra.sweep.dir={root / 'calm'}"], random.Random(seed))
    calm.pending = []
    calm.run(deadline)
    took = time.monotonic() - began
    print(f"undisturbed: {RUNS} runs in {took:.0f} s", flush=True)
    disturbed = Chaos(root / "chaos", [*words, f"hydra.sweep.dir={root / 'chaos'}"], random.Random(seed))
    starts = disturbed.run(deadline)
    want, have = outcome(root / "calm"), outcome(root / "chaos")
    lost, close = _exploded(root / "calm"), CLOSE if options.members else 0.0
    curves = {f"{name}/{CURVE_FILE}" for name in lost}  # an explosion enlarges what the order of sums does
    names = (want.keys() | have.keys()) - curves
    different = [name for name in names if not same(want.get(name), have.get(name), _bound(name, close))]
    if bool(lost) != bool(options.members) or lost != _exploded(root / "chaos"):
        different.append("what exploded")
    resumed = [len(json.loads(path.read_text())["environment"]["resumed"]) for path in _records(root / "chaos")]
    print("\n".join(f"{name:<20}{count:>4}" for name, count in disturbed.done.items()))
    print(
        f"disturbed: {starts} starts, {sum(resumed)} resumes in kept results, {time.monotonic() - began - took:.0f} s"
    )
    if different or len(resumed) != RUNS:
        print(f"DIFFERENT: {', '.join(sorted(different))}; {len(resumed)} of {RUNS} records", file=sys.stderr)
        return 1
    told = f"all {RUNS} records, their curves and {len(want[GAINS_JSON])} gains"
    print(f"{told} are equal, wall-clock fields aside{_within(close)}")
    shutil.rmtree(root)
    return 0


def _bound(name: str, close: float) -> float:
    """A gain enlarges what its losses differ by."""
    return 100 * close if name == GAINS_JSON else close


def _within(close: float) -> str:
    return f" and within {close:g}" if close else ""


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*/{RECORD_FILE}"))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield {key: value for key, value in row.items() if key != "seconds"}


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - no time for anything slower
    except OSError:
        return []


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())

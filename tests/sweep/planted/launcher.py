"""A launcher in a process of its own: two runs that sleep, in the folder of the first word."""

from __future__ import annotations

import sys
from pathlib import Path

from algoprog.sweep.engine.job import Job
from algoprog.sweep.engine.pool import Pool
from algoprog.sweep.watch.screen import LogLines

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    jobs = [Job(("sleep", "9"), folder / name) for name in ("one", "two")]
    share = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    script = str(Path(__file__).parent / "script.py")
    Pool(jobs, script, [share, share], retries=0, timeout=None, fail_fast=False, screen=LogLines(2)).run()

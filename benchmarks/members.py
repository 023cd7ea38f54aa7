"""What it is worth to train runs as members of one process: aggregate tokens a second, against one after the other.

    python benchmarks/members.py                       # the demo's nano, 8 members on one thread, and 2 x 4 on two
    python benchmarks/members.py model=micro --members 8 32 --device cuda

Forward and backward passes and the steps of the optimizers, measured in turns; medians, their ratio, and where the time
goes. The line of JSON at the end is for programs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Callable

import torch

from algoprog import build
from algoprog.compose import compose
from algoprog.run.app import prepare
from algoprog.run.stacking import Steps, gain
from algoprog.training.devices.allocator import keep_freed_memory
from algoprog.training.devices.hardware import device_name

DEMO = ("model=nano", "model.seq_len=128", "batch_size=8", "budget.steps=100")
"""The shape of `experiment=demo`."""

ROUNDS = 9

SHOWN = 8
"""Operators of a profile."""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", default=list(DEMO), help="of a run, as train.py takes them")
    parser.add_argument("--members", type=int, nargs="+", default=[8])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    rows = []
    for members in options.members:
        for processes, each in [(1, members), (2, members // 2)] if options.device == "cpu" else [(1, members)]:
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                found = pool.starmap(_measured, [(options.words, each, options.device)] * processes)
            ratios = [round(ratio, 2) for ratio, _ in found]
            rows.append({"processes": processes, "members": each, "ratios": ratios})
            print(
                f"\n{processes} x {each} members: {' and '.join(map(str, ratios))} times as fast as one after the other"
            )
            print(found[0][1])
    print(json.dumps({"machine": device_name(torch.device(options.device)), "words": options.words, "rows": rows}))


def _measured(words: list[str], members: int, device: str) -> tuple[float, str]:
    """The gain, and two profiles."""
    torch.set_num_threads(1)
    keep_freed_memory()
    spec = prepare(build.resolve(compose(words)))
    ratio = gain(spec, members, torch.device(device), ROUNDS)
    steps = Steps(spec, members, torch.device(device))
    return ratio, "\n".join(_profile(act, members) for act in (steps.alone, steps.together))


def _profile(act: Callable[[], float], members: int) -> str:
    """Milliseconds a member and calls of the operators that take the most."""
    act()
    with torch.profiler.profile() as profile:
        act()
    events = sorted(profile.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    lines = [
        f"    {event.key[:50]:50s} {event.self_cpu_time_total / 1e3 / members:8.2f} ms {event.count:5d} calls"
        for event in events[:SHOWN]
    ]
    return "\n".join([f"  {act.__name__}: {total / 1e3 / members:.1f} ms a member", *lines])


if __name__ == "__main__":
    main()

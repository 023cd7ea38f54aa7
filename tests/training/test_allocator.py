"""What a process does with the memory that it frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from algoprog.training.devices.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def step():
    large, small = torch.ones(10 * 2**20), torch.ones(2**20)
    return large.sum() + small.sum()


for _ in range(5):  # until each tensor has its place
    step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


LIBRARY, VERSION = platform.libc_ver()


@pytest.mark.skipif(
    LIBRARY != "glibc" or [int(part) for part in VERSION.split(".")] < [2, 35],
    reason="other C libraries are asked for nothing, and older ones take 32 MB at most",
)
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """Tensors of 40 MB are 10,240 pages, which glibc maps anew each time unless it is told."""
    told, untold = (
        int(subprocess.run([sys.executable, "-c", PROGRAM, word], check=True, capture_output=True, text=True).stdout)
        for word in ("keep", "as it is")
    )
    assert told < 1_000 < 50_000 < untold

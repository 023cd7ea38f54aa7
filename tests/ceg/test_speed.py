"""A thousand runs are analysed, intervals included, in seconds and well under a gibibyte."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, time
from dataclasses import replace
import numpy as np
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.simulate.curves import World
rng, world = np.random.default_rng(0), World()
arms = {"none": 1.0, **{f"arm{n}": 0.7 + 0.1 * n for n in range(9)}}
curves = [
    replace(world.curve(rng, gain, name, seed), model=f"model{model}")
    for model in range(10) for seed in range(10) for name, gain in arms.items()
]
began = time.process_time()
rows = compute_gains([replace(c, costs={**c.costs, "seconds": c.costs["steps"] / 7}) for c in curves])
print(len(curves), len(rows), time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_a_thousand_runs():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=1200, check=True)
    runs, rows, seconds, mebibytes = map(float, done.stdout.split())
    assert runs == 1000
    assert rows >= 800  # 10 models x 10 variants x 2 estimators x 4 cost axes
    assert seconds < 40  # of processor time, of which two cores have so much in 20 s
    assert mebibytes < 1024

"""The program as a user starts it: a process of its own, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from tests.warm import ALGOPROG, PATIENCE, ROOT, TRAIN, program

TINY = """
    model.n_layers=1 model.d_model=16 model.n_heads=2 model.seq_len=32 tokenizer=bytes batch_size=4 micro_batch_size=4
    evaluation.points=4 evaluation.tokens=256 trainer=cpu trainer.threads=1
""".split()  # noqa: SIM905 - words as one types them
"""A run of seconds."""

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def train() -> Program:
    """Runs train.py; the folder it writes to is among the words."""
    return partial(program, TRAIN)


@pytest.fixture(scope="session")
def algoprog() -> Program:
    """Runs the `algoprog` command."""
    return partial(program, ALGOPROG)


@pytest.fixture(scope="session")
def typed() -> Program:
    """Runs train.py in a Python that has imported nothing yet, as a user does; seconds slower."""
    return lambda *words: subprocess.run(
        [sys.executable, TRAIN, *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )

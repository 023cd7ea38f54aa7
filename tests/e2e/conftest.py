"""The program as a user starts it: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = """
    model.n_layers=1 model.d_model=16 model.n_heads=2 model.seq_len=32 tokenizer=bytes batch_size=4 micro_batch_size=4
    evaluation.points=4 evaluation.tokens=256 trainer=cpu trainer.threads=1
""".split()  # noqa: SIM905 - words as one types them
"""A run of seconds."""

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def train() -> Program:
    """Runs train.py; the folder it writes to is among the words."""
    return lambda *words, **env: _run(sys.executable, str(ROOT / "train.py"), *words, **env)


@pytest.fixture(scope="session")
def algoprog() -> Program:
    """Runs the `algoprog` command."""
    return lambda *words, **env: _run(sys.executable, "-c", "import algoprog.cli as c; exit(c.main())", *words, **env)


def _run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=1200, check=False
    )

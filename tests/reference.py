"""Implementations that no one here wrote, for tests that copy weights to them.

They are installed beside the environment, not in it: there, torchmetrics would import transformers in every run.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(sys.prefix) / "reference"


@cache
def reference(module: str) -> ModuleType:
    """A module of what `make setup` installs as references; a test is skipped without them, but on CI it fails."""
    if not FOLDER.is_dir() and "CI" not in os.environ:
        pytest.skip("there are no references in .venv/reference: run `make setup`")
    sys.path.append(str(FOLDER))
    try:
        return import_module(module)
    finally:
        sys.path.remove(str(FOLDER))

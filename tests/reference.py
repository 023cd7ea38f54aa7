"""Implementations that no one here wrote, for tests that copy weights to them.

They are installed beside the environment, not in it: there, torchmetrics would import transformers in every run.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

FOLDER = Path(sys.prefix) / "reference"


@cache
def reference(module: str) -> ModuleType:
    """A module of what `make setup` installs as references; a test is skipped without them, but on CI it fails."""
    _require(FOLDER)
    sys.path.append(str(FOLDER))
    try:
        return import_module(module)
    finally:
        sys.path.remove(str(FOLDER))


@cache
def fla(file: str) -> ModuleType:
    """A file of fla-core (0.6.0) that needs no GPU, alone: its packages import Triton, which there is none of on a CPU.

    What the file imports and does not use on whole sequences is left out; of einops it uses one pattern.
    """
    _require(FOLDER / "fla")
    spec = spec_from_file_location(f"fla_{Path(file).parent.name}", FOLDER / "fla" / file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    pooling = _stand_in("fla.ops.utils.pooling", mean_pooling=None)
    utils = _stand_in("fla.ops.utils", prepare_chunk_offsets=None)
    einops = _stand_in("einops", repeat=_repeat, rearrange=None)
    flash = _stand_in("flash_attn", flash_attn_func=None, flash_attn_varlen_func=None)
    with patch.dict(sys.modules, {each.__name__: each for each in (pooling, utils, einops, flash)}):
        spec.loader.exec_module(module)
    return module


def _require(folder: Path) -> None:
    if not folder.is_dir() and "CI" not in os.environ:
        pytest.skip(f"there is no {folder.relative_to(FOLDER.parent)} in {FOLDER.parent}: run `make setup`")


def _stand_in(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def _repeat(x: Any, pattern: str, g: int) -> Any:
    assert pattern == "b t h d -> b t (h g) d"
    return x.repeat_interleave(g, dim=2)

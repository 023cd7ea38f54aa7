"""Two programs never write one run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from algoprog import app, fit
from tests.configs import TINY_RUN


def test_a_folder_in_use_is_refused_and_left_alone(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    spec = app.prepare(compose(*TINY_RUN))
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="another program is writing"):
        fit.run(spec, tmp_path, [])
    assert not (tmp_path / "curve.csv").exists()

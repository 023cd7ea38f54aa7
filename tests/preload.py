"""What the fork server of the tests does once for all programs that are forked from it."""

from __future__ import annotations

import gc

from algoprog.compose import compose
from tests.quick_hydra import quicken

quicken()
compose([])  # reads most files of the configuration
gc.freeze()
gc.set_threshold(50_000, 20, 20)

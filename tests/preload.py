"""What the fork server of the tests does once for all programs that are forked from it."""

from __future__ import annotations

import atexit
import gc
import weakref
from contextlib import suppress
from importlib import import_module

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from algoprog.config import conf_dir
from tests.quick_hydra import quicken

COMMON = ("tokenizer=bytes", "trainer=cpu")
OFTEN = ("attention=mqa", "attention=sparse", "norm=ln", "pos=rope", "kernel=flash")
"""Options of many sweeps, which are composed here once."""

quicken()
with initialize_config_dir(str(conf_dir()), version_base="1.3"):
    for option in ([], *([option] for option in OFTEN)):
        GlobalHydra.instance().config_loader().load_configuration("config", [*COMMON, *option], run_mode=RunMode.RUN)
for module in ("algoprog.sweep.sweeper", "algoprog.sweep.finish.analysis", "wandb.sdk.launch.inputs.internal"):
    with suppress(ImportError):  # W&B imports the last of them in every run; it may be gone in another version
        import_module(module)
# The first program that ends would remove W&B's temporary folders from under all others.
for cleaning in weakref.finalize._registry:  # type: ignore[attr-defined]
    cleaning.atexit = False
with suppress(ImportError, AttributeError):
    atexit.unregister(import_module("wandb.sdk.data_types._private").MEDIA_TMP.cleanup)
gc.freeze()
gc.set_threshold(50_000, 20, 20)

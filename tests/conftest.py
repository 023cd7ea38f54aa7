"""What every test shares: checked shapes, the real configuration, one thread, one cache of prepared tokens."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import scipy.linalg  # noqa: F401 - for the BLAS that it loads, besides numpy's
import torch
from jaxtyping import config as jaxtyping_config
from jaxtyping import install_import_hook
from threadpoolctl import threadpool_limits

from tests.quick_hydra import quicken

# Before anything imports the model: from here on its shapes and types can be checked at every call.
install_import_hook("algoprog.model", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

gc.set_threshold(50_000, 20, 20)  # a sixth of composing was spent on looking through what the imports have left


hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile(
    "fuzz", deadline=None, database=None, max_examples=int(os.environ.get("FUZZ", 20_000))
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))


STARTING_PROCESSES = ("sweep", "e2e", "training", "tracking")
LONGEST = "test_every_option.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, file by file, so that the last worker is not left with one of them."""
    items.sort(key=lambda item: (item.path.name != LONGEST, item.path.parent.name not in STARTING_PROCESSES))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The order of a sum depends on the number of threads, and those of tiny matrices only wait for each other."""
    torch.set_num_threads(1)
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_plans() -> Iterator[None]:
    """A plan measures one model in its own process; the others lend its speed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("algoprog.sweep.plan.preview.SHORT_FLOPS", math.inf)
        patch.setattr("algoprog.sweep.plan.preview.CALIBRATION_SECONDS", 1e-9)
        yield


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prepared tokens go below pytest's own folder, one for all workers of a session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "algoprog-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALGOPROG_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def quick_hydra() -> None:
    """Composing is half of what many tests would wait for."""
    quicken()


@pytest.fixture(scope="module", autouse=True)
def shapes_are_checked_where_the_model_is_tested(request: pytest.FixtureRequest) -> None:
    """The calls of every option are checked in its own tests; elsewhere the checks would take as long as training."""
    jaxtyping_config.update("jaxtyping_disable", request.path.parent.name in STARTING_PROCESSES)


@pytest.fixture(scope="session")
def compose(cache_dir: Path) -> Callable[..., dict[str, Any]]:
    """The resolved configuration of a command line."""
    from tests.configs import compose  # here, behind the hook

    return compose

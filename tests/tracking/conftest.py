"""A server of one's own for every test, and the program as a user starts it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import algoprog, train  # noqa: F401 - fixtures
from tests.tracking.standin import StandIn


@pytest.fixture
def server() -> Iterator[StandIn]:
    """A W&B server in this process."""
    standin = StandIn()
    yield standin
    standin.close()


@pytest.fixture
def standin(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The server, with the client of this process pointed at it."""
    import wandb

    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    wandb.teardown()
    yield server
    server.fault = None
    server.calm.set()
    wandb.teardown()

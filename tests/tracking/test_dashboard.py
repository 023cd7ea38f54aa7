"""The workspace that the command sends is the one that stands in the repository."""

from __future__ import annotations

import json

import pytest

from algoprog.cli import main
from algoprog.tracking.dashboard import definition
from algoprog.tracking.tables import GAINS, SCALE
from tests.e2e.conftest import ROOT
from tests.tracking.standin import StandIn

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # inside wandb-workspaces
SAVED = ROOT / "docs" / "wandb-dashboard.json"


def test_the_saved_definition_is_what_the_code_builds() -> None:
    assert json.loads(SAVED.read_text()) == definition()


def test_it_shows_curves_gains_and_compute() -> None:
    text = SAVED.read_text()
    for shown in ('"val_loss"', '"flops"', f'"{GAINS}"', f'"{SCALE}"', "compute_flops", "model", "variant"):
        assert shown in text, shown


def test_the_command_sends_it(standin: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wandb-dashboard", "tester/algoprog"]) == 0
    (view,) = standin.views
    assert json.loads(view["spec"]) == json.loads(SAVED.read_text())
    assert (view["entityName"], view["projectName"], view["type"]) == ("tester", "algoprog", "project-view")
    assert capsys.readouterr().out.startswith("workspace http")


def test_refusals_are_one_sentence(standin: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wandb-dashboard", "algoprog"]) == 2
    assert "is no ENTITY/PROJECT" in capsys.readouterr().err

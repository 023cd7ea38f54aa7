"""The JSON schema of gains.json says what the program writes, and nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from algoprog.ceg.cost import COSTS
from algoprog.ceg.gains import ESTIMATORS, Gain, compute_gains
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.write import COLUMNS, gains_json

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "gains.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
PROPERTIES = SCHEMA["items"]["properties"]


@pytest.fixture(scope="module")
def gains() -> list[Gain]:
    """A variant that reaches the target, one that does not, one that diverged and one without a baseline."""
    rng, world = np.random.default_rng(0), World(noise=0.002)
    base, good, bad = (world.curve(rng, gain, name) for gain, name in ((1.0, "none"), (2.0, "good"), (0.5, "bad")))
    lost = replace(good, variant="lost", flags=("diverged",))
    return compute_gains(
        [base, good, bad, lost, replace(good, model="alone")],
        costs=("steps",),
        estimators=tuple(ESTIMATORS),
        seed_sd=0.01,
    )


def test_gains_of_every_kind_are_valid(gains: list[Gain]) -> None:
    assert {gain.kind for gain in gains} == {"primary", "auxiliary", "bound"}
    assert any(gain.ceg is None for gain in gains)
    VALIDATOR.validate(json.loads(gains_json(gains)))


def test_the_schema_names_what_the_program_knows() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert tuple(PROPERTIES) == tuple(SCHEMA["items"]["required"]) == COLUMNS
    for key, known in (("estimator", ESTIMATORS), ("cost", COSTS)):
        assert all(re.match(PROPERTIES[key]["pattern"], name) for name in known)
        assert not any(re.match(PROPERTIES[key]["pattern"], text) for text in ("", "iso loss", "paper(shift)"))


@pytest.mark.parametrize(
    "change",
    [{"kind": "guess"}, {"ceg": None}, {"kind": "bound"}, {"target_loss": None}, {"n_seeds": 0}, {"extra": 1}],
    ids=str,
)
def test_what_the_program_never_writes_is_refused(gains: list[Gain], change: dict[str, object]) -> None:
    row = next(row for row in json.loads(gains_json(gains)) if row["variant"] == "good" and row["ceg"])
    assert VALIDATOR.is_valid([row])
    assert not VALIDATOR.is_valid([{**row, **change}])


def test_an_estimator_with_a_target_of_its_own_says_so(gains: list[Gain]) -> None:
    rng, world = np.random.default_rng(0), World(noise=0.002)
    curves = [world.curve(rng, 1.0, "none"), world.curve(rng, 2.0, "good")]
    rows = compute_gains(curves, costs=("steps",), estimators=("effective_speedup", "scaling_fit"), target="min")
    assert {row.estimator for row in rows if "own-target" in row.flags} == {"effective_speedup"}
    assert not any("own-target" in gain.flags for gain in gains)

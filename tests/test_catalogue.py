"""The catalogue: every option has a row, with the costs that its parts have."""

from __future__ import annotations

import pytest

from algoprog.axes import AXES
from algoprog.catalogue.axes import choosing, pages
from algoprog.catalogue.costs import BESIDE, VOCABULARY, baseline_costs, costs
from algoprog.catalogue.options import PLACES, Option, catalogue
from algoprog.catalogue.page import read_measured
from algoprog.catalogue.table import axis_table, multiples
from algoprog.cli import main
from algoprog.variant import bare, options
from benchmarks.catalogue import DOCS, MEASURED, written

PAGE = (DOCS / "catalogue.md").read_text(encoding="utf-8")

NO_ALGORITHM = {("schedule", "constant"), ("schedule", "linear"), ("norm", "none"), ("tokenizer", "bytes")}
"""Options that no paper introduced, beside corpora and the tokenizer of GPT-2."""


def one(axis: str, name: str) -> Option:
    return next(option for option in catalogue(axis) if option.name == name)


@pytest.mark.parametrize("axis", PLACES)
def test_every_option_is_on_the_page_with_its_source(axis: str) -> None:
    section = PAGE.split(f"## {axis}\n")[1].split("\n## ")[0]
    assert [option.name for option in catalogue(axis)] == options(axis)
    for option in catalogue(axis):
        assert f"| `{option.name}` | {option.summary}".replace("|x|", "\\|x\\|") in section, "run `make catalogue`"
        if AXES[axis].owner != "data" and (axis, option.name) not in NO_ALGORITHM:
            assert option.source, f"the class of {axis}={option.name} names no source"
            assert option.source in section, "run `make catalogue`"


@pytest.mark.slow
def test_the_page_is_what_the_options_say() -> None:
    assert written() == PAGE, "run `make catalogue`"


@pytest.mark.parametrize("axis", PLACES)
def test_every_axis_has_a_page_that_names_its_options(axis: str) -> None:
    page = (DOCS / "axes" / f"{axis}.md").read_text(encoding="utf-8")
    said = choosing()[axis]
    assert page.splitlines()[1] == f"# `{axis}`: {said['decides']}", "run `make catalogue`"
    assert said["choose"].keys() <= set(options(axis)), "there is no such option"
    for option in catalogue(axis):
        assert f"| `{option.name}` | {said['choose'].get(option.name, '')} |" in page, "run `make catalogue`"


@pytest.mark.slow
def test_the_pages_of_the_axes_are_what_the_options_say() -> None:
    for axis, text in pages(read_measured(*MEASURED)).items():
        assert (DOCS / "axes" / f"{axis}.md").read_text(encoding="utf-8") == text, "run `make catalogue`"


def test_experts_cost_what_they_hold_and_what_they_use() -> None:
    dense, moe = baseline_costs("nano"), costs(one("mlp", "switch"), "nano")
    expert = 2 * 4 * 64 * 64 + 4 * 64 + 64  # matrices and biases of an MLP of width 64
    assert moe.n_params - dense.n_params == pytest.approx(2 * (7 * expert + 8 * 64), abs=32)
    assert moe.n_active_params - dense.n_active_params == pytest.approx(2 * 8 * 64, abs=32)
    assert moe.state_bytes == dense.state_bytes == 2 * 2 * 256 * 64 * 4
    assert moe.optimizer_bytes == 8 * moe.n_params
    assert dense.n_params > VOCABULARY * 64
    assert "norm=ln" in BESIDE


def test_costs_are_multiples_of_the_baseline() -> None:
    assert set(multiples(one("attention", "dense"), "nano").values()) == {1.0}
    assert multiples(one("attention", "mqa"), "nano")["cache"] == 0.5
    assert multiples(one("optim", "lion"), "nano")["optim."] == 0.5


def test_gains_are_those_that_were_published_and_measured() -> None:
    assert [row.source for row in one("mlp", "swiglu").reported] == ["Gundlach et al. 2025"]
    measured = read_measured(*MEASURED)
    assert (len(measured["muon"]), len(measured["relu2"])) == (2, 1)
    assert one("mixer", "lstm").variant == "mixer=lstm"
    assert not bare("mixer", "lstm")


@pytest.mark.parametrize("axis", ["mlp", "data"])
def test_a_table_fits_80_columns(axis: str) -> None:
    lines = axis_table(catalogue(axis), "nano").splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(name) for line in lines) for name in options(axis))


def test_the_command_lists_axes_and_refuses_what_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options"]) == 0
    listed = capsys.readouterr().out
    assert all(axis in listed for axis in PLACES)
    assert max(map(len, listed.splitlines())) <= 80
    for words, says in (
        (["nope"], "no axis is called 'nope'"),
        (["final_norm"], "final_norm chooses among the options of norm"),
        (["norm", "--model", "nope"], "choose among compact, full"),
    ):
        assert main(["options", *words]) == 2
        assert says in capsys.readouterr().err

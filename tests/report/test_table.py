from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace

import pytest

from algoprog.ceg.cost import COSTS
from algoprog.ceg.gain import Gain
from algoprog.report.tables.table import WIDTH, gains_table
from algoprog.report.words import charges
from algoprog.report.words.naming import order_variants, shorten
from algoprog.report.words.order import SORTS
from algoprog.sweep.finish.source_command import add_sort

KEY = ("rope", "iso_loss", "primary")


def rows(table: str, name: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith(name + " ")]


def unwrapped(table: str) -> list[str]:
    """Sentences of which continued lines are indented."""
    return table.replace("\n   ", " ").splitlines()


def body(table: str) -> str:
    return table[: table.rindex("-" * WIDTH)]


def test_one_row_a_variant_and_model_with_both_estimators(write_sweep, make_gains, sweep):
    shape = sweep(models=("micro", "nano"))
    table = gains_table(make_gains(shape), write_sweep(shape))
    assert table.index("nano, 250k") < table.index("micro, 1.2M")
    (nano, micro) = rows(table, "rope")
    assert nano.split()[2:5] == ["1.900", "[1.767,", "2.052]"]
    assert "1.843" in nano
    assert "1.710" in micro
    names = [line.split()[0] for line in body(table).splitlines() if line and line[0].isalpha()]
    arms = [name for name in names if name in shape.variants]
    assert arms == 2 * ["mqa", "sparse", "none", "flash", "ln", "rope", "ln+rope+flash"]


def test_marks_auxiliary_bounds_and_seconds(write_sweep, make_gains, sweep):
    shape = sweep(models=("nano",))
    gains = [
        replace(g, kind="bound", ci_low=None, ci_high=g.ceg) if g.variant == "sparse" else g for g in make_gains(shape)
    ]
    table = gains_table(gains, write_sweep(shape))
    assert "0.737 a" in rows(table, "mqa")[0]
    assert "<0.688" in rows(table, "sparse")[0]
    assert "1.429" in rows(table, "flash")[0]
    assert "never reached the target" in table


def test_every_line_fits_and_survives_any_pipe(write_sweep, make_gains, sweep):
    names = {"rope": "répé\x1b[31m+" + "x" * 70, "ln": "ln" + "y" * 300, "mqa": "ln" + "y" * 200 + "z" * 100}
    shape = sweep(names=names, diverged=("ln",), seeds=2)
    gains = [replace(g, flags=(*g.flags, f"odd-{g.variant[:3]}", "rising")) for g in make_gains(shape)]
    table = gains_table(gains, write_sweep(shape))
    assert max(map(len, table.splitlines())) == WIDTH == 80
    assert table.isascii()
    assert "\x1b" not in table


@pytest.mark.parametrize("cost", ["flops", "tokens", "steps", "seconds"])
def test_fits_at_every_cost_axis(write_sweep, make_gains, sweep, cost):
    shape = sweep(seeds=1)
    table = gains_table(make_gains(shape), write_sweep(shape), cost=cost)
    assert max(map(len, table.splitlines())) == WIDTH


def test_extreme_numbers_stay_in_their_columns(write_sweep, make_gains, sweep):
    shape = sweep(models=("nano",), variants=("none", "rope"))
    huge = [replace(g, ceg=123456.7, ci_low=98765.4, ci_high=1e9) for g in make_gains(shape)]
    assert max(map(len, gains_table(huge, write_sweep(shape)).splitlines())) == WIDTH


def test_a_diverged_variant_says_so(write_sweep, make_gains, sweep):
    shape = sweep(models=("nano",), diverged=("ln",))
    table = gains_table(make_gains(shape), write_sweep(shape))
    assert "diverged" in rows(table, "ln")[0]
    assert "NaN" in table


def test_without_gains_or_runs(write_sweep, make_gains, sweep):
    assert gains_table([], []) == "No runs and no gains: nothing to show.\n"
    shape = sweep(models=("nano",))
    assert "1.900" in gains_table(make_gains(shape), [])
    assert "rope" in gains_table([], write_sweep(shape))


def test_short_names_are_distinct_and_explained(write_sweep, make_gains, sweep):
    shape = sweep(
        models=("nano",), names={"ln": "a" * 20 + "-first-" + "b" * 20, "rope": "a" * 20 + "-other-" + "b" * 20}
    )
    table = gains_table(make_gains(shape), write_sweep(shape))
    assert "-first-" in table.replace("\n   ", "")
    assert "-other-" in table.replace("\n   ", "")


def test_shorten_never_collides():
    names = [f"{'x' * 30}{i:04d}{'y' * 30}" for i in range(200)] + ["short"]
    short = shorten(names, 18)
    assert list(short) == names
    assert len(set(short.values())) == len(names)
    assert max(map(len, short.values())) <= 18
    assert short["short"] == "short"


def test_order_of_variants():
    assert order_variants(["zeta", "rope", "none", "gqa", "mqa"]) == ["mqa", "none", "rope", "gqa", "zeta"]


def test_importing_the_table_is_fast():
    slow = "{'matplotlib', 'plotly', 'jinja2', 'scipy'}"
    code = f"import sys, algoprog.report.tables.table; sys.exit(bool({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_tuned_table_tells_trials_their_cost_and_the_gain_without(write_sweep, make_gains, sweep):
    shape = sweep(models=("nano",))
    gains = [replace(g, trials=4, search_flops=3e15, untuned_ceg=1.234) for g in make_gains(shape)]
    runs = write_sweep(shape)
    trials = [
        replace(run, record=replace(run.record, role="search", seed=1000)) for run in runs if run.record.seed == 0
    ]
    table = gains_table(gains, [*runs, *trials])
    assert rows(table, "rope")[0].split()[5:7] == ["1.234", "4"]
    assert "Search: 7 trials" in table
    assert "33% of the compared runs'" in table.replace("\n   ", " ")
    assert "untuned: both at the learning rate of the baseline" in table
    bounds = [replace(g, kind="bound", ci_low=None) if g.variant == "mqa" else g for g in gains]
    wide = gains_table(bounds, [*runs, *trials])
    assert {"bound", "untuned", "tried", "CEG(s)"} <= set(wide.splitlines()[4].split())
    assert max(map(len, wide.splitlines())) <= WIDTH


def test_an_optimizer_that_is_charged_stands_with_its_gain_on_every_axis(write_sweep, make_gains, sweep):
    shape = sweep(models=("nano",), variants=("none", "rope"))
    gains = [replace(g, ceg=g.ceg * {"steps": 1.25, "seconds": 0.5}.get(g.cost, 1.0)) for g in make_gains(shape)]
    runs = write_sweep(shape)
    assert "optimizer" not in gains_table(gains, runs)
    charged = [
        replace(run, record=replace(run.record, optimizer_flops=0.2 * run.record.train_flops))
        if run.record.variant == "rope"
        else run
        for run in runs
    ]
    values = {g.cost: f"{g.ceg:.3f}" for g in gains if (g.variant, g.estimator, g.kind) == KEY}
    (line,) = [line for line in unwrapped(gains_table(gains, charged)) if "optimizer" in line]
    assert line.startswith("rope at nano: gain ")
    assert all(f"{values[cost]} in {COSTS[cost].title}" in line for cost in charges.COST_AXES)
    assert "are 20.0% of its FLOPs" in line


def test_a_search_without_records_is_priced_by_the_rows(make_gains, sweep):
    shape = sweep(models=("nano",), variants=("none", "rope"))
    gains = [replace(g, trials=3, search_flops=2e12) for g in make_gains(shape)]
    assert "Search: 4T training FLOPs" in gains_table(gains)


MANY = {f"arm{n:02d}": 0.7 + 0.05 * n for n in range(20)}


def many_gains():
    """Twenty variants in no order, with flags and long names, and a baseline."""
    own = {"model": "nano", "baseline": "none", "target_loss": 3.0, "kind": "primary", "n_seeds": 3}
    return [
        Gain(
            **own,
            variant=v,
            estimator=e,
            cost=c,
            ceg=g,
            ci_low=g / 1.1,
            ci_high=g * 1.1,
            flags=("untuned", f"flag-{v}"),
        )
        for v, g in {"none": 1.0, **MANY}.items()
        for e in ("iso_loss", "paper")
        for c in ("flops", "seconds")
    ]


def test_many_variants_stand_by_gain_without_a_wall_of_notes():
    table = gains_table(many_gains(), further=["Left out: 5 combinations"])
    names = [line.split()[0] for line in table.splitlines() if line.startswith(("arm", "none "))]
    assert names == sorted(({"none": 1.0, **MANY}), key=lambda name: -{"none": 1.0, **MANY}[name])
    assert max(map(len, table.splitlines())) <= 80
    assert "paper" not in table
    legend = table[table.rindex("-" * 80) :].splitlines()
    assert sum(line.startswith("   ") for line in legend) <= 1  # one line a note
    assert "Left out: 5 combinations" in table
    assert "Rows: --sort name|gain|loss|axis" in table


def test_the_order_of_the_rows_can_be_chosen():
    names = [line.split()[0] for line in gains_table(many_gains(), sort="name").splitlines() if line.startswith("arm")]
    assert names == sorted(MANY)
    with pytest.raises(ValueError, match="--sort is size: choose among name, gain, loss, axis"):
        gains_table(many_gains(), sort="size")


def test_rows_by_axis_keep_the_options_of_an_axis_together(write_sweep, make_gains, sweep):
    shape = sweep(models=("nano",), variants=("none", "rope", "ln", "mqa", "sparse"))
    table = gains_table(make_gains(shape), write_sweep(shape), sort="axis")
    names = [line.split()[0] for line in table.splitlines() if line.split(" ")[0] in shape.variants]
    assert names == ["none", "mqa", "sparse", "ln", "rope"]


def test_every_order_is_offered():
    parser = argparse.ArgumentParser()
    add_sort(parser)
    (choice,) = [action for action in parser._actions if action.dest == "sort"]
    assert tuple(choice.choices) == tuple(SORTS)

"""A plan as text of at most 80 columns."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence

from algoprog.report.words.notes import WIDTH
from algoprog.runs.mistake import visible
from algoprog.sweep.plan.expected import time_text
from algoprog.sweep.plan.preview import TRAINED, PlannedRun, Preview

HEADER = (
    f"{'variant':<15}{'model':<9}{'seed':>4}{'params':>9}{'FLOPs':>9}{'tokens':>9}{'steps':>8}{'memory':>8}{'time':>9}"
)


def plan_table(plan: Preview) -> str:
    """One line a run with the words that train it alone, what is refused and why, and totals."""
    shared = _shared([run.overrides for run in plan.runs])
    lines = _intro(plan, shared)
    if plan.runs:
        lines += ["=" * WIDTH, HEADER, "-" * WIDTH]
        for run in plan.runs:
            lines += _run(run, shared)
        lines += ["-" * WIDTH, *_totals(plan)]
    return "\n".join([*lines, *_refused(plan)]) + "\n"


def _intro(plan: Preview, shared: Sequence[str]) -> list[str]:
    lines = _wrapped(f"{_many(len(plan.runs), 'run')} in {plan.sweep_dir}", "")
    if plan.runs:
        lines += _wrapped("python train.py " + shlex.join(shared) + " WORDS", "one of them alone: ")
    return lines


def _run(run: PlannedRun, shared: Sequence[str]) -> list[str]:
    cells = (
        f"{run.seed:>4}{_short(run.n_params):>9}{_short(run.train_flops):>9}{_short(run.tokens):>9}{run.steps:>8}"
        f"{_bytes(run.memory_bytes):>8}{_time(run):>9}"
    )
    if len(run.variant) < 15 and len(run.model) < 9:
        lines = [f"{run.variant:<15}{run.model:<9}{cells}"]
    else:
        lines = [*_wrapped(f"{run.variant} {run.model}", ""), f"{'':24}{cells}"]
    state = f"{run.state}{', baseline added' if run.added else ''}"
    own = [word for word in run.overrides if word not in shared]
    micro = f", micro-batch {run.micro_batch_size}" if run.state not in TRAINED else ""
    return [*lines, *_wrapped(shlex.join(own) or "(no words)", f"  {state}{micro}: ")]


def _totals(plan: Preview) -> list[str]:
    totals = plan.totals()
    known, todo = totals["seconds_known_for"], totals["to_train"]
    time = f"{time_text(totals['seconds'])} one after another" if known else "time unknown"
    if 0 < known < todo:
        time += f" for the {known} runs that finished ones tell about"
    text = (
        f"{todo} to train: {_short(totals['train_flops'])} FLOPs, {_short(totals['tokens'])} tokens, {time};"
        f" at most {_bytes(totals['memory_bytes'])} a run{_at_once(plan)}."
    )
    if totals["wall_seconds"] is not None:
        text = f"{text[:-1]}; about {time_text(totals['wall_seconds'])} from the command line to the report."
    if totals["trials_to_train"]:
        text = text[:-1] + f"; {totals['trials_to_train']} of them are trials of the search."
    if plan.further and plan.further.runs:
        text += " " + _further(plan)
    if plan.later and plan.later.runs:
        text += " " + _later(plan)
    notes = [
        "Memory is an estimate of the peak. Time is training with branches and evaluations, from the speed of finished"
        " runs of the same model, device and precision; ~ from a few steps of the model here; ? where nothing tells."
    ]
    return [line for part in (text, *notes) for line in _wrapped(part, "")]


def _further(plan: Preview) -> str:
    """What the search may add, and what the sweep then costs."""
    more, totals = plan.further, plan.totals()
    assert more is not None
    known = more.seconds is not None and totals["seconds_known_for"] == totals["to_train"]
    time = f", {time_text(totals['seconds'] + more.seconds)}" if known else ""
    return (
        f"Where a best rate lies at the edge of its grid the search goes on, by at most {_many(more.runs, 'trial')}:"
        f" then {totals['to_train'] + more.runs} runs, {_short(totals['train_flops'] + more.train_flops)} FLOPs,"
        f" {_short(totals['tokens'] + more.tokens)} tokens{time}."
    )


def _later(plan: Preview) -> str:
    """What a screen costs from least to most: if this look drops all variants, and if no look drops any."""
    more, totals = plan.later, plan.totals()
    assert more is not None
    known = more.seconds is not None and totals["seconds_known_for"] == totals["to_train"]
    time = f", {time_text((totals['seconds'] or 0) + more.seconds)}" if known and more.seconds is not None else ""
    return (
        f"That is the least, if the next look drops all variants; the most, if none is ever dropped:"
        f" {totals['to_train'] + more.runs} runs, {_short(totals['train_flops'] + more.train_flops)} FLOPs,"
        f" {_short(totals['tokens'] + more.tokens)} tokens{time}."
    )


def _at_once(plan: Preview) -> str:
    return f", {_many(plan.at_once, 'run')} at a time" if plan.at_once else ""


def _refused(plan: Preview) -> list[str]:
    if not plan.refused:
        return []
    lines = [f"{_many(len(plan.refused), 'combination')} refused:"]
    for reason in dict.fromkeys(reason for _, reason in plan.refused):
        lines += _wrapped(reason, "  ")
        for overrides in (overrides for overrides, other in plan.refused if other == reason):
            lines += _wrapped(visible(shlex.join(overrides)), "    ")
    if not plan.goes and plan.skip_refused:
        return [*lines, "Nothing would be trained: no combination is left."]
    if plan.skip_refused:
        return [*lines, "They are left out."]
    return [*lines, *_wrapped("Nothing would be trained: leave them out, or add hydra.sweeper.skip_refused=true.", "")]


def _shared(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Words that every run has."""
    return [word for word in jobs[0] if all(word in job for job in jobs)] if jobs else []


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _wrapped(text: str, lead: str) -> list[str]:
    return textwrap.wrap(lead + text, WIDTH, subsequent_indent="    ", break_on_hyphens=False) or [""]


def _short(value: float) -> str:
    """Three digits and a unit, or a power of ten."""
    for limit, unit in ((1e3, ""), (1e6, "k"), (1e9, "M"), (1e12, "G")):
        if value < limit:
            scaled = value / (limit / 1e3)
            return f"{scaled:.3g}{unit}" if scaled < 999.5 or not unit else f"{scaled:.0f}{unit}"
    return f"{value:.2e}".replace("e+", "e")


def _bytes(value: float) -> str:
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def _time(run: PlannedRun) -> str:
    """Of a run; `~` where a calibration tells it."""
    if run.seconds is None:
        return "?"
    return ("" if run.seconds_from else "~") + time_text(run.seconds)

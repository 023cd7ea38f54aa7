"""Sections on what a sweep did not train to the end: what its screen dropped, and what it left out."""

from __future__ import annotations

from algoprog.ceg.screening.decisions import Decisions
from algoprog.report.page.section import Section, Table
from algoprog.report.words.naming import ratio
from algoprog.report.words.screening import MOST_WORDS, dropped, left_out
from algoprog.runs.calls import Calls


def screening_sections(decisions: Decisions | None, calls: Calls) -> list[Section]:
    """A section each, where there is something to say."""
    found = [] if decisions is None else [_screening(decisions)]
    out = left_out(calls)
    return [*found, _left_out(out)] if out else found


def _screening(decisions: Decisions) -> Section:
    screen = decisions.screen
    looks = ", ".join(map(str, screen.looks))
    prose = (
        f"Models in order: {', '.join(decisions.models)}. After {looks} seeds of a model, variants whose gain in FLOPs"
        f" is shown to lie below {screen.gate:g} go no further; one whose true gain is {screen.gate:g} at all of them"
        f" is dropped in at most {screen.error:.0%} of sweeps.",
        "Below: what the gain is below at the level of the look that decided, one-sided; p: how often a variant at the"
        " gate measures so little.",
    )
    rows = tuple(
        (one.variant, one.model, str(one.seeds), ratio(one.ceg), ratio(one.high), _p(one.p), _p(one.level), one.reason)
        for one in dropped(decisions)
    )
    head = ("variant", "model", "seeds", "gain", "below", "p", "level", "why")
    table = Table("Variants that were dropped.", head, rows) if rows else None
    return Section("Screening", prose if rows else (*prose[:1], "Nothing was dropped."), table=table)


def _left_out(found: dict[str, list[str]]) -> Section:
    rows = tuple((reason, _listed(words)) for reason, words in found.items())
    return Section(
        "Left out",
        ("What this sweep would have trained and could not.",),
        table=Table("", ("why", "words"), rows, words=True),
    )


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - MOST_WORDS} more" if len(words) > MOST_WORDS else ""
    return "; ".join(words[:MOST_WORDS]) + more


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"

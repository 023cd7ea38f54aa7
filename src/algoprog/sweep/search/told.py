"""What a sweep says of its searches: what is to come, and what was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.sweep.search.choices import Choice, Choices
from algoprog.sweep.search.searches import Search
from algoprog.sweep.search.settings import Tune


def to_come(searches: Sequence[Search], known: Choices, tune: Tune) -> str:
    """How many trials there will be."""
    pending = [search for search in searches if search.id not in known]
    if not pending:
        return f"at what {many(len(searches), 'search')} chose before"
    least, most = sum(len(search.cells()) for search in pending), tune.max_trials * len(pending)
    seeds = f"seed {tune.seed}" if tune.seeds == 1 else f"seeds {tune.seed} to {tune.trial_seeds[-1]} each"
    trials = many(most, "trial") if least == most else f"{least} to {most} trials"
    before = f"; {len(searches) - len(pending)} chosen before" if len(searches) > len(pending) else ""
    return f"after {many(len(pending), 'search')} of {trials} on {seeds}{before}"


def others(searches: Sequence[Search], known: Choices) -> list[str]:
    """A line for each search that was made among other values than are asked for now."""
    return [
        f"  {search.model} {search.variant}: chosen before among other values, and stays; to choose again take its"
        " entry out of choices.json\n"
        for search in searches
        if search.id in known
        and not set(search.cells()) <= {tuple(trial.values.values()) for trial in known[search.id].trials}
    ]


def chosen(choice: Choice) -> str:
    """One line on what a search chose."""
    who, trials = f"{choice.model} {choice.variant}", many(len(choice.trials), "trial")
    if not choice.values:
        return f"  {who}: none of {trials} finished, its runs take what is configured"
    values = ", ".join(f"{setting}={value:g}" for setting, value in choice.values.items())
    failed = sum(trial.loss is None for trial in choice.trials)
    notes = f", {failed} without a vote" if failed else ""
    edge = ", the best at the edge of the grid" if choice.edge else ""
    return f"  {who}: {values} from {trials}{notes}{edge}"


def many(number: int, noun: str) -> str:
    """The number and its noun; `search` and `run` alike."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"

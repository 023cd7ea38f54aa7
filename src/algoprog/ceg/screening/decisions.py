"""`screening.json`: what the looks of a sweep's folder decided. A decision that is there is never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from algoprog.ceg.screening.rule import DROPPED, Decision, Screen
from algoprog.runs.record import SCREENING_FILE
from algoprog.runs.store import write_atomic

Key = tuple[str, str, int]
"""Model, variant and seeds of a look."""


@dataclass(frozen=True)
class Decisions:
    """The rule of a folder's screen, the models in its order, and what was decided."""

    screen: Screen
    models: tuple[str, ...]
    found: Mapping[Key, Decision]

    def dropped(self, model: str, variant: str) -> Decision | None:
        """The decision that dropped a variant at a model; None where it was not."""
        own = (one for one in self.found.values() if (one.model, one.variant) == (model, variant))
        return next((one for one in own if one.outcome == DROPPED), None)

    def with_more(self, decisions: Iterable[Decision]) -> Decisions:
        """These and others; what was decided stays."""
        more = {(one.model, one.variant, one.seeds): one for one in decisions}
        return Decisions(self.screen, self.models, {**self.found, **more, **self.found})


def read_decisions(folder: Path) -> Decisions | None:
    """What was decided in a sweep's folder so far; None where it screens nothing.

    Raises:
        ValueError: the file is damaged, naming the remedy.
    """
    path = folder / SCREENING_FILE
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        screen = Screen(**{**raw["screen"], "looks": tuple(raw["screen"]["looks"])})
        found = [_decision(one) for one in raw["decisions"]]
        return Decisions(screen, tuple(raw["models"]), {(one.model, one.variant, one.seeds): one for one in found})
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}): delete it, the same command decides again by the runs that are there"
        ) from error


def write_decisions(folder: Path, decisions: Decisions) -> None:
    """Rename the file into place; the decisions that are there already stay as and where they are."""
    before = read_decisions(folder)
    kept = decisions if before is None else before.with_more(decisions.found.values())
    content = {
        "screen": asdict(kept.screen),
        "models": list(kept.models),
        "decisions": [asdict(one) for one in kept.found.values()],
    }
    write_atomic(folder / SCREENING_FILE, json.dumps(content, indent=2) + "\n")


def _decision(raw: Mapping[str, Any]) -> Decision:
    return Decision(**raw)

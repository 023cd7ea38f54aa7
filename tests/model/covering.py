"""A covering array: few models in which every pair of options of two axes stands together once at least."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

from algoprog.axes import MODEL
from algoprog.baseline import meaningless
from algoprog.variant import baseline
from tests.configs import cases, gpt, part

AXES = tuple(axis for axis in MODEL if axis != "backbone")
Choice = tuple[str, int]
"""An axis, and the number of an option among its cases."""

Row = dict[str, int]


@cache
def values(axis: str) -> list[dict[str, Any]]:
    """The options of an axis with the knobs worth a test, the baseline's first."""
    first = part(axis, baseline()[axis])
    return [first, *(case for case in cases(axis) if case != first)]


@cache
def covering() -> tuple[list[Row], set[frozenset[Choice]]]:
    """Rows that hold every pair of options, and the pairs that are refused or of which one means nothing.

    They are the same in every process: workers that share tests must collect the same ones.
    """
    search = _Search()
    return search.rows(), search.refused


def models() -> list[dict[str, dict[str, Any]]]:
    """What to build of each row: the parts that mean something together, those of the baseline left out."""
    return [{axis: values(axis)[index] for axis, index in row.items() if index} for row in covering()[0]]


class _Search:
    """Greedy: begins with a pair that is missing and adds what covers most of the others."""

    def __init__(self) -> None:
        every = [(axis, index) for axis in AXES for index in range(len(values(axis)))]
        pairs = [frozenset(pair) for pair in combinations(every, 2) if pair[0][0] != pair[1][0]]
        self.refused = {
            pair for pair in pairs if any(other in self._idle(choice) for choice, (other, _) in _both(pair))
        }
        self.missing = dict.fromkeys(pair for pair in pairs if pair not in self.refused)

    def rows(self) -> list[Row]:
        """All rows; refused pairs are found on the way."""
        found: list[Row] = []
        while self.missing:
            row = self._filled(next(iter(self.missing)))
            if row is not None:
                found.append(row)
                for pair in combinations(row.items(), 2):
                    self.missing.pop(frozenset(pair), None)
        return found

    def _filled(self, pair: frozenset[Choice]) -> Row | None:
        row: Row = dict(sorted(pair))  # a frozenset has another order in every process
        for axis in (axis for axis in AXES if axis not in row):
            idle = any(axis in self._idle(choice) for choice in row.items())
            known = [0] if idle else [i for i in range(len(values(axis))) if not self._clashes(row, (axis, i))]
            if not known:
                return self._give_up(pair)
            row[axis] = max(known, key=lambda i, axis=axis: (self._new(row, (axis, i)), -i))
        if not _builds(row):
            clash = self._clash(row)
            self.refused.add(clash)
            self.missing.pop(clash, None)
            return None if pair == clash else self._filled(pair)
        return {axis: row[axis] for axis in AXES if not any(axis in self._idle(choice) for choice in row.items())}

    def _give_up(self, pair: frozenset[Choice]) -> None:
        self.refused.add(pair)
        del self.missing[pair]

    def _new(self, row: Row, choice: Choice) -> int:
        return sum(frozenset({choice, other}) in self.missing for other in row.items())

    def _clashes(self, row: Row, choice: Choice) -> bool:
        return any(frozenset({choice, other}) in self.refused for other in row.items())

    def _clash(self, row: Row) -> frozenset[Choice]:
        """The pair that keeps a row from being built: refused alone, and another option of either lets the row be."""
        blamed = [
            (a, i) for a, i in row.items() if any(_builds({**row, a: j}) for j in range(len(values(a))) if j != i)
        ]
        alone = [choice for choice in row.items() if _builds(dict([choice]))]  # where two pairs clash, none is blamed
        tried = (*combinations(blamed, 2), *combinations(alone, 2))
        clash = next((frozenset(pair) for pair in tried if not _builds(dict(pair))), None)
        assert clash is not None, f"no pair explains why {row} is refused"
        return clash

    @staticmethod
    @cache
    def _idle(choice: Choice) -> frozenset[str]:
        """The axes that mean nothing beside an option."""
        axis, index = choice
        known = {"backbone": part("backbone", "transformer"), axis: values(axis)[index]}
        return frozenset(meaningless(known))


def _both(pair: frozenset[Choice]) -> Iterator[tuple[Choice, Choice]]:
    one, other = pair
    yield one, other
    yield other, one


def _builds(row: Row) -> bool:
    try:
        gpt(seed=None, **{axis: values(axis)[index] for axis, index in row.items()})
    except ValueError:
        return False
    return True

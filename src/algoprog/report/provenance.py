"""Everything that is needed to repeat the runs, gathered from their records."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from algoprog.runs.record import Record


def provenance(records: Sequence[Record]) -> dict[str, Any]:
    """Versions and git state (each distinct value once), data with hashes, command lines, dates."""
    created = sorted(record.created for record in records)
    return {
        "environment": _distinct([dict(_flat(record.environment)) for record in records]),
        "data": [asdict(info) for info in dict.fromkeys(record.data for record in records)],
        "commands": [command_line(record) for record in records],
        "first": created[0] if created else None,
        "last": created[-1] if created else None,
        "n_runs": len(records),
        "n_seeds": len({record.seed for record in records}),
    }


def command_line(record: Record) -> str:
    """The command that repeats one run."""
    return shlex.join(["python", "train.py", *record.overrides])


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _distinct(environments: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """Each key with the values it had, in order of appearance."""
    keys = dict.fromkeys(key for values in environments for key in values)
    return {key: list(dict.fromkeys(v[key] for v in environments if key in v)) for key in keys}

"""What a page was drawn from, so that a sweep that is entered again without a change need not draw it again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from algoprog.runs.record import Run

_MARK = re.compile(r'<meta name="algoprog-inputs" content="([0-9a-f]{64})">')
HEAD_BYTES = 4096
"""The mark stands at the top of the page."""


def fingerprint(runs: Sequence[Run], command: str | None, drawn_by: Mapping[str, Any]) -> str | None:
    """SHA-256 of all that a page shows, and of what draws it; None where changes to the sources are not committed."""
    if drawn_by["git_dirty"]:
        return None
    digest = hashlib.sha256(json.dumps([drawn_by, command], sort_keys=True).encode())
    for run in runs:
        digest.update(json.dumps(asdict(run.record), sort_keys=True, default=str).encode())
        for column in run.curve.values():
            digest.update(column.tobytes())
    return digest.hexdigest()


def drawn_from(page: Path) -> str | None:
    """The fingerprint that a page carries; None where there is no page, or it has none."""
    try:
        with page.open("rb") as file:
            found = _MARK.search(file.read(HEAD_BYTES).decode(errors="replace"))
    except OSError:
        return None
    return found[1] if found else None

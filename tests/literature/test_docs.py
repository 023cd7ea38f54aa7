"""docs/literature.md shows the data files as they are."""

from pathlib import Path

import pytest

from algoprog.literature.compare import REASONS
from algoprog.literature.rows import METRIC_TYPES, literature_rows
from algoprog.literature.write import KEYS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "literature.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", literature_rows(), ids=lambda row: f"{row.advance}, {row.metric}")
def test_every_row_stands_in_the_documentation(row):
    low, high = f"{row.low.quoted:g}", f"{row.high.quoted:g}"
    gain = low if low == high else f"{low}-{high}"
    recomputed = dict.fromkeys(value.recomputed for value in (row.low, row.high))
    raw = ", ".join("-" if value is None else f"{value:.4g}" for value in recomputed)
    option = f"`{row.option}`, {row.reference}" if row.option else "-"
    assert f"| {row.advance} | {option} | {row.dependence} | {gain} | {raw} | {row.metric} | {row.source}, " in TEXT
    assert f"{row.location} | {row.checked} |" in TEXT


def test_metric_types_flags_and_keys_are_documented():
    assert all(f"| `{name}` | {text} |" in TEXT for name, text in METRIC_TYPES.items())
    assert all(f"`{flag}`" in TEXT for flag in REASONS)
    assert ", ".join(KEYS) in " ".join(TEXT.split())

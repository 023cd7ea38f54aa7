"""Damaged and odd tables of curves: a right answer or one sentence, never a traceback."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.command import assert_sentence, told

COLUMNS = ("variant", "model", "seed", "step", "tokens", "flops", "seconds", "val_loss")
OTHERS = "loss eval/loss trainer/global_step Step annealed lr budget device batch note _step".split()  # noqa: SIM905
ODD = (
    """nan inf -inf -1 0 1e400 1e-320 1,5 1_000 0x10 1.5 true none None arm é 模型 ' " =1+1 {} 1e9 3.0 ../x a;b -0.0"""
)
CELLS = st.sampled_from([*ODD.split(), "", " ", "\x00", "\u202e", "a\tb", "9" * 40])


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """A good table, as rows of cells with its header."""
    rows = [list(COLUMNS)]
    points = draw(st.integers(1, 8))
    for variant in ("none", "arm", "other")[: draw(st.integers(1, 3))]:
        for model in ("m", "n")[: draw(st.integers(1, 2))]:
            for seed in range(draw(st.integers(1, 3))):
                rate = draw(st.floats(0.5, 2.0))
                for step in range(1, points + 1):
                    cost = 100 * step
                    loss = 2 + 3 * (rate * cost) ** -0.3 + 0.01 * seed
                    rows.append([variant, model, str(seed), *(str(cost * k) for k in (1, 8, 64, 2)), f"{loss:.4f}"])
    return rows


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A table after a few accidents, in some encoding."""
    rows = draw(tables())
    for _ in range(draw(st.integers(0, 4))):
        rows = draw(st.sampled_from([_cell, _column, _header, _dropped, _twice, _short, _swapped]))(draw, rows)
    delimiter = draw(st.sampled_from([",", ",", ",", "\t", ";"]))
    text = draw(st.sampled_from(["\n", "\r\n"])).join(delimiter.join(map(_quoted, row)) for row in rows)
    text = draw(st.sampled_from([text, text + "\n", "\n" + text, "# a comment\n" + text, text[: len(text) // 2]]))
    encodings = [*["utf-8"] * 6, "utf-8-sig", "utf-16", "latin-1"]
    encoded = text.encode(draw(st.sampled_from(encodings)), "replace")
    at = draw(st.integers(0, len(encoded)))
    cut = [encoded[:at], encoded[:at] + b"\xff\x00" + encoded[at:]]
    return draw(st.sampled_from([*[encoded] * 6, *cut]))


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in ',;\t"\n') else cell


def _cell(draw: st.DrawFn, rows: list[list[str]]) -> list[list[str]]:
    row = draw(st.integers(0, len(rows) - 1))
    column = draw(st.integers(0, max(len(rows[row]) - 1, 0)))
    return [*rows[:row], [*rows[row][:column], draw(CELLS), *rows[row][column + 1 :]], *rows[row + 1 :]]


def _column(draw: st.DrawFn, rows: list[list[str]]) -> list[list[str]]:
    column, cell = draw(st.integers(0, len(rows[0]))), draw(CELLS)
    if draw(st.booleans()):  # left out
        return [[*row[:column], *row[column + 1 :]] for row in rows]
    return [
        [*row[:column], draw(st.sampled_from(OTHERS)) if n == 0 else cell, *row[column:]] for n, row in enumerate(rows)
    ]


def _header(draw: st.DrawFn, rows: list[list[str]]) -> list[list[str]]:
    names = list(rows[0])
    if names:
        names[draw(st.integers(0, len(names) - 1))] = draw(st.sampled_from([*OTHERS, *COLUMNS, "VARIANT", " model "]))
    return [names, *rows[1:]]


def _dropped(draw: st.DrawFn, rows: list[list[str]]) -> list[list[str]]:
    at = draw(st.integers(0, len(rows) - 1))
    return [*rows[:at], *rows[at + draw(st.integers(1, 5)) :]] or [[""]]


def _twice(draw: st.DrawFn, rows: list[list[str]]) -> list[list[str]]:
    at = draw(st.integers(0, len(rows) - 1))
    return [*rows[:at], rows[at], *rows[at:]]


def _short(draw: st.DrawFn, rows: list[list[str]]) -> list[list[str]]:
    at = draw(st.integers(0, len(rows) - 1))
    return [*rows[:at], draw(st.sampled_from([rows[at][:3], [], [*rows[at], "1"]])), *rows[at + 1 :]]


def _swapped(draw: st.DrawFn, rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], *draw(st.permutations(rows[1:]))] if len(rows) < 20 else [rows[0], *reversed(rows[1:])]


@given(
    content=damaged(), words=st.sampled_from([(), ("--cost", "steps"), ("--target", "3.0"), ("--schedule", "constant")])
)
def test_a_table_of_curves_gives_gains_or_one_sentence(content: bytes, words: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.csv"
        path.write_bytes(content)
        code, out, error = told("ceg", str(path), "--format", "json", *words)
    if code == 0:
        assert all(math.isfinite(row["ceg"]) and row["ceg"] > 0 for row in json.loads(out) if row["ceg"] is not None)
        return
    assert code == 2
    assert error.startswith("error: ")
    assert error.endswith("\n")
    assert_sentence(error[:-1])
    assert not out

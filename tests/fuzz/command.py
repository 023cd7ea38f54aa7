"""A command line in this process, and what may be said where it cannot be done."""

from __future__ import annotations

import contextlib
import io
import warnings

import hypothesis

from algoprog.cli import main


def few(count: int) -> hypothesis.settings:
    """So many examples by default, for what takes long; as many as the profile says where that is many."""
    most = hypothesis.settings.default.max_examples
    return hypothesis.settings(max_examples=min(count, most) if most <= 100 else most)


def told(*words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), warnings.catch_warnings():
        warnings.simplefilter("error")
        code = main(list(words))
    return code, out.getvalue(), error.getvalue()


def assert_sentence(text: str) -> None:
    """One line that can be read, and says something."""
    assert text.strip()
    assert "\n" not in text
    assert "Traceback" not in text
    assert all(letter.isprintable() for letter in text), text

"""Names that become folders: one component of a path, and nothing that a terminal or a reader trips over."""

from __future__ import annotations

import unicodedata

from algoprog.runs.mistake import visible
from algoprog.runs.secrets import redacted

LONGEST = 255
"""Bytes of a file's name on every common file system."""

_UNPRINTABLE = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Categories of Unicode: control characters, halves of pairs, separators of lines and paragraphs."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what stands behind them."""


def check_name(setting: str, name: str) -> None:
    """Hold a name that somebody chose against what a folder may be called.

    Args:
        setting: what gives the name, for the message.
        name: as it was chosen.

    Raises:
        ValueError: it is empty, leaves its folder, cannot be shown, is too long, or holds a secret.
    """
    shown = redacted(name)
    wrong = _wrong(name)
    if shown != name:
        wrong = "holds a secret, and a name is written everywhere"
    if wrong:
        raise ValueError(f"{setting}={_printable(shown)} {wrong}: choose a name of letters, digits and dashes")


def _wrong(name: str) -> str | None:
    """What is wrong with a name, as the end of a sentence; None where nothing is."""
    if not name.strip():
        return "is empty"
    if name in (".", ".."):
        return "is a folder above, no name"
    if "/" in name or "\\" in name:
        return "names a path, and it becomes the name of a folder"
    if any(unicodedata.category(letter) in _UNPRINTABLE or letter in _TURNING for letter in name):
        return "holds a character that cannot be shown"
    if len(name.encode()) > LONGEST:
        return f"has {len(name.encode())} bytes, and the name of a folder takes {LONGEST}"
    return None


def _printable(name: str) -> str:
    """The name with what cannot be shown written as in Python, and no longer than a line."""
    text = visible(name)
    return text if len(text) <= 80 else f"{text[:77]}..."

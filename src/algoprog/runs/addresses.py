"""User and password of an address are no part of where it leads: they are left out wherever one is written."""

from __future__ import annotations

import re

HIDDEN = "***"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\\*/\\*/")
_OPENED = re.compile(r"^[\w.@+~/-]*=?[\s'\"\\]*$")
"""What stands before an address that is the whole value: nothing, or `key=` and quotes."""
_PORT = re.compile(r"\d{0,5}(?:[/?#'\"\\)\],;.:}\s]|$)")
_INSIDE = re.compile(r"[^\s'\"<>]*")


def without_user_info(text: str) -> str:
    """The text with everything between `scheme://` and the last `@` before the host replaced by `***`."""
    if "://" not in text and ":\\/" not in text:
        return text
    found, at = [], 0
    for match in _SCHEME.finditer(text):
        if match.start() < at:
            continue
        end = _end_of_user_info(text, match.end(), whole=bool(_OPENED.match(text[: match.start()])))
        if end > match.end():
            found += [text[at : match.end()], HIDDEN]
            at = end
    return "".join([*found, text[at:]])


def _end_of_user_info(text: str, start: int, *, whole: bool) -> int:
    """Where the `@` stands that ends the user's part; `start` where there is none.

    Args:
        text: that holds the address.
        start: of what stands behind `scheme://`.
        whole: the address is all there is, so that spaces and quotes belong to it.
    """
    line = text[start:].split("\n", 1)[0]
    line = line if whole else line.split("://", 1)[0]
    run = line if whole else line[: _INSIDE.match(line).end()]  # type: ignore[union-attr]  # matches anything
    authority = re.split(r"[/?#]", run, maxsplit=1)[0]
    if "@" in authority:
        return start + authority.rindex("@")
    user, colon, rest = authority.partition(":")
    if not user or not colon or user.startswith("[") or _PORT.match(rest):
        return start
    # A password with what ends a host, a space or a quote in it, which nobody wrote as %2F.
    last = line.rfind("@")
    return start + last if last >= 0 else start

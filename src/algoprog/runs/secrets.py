"""Keeps secrets out of whatever is written down or sent."""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

HIDDEN = "***"
SHORTEST = 8
"""Shorter values of the environment are words that occur anywhere."""

_NAME = re.compile(r"(^AWS_.*(KEY|TOKEN|SECRET))|(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS)$", re.IGNORECASE)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@'\"]+@")
_KNOB = re.compile(
    r"(?P<name>[\w.]*(?:api_?key|token|secret|password|passwd|credentials?)=)(?P<value>[^\s,]+)", re.IGNORECASE
)

Value = TypeVar("Value")


def redacted(value: Value) -> Value:
    """The value with every secret in its texts replaced by `***`, at any depth.

    A secret is the value of an environment variable whose name ends in TOKEN, KEY, SECRET or PASSWORD, the user and
    password of a URL, and what `...token=`, `...password=` or the like sets on a command line.
    """
    return _walk(value, _known())


class RedactedText(io.TextIOWrapper):
    """A text stream that no secret passes."""

    def write(self, text: str) -> int:
        """Write the text without its secrets."""
        super().write(redacted(text))
        return len(text)


def redact_logs() -> None:
    """From now on no message or traceback that `logging` writes, wherever to, holds a secret."""
    logging.setLogRecordFactory(_record)


def _record(*args: Any, **knobs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **knobs)
    with suppress(TypeError, ValueError):  # arguments that do not fit: `logging` tells whoever wrote it
        record.msg, record.args = redacted(record.getMessage()), None
    if record.exc_info:
        record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
    return record


def _walk(value: Any, known: list[str]) -> Any:
    if isinstance(value, str):
        return _clean(value, known)
    if isinstance(value, Mapping):
        return {_walk(key, known): _walk(item, known) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_walk(item, known) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_walk(item, known) for item in value]
    return value


def _clean(text: str, known: list[str]) -> str:
    for secret in known:
        text = text.replace(secret, HIDDEN)
    text = _URL.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _KNOB.sub(rf"\g<name>{HIDDEN}", text)


def _known() -> list[str]:
    """Secrets of the environment, the longest first: one may be part of another."""
    found = {value for name, value in os.environ.items() if _NAME.search(name) and len(value) >= SHORTEST}
    return sorted(found, key=len, reverse=True)

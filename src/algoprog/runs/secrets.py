"""Keeps secrets out of whatever is written down or sent."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, TypeVar

from algoprog.runs.addresses import HIDDEN, without_user_info
from algoprog.runs.secret_values import hidden, known

_SECRET = (
    r"(?:(?:api|access|account|auth|encryption|private|secret|signing|ssh)[_-]?key|(?<!per_)token|secret"
    r"|passw(?:or)?d|passphrase|credentials?)"
)
_KEY = re.compile(rf"{_SECRET}$", re.IGNORECASE)
"""The end of a setting's name whose value is a secret; `train_flops_per_token` and `tokens` are none."""
_SHELL, _SHELL_MARK = "'\"'\"'", "\ue000"
"""How `shlex` writes a quote inside quotes, and one letter for it while we look for the ends of values."""
_QUOTES = f"'\"{_SHELL_MARK}"
_SET = re.compile(rf"{_SECRET}(?P<quote>[{_QUOTES}\\]*)(?P<mark>=|\s*:[ \t]*)(?=[ \t]*\S)", re.IGNORECASE)
_HEADER = re.compile(r"(?P<kind>\bBearer|(?i:\bAuthorization\W{1,4}\w+)) +[A-Za-z0-9._~+/=-]{8,}")
_NOTHING = ("", "null", "none", "true", "false")

Value = TypeVar("Value")


def redacted(value: Value) -> Value:
    """The value with every secret in its texts replaced by `***`, at any depth.

    A secret is the value of an environment variable whose name ends in TOKEN, KEY, SECRET, PASSWORD or the like, the
    user and password of a URL, whatever stands under a key that ends in token, password or the like, and what
    `...token=` or `{...token: ` sets on a command line.
    """
    return _walk(value, known())


class RedactedText(io.TextIOWrapper):
    """A text stream that no secret passes."""

    def write(self, text: str) -> int:
        """Write the text without its secrets."""
        super().write(redacted(text))
        return len(text)


class Guarded:
    """Another stream, less the secrets that are written to it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write the text without its secrets."""
        self.stream.write(redacted(text))
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write the lines without their secrets."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Whatever else a stream can do."""
        return getattr(self.stream, name)


@contextmanager
def guarded_terminal() -> Iterator[None]:
    """Let no secret pass to standard output and standard error, or to logs."""
    before = logging.getLogRecordFactory()
    redact_logs()
    try:
        with redirect_stdout(_guarded(sys.stdout)), redirect_stderr(_guarded(sys.stderr)):
            yield
    finally:
        logging.setLogRecordFactory(before)


def _guarded(stream: Any) -> Any:
    return stream if isinstance(stream, Guarded | RedactedText) else Guarded(stream)


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


def _walk(value: Any, found: re.Pattern[str] | None) -> Any:
    if isinstance(value, str):
        return _clean(value, found)
    if isinstance(value, Mapping):
        return {_walk(key, found): _under(key, item, found) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_walk(item, found) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_walk(item, found) for item in value]
    return value


def _under(key: Any, value: Any, found: re.Pattern[str] | None) -> Any:
    """The value of a key: nothing of it where the key names a secret, unless it says only whether there is one."""
    if isinstance(key, str) and _KEY.search(key):
        return value if value is None or isinstance(value, bool) or value == "" else HIDDEN
    return _walk(value, found)


def _clean(text: str, found: re.Pattern[str] | None) -> str:
    if found:
        text = hidden(text, found, HIDDEN)
    text = _HEADER.sub(rf"\g<kind> {HIDDEN}", without_user_info(text))
    return _without_settings(text) if _SET.search(text.replace(_SHELL, _SHELL_MARK)) else text


def _without_settings(text: str) -> str:
    """The text without what `name=value` and, in braces, `name: value` set."""
    text, found, at = text.replace(_SHELL, _SHELL_MARK), [], 0
    for match in _SET.finditer(text):
        ends = _ends(text, match)
        if match.start() < at or ends is None:
            continue
        end = _end(text, match.end(), ends)
        if text[match.end() : end].strip().lower() not in _NOTHING:
            found += [text[at : match.end()], HIDDEN]
            at = end
    return "".join([*found, text[at:]]).replace(_SHELL_MARK, _SHELL)


def _ends(text: str, match: re.Match[str]) -> str | None:
    """Letters at which the value ends; None where nothing is set, as in `Invalid token: x`."""
    start = match.start()
    while start and (text[start - 1].isalnum() or text[start - 1] in "_.@/-+~$"):
        start -= 1
    if match["mark"] == "=":
        if start == 0:
            return "\n"  # a whole word of a command line
        outer = text[start - 1] if text[start - 1] in _QUOTES and not match["quote"] else ""
        return f"{outer}\n" if outer else " \t\r\n"
    before = text[:start].rstrip(f" \t\r\n\\{_QUOTES}")
    return ",}\n" if before.endswith(("{", ",")) else None


def _end(text: str, start: int, ends: str) -> int:
    """Where the value that begins at `start` ends; quotes and brackets that begin a part of it hold its ends."""
    depth, quote, at = 0, "", start
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 1  # whatever it protects ends nothing
        elif quote:
            quote = "" if letter == quote else quote
        elif not depth and letter in ends:
            break
        elif letter in _QUOTES and (depth or at == start or text[at - 1] in _QUOTES) and letter in text[at + 1 :]:
            quote = letter
        elif at == start or depth:
            depth += (letter in "{[") - (letter in "}]")
        at += 1
    at = min(at, len(text))
    return at - (text[at - 1] == "," and at > start + 1)

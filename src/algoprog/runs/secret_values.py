"""The secrets of the environment, and how to find one in whatever way a text spells it."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import unquote

SHORTEST = 8
"""Shorter values of the environment are words that occur anywhere."""

LONGEST_WORD = 16
"""Up to this length one or two words of letters are the name of something, if the variable is only called a key."""

_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|CREDENTIALS?|COOKIE|AUTH|PAT|JWT)(?:_|\d|$)"
    r"|(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|KEY)(?:_?\d+)?$|^AWS_.*KEY",
    re.IGNORECASE,
)
_KEY = re.compile(r"KEY(?:_?\d+)?$", re.IGNORECASE)
_SIGNATURE = re.compile(r"(?:^|_)sig(?:nature)?$", re.IGNORECASE)
_USER_INFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<info>[^/?#]*)@")
_QUERY = re.compile(r"[?&;](?P<name>[\w.-]+)=(?P<value>[^&;#\s'\"]+)")
_WORD = re.compile(r"[A-Za-z]+")
_NUMBERED = re.compile(r"(?:\\+(?:u00|x)|%(?:25)*)(2[deDE]|3\d|[46][1-9a-fA-F]|5[\daAfF]|7[\daAeE])")
"""A letter, a digit or one of -._~ as JSON, Python or an address may write it, though none has to."""


def known() -> re.Pattern[str] | None:
    """What finds every secret of the environment as it is now; None where there is none."""
    return _finder(tuple(os.environ.items()))


def hidden(text: str, secrets: re.Pattern[str], mark: str) -> str:
    """The text with a mark for every secret, also for one whose plain letters are written by their numbers."""
    plain = _NUMBERED.sub(lambda code: chr(int(code[1], 16)), text)
    return secrets.sub(mark, plain if plain != text and secrets.search(plain) else text)


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """The values that are kept out of everything, the longest first: one may be part of another."""
    found = {part for name, value in environment.items() for part in _parts(name, value)}
    return sorted((part for part in found if len(part) >= SHORTEST and not _is_own(part)), key=lambda p: (-len(p), p))


@lru_cache(maxsize=4)
def _finder(environment: tuple[tuple[str, str], ...]) -> re.Pattern[str] | None:
    values = secrets_in(dict(environment))
    forms = [form for value in values for form in (_spelled(value), *map(_broken, _recoded(value)))]
    return re.compile("|".join(forms)) if forms else None


def _parts(name: str, value: str) -> Iterator[str]:
    """What must not be seen of one variable: its value and the lines of it, or what an address in it holds."""
    for secret in _of_addresses(value):
        yield from (secret, unquote(secret))
    value = value.strip()
    if not _NAME.search(name) or _is_place(value) or (_KEY.search(name) and _is_word(value)):
        return
    yield value
    lines = [line.strip() for line in value.splitlines()]
    yield from (line for line in lines if len(lines) > 1 and not line.startswith("-----"))
    yield from _leaves(value)


def _of_addresses(value: str) -> Iterator[str]:
    """The passwords of addresses, and what their queries set under the names of secrets and signatures."""
    if "://" not in value:
        return
    for match in _USER_INFO.finditer(value):
        yield match["info"].partition(":")[2]
    for match in _QUERY.finditer(value):
        name = re.sub(r"\W", "_", match["name"])
        if _NAME.search(name) or _SIGNATURE.search(name):
            yield match["value"]


def _leaves(value: str) -> Iterator[str]:
    """The texts of a value that is JSON, as credentials of clouds are, however deep they stand."""
    if not value.startswith(("{", "[")):
        return
    try:
        found = [json.loads(value)]
    except (RecursionError, ValueError):
        return
    while found:
        leaf = found.pop()
        if isinstance(leaf, dict | list):
            found += leaf.values() if isinstance(leaf, dict) else leaf
        elif isinstance(leaf, str) and not _is_word(leaf):
            yield leaf.strip()


def _is_place(value: str) -> bool:
    """Whether the value says where a secret lies."""
    try:
        return value.startswith(("/", "~", "./", "../")) and Path(value).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _is_word(value: str) -> bool:
    """Whether the value is a word or two, such as those by which things are sorted."""
    words = re.split(r"[\s_.:-]+", value)
    return len(value) <= LONGEST_WORD and len(words) <= 2 and all(_WORD.fullmatch(word) for word in words)


def _is_own(value: str) -> bool:
    """Whether the value is a word or two that this program uses itself."""
    words = [value] if re.fullmatch(r"\w+", value) else re.split(r"[\s.:,+=-]+", value)
    return len(words) <= 2 and not re.search(r"\d{4}", value) and all(word in _own_words() for word in words)


@cache
def _own_words() -> frozenset[str]:
    """Every word of the program's sources and of its configuration: names of settings, options, columns, states."""
    package = Path(__file__).resolve().parents[1]
    folders = (package, package.parents[1] / "conf")
    files = [path for folder in folders for kind in ("*.py", "*.yaml") for path in folder.rglob(kind)]
    return frozenset(word for path in files for word in re.findall(r"\w+", path.read_text(encoding="utf-8")))


def _spelled(value: str) -> str:
    """A pattern for the value in clear, quoted, escaped (as in Python, JSON, YAML, shell, HTML), or in an address."""
    pattern = "".join(_whitespace() if part.isspace() else "".join(map(_letter, part)) for part in _runs(value))
    return rf"(?<![^\W_]){pattern}(?![^\W_])" if value.isalpha() or value.isdigit() else pattern


def _runs(value: str) -> list[str]:
    return re.findall(r"\s+|\S+", value)


def _whitespace() -> str:
    """Whitespace however it is written or wrapped."""
    in_python, in_address = r"\\+[nrt]|\\+(?:x|u00)(?:0[9aAdD]|20)", r"\+|%(?:25)*(?:0[9aAdD]|20|2[bB])"
    return rf"(?:\s|\\+(?=\s)|{in_python}|{in_address}|&#(?:9|10|13|x9|x[aA]|x[dD]);)+"


@cache
def _letter(letter: str) -> str:
    """One character in every way in which it is written."""
    if letter.isascii() and (letter.isalnum() or letter in "_-.~"):
        return re.escape(letter)
    code = ord(letter)
    ways = [re.escape(letter), _percent(letter), rf"\\+(?:x{code:02x}|u{code:04x}|U{code:08x}|0?{code:03o})"]
    if code > 0xFFFF:
        high, low = (code - 0x10000 >> 10) + 0xD800, (code - 0x10000 & 0x3FF) + 0xDC00
        ways.append(rf"\\+u{high:04x}\\+u{low:04x}")
    ways.append(rf"&(?:amp;)*#(?:0*{code}|x0*{code:x});")
    named = html.escape(letter)
    ways += [named] if named.startswith("&") and "#" not in named else []
    ways += {"'": [r"'\"'\"'", r"'\\+''", "''", "&apos;"], '"': ['""'], "\\": [r"\\+"]}.get(letter, [])
    return rf"\\*(?i:{'|'.join(sorted(ways, key=len, reverse=True))})"


def _percent(letter: str) -> str:
    """The letter as in an address, perhaps twice."""
    return "".join(f"%(?:25)*{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))


def _broken(coded: str) -> str:
    """A pattern for a coded value, which may be broken into lines, as in mail."""
    return r"(?:\s|\\+n)*".join(map(re.escape, coded))


def _recoded(value: str) -> Iterator[str]:
    """The value in base64, wherever it stands in what was encoded, and in hexadecimal digits."""
    plain = value.encode("utf-8", "surrogatepass")
    yield plain.hex()
    yield plain.hex().upper()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + plain).decode()
        inner = coded[(0, 2, 3)[before] : (len(plain) + before) * 8 // 6]
        if len(inner) >= SHORTEST:
            yield from {inner, inner.replace("+", "-").replace("/", "_")}

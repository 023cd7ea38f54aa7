"""Secrets of the environment are found in whatever way a text spells them, and nothing else is taken for one."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
import yaml

from algoprog.runs.addresses import without_user_info
from algoprog.runs.secret_values import secrets_in
from algoprog.runs.secrets import redacted

OF_SEVERAL_LINES = "-----BEGIN KEY-----\nb3BlbnNzaC1rZXktdjEA/AAA+BG5v\nZQAAAARub25lAAAAAAAAAAEAAA==\n-----END KEY-----"
PLANTED = [
    "hunter2hunter2",
    "p@ss'w\"o rd\\n/x#?&<>",
    "größer-als-漢字-🔑",
    "tab\tand $dollar `tick`",
    OF_SEVERAL_LINES,
    '{"private_key": "abcdef0123456789", "id": 3}',
]


def written_as_csv(value: str) -> str:
    table = io.StringIO()
    csv.writer(table).writerow([value, "x"])
    return table.getvalue()


def units(value: str) -> list[int]:
    """UTF-16, as JSON counts letters."""
    coded = value.encode("utf-16-be")
    return [int.from_bytes(coded[at : at + 2], "big") for at in range(0, len(coded), 2)]


SPELLINGS: dict[str, Callable[[str], str]] = {
    "clear": str,
    "repr": repr,
    "repr of repr": lambda value: repr([str(KeyError(value))]),
    "ascii": ascii,
    "backslashreplace": lambda value: value.encode("ascii", "backslashreplace").decode(),
    "json": json.dumps,
    "json in json": lambda value: json.dumps({"inner": json.dumps({"x": value}, ensure_ascii=False)}),
    "json with slashes": lambda value: json.dumps(value).replace("/", "\\/"),
    "shell": shlex.quote,
    "command": lambda value: shlex.join(["python", "x.py", f"+note={value!r}"]),
    "yaml": lambda value: yaml.safe_dump({"deep": [value]}),
    "yaml in unicode": lambda value: yaml.safe_dump({"deep": [value]}, allow_unicode=True, default_style='"'),
    "html": html.escape,
    "url": lambda value: quote(value, safe=""),
    "query": quote_plus,
    "urlencode twice": lambda value: quote(urlencode({"x": value})),
    "csv": written_as_csv,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 behind a user": lambda value: base64.b64encode(f"me:{value}".encode()).decode(),
    "base64 in lines": lambda value: base64.encodebytes(b"what a longer text begins with; " + value.encode()).decode(),
    "base64 in lines in repr": lambda value: repr(base64.encodebytes(b"where the secret is: " + value.encode())),
    "numbers in JSON": lambda value: "".join(f"\\u{unit:04x}" for unit in units(value)),
    "numbers in an address": lambda value: "".join(f"%{byte:02X}" for byte in value.encode()),
    "hexadecimal": lambda value: value.encode().hex(),
    "wrapped": lambda value: "\n    ".join(value.split(" ")),
}


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("value", PLANTED, ids=range(len(PLANTED)))
def test_a_secret_is_found_however_it_is_spelled(monkeypatch: pytest.MonkeyPatch, value: str, how: str) -> None:
    monkeypatch.setenv("SSH_PRIVATE_KEY", value)
    spelled = SPELLINGS[how](value)
    shown = redacted(f"before {spelled} after")
    assert "***" in shown
    for left in (*secrets_in({"SSH_PRIVATE_KEY": value}), spelled.strip("'\"\n")):
        assert left not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SORT_KEY", "protocol"),
        ("SORT_KEY", "attention"),
        ("SORT_KEY", "timestamp"),
        ("PARTITION_KEY", "created_at"),
        ("SOME_SECRET", "attention"),
        ("SOME_TOKEN", "final_val_loss"),
        ("SSH_KEY", "/usr/bin/env"),
        ("MAX_TOKENS", "100000000"),
        ("API_KEY", "short"),
        ("KEYBOARD_LAYOUT", "german-dvorak-2"),
    ],
)
def test_words_and_places_are_no_secrets(name: str, value: str) -> None:
    assert secrets_in({name: value}) == []


def test_digits_alone_hide_no_part_of_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "12345678")
    assert redacted("12345678 of 123456789012") == "*** of 123456789012"


def test_the_password_of_an_address_in_the_environment_is_one() -> None:
    found = secrets_in({"DATABASE_URL": "postgres://me:hunter%402hunter2@host/x"})
    assert found == ["hunter%402hunter2", "hunter@2hunter2"]


@pytest.mark.parametrize(
    "address",
    [
        "https://host/hook?room=3&token=planted%2B7f3a91&x=1",
        "https://host/blob?sv=2026&sig=planted%2B7f3a91",
        "https://host/x?X-Amz-Date=20261126&X-Amz-Signature=planted%2B7f3a91",
        "jdbc:postgresql://host/db?user=me;password=planted%2B7f3a91",
    ],
)
def test_what_the_query_of_an_address_sets_as_a_secret_is_one(address: str) -> None:
    assert secrets_in({"SOME_URL": address}) == ["planted%2B7f3a91", "planted+7f3a91"]


def test_every_text_of_a_json_value_is_one() -> None:
    value = {"installed": {"client_secret": "planted-deep-1", "ids": [{"key": "planted-deep-2"}]}, "type": "service"}
    assert set(secrets_in({"GOOGLE_CREDENTIALS": json.dumps(value)})) >= {"planted-deep-1", "planted-deep-2"}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://bob:hun@ter22secret@host/x", "https://***@host/x"),
        ('+db="https://bob:it\'s "so" secret@host/x"', '+db="https://***@host/x"'),
        ("+db='postgres://bob:a/b#c?d@host:5432/x'", "+db='postgres://***@host:5432/x'"),
        ("see https://bob:se cret@host/x for more", "see https://***@host/x for more"),
        ("https://token@host", "https://***@host"),
        (
            "a https://u:p@b.org, http://c.org and ftp://v:w@d.org",
            "a https://***@b.org, http://c.org and ftp://***@d.org",
        ),
        ("https:\\/\\/me:word@host\\/x", "https:\\/\\/***@host\\/x"),
        ("https://host:8080/users/@me", None),
        ("(ConnectionError at http://host:5000): write to me@x.org", None),
        ("https://github.com/org/repo@v1 file:///a@b s3://bucket/x@y", None),
        ("http://[::1]:80/a@b and x@y.z", None),
    ],
)
def test_addresses_lose_their_user_alone(text: str, clean: str | None) -> None:
    assert without_user_info(text) == (clean or text)
    assert without_user_info(clean or text) == (clean or text)

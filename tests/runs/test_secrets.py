"""What is written to logs holds no secret."""

from __future__ import annotations

import io
import logging
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.mistake import sentence
from algoprog.runs.secrets import RedactedText, redact_logs, redacted

SECRET = "planted-0f5d7c"


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = logging.getLogRecordFactory()
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    yield
    logging.setLogRecordFactory(before)


def test_every_handler_gets_clean_records(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "train.log")
    log = logging.getLogger("planted")
    log.addHandler(handler)
    log.propagate = False  # pytest itself raises what does not fit
    redact_logs()
    try:
        log.warning("key %s, %d left", SECRET, 3)
        log.warning("does not fit %d", SECRET)
        try:
            raise RuntimeError(f"no access with {SECRET}")
        except RuntimeError:
            log.exception("failed")
    finally:
        log.removeHandler(handler)
        handler.close()
    text = (tmp_path / "train.log").read_text()
    assert "key ***, 3 left" in text
    assert "RuntimeError: no access with ***" in text
    assert SECRET not in text


def test_streams_pass_everything_but_secrets() -> None:
    raw = io.BytesIO()
    stream = RedactedText(raw, encoding="utf-8", line_buffering=True)
    print("ü", SECRET, "https://me:word@example.org/x", file=stream)
    assert raw.getvalue().decode() == "ü *** https://***@example.org/x\n"


def test_values_at_any_depth() -> None:
    value = {"a": [("x", SECRET)], SECRET: 1, "command": "train.py logger.token=abc,def n=1"}
    assert redacted(value) == {"a": [("x", "***")], "***": 1, "command": "train.py logger.token=*** n=1"}


@pytest.mark.parametrize(
    ("settings", "clean"),
    [
        ({"auth": {"password": "hunter2", "user": "me"}}, {"auth": {"password": "***", "user": "me"}}),
        ({"auth.api_key": "KKKK", "API-KEY": 12345678}, {"auth.api_key": "***", "API-KEY": "***"}),
        ({"credentials": {"user": "me", "code": "x"}}, {"credentials": "***"}),
        ([{"access_token": ["a", "b"]}], [{"access_token": "***"}]),
    ],
)
def test_what_stands_under_the_name_of_a_secret(settings: Any, clean: Any) -> None:
    assert redacted(settings) == clean
    assert redacted(clean) == clean


def test_settings_that_are_no_secrets_stay() -> None:
    settings = {
        "tokens": 3,
        "max_tokens": 5,
        "train_tokens": "all",
        "tokenizer": "bytes",
        "key": "x",
        "train_flops_per_token": 3.5,
        "seq_len": 64,
        "token": None,
        "use_token": False,
        "password": "",
        "note": "Invalid token: x, y",
        "words": "budget.tokens=5 +x={max_tokens: 3, tokenizer: bpe, token: null} flops_per_token=3",
    }
    assert redacted(settings) == settings


@pytest.mark.parametrize(
    ("word", "clean"),
    [
        ("+auth={password: hunter2hunter2, api_key: KKKK, n: 1}", "+auth={password: ***, api_key: ***, n: 1}"),
        ("+auth={password:'x, y', n: 1}", "+auth={password:***, n: 1}"),
        ('+auth={"password": "x y", n: 1}', '+auth={"password": ***, n: 1}'),
        ("+auth={db: {password: 'it\\'s, y'}, n: 1}", "+auth={db: {password: ***}, n: 1}"),
        ("+auth={credentials: {user: me, code: x}, n: [1]}", "+auth={credentials: ***, n: [1]}"),
        ("+auth.password=x y", "+auth.password=***"),
        ("+auth.password= 'x, y'", "+auth.password=***"),
        ("+auth.token=[a, b]", "+auth.token=***"),
        ("+auth.token=a,b", "+auth.token=***"),
    ],
)
def test_a_word_is_clean_alone_and_in_its_command(word: str, clean: str) -> None:
    assert redacted(word) == clean
    command = redacted(shlex.join(["python", "train.py", word, "n=1", "note=b c", "it='x'"]))
    assert shlex.split(command) == ["python", "train.py", clean, "n=1", "note=b c", "it='x'"]
    assert redacted(command) == command


def test_a_sentence_to_the_user_holds_none() -> None:
    assert sentence(ValueError(f"note={SECRET} is no setting")) == "note=*** is no setting"
    assert SECRET not in sentence(FileNotFoundError(2, "No such file", f"/data/{SECRET}"))

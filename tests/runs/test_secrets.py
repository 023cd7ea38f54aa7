"""What is written to logs holds no secret."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    assert redacted(value) == {"a": [("x", "***")], "***": 1, "command": "train.py logger.token=***,def n=1"}

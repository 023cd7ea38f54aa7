"""Which calls used a sweep's folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from algoprog import written
from algoprog.runs.calls import begin_call, end_call, read_calls
from algoprog.runs.record import SWEEP_FILE


def test_calls_add_up(tmp_path: Path) -> None:
    assert read_calls(tmp_path).own is None
    begin_call(tmp_path, "first", {"a": ["x=1"]})
    begin_call(tmp_path, "second", {"b": ["x=2"]})
    found = read_calls(tmp_path)
    assert [(call.command, call.asked) for call in found.calls] == [("first", ("a",)), ("second", ("b",))]
    assert found.runs == {"a": ["x=1"], "b": ["x=2"]}
    assert found.own == found.calls[1]
    assert (found.calls[0].host, found.calls[0].pid) == (socket.gethostname(), os.getpid())


def test_another_call_at_the_same_time_takes_nothing_from_this_one(tmp_path: Path) -> None:
    begin_call(tmp_path, "ours", {"a": []})
    code = "import sys; from algoprog.runs.calls import *; begin_call(Path(sys.argv[1]), 'theirs', {'b': []})"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    found = read_calls(tmp_path)
    assert found.own is not None
    assert (found.own.asked, list(found.runs)) == (("a",), ["a", "b"])
    end_call(tmp_path)
    assert [call.ended is None for call in read_calls(tmp_path).calls] == [False, True]


def test_no_secret_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "planted-0123456789")
    typed = ["logger.token=abc", "logger.project=planted-0123456789"]
    begin_call(tmp_path, written.command("train.py", typed), {"a": written.words(typed)})
    text = (tmp_path / SWEEP_FILE).read_text()
    assert "planted" not in text
    assert "abc" not in text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"calls": [{}], "runs": {}}', '{"calls": [], "runs": null}'])
def test_damage_is_named_with_the_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / SWEEP_FILE).write_text(content)
    with pytest.raises(ValueError, match=r"sweep.json is damaged .* delete it"):
        read_calls(tmp_path)

"""Twelve kinds of secrets, planted at once: none is in a file of a run or a sweep, or on the terminal."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from algoprog.config import read_config
from algoprog.runs.record import LOG_FILE
from algoprog.runs.status import FAILED, read_status
from algoprog.runs.store import find_runs, load_runs
from tests.e2e.conftest import TINY, Program

pytestmark = pytest.mark.slow  # a sweep of three runs, one of which fails

PLANTED = str(Path(__file__).parent / "planted")

ENVIRONMENT = {
    "SOME_API_TOKEN": "planted-token-7f3a91",
    "WAREHOUSE_PASSWORD": "planted p@ss 'w\"ord\\n/11d0",
    "SSH_PRIVATE_KEY": "-----BEGIN KEY-----\nplantedline1/AAA+BG5v\nplantedline2\\AAAAAEAAA==\n-----END KEY-----",
    "GCP_CREDENTIALS": json.dumps({"type": "service", "private_key": "planted-json-90ab12"}),
    "DATABASE_URL": "postgres://me:planted-url-5521@host/x",
    "SORT_KEY": "protocol",
    "GROUP_SECRET": "attention",
}
OVERRIDES = [
    '+db="https://bob:planted@ter22secret@host/x"',
    "+auth.password=planted-password-8812",
    "+box={secret: 'planted, in a box'}",
    "+free=planted-free-text",
    "logger=wandb",
    "logger.mode=offline",
    "logger.tags=['https://me:planted-tag-9b21@example.org/board']",
]
LEFT = [
    "planted-",
    "planted p@ss",
    "plantedline",
    "ter22secret",
    "planted, in a box",
    base64.b64encode(b"planted-token-7f3a91").decode()[:24],
]
"""What must be seen nowhere, of each kind the part that no spelling changes."""


@dataclass
class Swept:
    """What a sweep with a file name, a folder and an exception that hold secrets left behind."""

    folder: Path
    output: str
    code: int


@pytest.fixture(scope="module")
def swept(train: Program, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    root = tmp_path_factory.mktemp("kept")
    text = root / "planted-token-7f3a91.txt"
    text.write_text("\n\n".join(f"Paragraph {number} says that {number} is a number." for number in range(900)))
    folder = root / "sweep"
    words = [*TINY, "budget.steps=4", "data=local", f"data.path={text}", *OVERRIDES, f"hydra.sweep.dir={folder}"]
    leaky = ["attention._target_=leaky.Leaky", "+attention.name=SSH_PRIVATE_KEY,SORT_KEY"]
    path = os.pathsep.join([PLANTED, os.environ.get("PYTHONPATH", "")])
    knobs = ["hydra.launcher.retries=0", "hydra.sweeper.reuse=null", "+attention.note=plain"]
    result = train("-m", *words, *leaky, *knobs, PYTHONPATH=path, **ENVIRONMENT)
    return Swept(folder, result.stdout + result.stderr, result.returncode)


def test_the_run_that_fails_is_told_by_type_and_place(swept: Swept) -> None:
    assert swept.code == 1, swept.output
    told = [line for line in swept.output.splitlines() if line.startswith("FAILED")]
    assert len(told) == 2
    for line in told:
        assert ": KeyError: raised in leaky.py, line 28 (forward): see " in line
        status = read_status(Path(line.rpartition("see ")[2]).parent)
        assert status is not None
        assert status.state == FAILED


def test_no_secret_is_left(swept: Swept) -> None:
    files = [path for path in swept.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for left in LEFT:
        assert left not in swept.output.replace(str(swept.folder), "")
        assert [path for path in files if left.encode() in path.read_bytes()] == []
        assert [path for path in files if left in path.name] == []


def test_the_owner_has_the_traceback(swept: Swept) -> None:
    for log in swept.folder.rglob(LOG_FILE):
        assert log.stat().st_mode & 0o777 == 0o600
    failed = [log.read_text() for log in swept.folder.rglob(LOG_FILE) if "Traceback" in log.read_text()]
    assert len(failed) == 2
    assert all("raise KeyError(value)" in text for text in failed)


def test_every_record_is_readable_and_its_words_are_whole(swept: Swept) -> None:
    (run,) = load_runs(swept.folder)
    assert run.record.variant == "none"
    assert run.record.protocol["precision"] == "32"
    assert run.record.axes["attention"] == "dense"
    assert "+db=***" in run.record.overrides
    assert "+free=***" in run.record.overrides
    assert run.record.context["auth.password"] == "***"
    config = read_config(run.path)
    assert config["auth"] == config["box"] == "***"
    assert config["attention"]["_target_"] == "algoprog.model.attention.dense.DenseAttention"
    assert list(find_runs(swept.folder)) == [run.path]
    assert (swept.folder / "report.html").exists()

"""A real sweep with the real client against the stand-in: rows, columns, summary run, read-back, and no secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from algoprog.ceg.write import COLUMNS
from algoprog.runs.record import COMPARE, CURVE_COLUMNS, SEARCH
from algoprog.runs.store import load_runs
from algoprog.tracking.readback import read
from tests.e2e.conftest import TINY
from tests.tracking.standin import ENTITY, KEY, StandIn
from tests.warm import ALGOPROG, TRAIN, program

pytestmark = pytest.mark.slow  # four runs, and every command is a process of its own

PLANTED = {
    "HF_TOKEN": "planted-hf-7f3a91",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-5c20be",
    "WAREHOUSE_PASSWORD": "planted-password-11d0",
    "OTHER_API_KEY": "planted-key-a91c77",
}
SEARCHED = ("tune=lr", "tune.space={optim.lr:[2e-3]}", "tune.max_trials=1")
IN_REMOTE, IN_KNOB = "planted-remote-44e8", "planted-knob-9b21"
NESTED = ("planted-nested-70aa", "planted-brace-51c3", "planted-quote-e81b")
SECRETS = [KEY, IN_REMOTE, IN_KNOB, *NESTED, *PLANTED.values()]


@dataclass
class Swept:
    """What a sweep left here and there."""

    server: StandIn
    folder: Path
    output: str


def algoprog(swept: Swept, *words: str) -> subprocess.CompletedProcess[str]:
    return program(ALGOPROG, *words, **swept.server.environment())


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    server = StandIn()
    root = tmp_path_factory.mktemp("online")
    for words in (["init", "-q", "."], ["remote", "add", "origin", f"https://me:{IN_REMOTE}@example.org/x.git"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    folder = root / "multirun" / "2026-01-31" / "12-00-00"
    words = [*TINY, "mlp=moe", "budget.steps=6", "logger=wandb", *SEARCHED, f"hydra.sweep.dir={folder}"]
    knobs = ["logger.timeout=60", f"logger.tags=['https://me:{IN_KNOB}@example.org/board']"]
    knobs += [f"+auth.password={NESTED[0]}", f"+box={{api_key: {NESTED[1]}, secret: 'a, {NESTED[2]}'}}"]
    environment = {**server.environment(), **PLANTED}
    result = program(TRAIN, "-m", *words, *knobs, cwd=root, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "not logged" not in result.stdout + result.stderr, result.stdout + result.stderr
    yield Swept(server, folder, result.stdout + result.stderr)
    server.close()


def test_history_equals_the_curve_row_by_row(swept: Swept) -> None:
    runs = load_runs(swept.folder)
    assert len(runs) == 4  # a trial and a compared run of the baseline and of moe
    for own in runs:
        (stored,) = [r for r in swept.server.runs.values() if r.values().get("run_id") == own.record.run_id]
        rows = stored.rows()
        assert [row["_step"] for row in rows] == list(range(len(rows)))
        assert set(CURVE_COLUMNS) < own.curve.keys() or own.record.variant == "none"
        for column, values in own.curve.items():
            assert repr([float(row[column]) for row in rows]) == repr(values.tolist())
        assert stored.state == "finished"


def test_columns_to_group_by(swept: Swept) -> None:
    experts = [own for own in load_runs(swept.folder) if own.record.variant == "moe"]
    (own,) = [own for own in experts if own.record.role == COMPARE]
    (stored,) = [r for r in swept.server.runs.values() if r.values().get("run_id") == own.record.run_id]
    config, record = stored.values(), own.record
    expected = {
        **record.axes,
        "variant": "moe",
        "model": record.model,
        "seed": 0,
        "role": "compare",
        "cohort": record.cohort,
        "git_commit": record.environment["git_commit"],
        "git_dirty": record.environment["git_dirty"],
        "n_params": record.n_params,
        "train_flops_per_token": record.train_flops_per_token,
        "train_flops": record.train_flops,
        "status": "finished",
        "flags": " ".join(record.flags),
    }
    assert {key: config.get(key) for key in expected} == expected
    assert stored.summary["final_val_loss"] == record.final_val_loss
    assert stored.attributes["groupName"] == "2026-01-31/12-00-00"
    assert stored.attributes["jobType"] == "train"


def test_trials_are_a_job_type_of_their_own(swept: Swept) -> None:
    found = {
        run.values()["run_id"]: (run.attributes["jobType"], run.values()["role"])
        for run in swept.server.runs.values()
        if run.attributes["jobType"] != "summary"
    }
    roles = {run.record.run_id: run.record.role for run in load_runs(swept.folder)}
    assert found == {name: ("search" if role == SEARCH else "train", role) for name, role in roles.items()}
    assert sorted(roles.values()) == [COMPARE, COMPARE, SEARCH, SEARCH]


def test_the_summary_run_holds_gains_figures_and_report(swept: Swept) -> None:
    (summary,) = [r for r in swept.server.runs.values() if r.attributes.get("jobType") == "summary"]
    (table,) = [content for name, content in summary.files.items() if "table/gains" in name]
    content = json.loads(table)
    gains = json.loads((swept.folder / "gains.json").read_text())
    assert content["columns"] == list(COLUMNS)
    assert [row[COLUMNS.index("ceg")] for row in content["data"]] == [gain["ceg"] for gain in gains]
    figures = {path.stem for path in (swept.folder / "figures").glob("*.png")}
    assert figures == {Path(name).name.split("_0_")[0] for name in summary.files if name.startswith("media/images")}
    assert [name for name in summary.files if name.startswith("media/html")]
    before = len(swept.server.runs)
    again = algoprog(swept, "report", str(swept.folder), "--wandb")
    assert again.returncode == 0, again.stderr
    assert len(swept.server.runs) == before


def test_a_report_talks_to_nobody_unless_asked(swept: Swept) -> None:
    received = len(swept.server.received)
    assert algoprog(swept, "report", str(swept.folder)).returncode == 0
    assert len(swept.server.received) == received


def test_gains_read_back_are_those_of_the_folder(swept: Swept) -> None:
    own = algoprog(swept, "ceg", str(swept.folder), "--format", "json")
    theirs = algoprog(swept, "ceg", "--wandb", f"{ENTITY}/algoprog/2026-01-31/12-00-00", "--format", "json")
    assert theirs.returncode == 0, theirs.stderr
    assert json.loads(own.stdout)
    assert json.loads(theirs.stdout) == json.loads(own.stdout)


def test_curves_read_back_hold_what_the_parts_reported(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in swept.server.environment().items():
        monkeypatch.setenv(name, value)
    own = {run.record.run_id: run.curve for run in load_runs(swept.folder) if run.record.role == COMPARE}
    theirs = {run.record.run_id: run.curve for run in read(f"{ENTITY}/algoprog/2026-01-31/12-00-00")}
    assert {key: {*theirs[key]} for key in own} == {key: {*curve} for key, curve in own.items()}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{ENTITY}/elsewhere", "cannot be read"),
        (f"{ENTITY}/algoprog/other-group", "no finished run with the column record"),
        ("algoprog", "is no ENTITY/PROJECT"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(swept: Swept, path: str, words: str) -> None:
    result = algoprog(swept, "ceg", "--wandb", path)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_sending_again_doubles_nothing_and_sends_what_is_lost(swept: Swept) -> None:
    experts = [own for own in load_runs(swept.folder) if own.record.variant == "moe"]
    (own,) = [own for own in experts if own.record.role == COMPARE]
    (stored,) = [r for r in swept.server.runs.values() if r.values().get("run_id") == own.record.run_id]
    expected = [{column: row[column] for column in CURVE_COLUMNS} for row in stored.rows()]
    stored.history = {line: row for line, row in stored.history.items() if line < 2}
    stored.summary, stored.state = {}, "crashed"
    result = algoprog(swept, "wandb-sync", str(swept.folder))
    assert result.returncode == 0, result.stderr
    found = [{column: row[column] for column in CURVE_COLUMNS} for row in stored.rows()]
    assert repr(found) == repr(expected)
    assert stored.state == "finished"


def test_no_secret_leaves_or_stays(swept: Swept) -> None:
    sent = b"\n".join(swept.server.received).decode(errors="replace")
    assert "12-00-00" in sent
    for secret in SECRETS:
        assert secret not in sent
        assert secret not in swept.output
    files = [path for path in swept.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in content, path


def test_wandb_leaves_the_terminal_to_the_sweep(swept: Swept) -> None:
    assert "wandb:" not in swept.output

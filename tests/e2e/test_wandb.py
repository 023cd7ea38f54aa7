"""What W&B is given, read back from the file that an offline run leaves."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb.proto import wandb_internal_pb2 as pb

from algoprog.runs.store import load_run
from tests.e2e.conftest import TINY, Program

pytestmark = pytest.mark.slow

HEADER = struct.Struct("<4sHB")
CHUNK = struct.Struct("<IHB")
BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[pb.Record]:
    """The protobuf records of a .wandb file: LevelDB's log format behind a header of seven bytes."""
    content = path.read_bytes()
    magic, number, _ = HEADER.unpack_from(content)
    assert (magic, number) == (b":W&B", 0xBEE1)
    at, parts = HEADER.size, b""
    while at + CHUNK.size <= len(content):
        if BLOCK - at % BLOCK < CHUNK.size:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = CHUNK.unpack_from(content, at)
        parts += content[at + CHUNK.size : at + CHUNK.size + length]
        at += CHUNK.size + length
        if kind in (FULL, LAST):
            yield pb.Record.FromString(parts)
            parts = b""


@pytest.fixture(scope="module")
def run(train: Program, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[pb.Record]]:
    """A run's folder and what it told W&B."""
    root = tmp_path_factory.mktemp("wandb")
    folder = root / "sweep-1" / "run"
    words = [*TINY, "pos=rope", "budget.steps=6", "evaluation.points=4", "logger=wandb", f"hydra.run.dir={folder}"]
    result = train(*words, HOME=str(root), WANDB_API_KEY="")
    assert result.returncode == 0, result.stderr
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    return folder, list(records(file))


def test_without_a_key_it_is_offline_and_names_the_run(run: tuple[Path, list[pb.Record]]) -> None:
    (started,) = {record.run.display_name: record.run for record in run[1] if record.HasField("run")}.values()
    assert "rope" in started.display_name
    assert started.run_group == "sweep-1"
    assert started.project == "algoprog"


def test_history_equals_the_curve(run: tuple[Path, list[pb.Record]]) -> None:
    folder, found = run
    rows = []
    for record in found:
        if record.HasField("history"):
            items = {(item.key or "/".join(item.nested_key)): item.value_json for item in record.history.item}
            rows.append({key: json.loads(value) for key, value in items.items()})
    curve = load_run(folder).curve
    for column in ("step", "val_loss", "flops", "tokens", "val_bits_per_byte"):
        assert [row[column] for row in rows] == curve[column].tolist()


def test_config_holds_what_dashboards_group_by(run: tuple[Path, list[pb.Record]]) -> None:
    folder, found = run
    config = {}
    for record in found:
        for update in (record.run.config.update, record.config.update):
            config |= {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in update}
    record = load_run(folder).record
    assert config["variant"] == "rope"
    assert config["seed"] == 0
    assert config["run_id"] == record.run_id
    assert config["train_flops_per_token"] == record.train_flops_per_token
    assert config["settings"]["model"]["d_model"] == 16


def test_the_run_is_closed_with_its_exit_code(run: tuple[Path, list[pb.Record]]) -> None:
    (ended,) = [record.exit for record in run[1] if record.HasField("exit")]
    assert ended.exit_code == 0


def test_a_diverged_run_is_closed_as_finished_with_its_status(train: Program, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [*TINY, "budget.steps=30", "optim.lr=1e5", "logger=wandb", f"hydra.run.dir={folder}"]
    result = train(*words, HOME=str(tmp_path), WANDB_API_KEY="")
    assert result.returncode == 0, result.stderr
    assert load_run(folder).record.status == "diverged"
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    found = list(records(file))
    (ended,) = [record.exit for record in found if record.HasField("exit")]
    assert ended.exit_code == 0
    assert ["diverged"] in [list(record.run.tags) for record in found if record.HasField("run")]
    summary = [item for record in found if record.HasField("summary") for item in record.summary.update]
    assert ("status", '"diverged"') in [(item.key, item.value_json) for item in summary]

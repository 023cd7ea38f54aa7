"""One run from the command line, and every way to ask for one that cannot work."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from algoprog.run import app
from algoprog.runs.record import CURVE_COLUMNS
from algoprog.runs.store import load_run
from algoprog.variant import options
from tests.e2e.conftest import TINY, Program
from tests.warm import PATIENCE, ROOT, TRAIN


def test_help_is_quick_and_shows_axes_and_options() -> None:
    command = [sys.executable, "-X", "importtime", TRAIN, "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 0, result.stderr
    for axis in ("attention", "norm", "kernel"):
        assert f"{axis}: {', '.join(options(axis))}" in " ".join(result.stdout.split())
    assert all(len(line) <= 120 for line in result.stdout.splitlines())
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "algoprog.config" in imported
    assert not {"torch", "lightning", "scipy", "matplotlib", "wandb"} & imported, "what trains takes seconds to import"


def test_a_run_leaves_config_curve_and_record(typed: Program, tmp_path: Path) -> None:
    result = typed(*TINY, "attention=mqa", "budget.steps=4", f"hydra.run.dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    run = load_run(tmp_path)
    assert run.record.status == "finished"
    assert run.record.variant == "mqa"
    assert run.record.steps == 4
    assert tuple(run.curve) == CURVE_COLUMNS
    assert run.curve["step"][0] == 0
    assert run.curve["step"][-1] == 4
    assert OmegaConf.load(tmp_path / "config.yaml").attention.n_kv_heads == 1
    assert (tmp_path / "csv" / "metrics.csv").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.d_model=64", "model.n_heads=3"], ["model.n_heads=3", "does not divide", "model.n_heads=2"]),
        (["model.seq_len=9999999"], ["model.seq_len is 9999999", "lower model.seq_len"]),
        (["data=local", "data.path=no/such/file.txt"], ["no/such/file.txt", "does not exist"]),
        (["data=local"], ["add data.path=..."]),
        (["data=local", "data.path={empty}"], ["empty"]),
        (["data=wikitext103"], ["cannot be reached", "data=sotu"]),
        (["attention=mqa", "attention.n_kv_heads=many"], ["attention.n_kv_heads=many", "integer"]),
        (["logger=wandb", "logger.mode=loud"], ["logger.mode=loud"]),
        (["trainer=gpu"], ["use trainer=cpu"]),
        (["trainer=cpu", "trainer.devices=0"], ["trainer.devices=0", "at least 1"]),
        (["precision=foo"], ["precision=foo", "bf16-mixed"]),
        (["seed=-1"], ["seed=-1", "between 0"]),
        (["gradient_clip=-1"], ["gradient_clip=-1", "0 (no clipping)"]),
        (["trainer.accelerator=foo"], ["trainer.accelerator=foo", "cpu"]),
        (["trainer.threads=-3"], ["trainer.threads=-3", "at least 1"]),
        (["optim.lr=-1"], ["optim.lr=-1", "at least 0"]),
        (["optim.betas=[0.9]"], ["optim.betas=[0.9]", "two numbers"]),
        (["optim.betas=[.9,.95,.99]"], ["optim.betas=[0.9, 0.95, 0.99]", "two numbers"]),
        (["optim.betas=[.9,1]"], ["optim.betas=[0.9, 1.0]", "below 1"]),
        (["optim.weight_decay=-1"], ["optim.weight_decay=-1.0", "at least 0"]),
        (["optim=muon", "optim.eps=-1"], ["optim.eps=-1.0", "at least 0"]),
        (["optim.lr=nan"], ["optim.lr=nan", "finite"]),
        (["optim.lr=true"], ["optim.lr=true", "must be a number"]),
        (["evaluation.tokens=0"], ["evaluation.tokens=0", "at least 1"]),
        (["evaluation.tokens=-5"], ["evaluation.tokens=-5", "at least 1"]),
        (["norm=ln", "norm.eps=-1"], ["eps=-1.0 of norm=ln", "at least 0"]),
        (["pos=rope", "pos.theta=0"], ["pos.theta=0.0", "above 0"]),
        (["trainer=cpu", "trainer.devices=[0]"], ["trainer.devices=[0]", "use trainer.devices=1"]),
        (["trainer=cpu", "trainer.devices=[a]"], ["trainer.devices=['a']", "a list of indices"]),
        (["trainer=cpu", "trainer.strategy=foo"], ["trainer.strategy=foo", "ddp"]),
        (["cache_dir="], ["cache_dir is empty", "ALGOPROG_CACHE"]),
        (["tokenizer=bpe", "tokenizer.vocab_size=1e12"], ["tokenizer.vocab_size is 1000000000000", "at most 1048576"]),
        (["mlp._target_=nope"], ["mlp._target_=nope cannot be imported"]),
        (["+model.depth=1"], ["model.depth is no setting", "n_layers"]),
        (["+trainer.gpus=1"], ["trainer.gpus is no setting"]),
        (["+mlp.expnsion=1"], ["mlp.expnsion is no setting", "expansion"]),
        (["~mlp.expansion"], ["mlp.expansion has no value"]),
        (["trainer=cpu", "trainer.devices=2", "batch_size=5", "micro_batch_size=1"], ["a multiple of 2"]),
        (["budget.tokens=1000"], ["budget.steps=500 and budget.tokens=1000", "null"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_mistake_gets_a_sentence_before_anything_is_trained(
    compose: Callable[..., dict[str, Any]], tmp_path: Path, words: list[str], says: list[str]
) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(ValueError, match=re.escape(says[0])) as caught:  # noqa: PT012 - either may refuse
        config = compose("tokenizer=bytes", *(word.format(empty=empty) for word in words))
        app.prepare(config)
    message = str(caught.value)
    assert all(part in message for part in says)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["attention=nope"], ["Could not find 'attention/nope'", "mqa"]),
        (["seed=1.5"], ["error: seed=1.5 does not fit", "Integer"]),
        (["optim.lrr=1"], ["error: optim.lrr is no setting", "optim.lr?"]),
        (["model.d_model=64", "model.n_heads=3"], ["error: model.n_heads=3", "does not divide", "model.n_heads=2"]),
    ],
    ids=lambda value: value[-1],
)
def test_no_mistake_shows_a_traceback(train: Program, tmp_path: Path, words: list[str], says: list[str]) -> None:
    result = train("tokenizer=bytes", *words, f"hydra.run.dir={tmp_path}", HYDRA_FULL_ERROR="1")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert all(part in result.stderr for part in says)
    assert not (tmp_path / "curve.csv").exists()


@pytest.mark.parametrize(
    ("words", "env", "says"),
    [
        (["hydra.run.dir={file}/run"], {}, "error: hydra.run.dir: {file}/run cannot be used"),
        (["hydra.run.dir={free}"], {"ALGOPROG_CACHE": "{file}/cache"}, "error: {file}/cache"),
        (["-m", "hydra.sweep.dir={file}/sweep"], {}, "error: {file}/sweep cannot be used"),
    ],
    ids=["run", "cache", "sweep"],
)
def test_a_disk_that_refuses_gets_a_sentence(
    train: Program, tmp_path: Path, words: list[str], env: dict[str, str], says: str
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    places = {"file": str(tmp_path / "file"), "free": str(tmp_path / "free")}
    first = [word for word in words if word == "-m"]  # Hydra wants it in front
    rest = [word.format(**places) for word in words if word != "-m"]
    result = train(*first, "tokenizer=bytes", *rest, **{name: value.format(**places) for name, value in env.items()})
    assert result.returncode == 2, result.stderr
    assert says.format(**places) in result.stderr
    assert "choose another" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_corrupt_token_file_is_found_before_training(train: Program, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"Paragraph {number} says that {number} is a number." for number in range(400)))
    words = [*TINY, "data=local", f"data.path={text}", "budget.steps=2"]
    cache = {"ALGOPROG_CACHE": str(tmp_path / "cache")}
    first = train(*words, f"hydra.run.dir={tmp_path / 'one'}", **cache)
    assert first.returncode == 0, first.stderr
    (tokens,) = (tmp_path / "cache").glob("tokens/*/train.bin")
    content = bytearray(tokens.read_bytes())
    content[100] ^= 1
    tokens.write_bytes(content)
    second = train(*words, f"hydra.run.dir={tmp_path / 'two'}", **cache)
    assert second.returncode == 2
    assert "damaged" in second.stderr
    assert "delete that folder" in second.stderr
    assert "Traceback" not in second.stderr
    assert not (tmp_path / "two" / "curve.csv").exists()


def test_data_prepare_is_a_command_of_its_own(algoprog: Program, tmp_path: Path) -> None:
    result = algoprog("data", "prepare", "data=sotu", "tokenizer=bytes", ALGOPROG_CACHE=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "sotu with bytes" in result.stdout
    assert list(tmp_path.glob("tokens/sotu-*/train.bin"))


def test_data_prepare_names_the_remedy(algoprog: Program) -> None:
    result = algoprog("data", "prepare", "data=nope")
    assert result.returncode == 2
    assert "Could not find 'data/nope'" in result.stderr
    assert "Traceback" not in result.stderr

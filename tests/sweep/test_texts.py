"""Sweeps over tokenizers and data: what is compared, in which words, on which text; and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from algoprog.ceg.curves import curves_from_runs
from algoprog.cli import main
from algoprog.config import conf_dir
from algoprog.run.spec import RunSpec
from algoprog.runs.views import compared_runs
from algoprog.sweep.design.composition import composition
from algoprog.sweep.design.jobs import jobs
from algoprog.sweep.finish.analysis import analyse
from algoprog.sweep.plan.announce import told_text
from algoprog.sweep.plan.plan import Plan, plan
from tests.configs import TINY_RUN
from tests.warm import TRAIN, program

TINY = [word for word in TINY_RUN if not word.startswith(("tokenizer=", "evaluation."))] + ["evaluation.tokens=2000"]

FORMS = {
    "a": "The year {n} brought the fleet {m} ships and the treaty of port {k}.\n\n",
    "b": "Kapitel {n}: die Kiste {m} steht im Hafen neben Boot {k}.\n\n",
    "val": "In month {n} nobody counted {m} birds near the {k} old towers of salt.\n\n",
}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three texts that share no passage."""
    folder = tmp_path_factory.mktemp("texts")
    for name, form in FORMS.items():
        (folder / f"{name}.txt").write_text("".join(form.format(n=n, m=n * 7, k=n % 97) for n in range(1000)))
    return folder


@pytest.fixture
def hydra() -> Iterator[None]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def planned(folder: Path, *words: str) -> Plan:
    """What `train.py -m WORDS` would train."""
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", [*TINY, *words], run_mode=RunMode.MULTIRUN)
    compose = composition(config, loader)
    asked = jobs(config, list(config.hydra.overrides.task), None, loader, compose)
    return plan(asked, compose, sweep_dir=folder, reuse=None, placement=None)


def specs(found: Plan) -> dict[str, RunSpec]:
    assert not found.refused, found.refused
    return {spec.variant: spec for spec, _ in found.todo}


def own(texts: Path, *names: str) -> list[str]:
    return ["data=local", "data.path=" + ",".join(str(texts / f"{name}.txt") for name in names)]


@pytest.mark.slow
def test_tokenizers_are_variants_of_one_text(hydra: None, tmp_path: Path) -> None:
    found = planned(tmp_path, "tokenizer=bpe,bytes", "attention=dense,mqa")
    runs = specs(found)
    assert runs.keys() == {"none", "mqa", "bytes", "mqa+bytes"}
    assert len({spec.cohort for spec in runs.values()}) == 1
    assert {spec.config["evaluation"]["bytes"] for spec in runs.values()} == {4 * 2000}
    assert all("evaluation.bytes=8000" in words for _, words in found.todo)
    assert len({spec.val_windows().n_bytes for spec in runs.values()}) == 1  # type: ignore[union-attr]
    told = told_text(list(runs.values()))
    assert told == "  tokenizer compared in bits per byte: one text for all, at most 8,000 bytes (evaluation.bytes)\n"


@pytest.mark.slow
def test_the_baseline_that_is_added_scores_the_same_text(hydra: None, tmp_path: Path) -> None:
    found = planned(tmp_path, "tokenizer=bpe,bytes", "attention=mqa", "evaluation.bytes=50000")
    runs = specs(found)
    assert [spec.variant for spec in found.added] == ["none"]
    assert {spec.config["evaluation"]["bytes"] for spec in runs.values()} == {50000}
    assert len({spec.cohort for spec in runs.values()}) == 1


def test_one_tokenizer_is_no_variant(hydra: None, tmp_path: Path) -> None:
    runs = specs(planned(tmp_path, "tokenizer=bytes", "attention=dense,mqa"))
    assert runs.keys() == {"none", "mqa"}
    assert {spec.config["evaluation"]["bytes"] for spec in runs.values()} == {None}
    assert told_text(list(runs.values())) == ""


@pytest.mark.slow
def test_knobs_of_a_tokenizer_are_compared_alike(hydra: None, tmp_path: Path) -> None:
    runs = specs(planned(tmp_path, "tokenizer=bpe", "tokenizer.vocab_size=300,400"))
    assert runs.keys() == {"none", "tokenizer.vocab_size=400"}
    assert len({spec.cohort for spec in runs.values()}) == 1


@pytest.mark.slow
def test_data_are_variants_on_a_text_of_their_own(hydra: None, texts: Path, tmp_path: Path) -> None:
    words = [*own(texts, "a", "b"), "tokenizer=bytes", f"data.validation={texts / 'val.txt'}", "seed=0,1"]
    runs = specs(planned(tmp_path, *words))
    dashed = str(texts / "b.txt").strip("/").replace("/", "-")
    assert runs.keys() == {"none", f"data.path={dashed}"}
    assert len({spec.cohort for spec in runs.values()}) == 1
    first, second = runs.values()
    assert np.array_equal(first.tokens.val, second.tokens.val)
    assert first.tokens.info.val_text_sha256 == second.tokens.info.val_text_sha256
    others = specs(planned(tmp_path, *own(texts, "b", "a"), *words[2:]))
    assert {spec.cohort for spec in others.values()}.isdisjoint({first.cohort}), "another baseline, another table"


@pytest.mark.slow
def test_one_bpe_is_learned_for_all_data(hydra: None, texts: Path, tmp_path: Path) -> None:
    words = [*own(texts, "a", "b"), "tokenizer=bpe", "tokenizer.vocab_size=270", f"data.validation={texts / 'val.txt'}"]
    assert "tokenizer=bpe would be learned from each anew: add tokenizer.text=FILE" in reason(planned(tmp_path, *words))
    runs = specs(planned(tmp_path, *words, f"tokenizer.text={texts / 'a.txt'}"))
    first, second = runs.values()
    assert np.array_equal(first.tokens.val, second.tokens.val)


def reason(found: Plan) -> str:
    assert not found.todo or len(found.refused) > 0
    return found.refused[-1][1]


@pytest.mark.parametrize("words", [("data=sotu,tinystories",), ("data=local",)])
def test_data_without_a_common_text_are_refused(
    hydra: None, texts: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    paths = own(texts, "a", "b")[1:] if words == ("data=local",) else []
    found = planned(tmp_path, *words, *paths, "tokenizer=bytes")
    assert any("add data.validation=FILE, one text for all" in why for _, why in found.refused), found.refused
    assert not list(tmp_path.iterdir())


def test_data_that_hold_the_text_are_refused(hydra: None, texts: Path, tmp_path: Path) -> None:
    words = [*own(texts, "a", "val"), "tokenizer=bytes", f"data.validation={texts / 'val.txt'}"]
    found = planned(tmp_path, *words)
    assert len(found.refused) == 1
    assert "stands in the training text of val: validate on a text that none of the data holds" in reason(found)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train.py -m tokenizer=bpe,bytes` of the smallest size, once."""
    base = tmp_path_factory.mktemp("tokenizers")
    here = ["hydra/launcher=basic", "~hydra.callbacks.gains", "hydra.sweeper.reuse=null", "budget.steps=16"]
    words = [f"hydra.sweep.dir={base / 'sweep'}", *TINY, *here, "model=nano", "evaluation.points=8"]
    words = [word for word in words if word != "budget.steps=6"]
    (base / "lines.json").write_text(json.dumps([[*words, "tokenizer=bpe,bytes", "evaluation.bytes=40000"]]))
    script = Path(__file__).parent / "planted" / "sweeps.py"
    result = program(str(script), TRAIN, str(conf_dir()), str(base / "lines.json"))
    assert result.returncode == 0, result.stderr
    return base / "sweep"


@pytest.mark.slow
def test_a_sweep_over_tokenizers_gives_one_table_in_bits_per_byte(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    shutil.copytree(trained, folder)
    records = {run.record.variant: run.record for run in compared_runs(folder)}
    assert records.keys() == {"none", "bytes"}
    assert len({(record.model, record.cohort) for record in records.values()}) == 1
    assert records["bytes"].against.keys() == {"tokenizer"}
    assert records["bytes"].choices["tokenizer"]["option"] == "bytes"
    names = {curve.tokenizer for curve in curves_from_runs(compared_runs(folder))}
    assert names == {"bpe1024(vocab_size=1024,train_bytes=100000000)", "bytes"}, "knobs tell those of one name apart"
    analyse(folder, wandb=None, redraw=True)
    table = capsys.readouterr().out.split("Gains in")[0]
    assert table.count("gains over none at") == 1
    assert "bits per byte" in table
    assert "nats" not in table
    assert max(map(len, table.splitlines())) <= 80
    for run in compared_runs(folder):
        assert f"{run.curve['val_bits_per_byte'][-1]:.3f}" in table
    gains = json.loads((folder / "gains.json").read_text())
    assert {gain["metric"] for gain in gains} == {"bits_per_byte"}
    assert {gain["cost"] for gain in gains} == {"flops", "seconds"}
    page = (folder / "report.html").read_text()
    assert "validation loss (bits per byte" in page
    assert "nats per token" not in page


@pytest.mark.slow
def test_the_commands_refuse_nats_and_costs_in_tokens(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("ceg", "predict"):
        assert main([command, str(trained)]) == 2
        assert "add --metric bits_per_byte" in capsys.readouterr().err
    assert main(["report", str(trained), "--metric", "nats"]) == 2
    assert "add --metric bits_per_byte" in capsys.readouterr().err
    assert main(["ceg", str(trained), "--metric", "bits_per_byte"]) == 0
    assert "bits per byte" in capsys.readouterr().out
    assert main(["ceg", str(trained), "--metric", "bits_per_byte", "--cost", "tokens"]) == 2
    assert "cost tokens" in capsys.readouterr().err
    assert main(["literature", str(trained)]) == 0
    assert main(["power", str(trained)]) == 2
    assert "has no variant of two seeds in common" in capsys.readouterr().err

"""`algoprog plan`: what it lists, what it refuses, what it leaves alone, and how far off it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from algoprog.cli import main
from algoprog.overrides import parse
from algoprog.runs.record import Record
from algoprog.runs.store import load_run, write_record
from algoprog.sweep.plan.announce import differences
from tests.configs import TINY_RUN
from tests.e2e.conftest import Program, algoprog, train  # noqa: F401 - fixtures

DESIGN = ("design=factorial", "design.parts.norm=[ln]", "design.parts.kernel=[]")
"""Four variants: none, ln, rope, ln+rope."""

UNREPORTED = "~hydra.callbacks.gains"
"""Nobody looks at the report, which takes longer than the runs."""

Planned = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Planned:
    """The exit code of a plan and what it says as JSON."""

    def run(*words: str, records: Path = tmp_path) -> tuple[int, dict[str, Any]]:
        code = main(["plan", *words, "--records", str(records), "--format", "json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_plan_lists_every_run_with_its_price_and_the_words_to_repeat_it(plan: Planned) -> None:
    code, found = plan(*TINY_RUN, *DESIGN, "seed=0,1")
    assert code == 0
    assert [(run["variant"], run["seed"]) for run in found["runs"]][:2] == [("none", 0), ("none", 1)]
    assert len(found["runs"]) == found["totals"]["to_train"] == 8
    for run in found["runs"]:
        assert run["steps"] == 6
        assert run["tokens"] == 6 * 4 * 32
        assert run["state"] == "new"
        assert run["seconds"] > 0
        assert run["seconds_from"] == 0
        assert run["overrides"][: len(TINY_RUN)] == list(TINY_RUN)
        assert parse(run["overrides"])
    assert found["totals"]["train_flops"] == sum(run["train_flops"] for run in found["runs"])


def test_the_table_fits_80_columns(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [*TINY_RUN, *DESIGN, "attention=gqa", "attention.group_size=1,2,3", "hydra.sweeper.skip_refused=true"]
    assert main(["plan", "-m", *words, "--records", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 80
    assert "gqa(group_size=1)+ln+rope" in table
    assert "combinations refused:" in table
    assert "They are left out." in table


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("+hydra.sweeper.foo=1", "hydra.sweeper.foo is no knob of hydra/sweeper=algoprog: it has params, reuse, skip"),
        ("+hydra.launcher.foo=1", "hydra.launcher.foo is no knob of hydra/launcher=local: it has gpus, gpus_per_run"),
    ],
)
def test_an_unknown_knob_is_one_sentence(
    train: Program,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    word: str,
    says: str,
) -> None:
    result = train("-m", *TINY_RUN, word, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert result.stderr.startswith(f"error: {says}")
    assert main(["plan", *TINY_RUN, word]) == 2
    assert capsys.readouterr().err == result.stderr


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize("wrong", [[], ["model.n_heads=3"], ["nothing=planted-7f3a91"], ["{password:planted-knob"]])
def test_a_plan_shows_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str, wrong: list[str]
) -> None:
    monkeypatch.setenv("MY_TOKEN", "planted-7f3a91")
    words = ["+note=planted-7f3a91", "+auth={password: planted-knob}", "hydra.sweep.dir=/nowhere/planted-7f3a91"]
    assert main(["plan", *TINY_RUN, *words, *wrong, "--format", form]) == (2 if wrong else 0)
    printed = "".join(capsys.readouterr())
    assert "***" in printed or "nothing is no setting" in printed  # where the value is not repeated
    assert "planted-" not in printed


def test_a_missing_baseline_is_planned(plan: Planned) -> None:
    code, found = plan(*TINY_RUN, "norm=ln")
    assert code == 0
    assert [(run["variant"], run["added"]) for run in found["runs"]] == [("none", True), ("ln", False)]


def test_a_refused_combination_stops_the_plan_unless_it_may_be_left_out(plan: Planned) -> None:
    words = [*TINY_RUN, "norm=none,ln", "model.n_heads=2,3"]
    code, found = plan(*words)
    assert code == 2
    assert not found["goes"]
    assert len(found["refused"]) == 2
    assert all("does not divide" in refused["reason"] for refused in found["refused"])
    code, found = plan(*words, "hydra.sweeper.skip_refused=true")
    assert code == 0
    assert [run["variant"] for run in found["runs"]] == ["none", "ln"]
    code, found = plan(*TINY_RUN, "model.n_heads=3", "hydra.sweeper.skip_refused=true")
    assert code == 2
    assert found["runs"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["design=star"], "star"),
        (["design=factorial", "design.parts.norm=[lm]"], "norm has no option lm"),
        (["model=nano,huge"], "huge"),
        (["design=factorial", "design.exclude=[{seed:0}]"], "leaves out every combination"),
        (["nothing"], "nothing"),
    ],
)
def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    code = main(["plan", "tokenizer=bytes", *words])
    printed = capsys.readouterr()
    assert code == 2
    assert says in printed.err + printed.out
    assert "Traceback" not in printed.err


def test_an_experiment_names_the_models_that_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "experiment=paper", "model=micro", "data=sotu", "tokenizer=bytes", "trainer=cpu"]) == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert "this experiment has no batch_size for model=micro, only for compact, full" in printed


@pytest.fixture(scope="module")
def trained(train: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The folder of a finished sweep of four runs."""
    folder = tmp_path_factory.mktemp("sweep") / "one"
    result = train("-m", *TINY_RUN, *DESIGN, UNREPORTED, f"hydra.sweep.dir={folder}")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slow
def test_a_design_is_trained_and_every_run_can_be_repeated_by_hand(trained: Path) -> None:
    written = json.loads((trained / "sweep.json").read_text())["runs"]
    records = {path.name: load_run(path).record for path in trained.iterdir() if (path / "record.json").exists()}
    assert {record.variant for record in records.values()} == {"none", "ln", "rope", "ln+rope"}
    for name, record in records.items():
        assert not any("design" in word for word in record.overrides)
        assert list(record.overrides) == written[name]
        assert "design" not in (trained / name / "config.yaml").read_text()


def test_a_plan_says_what_is_done_and_how_long_the_rest_takes(plan: Planned, trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    words = [*TINY_RUN, *DESIGN, "seed=0,1", f"hydra.sweep.dir={trained}"]
    code, found = plan(*words, records=trained)
    assert code == 0
    assert sorted(run["state"] for run in found["runs"]) == ["done"] * 4 + ["new"] * 4
    new = [run for run in found["runs"] if run["state"] == "new"]
    assert all(run["seconds"] > 0 and run["seconds_from"] == 1 for run in new)
    assert found["totals"]["seconds"] == pytest.approx(sum(run["seconds"] for run in new))
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


@pytest.mark.slow
def test_another_precision_or_model_tells_nothing_about_the_time(plan: Planned, trained: Path) -> None:
    for word in ("model.n_layers=2", "precision=bf16-mixed"):
        _, found = plan(*TINY_RUN, *DESIGN, word, records=trained)
        assert all(run["seconds_from"] == 0 for run in found["runs"])


def test_the_memory_estimate_is_near_what_was_measured(plan: Planned, trained: Path) -> None:
    measured = {
        run.name: load_run(run).record.peak_memory_bytes
        for run in trained.iterdir()
        if run.is_dir() and (run / "record.json").exists()
    }
    _, found = plan(*TINY_RUN, *DESIGN, f"hydra.sweep.dir={trained}")
    for run in found["runs"]:
        assert measured[run["name"]] <= run["memory_bytes"] <= 1.4 * measured[run["name"]]


@pytest.mark.slow
def test_a_plan_starts_in_a_process_of_its_own(algoprog: Program, tmp_path: Path) -> None:  # noqa: F811
    result = algoprog("plan", "-m", *TINY_RUN, *DESIGN, f"hydra.sweep.dir={tmp_path / 'new'}")
    assert result.returncode == 0, result.stderr
    assert "4 to train" in result.stdout
    assert "WORDS" in result.stdout
    assert not (tmp_path / "new").exists()


def test_missing_tokens_are_prepared_and_said_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGOPROG_CACHE", str(tmp_path / "cache"))
    words = ["plan", *TINY_RUN, "--records", str(tmp_path)]
    assert main(words) == 0
    assert "preparing the tokens of sotu with bytes" in capsys.readouterr().err
    assert main(words) == 0
    assert "preparing" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["design=factorial", "tune=lr"])
def test_what_is_for_sweeps_is_refused_without_m(train: Program, tmp_path: Path, word: str) -> None:  # noqa: F811
    result = train(*TINY_RUN, word, f"hydra.run.dir={tmp_path}")
    assert result.returncode == 2
    assert f"{word} is for sweeps: add -m" in result.stderr


def test_a_search_is_planned_from_its_grid_to_its_most_trials(
    plan: Planned, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [*TINY_RUN, "norm=none,ln", "seed=0,1", "tune=lr", "tune.max_trials=5"]
    code, found = plan(*words)
    assert code == 0
    roles = [(run["variant"], run["role"], run["state"], run["seed"]) for run in found["runs"]]
    trials = [(variant, "search", "new", 1000) for variant in ("none", "ln") for _ in range(3)]
    assert roles == trials + [(v, "compare", "after the search", seed) for v in ("none", "ln") for seed in (0, 1)]
    assert [word for word in found["runs"][0]["overrides"] if word.startswith(("optim", "role"))] == [
        "optim.lr=0.0005",
        "role=search",
    ]
    assert found["totals"]["to_train"] == 10
    assert found["totals"]["trials_to_train"] == 6
    assert found["further_trials"]["runs"] == 4
    assert found["further_trials"]["steps"] == 4 * 6
    assert found["further_trials"]["train_flops"] == pytest.approx(
        2 * sum(run["train_flops"] for run in found["runs"] if run["seed"] == 0)
    )
    assert main(["plan", *words, "--records", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 80
    assert "6 of them are trials of the search" in " ".join(table.split())
    assert "by at most 4 trials: then 14 runs" in " ".join(table.split())


@pytest.mark.slow
def test_rates_that_are_typed_are_the_grid_of_every_optimizer(plan: Planned) -> None:
    _, found = plan(*TINY_RUN, "optim=adamw,muon", "optim.lr=1e-3,2e-3,4e-3", "seed=0,1", "tune=lr")
    runs = [(run["variant"], run["role"], run["seed"]) for run in found["runs"]]
    trials = [(variant, "search", 1000) for variant in ("none", "muon") for _ in range(3)]
    assert sorted(runs) == sorted(trials + [(v, "compare", seed) for v in ("none", "muon") for seed in (0, 1)])
    rates = {
        word for run in found["runs"] for word in run["overrides"] if run["role"] == "search" and "optim.lr" in word
    }
    assert rates == {"optim.lr=0.001", "optim.lr=0.002", "optim.lr=0.004"}


def test_a_sweep_without_a_search_says_what_one_would_add(train: Program, tmp_path: Path) -> None:  # noqa: F811
    result = train("-m", *TINY_RUN, "norm=none,ln", UNREPORTED, f"hydra.sweep.dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("tune=none")]
    assert "tune=lr would add 6 to 12 trials" in line
    assert "times these runs" in line


def test_refused_combinations_are_left_out_on_request(train: Program, tmp_path: Path) -> None:  # noqa: F811
    words = ["-m", *TINY_RUN, "norm=none,ln", "model.n_heads=2,3", f"hydra.sweep.dir={tmp_path}"]
    result = train(*words, UNREPORTED, "hydra.sweeper.skip_refused=true")
    assert result.returncode == 0, result.stderr
    assert "2 refused and left out" in result.stdout
    assert "left out:" in result.stderr
    assert len(list(tmp_path.glob("*/record.json"))) == 2


def test_a_baseline_from_other_sources_or_threads_is_announced(trained: Path, tmp_path: Path) -> None:
    record = next(load_run(path.parent).record for path in trained.glob("*/record.json"))
    assert _said(record, 1, git_commit=_commit(record)) == _said(record, 1)
    assert "by commit 12345678" in _said(record, 1, git_commit="1234567890")
    assert "with 1 CPU threads, here 2" in _said(record, 2)
    assert "on another platform" in _said(record, 1, platform="elsewhere")


def _said(record: Record, threads: int, **environment: object) -> str:
    return differences(replace(record, environment={**record.environment, **environment}), threads)


def _commit(record: Record) -> object:
    return record.environment["git_commit"]


@pytest.mark.slow
def test_a_reused_baseline_with_other_threads_is_announced_by_the_sweep(
    train: Program,  # noqa: F811
    trained: Path,
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (source,) = (path.parent for path in trained.glob("*-none-*/record.json"))
    shutil.copytree(source, elsewhere)
    record = load_run(elsewhere).record
    write_record(
        elsewhere, replace(record, environment={**record.environment, "git_commit": "abcdef1234", "threads": 7})
    )
    words = ["norm=ln", f"hydra.sweep.dir={tmp_path / 'sweep'}", f"hydra.sweeper.reuse={elsewhere}"]
    result = train("-m", *TINY_RUN, UNREPORTED, *words)
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if "found the baseline" in line]
    assert "by commit abcdef12" in line
    assert "with 7 CPU threads, here 1" in line


ON_GPU = [word for word in TINY_RUN if word != "trainer=cpu"]


@pytest.mark.parametrize(
    "words",
    [["hydra/launcher=slurm", "trainer=ddp"], ["hydra/launcher=ray", "trainer=ddp", "hydra.launcher.num_gpus=2"]],
)
def test_a_cluster_is_planned_from_a_machine_without_gpus(
    plan: Planned, words: list[str], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    code, found = plan(*ON_GPU, *words, "trainer.devices=2", "norm=ln", records=trained)
    assert code == 0
    assert [run["variant"] for run in found["runs"]] == ["none", "ln"]
    assert all(run["memory_bytes"] > 0 and run["seconds"] is None for run in found["runs"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trainer=gpu"], "sees no GPU: use trainer=cpu"),
        (["trainer=ddp", "hydra/launcher=slurm"], "trainer.devices=auto cannot be counted here"),
        (["trainer=gpu", "hydra/launcher=ray"], "use hydra.launcher.num_gpus=1"),
        (["trainer=gpu", "hydra/launcher=slurm", "trainer.devices=1,2"], "set trainer.devices for the whole sweep"),
    ],
)
def test_devices_that_cannot_be_had_are_refused_by_the_plan(
    plan: Planned, words: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    code, found = plan(*ON_GPU, *words, "norm=ln")
    assert code == 2
    assert says in found["refused"][0]["reason"]


def test_a_share_of_the_gpus_must_hold_what_a_run_asks_for(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    words = [*ON_GPU, "norm=ln", "trainer=ddp", "trainer.devices=2"]
    code, found = plan(*words)
    assert code == 2
    assert "use hydra.launcher.gpus_per_run=2" in found["refused"][0]["reason"]
    assert plan(*words, "hydra.launcher.gpus_per_run=2")[0] == 0


def test_a_baseline_that_is_not_all_there_is_not_reused(plan: Planned, trained: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(trained, elsewhere)
    words = [*TINY_RUN, "pos=rope", f"hydra.sweeper.reuse={elsewhere}"]
    assert [run["state"] for run in plan(*words)[1]["runs"]] == ["reused", "new"]
    (baseline,) = [path for path in elsewhere.iterdir() if "-none-" in path.name]
    (baseline / "config.yaml").unlink()
    assert [run["state"] for run in plan(*words)[1]["runs"]] == ["new", "new"]


@pytest.mark.slow
def test_damaged_runs_are_trained_again_and_nothing_else_is(
    plan: Planned,
    train: Program,  # noqa: F811
    trained: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(trained, folder)
    by_variant = {load_run(path.parent).record.variant: path.parent for path in folder.glob("*/record.json")}
    before = {path: load_run(path).record for path in by_variant.values()}
    (by_variant["ln"] / "record.json").write_text('{"run_id": ', encoding="utf-8")
    curve = by_variant["none"] / "curve.csv"
    curve.write_text(curve.read_text()[:-40], encoding="utf-8")
    words = [*TINY_RUN, *DESIGN, f"hydra.sweep.dir={folder}"]
    states = {run["variant"]: run["state"] for run in plan(*words)[1]["runs"]}
    assert states == {"none": "damaged", "ln": "damaged", "rope": "done", "ln+rope": "done"}
    result = train("-m", *words, UNREPORTED)
    assert result.returncode == 0, result.stderr
    assert "2 to train, 2 finished before" in result.stdout
    for variant in ("ln", "none"):
        said = [line for line in result.stdout.splitlines() if f" {by_variant[variant].name} was finished" in line]
        assert said == [f"  {by_variant[variant].name} was finished, but is damaged and will be trained again"]
        assert (by_variant[variant] / "record.json.damaged").exists()
    for path, record in before.items():
        again = load_run(path).record
        assert (again.run_id, again.final_val_loss) == (record.run_id, record.final_val_loss)
        assert (again == record) == (record.variant in ("rope", "ln+rope"))


def test_finished_runs_from_other_sources_are_kept_and_said_so_once(
    train: Program,  # noqa: F811
    trained: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(trained, folder)
    for path in sorted(folder.glob("*/record.json"))[:3]:
        record = load_run(path.parent).record
        changed = {"git_commit": "abcdef1234", "threads": 7, "platform": "elsewhere"}
        write_record(path.parent, replace(record, environment={**record.environment, **changed}))
    result = train("-m", *TINY_RUN, *DESIGN, UNREPORTED, f"hydra.sweep.dir={folder}")
    assert result.returncode == 0, result.stderr
    assert "0 to train, 4 finished before" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if "abcdef12" in line]
    assert line.startswith("  3 runs, finished before: trained by commit abcdef12, here is ")
    assert "on another platform; with 7 CPU threads, here 1" in line


def test_a_design_with_another_sweeper_is_refused(train: Program, tmp_path: Path) -> None:  # noqa: F811
    result = train("-m", *TINY_RUN, *DESIGN, "hydra/sweeper=basic", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "error: hydra/sweeper=basic knows no designs, and design=factorial asks for one: leave out either"
    ]
    assert not list(tmp_path.rglob("record.json"))

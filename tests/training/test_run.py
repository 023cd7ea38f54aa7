"""One run, from the words of a command line to its record."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from algoprog.axes import MODEL
from algoprog.data.windows import TrainWindows, ValidationWindows
from algoprog.run import app, fit, settings
from algoprog.run.spec import RunSpec, language_model
from algoprog.runs.record import BESIDE, COMPARE, CURVE_COLUMNS, DIVERGED, FINISHED, SEARCH, Record
from algoprog.runs.store import load_run
from algoprog.training.devices import hardware
from tests.configs import ROUNDING, TINY_RUN, Time

Compose = Callable[..., dict[str, Any]]
Train = Callable[..., Path]


@pytest.fixture
def spec(compose: Compose) -> Callable[..., RunSpec]:
    """The checked run of a command line."""
    return lambda *overrides: app.prepare(compose(*TINY_RUN, *overrides))


@pytest.fixture
def train(spec: Callable[..., RunSpec], tmp_path: Path) -> Train:
    """Trains, and returns the folder."""

    def train(*overrides: str) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        fit.run(spec(*overrides), folder, [*TINY_RUN, *overrides])
        return folder

    return train


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> str:
    """The word that trains in float64, where equalities hold on every processor; users are not offered it."""
    monkeypatch.setattr(settings, "PRECISIONS", (*settings.PRECISIONS, "64-true"))
    return "precision=64-true"


def rows(folder: Path, *without: str) -> list[dict[str, str]]:
    """The curve as it stands in the file, to the last digit."""
    with (folder / "curve.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key not in without} for row in csv.DictReader(file)]


def losses(folder: Path, column: str = "val_loss") -> list[float]:
    return [float(row[column]) for row in rows(folder)]


@pytest.mark.parametrize("overrides", [(), ("model.dropout=0.3", "attention=sparse", "norm=ln", "kernel=flash")])
def test_same_seed_same_losses_bit_for_bit(train: Train, overrides: tuple[str, ...]) -> None:
    first, second, other = train(*overrides), train(*overrides), train(*overrides, "seed=1")
    assert rows(first, "seconds") == rows(second, "seconds")
    assert losses(first) != losses(other)


def test_learns(train: Train) -> None:
    folder = train("optim.lr=1e-2", "budget.steps=30", "evaluation.points=8")
    assert losses(folder)[0] == pytest.approx(math.log(320), abs=0.1), "nothing is known before training"
    assert losses(folder)[-1] < losses(folder)[0] - 1
    assert losses(folder, "train_loss")[-1] < losses(folder, "train_loss")[1] - 1


def test_leaves_a_valid_record(train: Train, spec: Callable[..., RunSpec]) -> None:
    folder, expected = train("attention=mqa", "norm=rmsnorm"), spec("attention=mqa", "norm=rmsnorm")
    finished = load_run(folder)
    record = finished.record
    assert record.status == FINISHED
    assert record.reason is None
    assert (record.run_id, record.cohort) == (expected.run_id, expected.cohort)
    assert (record.variant, record.seed) == ("mqa+rmsnorm", 0)
    assert record.axes.keys() == set(MODEL)
    assert (record.axes["attention"], record.axes["final_norm"]) == ("mqa", "ln")
    assert (record.steps, record.tokens) == (6, 6 * 4 * 32)
    assert record.train_flops == record.tokens * record.train_flops_per_token
    assert record.final_val_loss == pytest.approx(finished.curve["val_loss"][-1])
    assert record.min_val_loss == finished.curve["val_loss"].min()
    assert record.min_val_step == finished.curve["step"][finished.curve["val_loss"].argmin()]
    assert record.n_embedding_params == 320 * 16
    assert record.corpus_passes == record.tokens / record.data.train_tokens
    assert record.flags == ("embedding-heavy", "single-end")
    assert record.seconds > 0
    assert record.tokens_per_second > 0
    assert record.overrides[-2:] == ("attention=mqa", "norm=rmsnorm")
    assert record.environment["dead_parameters"] == []
    assert (record.role, record.beside) == (COMPARE, None)


def test_a_record_says_what_the_run_was_for_and_what_ran_beside_it(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BESIDE, "3")
    record = load_run(train("role=search")).record
    assert (record.role, record.beside) == (SEARCH, 3)


def test_an_unknown_role_is_refused(spec: Callable[..., RunSpec]) -> None:
    with pytest.raises(ValueError, match="role=judge must be search or compare"):
        spec("role=judge")


def test_curve_is_consistent(train: Train, spec: Callable[..., RunSpec]) -> None:
    folder, expected = train("schedule.warmup_steps=3"), spec()
    table = rows(folder)
    targets = torch.cat([window[1] for window in expected.val_windows()])
    bytes_per_target = float((targets != 256).sum()) / len(targets)  # tokens are bytes, or the end of a text
    assert tuple(table[0]) == CURVE_COLUMNS
    assert [int(row["step"]) for row in table] == sorted(expected.evaluation_steps())
    for row in table:
        loss = float(row["val_loss"])
        assert int(row["tokens"]) == int(row["step"]) * 4 * 32
        assert float(row["flops"]) == int(row["tokens"]) * expected.flops_per_token
        assert float(row["val_perplexity"]) == pytest.approx(math.exp(loss))
        assert float(row["val_bits_per_byte"]) == pytest.approx(loss / math.log(2) / bytes_per_target)
    assert math.isnan(float(table[0]["train_loss"]))
    seconds = [float(row["seconds"]) for row in table]
    assert seconds[0] == 0
    assert seconds == sorted(seconds)


def test_first_loss_is_that_of_the_initial_weights(train: Train, spec: Callable[..., RunSpec], double: str) -> None:
    """Without dropout, which is for training alone."""
    expected = spec("model.dropout=0.5")
    model = language_model(expected).gpt.eval().double()
    windows = expected.val_windows()
    assert len(windows) == 256 // 32
    with torch.no_grad():
        inputs, targets = (torch.stack(column) for column in zip(*(windows[i] for i in range(8)), strict=True))
        loss = torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    folder = train("model.dropout=0.5", double)
    assert losses(folder)[0] == pytest.approx(loss.item(), rel=ROUNDING)
    assert losses(folder)[1:] != losses(train(double))[1:], "training has it, behind the first evaluation too"


def test_first_update_against_the_formula(train: Train, spec: Callable[..., RunSpec], double: str) -> None:
    """One step of the whole pipeline, repeated by hand: clipped gradient, AdamW, learning rate of the schedule."""
    overrides = ("budget.steps=1", "evaluation.points=2", "gradient_clip=0.1", "schedule.warmup_steps=0")
    overrides += ("optim.lr=0.5", "optim.eps=1")  # so large that the size of the gradient matters
    expected = spec(*overrides)
    module = language_model(expected).double()
    windows = expected.train_windows()
    assert len(windows) == 4
    inputs, targets = (torch.stack(column) for column in zip(*(windows[i] for i in range(4)), strict=True))
    module.loss((inputs, targets)).backward()
    assert torch.nn.utils.clip_grad_norm_(module.gpt.parameters(), 0.1) > 0.1, "the clipping is felt"
    torch.optim.AdamW(
        [
            {"params": [p]} | ({"weight_decay": 0.1} if p.ndim > 1 else {"weight_decay": 0})
            for p in module.gpt.parameters()
        ],
        lr=0.5,
        betas=(0.9, 0.95),
        eps=1.0,
    ).step()
    val = expected.val_windows()
    inputs, targets = (torch.stack(column) for column in zip(*(val[i] for i in range(len(val))), strict=True))
    with torch.no_grad():
        loss = module.loss((inputs, targets)).item()
    assert losses(train(*overrides, double))[-1] == pytest.approx(loss, rel=ROUNDING)


@pytest.mark.parametrize("share", [0.5, 1 - 1e-7, 1.0, 1 + 1e-7, 1 + 1e-5, 2.0, math.inf])
def test_clipping_is_pytorchs_to_the_bit(spec: Callable[..., RunSpec], share: float) -> None:
    """Also about the bound, below which nothing is multiplied; and a gradient that is no number stays none."""
    module = language_model(spec())
    parameters = [p for p in module.gpt.parameters() if p.requires_grad]
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, 1e-3 * (number + 1))
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]).item()
    before = [p.grad.clone() for p in parameters if p.grad is not None]
    bound = norm * share if share < math.inf else 1.0
    if share == math.inf:
        before[0].fill_(math.nan)
        parameters[0].grad = before[0].clone()
    module.configure_gradient_clipping(torch.optim.SGD(parameters), bound)
    ours = [p.grad for p in parameters]
    for parameter, gradient in zip(parameters, before, strict=True):
        parameter.grad = gradient
    torch.nn.utils.clip_grad_norm_(parameters, bound)
    for parameter, gradient in zip(parameters, ours, strict=True):
        assert gradient is not None
        assert torch.equal(gradient.view(torch.int32), parameter.grad.view(torch.int32))


def test_accumulated_gradients_are_those_of_the_whole_batch(train: Train, double: str) -> None:
    folders = [train(f"micro_batch_size={size}", double) for size in (1, 2, 4)]
    for column in ("val_loss", "train_loss"):
        first, *others = [losses(folder, column) for folder in folders]
        for curve in others:
            assert curve == pytest.approx(first, rel=ROUNDING, nan_ok=True)


def same(one: Any, other: Any) -> bool:
    """Whether two data sets hold the same windows in the same order."""
    return len(one) == len(other) and all(torch.stack(a).equal(torch.stack(b)) for a, b in zip(one, other, strict=True))


def test_every_variant_of_a_seed_sees_the_same_text(spec: Callable[..., RunSpec]) -> None:
    plain = spec()
    changed = [
        spec("attention=mqa", "norm=ln", "pos=rope", "mlp=swiglu", "kernel=flash", "norm@final_norm=rmsnorm"),
        spec("optim.lr=1", "schedule=cosine"),
        spec("micro_batch_size=4", "precision=bf16-mixed"),
    ]
    for other in changed:
        assert same(plain.train_windows(), other.train_windows())
        assert same(plain.val_windows(), other.val_windows())
    seeded = spec("seed=1")
    assert same(plain.val_windows(), seeded.val_windows())
    assert not same(plain.train_windows(), seeded.train_windows())


def test_what_is_measured_beside_training_does_not_change_it(train: Train) -> None:
    """Neither the first run of a process, which measures the machine, nor more evaluations touch dropout's stream."""
    hardware.peak_flops.cache_clear()
    curves = [losses(train("model.dropout=0.5", "norm=ln", f"evaluation.points={points}")) for points in (2, 2, 12)]
    assert curves[0] == curves[1]
    assert (curves[0][0], curves[0][-1]) == (curves[2][0], curves[2][-1])


def test_longer_runs_begin_like_shorter_ones(spec: Callable[..., RunSpec]) -> None:
    short, long = spec().train_windows(), spec("budget.steps=60").train_windows()
    assert same(short, [long[i] for i in range(len(short))])


@pytest.mark.parametrize("lr", ["1e4", "1e30"])
def test_divergence_is_recorded(train: Train, lr: str) -> None:
    folder = train(f"optim.lr={lr}")
    record = load_run(folder).record
    assert record.status == DIVERGED
    assert record.reason
    assert "diverged" in record.flags
    assert "rising" not in record.flags
    assert record.steps < 6, "it does not go on"
    assert len(rows(folder)) >= 2
    assert record.min_val_loss == losses(folder)[0]
    assert "NaN" not in (folder / "record.json").read_text()
    assert Record.from_json(json.loads((folder / "record.json").read_text())) == record


def test_an_explosion_without_nan_is_divergence(train: Train) -> None:
    folder = train("optim.lr=30", "norm=ln", "schedule.warmup_steps=0")
    record = load_run(folder).record
    assert record.status == DIVERGED
    assert record.reason.startswith("validation loss reached")
    assert record.final_val_loss > 1.5 * losses(folder)[0]


def test_nan_between_two_evaluations_is_noticed(train: Train) -> None:
    """Long before the only later evaluation, at the next look at the training loss."""
    folder = train("optim.lr=1e30", "evaluation.points=null", "evaluation.every=1000", "budget.steps=1000")
    record = load_run(folder).record
    assert record.status == DIVERGED
    assert record.reason == "training loss is not finite at step 10"
    assert record.steps == 10
    assert [int(row["step"]) for row in rows(folder)] == [0, 10]


def test_a_fine_run_is_not_called_diverged(train: Train) -> None:
    assert load_run(train("optim.lr=1e-2", "budget.steps=12")).record.status == FINISHED


def test_bf16_stays_close_to_float32(train: Train) -> None:
    exact, rounded = losses(train("norm=ln")), losses(train("norm=ln", "precision=bf16-mixed"))
    assert rounded == pytest.approx(exact, abs=0.01)
    assert rounded != exact


def test_parameters_without_a_gradient_are_dead_though_decay_moves_them(train: Train) -> None:
    record = load_run(train("attention._target_=tests.training.planted.mute.Mute", "optim.weight_decay=0.5")).record
    assert "dead-parameters" in record.flags
    dead = record.environment["dead_parameters"]
    assert dead
    assert all("attention" in name for name in dead)


def test_parameters_that_do_not_move_are_alive_where_they_receive_a_gradient(train: Train) -> None:
    record = load_run(train("optim.lr=0")).record
    assert "dead-parameters" not in record.flags
    assert record.environment["dead_parameters"] == []


def test_seconds_exclude_evaluation(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window to train on takes a second, one to validate on an hour."""
    time = Time(monkeypatch)

    def slow(windows: type, seconds: float) -> None:
        real = windows.__getitem__

        def item(self: Any, index: int) -> Any:
            time.now += seconds
            return real(self, index)

        monkeypatch.setattr(windows, "__getitem__", item)

    slow(TrainWindows, 1.0)
    slow(ValidationWindows, 3600.0)
    folder = train("budget.steps=3")
    assert time.now > 3 * 3600
    assert 0 < load_run(folder).record.seconds <= 3 * 4
    assert float(rows(folder)[-1]["seconds"]) == load_run(folder).record.seconds


def test_a_run_is_repeated_from_its_own_config(train: Train, tmp_path: Path) -> None:
    folder = train("attention=sparse", "seed=3")
    config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    again = tmp_path / "again"
    again.mkdir()
    fit.run(app.prepare(config), again, [])
    assert rows(again, "seconds") == rows(folder, "seconds")
    assert load_run(again).record.run_id == load_run(folder).record.run_id


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_a_second_run_in_a_folder_replaces_the_first(spec: Callable[..., RunSpec], tmp_path: Path) -> None:
    for _ in range(2):
        fit.run(spec(), tmp_path, [])
    assert [int(row["step"]) for row in rows(tmp_path)] == sorted(spec().evaluation_steps())


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("model.n_heads=3",), "model.n_heads=3 does not divide model.d_model=16: use for example model.n_heads="),
        (("model.seq_len=600000",), "model.seq_len is 600000 but the validation split has only"),
        (("micro_batch_size=3",), "use for example micro_batch_size=2"),
        (("micro_batch_size=0",), "must be at least 1"),
        (("budget.tokens=100",), "budget.steps=6 and budget.tokens=100"),
        (("evaluation.every=2",), "exactly one of evaluation.points and evaluation.every"),
        (("attention=mqa", "attention.n_kv_heads=3"), "attention.n_kv_heads=3 does not divide model.n_heads=2"),
        (("attention=mqa", "attention.n_kv_heads=two"), "attention.n_kv_heads=two does not fit"),
        (("attention=sparse", "attention.pattern=blocks"), "must be fixed or strided"),
        (("pos=rope", "model.d_model=6"), "pos=rope needs heads of even width"),
        (("schedule=cosine", "schedule.warmup_fraction=2"), "schedule.warmup_fraction=2 must lie between 0 and 1"),
        (("schedule.warmup_fraction=0.1",), "exactly one of schedule.warmup_steps=20 and schedule.warmup_fraction=0.1"),
        (
            ("schedule.warmup_steps=null",),
            "exactly one of schedule.warmup_steps=null and schedule.warmup_fraction=null",
        ),
        (("schedule.branches=many",), "schedule.branches=many does not fit"),
        (("optim.lr=fast",), "optim.lr=fast does not fit"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(
    compose: Compose, overrides: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - compared below
        app.prepare(compose(*TINY_RUN, *overrides))
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)

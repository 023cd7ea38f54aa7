"""Fixture sweeps: real folders, written and read through the store, and gains known in closed form."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from algoprog.ceg.curves import Curve, curves_from_runs
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.report.words.naming import PAPER_ORDER
from algoprog.runs.record import COMPARE, DIVERGED, FINISHED, DataInfo, Record, Run
from algoprog.runs.store import append_curve, load_runs, write_record

GAINS = {
    "mqa": 0.7,
    "sparse": 0.55,
    "none": 1.0,
    "flash": 1.0,
    "ln": 1.6,
    "rope": 1.9,
    "ln+rope": 2.6,
    "ln+rope+flash": 3.2,
}
MODELS = {"nano": (250_000, 1.0), "../../nano": (250_000, 1.0), "micro": (1_200_000, 0.9), "mini": (6_000_000, 0.8)}
FLOPS_PER_TOKEN = {"mqa": 0.95, "sparse": 0.8}
SECONDS = {"flash": 0.7, "ln+rope+flash": 0.75}
AXES = {"attention": "dense", "norm": "none", "pos": "learned", "kernel": "math", "mlp": "gelu"}
PARTS = ("none", "flash", "ln", "rope", "ln+rope")
OWNER = {"mqa": "attention", "sparse": "attention", "flash": "kernel", "ln": "norm", "rope": "pos"}
STEPS = np.unique(np.round(np.geomspace(4, 600, 40)).astype(int))


@dataclass(frozen=True)
class Sweep:
    """What to write: which runs, and what befalls them."""

    models: tuple[str, ...] = ("nano", "micro")
    variants: tuple[str, ...] = PAPER_ORDER
    seeds: int = 3
    diverged: tuple[str, ...] = ()
    contexts: tuple[dict[str, str], ...] = ({},)
    names: dict[str, str] = field(default_factory=dict)  # another name for a variant

    def runs(self) -> Iterator[tuple[str, str, int, dict[str, str]]]:
        for model in self.models:
            for variant in self.variants:
                for seed in range(self.seeds):
                    for context in self.contexts:
                        yield model, variant, seed, context


@pytest.fixture(scope="session")
def sweep() -> type[Sweep]:
    """The description of a sweep, for tests to fill in."""
    return Sweep


@pytest.fixture(scope="session")
def write_sweep(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sweep], list[Run]]:
    """Writes the runs of a sweep as folders and reads them back."""

    def write(sweep: Sweep) -> list[Run]:
        root = tmp_path_factory.mktemp("sweep")
        for number, (model, variant, seed, context) in enumerate(sweep.runs()):
            write_run(root / f"{number:03d}", sweep, model, variant, seed, context)
        return load_runs(root)

    return write


@pytest.fixture(scope="session")
def make_gains() -> Callable[[Sweep], list[Gain]]:
    """The gains that the curves of a sweep have by construction."""
    return lambda sweep: [gain for m in sweep.models for v in sweep.variants for gain in gains_of(sweep, m, v)]


@dataclass(frozen=True)
class Measured:
    """A sweep with the gains that the estimators find in it."""

    runs: list[Run]
    curves: list[Curve]
    gains: list[Gain]


@pytest.fixture(scope="session")
def measured(write_sweep: Callable[[Sweep], list[Run]]) -> Measured:
    """Three models, two seeds, an A/A arm, two changes alone and together; no test may change it."""
    runs = write_sweep(Sweep(models=("nano", "micro", "mini"), variants=PARTS, seeds=2))
    curves = curves_from_runs(runs)
    return Measured(runs, curves, compute_gains(curves))


def write_run(folder: Path, sweep: Sweep, model: str, variant: str, seed: int, context: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    n_params = MODELS[model][0]
    rng = np.random.default_rng([seed, len(variant)])
    speed = GAINS[variant] * (1 - 0.1 * len(context.get("optim.lr", "")))
    losses = level(model, speed * STEPS) + rng.normal(0, 0.008, STEPS.size) + 0.02 * seed
    if variant in sweep.diverged:
        losses[STEPS.size // 2 :] = math.nan
    rows = STEPS.size // 2 + 1 if variant in sweep.diverged else STEPS.size
    flops = 6 * n_params * 4096 * FLOPS_PER_TOKEN.get(variant, 1.0)
    for step, loss in zip(STEPS[:rows], losses[:rows], strict=True):
        append_curve(folder, curve_row(int(step), float(loss), flops, SECONDS.get(variant, 1.0)))
    write_record(folder, record_of(sweep, model, variant, seed, context, losses[:rows], flops))


def level(model: str, steps: Any) -> Any:
    return 1.7 + 9 * (steps + 8.0) ** -0.28 + 0.6 * (1 - math.log10(MODELS[model][0]) / 7)


def curve_row(step: int, loss: float, flops: float, pace: float) -> dict[str, float]:
    return {
        "step": step,
        "tokens": step * 4096,
        "flops": step * flops,
        "seconds": 0.08 * pace * step,
        "train_loss": loss - 0.02,
        "val_loss": loss,
        "val_perplexity": math.exp(loss),
        "val_bits_per_byte": loss / 2.9,
        "lr": 6e-4,
        "annealed": 0,
    }


def record_of(
    sweep: Sweep,
    model: str,
    variant: str,
    seed: int,
    context: dict[str, str],
    losses: np.ndarray,
    flops: float,
) -> Record:
    options = variant.split("+")
    changed = {OWNER[option]: option for option in options if option in OWNER}
    finite = losses[np.isfinite(losses)]
    diverged = not np.isfinite(losses[-1])
    lowest = int(np.nanargmin(losses))
    cohort = hashlib.sha256(repr([model, context]).encode()).hexdigest()
    overrides = (
        f"variant={variant}",
        f"model={model}",
        f"seed={seed}",
        *(f"{k}={v}" for k, v in context.items()),
    )
    return Record(
        run_id=hashlib.sha256(repr([cohort, variant, seed]).encode()).hexdigest(),
        cohort=cohort,
        variant=sweep.names.get(variant, variant),
        axes={**AXES, **changed},
        choices={axis: {"option": option} for axis, option in {**AXES, **changed}.items()},
        baseline="gpt2_paper",
        against={},
        model=model,
        seed=seed,
        status=DIVERGED if diverged else FINISHED,
        reason="validation loss is NaN" if diverged else None,
        steps=int(STEPS[losses.size - 1]),
        tokens=int(STEPS[losses.size - 1]) * 4096,
        train_flops=float(STEPS[losses.size - 1] * flops),
        seconds=48.0,
        final_val_loss=None if diverged else float(losses[-1]),
        min_val_loss=float(finite.min()),
        min_val_step=int(STEPS[lowest]),
        n_params=MODELS[model][0],
        n_active_params=MODELS[model][0],
        n_embedding_params=MODELS[model][0] // 2,
        optimizer_flops=0.0,
        n_devices=1,
        facts={},
        stats={},
        train_flops_per_token=flops / 4096,
        attention_density=0.35 if variant == "sparse" else 1.0,
        corpus_passes=1.4,
        tokens_per_second=51_200.0,
        mfu=None,
        peak_memory_bytes=700 << 20,
        data=DataInfo("sotu", "bpe", "5f" * 32, 4096, 2_400_000, 120_000, 3.9),
        flags=("embedding-heavy",) if model == "nano" else (),
        context=dict(context),
        overrides=overrides,
        environment={
            "python": "3.11.9",
            "platform": "Linux-6.1-x86_64",
            "versions": {"algoprog": "0.1.0", "torch": "2.13.0", "lightning": "2.6.6"},
            "git_commit": "0123abc",
            "git_dirty": False,
            "device": "Example CPU",
            "n_devices": 1,
            "threads": 1,
            "dead_parameters": [],
        },
        protocol={"optim": "AdamW", "optim.lr": 1e-3, "model.seq_len": 256, "model.dropout": 0.0, **context},
        role=COMPARE,
        beside=1,
        created=f"2026-01-02T03:{seed:02d}:00+00:00",
    )


def gains_of(sweep: Sweep, model: str, variant: str) -> Iterator[Gain]:
    name = sweep.names.get(variant, variant)
    per_cost = {
        "flops": 1 / FLOPS_PER_TOKEN.get(variant, 1.0),
        "tokens": 1.0,
        "steps": 1.0,
        "seconds": 1 / SECONDS.get(variant, 1.0),
    }
    diverged = variant in sweep.diverged
    for estimator, bias in (("iso_loss", 1.0), ("paper", 0.97)):
        for cost, factor in per_cost.items():
            ceg = GAINS[variant] * factor * bias * MODELS[model][1] ** (variant not in ("none", "flash"))
            kind = "auxiliary" if GAINS[variant] < 1 else "primary"
            interval = estimator == "iso_loss" and sweep.seeds > 1 and variant != "none" and not diverged
            flags = ("diverged",) if diverged else ("single-seed",) if sweep.seeds == 1 else ()
            flags += ("indistinguishable",) if variant == "flash" and cost != "seconds" else ()
            yield Gain(
                model=model,
                variant=name,
                baseline="none",
                estimator=estimator,
                cost=cost,
                target_loss=float(level(model, STEPS[-1])) + 0.02,
                kind=kind,
                ceg=None if diverged else 1.0 if variant == "none" else ceg,
                ci_low=ceg * 0.93 if interval else None,
                ci_high=ceg * 1.08 if interval else None,
                n_seeds=sweep.seeds,
                flags=flags,
                finding=interval and "indistinguishable" not in flags,
            )

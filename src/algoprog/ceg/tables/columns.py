"""Which column of a table is which: our names, those that others usually give, and those that a user states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from algoprog.ceg.cost import COSTS, RECORDED

VARIANT, MODEL, SEED, LOSS = "variant", "model", "seed", "val_loss"
RATE = "lr"
"""Optional: the learning rate; of a run in which it changes the largest is the run's."""

ANNEALED = "annealed"
"""Optional: 1 where the evaluation ends a budget of its own, at an annealed learning rate, else 0."""

BUDGET = "budget"
"""Optional: what the run that a line belongs to was to cost in all, in steps, tokens, FLOPs or seconds; or its name."""

DEVICE = "device"
"""Optional: what the seconds were taken on."""

N_DEVICES = "n_devices"
"""Optional: how many devices trained the run, from which device-hours follow."""

BATCH, LENGTH = "batch", "seq_len"
"""Optional: tokens a step or, with the tokens of a sequence beside it, sequences a step."""

ROLE = "role"
"""Optional: `search` for a trial of settings, which is not compared, else `compare`."""

KERNEL = "kernel"
"""Optional: how the function is executed, which makes arms that differ in nothing else A/A tests."""

BITS = "val_bits_per_byte"
"""Optional: the same loss in bits per byte, which runs of different tokenizers are compared in."""

TOKENIZER, TEXT = "tokenizer", "val_text"
"""Optional: whose tokens the loss is of, and which text was validated on."""

REQUIRED = (VARIANT, MODEL, LOSS)

NAMES: dict[str, tuple[str, ...]] = {
    VARIANT: ("arm", "method", "algorithm", "run_name", "run", "name"),
    MODEL: ("model_name", "model_size", "size", "scale"),
    SEED: ("random_seed", "rng_seed", "replicate"),
    LOSS: ("eval_loss", "validation_loss", "valid_loss", "eval_val_loss", "dev_loss", "loss_val", "loss_eval"),
    BITS: ("bits_per_byte", "bpb", "val_bpb", "eval_bpb", "eval_bits_per_byte"),
    TOKENIZER: (),
    TEXT: (),
    **{cost.column: cost.aliases for cost in COSTS.values()},
    RATE: ("learning_rate", "peak_lr", "max_lr", "peak_learning_rate"),
    ANNEALED: ("is_annealed",),
    BUDGET: ("total_steps", "max_steps", "num_train_steps", "token_budget", "flop_budget"),
    DEVICE: ("gpu", "hardware", "accelerator"),
    N_DEVICES: ("num_devices", "n_gpus", "num_gpus", "gpus", "world_size"),
    BATCH: ("batch_tokens", "tokens_per_step", "batch_size", "global_batch_size"),
    LENGTH: ("sequence_length", "context_length", "block_size"),
    ROLE: (),
    KERNEL: (),
}
"""Every column that is read, and the names under which others write it, the likeliest first."""

_COSTS = [cost.column for cost in COSTS.values()]

_NESTED = {LOSS, BITS, RATE, *_COSTS}
"""Columns that loggers put into groups: `eval/loss`, `trainer/global_step`."""


def find_columns(path: Path, header: Sequence[str], rename: Mapping[str, str]) -> dict[str, str]:
    """The column of the file for each of ours that it has.

    A name that the user states counts before our own, and ours before others'; neither the case of letters nor what
    joins words matters.

    Raises:
        ValueError: two columns are equally likely to be one that is needed, or one to be renamed is not there.
    """
    found: dict[str, str] = {ours: _stated(path, header, theirs, ours) for theirs, ours in rename.items()}
    free = [name for name in header if name not in rename]
    for ours in NAMES:
        if ours not in found and (theirs := _likeliest(path, free, ours)) is not None:
            found[ours] = theirs
    return found


def require(path: Path, header: Sequence[str], found: Mapping[str, str]) -> None:
    """Refuse a table that lacks what a gain needs.

    Raises:
        ValueError: a column is missing; names it, what the file has, and how to rename.
    """
    if {"ceg", "estimator"} <= {*header}:
        raise ValueError(f"{path} is a table of gains, which were computed already: name the curves that they are of")
    if not header:
        raise ValueError(
            f"{path} has no columns: write one line or object an evaluation, with its cells by their names"
        )
    missing = [name for name in REQUIRED if name not in found]
    if not missing and any(column in found for column in _COSTS):
        return
    what = f"the column{'s' if len(missing) > 1 else ''} {_joined(missing, 'and')}"
    if not missing:
        what = f"a column of cost, {_joined(list(RECORDED.values()), 'or')}"
    wanted = missing[0] if missing else COSTS["steps"].column
    raise ValueError(
        f"{path} lacks {what}: add what is missing, or name yours by --rename {quote(_example(header, found))}={wanted}"
        f" (its columns are {_joined(header, 'and')})"
    )


def is_loss(metric: str, rename: Mapping[str, str]) -> bool:
    """Whether a metric of W&B is the validation loss."""
    stated = [theirs for theirs, ours in rename.items() if ours == LOSS]
    return metric in stated if stated else _rank(metric, LOSS) is not None


def cost_of(name: str, rename: Mapping[str, str]) -> str | None:
    """The column of cost that a name stands for, None where it is no cost."""
    if name in rename:
        return rename[name] if rename[name] in _COSTS else None
    return next((column for column in _COSTS if _rank(name, column) is not None), None)


def _stated(path: Path, header: Sequence[str], theirs: str, ours: str) -> str:
    if theirs not in header:
        raise ValueError(f"{path} has no column {theirs!r} to rename to {ours}: it has {_joined(header, 'and')}")
    return theirs


def _likeliest(path: Path, header: Sequence[str], ours: str) -> str | None:
    ranks = {name: rank for name in header if (rank := _rank(name, ours)) is not None}
    best = [name for name, rank in ranks.items() if rank == min(ranks.values())]
    if len(best) > 1 and ours in (*REQUIRED, SEED):  # of others, all but the first one pass for the same
        names = f"{best[0]!r} and {best[1]!r}"
        raise ValueError(f"{path} has two columns for {ours}, {names}: choose one by --rename {quote(best[0])}={ours}")
    return best[0] if best else None


def _rank(name: str, ours: str) -> int | None:
    """How far a name is from ours, 0 for ours itself; None where it is another."""
    known = (ours, *NAMES[ours])
    if name == ours:
        return 0
    for nested, form in enumerate(_forms(name) if ours in _NESTED else [_plain(name)]):
        if form in known:
            return 1 + 2 * known.index(form) + (nested > 0)
    return None


def _forms(name: str) -> list[str]:
    """A name whole, then without its outer groups: `trainer/global_step`, `global_step`."""
    parts = name.split("/")
    return [_plain("/".join(parts[start:])) for start in range(len(parts))]


def _plain(name: str) -> str:
    """A name in small letters, its words joined by `_`, the way most are written: `Val Loss` is `val_loss`."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().casefold()).rstrip("_")


def _example(header: Sequence[str], found: Mapping[str, str]) -> str:
    """A column that might be meant: the first of those without a use that says loss, else `YOURS`."""
    free = [name for name in header if name not in found.values()]
    return next((name for name in free if "loss" in name.casefold() and LOSS not in found), "YOURS")


def _joined(names: Iterable[str], word: str) -> str:
    """Names as a sentence lists them, of many the first ones."""
    names = list(names)
    if len(names) > 12:
        return ", ".join(names[:12]) + f" {word} {len(names) - 12} more"
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else "".join(names)

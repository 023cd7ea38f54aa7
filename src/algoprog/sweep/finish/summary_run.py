"""The summary run of a sweep on W&B: gains, figures and report beside the runs that they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from statistics import median
from typing import Any

from algoprog.ceg.gains import Gain
from algoprog.ceg.write import COLUMNS
from algoprog.config import read_config
from algoprog.runs.record import COMPARE, CONFIG_FILE, FIGURES, REPORT_FILE, Run
from algoprog.runs.secrets import redacted
from algoprog.runs.store import sweep_name
from algoprog.tracking.session import Account, finish, say, start
from algoprog.tracking.tables import GAINS, SCALE, SCALE_COLUMNS


def log_summary(folder: Path, gains: Sequence[Gain], runs: Sequence[Run], *, asked: bool) -> None:
    """Log what the analysis made of a sweep, if its runs were logged to W&B; the same W&B run each time.

    Args:
        folder: the sweep's folder, with its report.
        gains: rows of the gains table.
        runs: the sweep's runs.
        asked: whether W&B was asked for by name.

    Raises:
        ValueError: it was asked for, and no run was logged to W&B.
    """
    found = next((found for run in runs if (found := account(run))), None)
    if found is None:
        if asked:
            raise ValueError(
                f"no run of {folder} was trained with logger=wandb: `algoprog wandb-sync {folder}` sends them"
            )
        return
    where, tags = found
    try:
        _log(folder, where, tags, gains, runs)
    except Exception as error:  # the analysis stands whatever happens to W&B
        say(f"the summary run was not logged ({type(error).__name__}): try `algoprog report {folder} --wandb`")


def account(run: Run) -> tuple[Account, list[str]] | None:
    """Where a run was logged, with its tags; None where another logger was used.

    Raises:
        ValueError: the configuration is damaged.
    """
    if (
        b".Wandb" not in (run.path / CONFIG_FILE).read_bytes()
    ):  # to take a configuration apart takes long, and a sweep has hundreds
        return None
    knobs = read_config(run.path).get("logger")
    if not isinstance(knobs, dict) or not str(knobs.pop("_target_", "")).endswith(".Wandb"):
        return None
    tags = knobs.pop("tags")
    try:
        return Account(**knobs), tags
    except ValueError:  # the key of then is not here
        return Account(**{**knobs, "mode": "offline"}), tags


def _log(folder: Path, where: Account, tags: list[str], gains: Sequence[Gain], runs: Sequence[Run]) -> None:
    import wandb

    group = sweep_name(folder)
    labels: dict[str, Any] = {"id": summary_id(folder), "name": f"summary {group}", "group": group, "tags": tags}
    run = start(where, folder, job_type="summary", resume="allow", config={"n_runs": len(runs)}, **labels)
    figures = {f"figures/{path.stem}": wandb.Image(str(path)) for path in sorted((folder / FIGURES).glob("*.png"))}
    tables = {
        GAINS: wandb.Table(columns=list(COLUMNS), data=[_cells(gain) for gain in gains]),
        SCALE: wandb.Table(columns=list(SCALE_COLUMNS), data=_scale(gains, runs)),
    }
    page = wandb.Html((folder / REPORT_FILE).read_text(encoding="utf-8"), inject=False)
    run.log({**tables, **figures, "report": page})
    finish(run, where, 0)


def summary_id(folder: Path) -> str:
    """W&B's identity of a sweep's summary: the same for the same folder."""
    return "summary-" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def _cells(gain: Gain) -> list[Any]:
    """A row of the gains table, flags as words."""
    values = dict(zip(COLUMNS, astuple(gain), strict=True))
    return list(redacted({**values, "flags": " ".join(gain.flags)}).values())


def _scale(gains: Sequence[Gain], runs: Sequence[Run]) -> list[list[Any]]:
    """Primary gains in FLOPs with what the baseline's training cost at that model."""
    compute: dict[tuple[str, str], list[float]] = {}
    for run in (run for run in runs if run.record.role == COMPARE):
        compute.setdefault((run.record.model, run.record.variant), []).append(run.record.train_flops)
    rows = []
    for gain in gains:
        spent = compute.get((gain.model, gain.baseline))
        if gain.cost == "flops" and gain.kind == "primary" and gain.estimator == "iso_loss" and spent:
            rows.append([gain.variant, gain.model, median(spent), gain.ceg, gain.ci_low, gain.ci_high])
    return rows

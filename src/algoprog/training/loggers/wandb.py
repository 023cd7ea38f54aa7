"""`logger=wandb`: one W&B run for every run, whose history has the rows of `curve.csv` as its steps."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import Logger

from algoprog.runs.record import COMPARE, DIVERGED, SEARCH, Record
from algoprog.runs.store import record_json
from algoprog.tracking.session import RECORD_COLUMN, Account, abandon, finish, say, start
from algoprog.training.loggers.interface import RunLabels, columns, replay

if TYPE_CHECKING:
    import wandb


JOB_TYPES = {COMPARE: "train", SEARCH: "search"}
"""W&B's job type of a run by its role."""

GROUPED = ("status", "flags", "train_flops")
"""Results that stand in the config too: W&B groups by config."""


class Wandb:
    """One W&B run for every run, grouped by sweep; never asks for a key and never stops training.

    Args:
        project: W&B project.
        entity: W&B user or team; None takes the default one.
        mode: `online`, `offline`, `disabled`, or `auto`: what WANDB_MODE says, else online where a key is
            configured, else offline.
        tags: shown in W&B.
        timeout: seconds to wait for W&B at the start and again at the end of a run; then it goes on offline.

    Raises:
        ValueError: unknown mode, here or in WANDB_MODE, or `online` without a key.
    """

    def __init__(self, *, project: str, entity: str | None, mode: str, tags: list[str], timeout: float) -> None:
        self.account = Account(project, entity, mode, timeout)
        self.tags = list(tags)

    def __call__(self, labels: RunLabels) -> Logger:
        """The logger of one run."""
        run = start(
            self.account,
            labels.folder,
            id=wandb_id(labels.run_id, labels.group),
            resume="allow",
            name=labels.name,
            group=labels.group,
            job_type=JOB_TYPES[labels.role],
            tags=self.tags,
            config=labels.config,
        )
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        return replay(WandbRun(run, self.account), labels.rows())


class WandbRun(Logger):
    """Rows to W&B: the n-th row of the curve is the n-th step of W&B's history.

    A resumed run measures some rows again, with equal values. W&B says which step it wants next, so rows that it
    has are passed over and rows that it lost are sent again.
    """

    def __init__(self, run: wandb.Run, account: Account) -> None:
        super().__init__()
        self.run, self.account = run, account
        self.wanted = int(run.starting_step)
        self.row = 0
        self.lost = False

    @property
    def name(self) -> str:
        """Lightning's name for the project."""
        return self.account.project

    @property
    def version(self) -> str:
        """Lightning's name for the run."""
        return str(self.run.id)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: the configuration was given at the start."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Send one row, unless W&B has it."""
        if self.row >= self.wanted and not self.lost:
            try:
                self.run.log({"step": step, **metrics}, step=self.row, commit=True)
            except Exception as error:
                self._lose(error)
        self.row += 1

    def close(self, exit_code: int, record: Record | None) -> None:
        """End the W&B run with the results, as failed where the exit code is not 0."""
        try:
            if record is not None and not self.lost:
                self._show(record)
        except Exception as error:
            self._lose(error)
        if not self.lost:
            finish(self.run, self.account, exit_code)

    def _show(self, record: Record) -> None:
        results = columns(record)
        self.run.summary.update(results)
        known = {key: results[key] for key in GROUPED} | {RECORD_COLUMN: record_json(record)}
        # wandb has no types for its configuration.
        self.run.config.update(known, allow_val_change=True)  # type: ignore[no-untyped-call]
        if record.status == DIVERGED:
            self.run.tags = (*(self.run.tags or ()), DIVERGED)

    def _lose(self, error: Exception) -> None:
        """Go on without W&B: its own process died, and the run's files do not depend on it."""
        self.lost = True
        abandon()
        kind = type(error).__name__
        say(f"W&B's process ended ({kind}): the run goes on, `algoprog wandb-sync` sends the rest")


def wandb_id(run_id: str, group: str) -> str:
    """W&B's identity of a run: the same again when it is resumed, another in another sweep."""
    return f"{run_id}-{hashlib.sha256(group.encode()).hexdigest()[:6]}"

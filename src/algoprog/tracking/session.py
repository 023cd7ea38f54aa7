"""One W&B run from start to finish: bounded waits, nothing uploaded that was not asked for, offline when in doubt."""

from __future__ import annotations

import contextlib
import netrc
import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from algoprog.runs.secrets import redacted

if TYPE_CHECKING:
    import wandb

RECORD_COLUMN = "record"
"""The config column that holds a finished run's record as JSON: what `algoprog ceg --wandb` reads back."""

MODES = ("auto", "online", "offline", "disabled")
ASKED = {
    **{mode: mode for mode in MODES[1:]},
    "run": "online",
    "shared": "online",
    "dryrun": "offline",
}
"""What each value of WANDB_MODE that wandb takes asks for; any other makes it refuse every run."""

ATTEMPTS = 20
"""How often a run without a server is begun, a second apart: on a busy machine wandb's process ends late."""


@dataclass(frozen=True)
class Account:
    """Where runs go: project, entity (None: your default one), mode, and the seconds that a wait may take."""

    project: str
    entity: str | None
    mode: str
    timeout: float

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"logger.mode={self.mode} must be auto, online, offline or disabled")
        if (asked := os.environ.get("WANDB_MODE")) and asked not in ASKED:
            raise ValueError(f"WANDB_MODE={asked} must be online, offline or disabled: change it, or unset it")
        if self.mode == "online" and not has_key():
            raise ValueError("logger.mode=online needs a W&B key: run `wandb login`, or use logger.mode=offline")
        if not self.timeout > 0:
            raise ValueError(f"logger.timeout={self.timeout} must be above 0: seconds to wait for W&B")

    @property
    def chosen(self) -> str:
        """The mode that `auto` stands for: what WANDB_MODE says, else online where a key is found, else offline."""
        automatic = ASKED.get(os.environ.get("WANDB_MODE", "")) or ("online" if has_key() else "offline")
        return automatic if self.mode == "auto" else self.mode


def start(account: Account, folder: Path, **labels: Any) -> wandb.Run:
    """A W&B run whose files go to `folder`; offline, after one sentence, where the server does not answer in time.

    The caller gives the run all its rows from the first one on, so an earlier offline folder of it is out of date and
    goes: `wandb sync` appends what it finds, and two folders of one run would double its rows.

    Args:
        account: where it goes.
        folder: `wandb/` is made below it.
        labels: further arguments of `wandb.init`, such as id, group and config.
    """
    quiet()
    import wandb

    mode = account.chosen
    labels = {**labels, **{name: redacted(labels[name]) for name in ("name", "tags") if name in labels}}
    shared = {"dir": folder, "project": account.project, "entity": account.entity, "reinit": "create_new", **labels}
    if mode != "disabled":  # then nothing takes its place
        _forget(folder.glob(f"wandb/offline-run-*-{labels['id']}"))
    if mode == "online":
        before = set(folder.glob("wandb/run-*"))
        try:
            return wandb.init(mode="online", settings=_settings(account), **shared)
        except Exception as error:  # whatever happens to the network must not reach the training
            say(f"W&B cannot be reached ({_reason(error)}): logging offline, `algoprog wandb-sync {folder}` uploads it")
            abandon()  # its process holds the run's id
            _forget(set(folder.glob("wandb/run-*")) - before)
            mode = "offline"
    return _without_server(account, mode, {key: value for key, value in shared.items() if key != "resume"})


def _without_server(account: Account, mode: str, labels: dict[str, Any]) -> wandb.Run:
    """A run that asks no server; where wandb's process of an earlier attempt still holds its id, a moment later."""
    import wandb

    for attempt in range(1, ATTEMPTS + 1):
        try:
            # wandb declares the modes one by one; ours is a text that was checked when the account was made.
            return wandb.init(mode=mode, settings=_settings(account), **labels)  # type: ignore[arg-type]
        except Exception:  # such as "run ID is in use"
            if attempt == ATTEMPTS:
                raise
            abandon()
            time.sleep(1)
    raise AssertionError("every attempt returns or raises")


def finish(run: wandb.Run, account: Account, exit_code: int) -> None:
    """End a W&B run; what cannot be uploaded in time stays on disk, and a sentence says so."""
    folder = Path(run.dir).parents[2]
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:
        abandon()
        took = f"within {account.timeout:g} s ({type(error).__name__})"
        say(f"W&B did not take everything {took}: `algoprog wandb-sync {folder}` sends the rest")


def abandon() -> None:
    """End wandb's own process now; what it did not upload stays on disk."""
    import wandb

    with contextlib.suppress(Exception):  # it may be dead already
        wandb.teardown(exit_code=1)


def say(sentence: str) -> None:
    """One line on standard error: the run's log, or the terminal of a single run."""
    print(sentence, file=sys.stderr, flush=True)


def has_key() -> bool:
    """A key in the environment or where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _forget(folders: Iterable[Path]) -> None:
    """Delete folders of W&B whose rows are sent again; not those that were synced: they say that W&B has them."""
    for folder in folders:
        if not list(folder.glob("*.synced")):
            shutil.rmtree(folder, ignore_errors=True)


def _reason(error: Exception) -> str:
    """The first words of an error, without the page that a server may have sent."""
    return redacted(" ".join(str(error).split("<")[0].split())[:160]) or type(error).__name__


def quiet() -> None:
    """Set what wandb reads from the environment when it is first used."""
    if not os.environ.get("WANDB_MODE", "offline"):
        del os.environ["WANDB_MODE"]  # wandb refuses an empty one
    os.environ["WANDB_SILENT"] = "true"
    os.environ["WANDB_ERROR_REPORTING"] = "false"


def _settings(account: Account) -> wandb.Settings:
    """Bounded waits, and none of what wandb collects by itself: it may hold secrets (command line, git, console)."""
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        host="",
        init_timeout=account.timeout,
        finish_timeout=account.timeout,
        finish_timeout_raises=True,
    )

"""Where a number came from: versions, machine and state of the sources."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = (
    "algoprog",
    "torch",
    "lightning",
    "torchmetrics",
    "hydra-core",
    "tiktoken",
    "tokenizers",
    "datasets",
    "numpy",
)

NUMERICS = ("algoprog", "torch", "lightning", "numpy")
"""Packages whose versions may change the last digits of a loss."""

FACTS = ("git_commit", "git_dirty", "platform", "device", "threads", "strategy", "compile")
"""What else may: of the sources, the machine and the settings that are no part of a run's identity."""


@cache
def environment() -> dict[str, Any]:
    """Versions, platform, and the commit of the sources where they lie in a clone."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in PACKAGES},
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What may change the last digits of a run's losses, or its seconds: [then, now] of what both name and differs.

    Changes that are not committed are named even where both have some: they may be others.
    """
    before, here = _facts(then), _facts(now)
    found = {name: [before[name], here[name]] for name in here if name in before and before[name] != here[name]}
    if before.get("git_dirty") and here.get("git_dirty"):
        found["git_dirty"] = [True, True]
    return found


def described(found: Mapping[str, list[Any]]) -> list[str]:
    """Such differences in words: how something was made then, and how it is here."""
    words = {
        "git_commit": "by commit {:.8}, here is {:.8}",
        "git_dirty": "by sources that may differ from these: changes are not committed",
        "platform": "on another platform",
        "device": "on {}, here on {}",
        "threads": "with {} CPU threads, here {}",
    }
    told = [name for name in found if name != "git_dirty" or "git_commit" not in found]
    return [words.get(name, f"with {name} {{}}, here {{}}").format(*map(_word, found[name])) for name in told]


def _facts(environment: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: environment[name] for name in FACTS if name in environment}
    versions = environment.get("versions", {})
    return facts | {name: versions[name] for name in NUMERICS if name in versions}


def _word(value: object) -> str:
    return "unknown" if value is None else str(value)


def _git(*arguments: str) -> str | None:
    """Output of git in the folder of the sources; None outside a clone or without git."""
    folder = Path(__file__).resolve().parent
    try:
        result = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()

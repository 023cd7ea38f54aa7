"""Where a number came from: versions, machine and state of the sources."""

from __future__ import annotations

import platform
import subprocess
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


def _git(*arguments: str) -> str | None:
    """Output of git in the folder of the sources; None outside a clone or without git."""
    folder = Path(__file__).resolve().parent
    try:
        result = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()

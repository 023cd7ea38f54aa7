"""What the cluster tests need and do not find: `python -m tests.cluster.missing` says it in a sentence a cluster."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

DEBIAN = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", str(Path(sys.executable).parent)])


def for_slurm() -> str | None:
    """What to install before a Slurm can be started here."""
    commands = [package for command, package in DEBIAN.items() if shutil.which(command, path=PLACES) is None]
    if commands:
        return f"the Slurm tests need Debian's packages: apt-get install --no-install-recommends {' '.join(commands)}"
    if find_spec("submitit") is None or find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        return "the Slurm tests need the extra `slurm`: pip install -c constraints.txt -e '.[dev,slurm]'"
    return None


def for_ray() -> str | None:
    """What to install before a Ray can be started here."""
    if find_spec("ray") is None or shutil.which("ray", path=PLACES) is None:
        return "the Ray tests need the extra `ray`: pip install -c constraints.txt -e '.[dev,ray]'"
    return None


if __name__ == "__main__":
    found = [sentence for sentence in (for_slurm(), for_ray()) if sentence]
    for sentence in found:
        print(sentence)
    raise SystemExit(1 if found else 0)

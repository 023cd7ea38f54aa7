"""Questions to Slurm's own commands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from algoprog.runs.secrets import redacted
from algoprog.sweep.engine.job import Job

ANSWER_SECONDS = 60


def answering(partition: str | None) -> None:
    """Hear from the cluster before anything is submitted: submitit waits for ever where `sacct` does not answer.

    Raises:
        ValueError: a command is missing or fails, or there is no such partition.
    """
    for command in ("sbatch", "srun", "sacct", "scontrol", "scancel"):
        if shutil.which(command) is None:
            raise ValueError(
                f"hydra/launcher=slurm needs `{command}`, which is not on PATH: use a machine of the cluster"
            )
    there = {name.rstrip("*") for name in _ask("sinfo", "--noheader", "--format=%P").split()}
    if partition is not None and not set(str(partition).split(",")) <= there:
        raise ValueError(f"hydra.launcher.partition={partition} is not one of Slurm's: {', '.join(sorted(there))}")
    _ask("sacct", "--format=JobID,State,NodeList", "--parsable2", "--jobs=1")


def tasks(tasks_per_node: object, devices: object) -> int:
    """Tasks of a run on each node, checked: Lightning takes one process for each device from Slurm.

    Raises:
        ValueError: the number is not that of the devices.
    """
    if not str(tasks_per_node).isdigit() or str(devices) != str(tasks_per_node):
        raise ValueError(
            f"trainer.devices={devices} and hydra.launcher.tasks_per_node={tasks_per_node} must be the same number"
            " under Slurm: set trainer.devices for the whole sweep, and leave tasks_per_node as it is"
        )
    return int(str(tasks_per_node))


def refuse_secrets(jobs: Sequence[Job]) -> None:
    """Keep secrets out of the files in which submitit hands its jobs to Slurm.

    Raises:
        ValueError: a word of a run holds one.
    """
    for job in jobs:
        for word in job.overrides:
            if redacted(word) != word:
                raise ValueError(
                    f"{redacted(word)} holds a secret, and Slurm keeps the words of its jobs in files: set it as a"
                    " variable of the environment instead, which the jobs inherit"
                )


def cancel(job_ids: Sequence[str]) -> None:
    """End jobs; arrays are named once."""
    if job_ids:
        subprocess.run(["scancel", *sorted(set(job_ids))], check=False, timeout=ANSWER_SECONDS)


def _ask(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"`{command[0]}` does not answer ({error}): is Slurm running?") from None
    if answer.returncode:
        said = (answer.stderr or answer.stdout).strip().splitlines() or [f"exit code {answer.returncode}"]
        raise ValueError(
            f"`{command[0]}` does not answer ({said[-1]}): hydra/launcher=slurm needs it to know how jobs end"
        )
    return answer.stdout

"""What `precision=auto` means here: bf16-mixed where the processor has it and steps were measured to be faster.

It is decided once for a folder, a run's or a sweep's, and stays. A run's configuration and identity hold the decision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from algoprog import build
from algoprog.axes import MODEL
from algoprog.config import AUTO
from algoprog.run.memory import on_cpu
from algoprog.run.micro_batch import fitted
from algoprog.run.spec import RunSpec, priced
from algoprog.runs.store import write_atomic
from algoprog.training.devices.free_memory import free_memory
from algoprog.training.devices.hardware import device_name, gpus_here
from algoprog.training.precision import MIXED_BF16

FILE = "precision.json"
"""In a folder the decision for it, in the cache folder what was measured."""

SINGLE = "32"
PAYS = 1.1
"""Times as fast as in float32: below that nothing is gained by other digits."""

PROCESSOR_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""Of x86 and, the last, of ARM: those that multiply in bfloat16."""

CAPABILITY = (8, 0)
"""Of GPUs that do: Ampere."""

CPU_INFO = Path("/proc/cpuinfo")
ROUNDS = 5

Gain = Callable[[dict[str, Any]], float]
"""How many times as fast a run's steps are in bf16-mixed as in float32."""


@dataclass(frozen=True)
class Decision:
    """What `auto` stands for in a folder."""

    precision: str
    because: str

    def __str__(self) -> str:
        return f"precision=auto is {self.precision}: {self.because}"


def decide(configs: Sequence[dict[str, Any]], folder: Path, gain: Gain | None = None) -> Decision:
    """The precision of runs that are compared with each other, one for all; the one that the folder has, if any.

    Args:
        configs: resolved, of every model among the runs.
        folder: of the run or the sweep.
        gain: measures; None for steps of the model here.
    """
    known = of_folder(folder)
    if known is not None:
        return known
    why_not = lacking(cpu=on_cpu(configs[0], gpus_here()))
    if why_not:
        return Decision(SINGLE, why_not)
    times = min(map(gain or measured, configs))
    said = f"a step in {MIXED_BF16} was measured to be {times:.2f} times as fast"
    if times < PAYS:
        return Decision(SINGLE, f"{said}, and below {PAYS} it does not pay")
    return Decision(MIXED_BF16, said)


def settled(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration of a lone run with what `auto` stands for; the decision is left in its folder.

    Raises:
        ValueError: the run cannot be trained, or has several processes that would each decide.
    """
    if config["precision"] != AUTO:
        return config
    if of_folder(folder) is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"precision=auto is decided by one process: type precision={SINGLE} or {MIXED_BF16}")
    decision = decide([config], folder)
    keep(decision, folder)
    return {**config, "precision": decision.precision}


def keep(decision: Decision, folder: Path) -> None:
    """Leave it in the folder, where it stays."""
    if of_folder(folder) is None:
        write_atomic(folder / FILE, json.dumps(asdict(decision), indent=1) + "\n")


def of_folder(folder: Path) -> Decision | None:
    """What was decided for a folder; None where nothing was."""
    try:
        raw = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Decision(str(raw["precision"]), str(raw["because"]))
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / FILE} is damaged: delete it, or say precision={SINGLE}") from error


def told(config: Mapping[str, Any], folder: Path) -> Decision | None:
    """The decision that gave a run its precision: its own, or that of its sweep; None where it was typed."""
    for place in (folder, folder.parent):
        with suppress(ValueError):
            found = of_folder(place)
            if found is not None and found.precision == config["precision"]:
                return found
    return None


def lacking(*, cpu: bool) -> str | None:
    """Why nothing can be gained here; None where it may be."""
    if cpu:
        return None if PROCESSOR_FLAGS & _flags() else "the processor has neither AMX nor AVX512-BF16"
    capability = torch.cuda.get_device_capability()
    if capability >= CAPABILITY:
        return None
    return f"the GPU has compute capability {'.'.join(map(str, capability))}, and bfloat16 needs 8.0"


def _flags() -> set[str]:
    """What the first processor can do, as Linux names it."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    named = [line.split(":", 1)[1] for line in lines if line.lower().startswith(("flags", "features"))]
    return set(named[0].split()) if named else set()


def measured(config: dict[str, Any]) -> float:
    """The gain of a run's model on this machine; remembered.

    Raises:
        ValueError: the run cannot be trained.
    """
    gpus, store = gpus_here(), build.tokens(config)
    specs = [
        fitted(priced({**config, "precision": precision}, store), gpus, free_memory())
        for precision in (SINGLE, MIXED_BF16)
    ]
    device = torch.device("cpu" if on_cpu(config, gpus) else "cuda")
    key, path = _key(specs[0], device), Path(config["cache_dir"]).expanduser() / FILE
    known = _read(path)
    if key not in known:
        known[key] = _gain(specs, device)
        with suppress(OSError):  # it is measured again then
            write_atomic(path, json.dumps(known, indent=1))
    return known[key]


def _gain(specs: Sequence[RunSpec], device: torch.device) -> float:
    """By steps in turns, behind one of each that is not counted."""
    from algoprog.run.stacking import Steps  # here: Lightning takes seconds to import

    with torch.random.fork_rng(devices=()):
        steps = [Steps(spec, 1, device) for spec in specs]
        rounds = [[one.alone() for one in steps] for _ in range(ROUNDS + 1)][1:]
    single, mixed = (median(column) for column in zip(*rounds, strict=True))
    return single / mixed


def _key(spec: RunSpec, device: torch.device) -> str:
    parts = [spec.config[name] for name in (*MODEL, "model", "optim")]
    where = [device_name(device), torch.get_num_threads(), torch.__version__]
    return json.dumps([*where, *parts, spec.tokens.info.vocab_size, spec.micro_batch_size], default=str)


def _read(path: Path) -> dict[str, float]:
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return {str(key): float(value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()}
    return {}

"""Fit one checked run and write down what came out."""

from __future__ import annotations

import logging
import signal
import warnings
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.utils.data import DataLoader

from algoprog import build, written
from algoprog.baseline import option
from algoprog.run import rank_agreement
from algoprog.run.beginning import decide, is_same
from algoprog.run.outcome import Outcome, record_of, surroundings
from algoprog.run.precision import told
from algoprog.run.provenance import environment
from algoprog.run.spec import RunSpec, language_model
from algoprog.runs.record import Record
from algoprog.runs.store import load_run, sweep_name, write_record
from algoprog.training.callbacks.branches import Branches
from algoprog.training.callbacks.checkpoints import Checkpoints
from algoprog.training.callbacks.curve import CurveWriter
from algoprog.training.callbacks.heartbeat import Heartbeat
from algoprog.training.callbacks.progress import Progress
from algoprog.training.clock import Clock, SharedClock
from algoprog.training.devices import hardware, parallel
from algoprog.training.devices.allocator import keep_freed_memory
from algoprog.training.interrupt import StopRequest
from algoprog.training.loggers import interface as loggers
from algoprog.training.members.module import Member, Seat
from algoprog.training.module import LanguageModel
from algoprog.training.order import RunOrder
from algoprog.training.state import checkpoint
from algoprog.training.state.checkpoint import Checkpoint, CheckpointFiles
from algoprog.training.state.lock import alone

RANK_STRIDE = 0x9E3779B1
"""Between the dropout seeds of the processes of one run, so that no two devices drop the same."""

log = logging.getLogger(__name__)


def run(spec: RunSpec, folder: Path, overrides: list[str], seat: Seat | None = None) -> Record:
    """Train, and leave config, curve and record in `folder`; go on from a checkpoint there, return a record there.

    Args:
        spec: the checked run.
        folder: where its files go.
        overrides: the command line that repeats it.
        seat: among the members that it trains together with; None for a run that trains alone.

    Raises:
        FolderTakenError: the folder holds another run, or another program is writing one there.
        SystemExit: a signal ended the run.
    """
    keep_freed_memory()
    with warnings.catch_warnings():
        _silence_lightning()
        trainer = _trainer(spec, folder)
        parallel.take_threads(trainer, spec.config["trainer"]["threads"])
        store = rank_agreement.meet(trainer)
        module = cache(partial(_module, spec, seat))
        hold = alone(folder, lambda: is_same(spec, folder)) if trainer.is_global_zero else nullcontext()
        with (
            hold,
            rank_agreement.decided(trainer, folder, store, lambda: decide(spec, folder, trainer, module)) as start,
        ):
            if start.finished:
                if trainer.is_global_zero:
                    log.info("%s is finished already: nothing is trained", folder)
                return load_run(folder).record
            spec = spec.cut(start.micro_batch_size)
            trainer.accumulate_grad_batches = spec.accumulate
            return _record(spec, folder, overrides, trainer, module(), start.resume, seat)


def _module(spec: RunSpec, seat: Seat | None) -> LanguageModel:
    """The model, in its seat."""
    if seat is None:
        return language_model(spec)
    module = language_model(spec, Member)
    assert isinstance(module, Member)
    module.sit(seat)
    return module


def _record(
    spec: RunSpec,
    folder: Path,
    overrides: list[str],
    trainer: L.Trainer,
    module: LanguageModel,
    resume: Checkpoint | None,
    seat: Seat | None,
) -> Record:
    """Train, and write the record."""
    trainer.loggers = views = _loggers(spec, folder) if trainer.is_global_zero else []
    record = None
    try:
        decision = told(spec.config, folder)
        if decision and trainer.is_global_zero:
            log.info("%s", decision)
        record = record_of(spec, _fit(spec, folder, trainer, module, resume, seat), overrides)
        if decision:
            record = replace(record, environment={**record.environment, "precision": str(decision)})
        if trainer.is_global_zero:
            write_record(folder, record)
            checkpoint.forget(folder)
    finally:  # last, so that no view can keep a finished run from being recorded
        loggers.finish(views, exit_code=0 if record else 1, record=record)
    return record


def _fit(
    spec: RunSpec,
    folder: Path,
    trainer: L.Trainer,
    module: LanguageModel,
    resume: Checkpoint | None,
    seat: Seat | None,
) -> Outcome:
    resumed = resume.resumed if resume else []
    curve = _callbacks(spec, folder, trainer, resumed, seat)
    # Dropout alone; weights and data have streams of their own. Here, so that no constructor has drawn from it.
    L.seed_everything((spec.seed + trainer.global_rank * RANK_STRIDE) % 2**32, verbose=False)
    try:
        trainer.fit(
            module,
            _train_loader(spec, trainer, resume.step if resume else 0),
            ckpt_path=resume.path if resume else None,
        )
    except SystemExit as end:
        if end.code == 1:  # how Lightning ends after Ctrl-C
            raise SystemExit(128 + signal.SIGINT) from None
        raise
    dead = parallel.common(trainer, module.gradients.look())
    members = seat.members if seat else 1
    return Outcome(curve, trainer.global_step, module.device, trainer.world_size, dead, resumed, members)


def _trainer(spec: RunSpec, folder: Path) -> L.Trainer:
    machine = spec.config["trainer"]
    return L.Trainer(
        accelerator=machine["accelerator"],
        devices=machine["devices"],
        num_nodes=machine["num_nodes"],
        strategy=parallel.strategy(machine["strategy"], spec.n_devices),
        precision=spec.config["precision"],
        max_epochs=1,
        max_steps=spec.total_steps,
        accumulate_grad_batches=spec.accumulate,
        gradient_clip_val=spec.config["gradient_clip"],
        limit_val_batches=0,
        logger=False,  # they come when it is known that there is anything to show
        default_root_dir=folder,
        plugins=[CheckpointFiles()],
        use_distributed_sampler=False,  # ours knows where to begin
        enable_checkpointing=False,  # by its rules; ours are those of Checkpoints
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _callbacks(
    spec: RunSpec, folder: Path, trainer: L.Trainer, resumed: list[dict[str, Any]], seat: Seat | None
) -> CurveWriter:
    machine, device = spec.config["trainer"], trainer.strategy.root_device
    branches = spec.branches()
    if branches and trainer.is_global_zero:
        log.info("%d annealed ends of smaller budgets add %.0f %% to the FLOPs", len(branches), _added_percent(spec))
    curve = CurveWriter(
        folder,
        _val_loader(spec, trainer),
        beyond={context: _val_loader(spec, trainer, context) for context in spec.contexts if context > 1},
        at=spec.evaluation_steps(),
        annealed_at=frozenset({spec.total_steps} if spec.anneals else ()),
        tokens_per_step=spec.tokens_per_step,
        flops_per_token=spec.flops_per_token,
        optimizer_flops=spec.optimizer_flops,
        clock=SharedClock(device) if seat else Clock(device),
    )
    peak = hardware.peak_flops(device, spec.config["precision"])
    progress = Progress(curve, total_steps=spec.total_steps, peak_flops=peak and peak * trainer.world_size)
    annealing = Branches(
        curve,
        branches,
        loader=lambda step: _train_loader(spec, trainer, step),
        accumulate=spec.accumulate,
        gradient_clip=spec.config["gradient_clip"],
    )
    heartbeat = Heartbeat(folder, curve, total_steps=spec.total_steps)
    checkpoints = Checkpoints(
        folder,
        curve.clock,
        run_id=spec.run_id,
        environment=surroundings(spec, device),
        resumed=resumed,
        seconds=machine["checkpoint_seconds"],
        steps=machine["checkpoint_steps"],
        request=seat.request if seat else StopRequest(),
    )
    # Lightning makes the attribute a list at run time without declaring it.
    trainer.callbacks.extend((curve, annealing, progress, heartbeat, checkpoints))  # type: ignore[attr-defined]
    return curve


def _added_percent(spec: RunSpec) -> float:
    return 100 * (spec.paid_steps / spec.total_steps - 1)


def _train_loader(spec: RunSpec, trainer: L.Trainer, step: int) -> DataLoader[Any]:
    """The training batches of this process from an optimizer step on."""
    windows, batch = spec.train_windows(), spec.config["batch_size"]
    order = RunOrder(
        len(windows),
        start=step * batch,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    return DataLoader(windows, batch_size=spec.config["micro_batch_size"], sampler=order)


def _val_loader(spec: RunSpec, trainer: L.Trainer, context: int = 1) -> DataLoader[Any]:
    """The validation batches of this process; the meters add up those of all.

    Shards of a model work in step, so there every process reads all windows: shares may be unequal. The longer the
    windows, the fewer are in a batch, so that no more pairs of positions are held at once than in training.
    """
    windows, parts = spec.val_windows(context), (trainer.global_rank, trainer.world_size)
    rank, world_size = (0, 1) if isinstance(trainer.strategy, ModelParallelStrategy) else parts
    order = RunOrder(len(windows), start=0, rank=rank, world_size=world_size)
    return DataLoader(windows, batch_size=max(1, spec.micro_batch_size // context**2), sampler=order)


def _loggers(spec: RunSpec, folder: Path) -> list[Logger]:
    labels = loggers.RunLabels(
        folder=folder,
        name=spec.name,
        group=sweep_name(folder.parent),
        run_id=spec.run_id,
        config=_columns(spec),
        role=spec.role,
    )
    return [build.construct(spec.config, "logger")(labels)]


def _columns(spec: RunSpec) -> dict[str, Any]:
    """What dashboards group by, and under `settings` everything else."""
    return {
        "variant": spec.variant,
        **{axis: option(spec.config[axis]) for axis in build.axes_of(spec.config)},
        "model": spec.model,
        "seed": spec.seed,
        "role": spec.role,
        "run_id": spec.run_id,
        "cohort": spec.cohort,
        **{key: environment()[key] for key in ("git_commit", "git_dirty")},
        "n_params": spec.n_params,
        "train_flops_per_token": spec.flops_per_token,
        "settings": {key: value for key, value in written.settings(spec.config).items() if key != "logger"},
    }


def _silence_lightning() -> None:
    """Hide advice that does not apply: the loader reads a memory map, and one process is what was asked for."""
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # it begins where it should
    warnings.filterwarnings("ignore", message=".*`srun` command is available on your system but is not used.*")
    warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*Experiment logs directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)

"""Short float32 runs, one for every option, whose losses are kept in losses.json."""

from __future__ import annotations

import tempfile
from pathlib import Path

from algoprog.axes import AXES, MODEL
from algoprog.run import app, fit
from algoprog.runs.store import load_run
from algoprog.variant import baseline
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN, compose, options

FILE = Path(__file__).parent / "losses.json"

BOUND = 5 * FLOATING_POINT_ORDER
"""Relative: far above what the processor decides, far below what a change of the model does (1e-3)."""

WIDER = {"final_norm=batchnorm": 5e-3, "attention=nsa": 1e-3}
"""Where rounding is seen: Adam makes full steps of gradients that are nothing but rounding. A mean that is taken off
in training, the running one not quite in evaluation, shows what such steps did to biases in front of it. Blocks of
sparse attention are chosen by weights that hardly differ at first."""

SETTINGS = (
    *TINY_RUN,
    "model.n_layers=2",
    "model.d_model=32",
    "model.n_heads=4",
    "norm=ln",  # so that a few steps are enough for attention to matter
    "budget.steps=12",
    "optim.lr=2e-2",
    "evaluation.points=null",
    "evaluation.every=4",
)

TENTH = ("schedule.warmup_steps=null", "schedule.warmup_fraction=0.1")

NORMS = {"norm": ("norm=batchnorm",), "final_norm": ("norm@final_norm=batchnorm", "optim.lr=2e-3")}
"""In front of the head, running means lag so far behind at the usual rate that evaluations explode."""

CASES = {
    "ln": (),
    **{
        f"{axis}={option}": (f"{AXES[axis].word}={option}",)
        for axis in MODEL
        for option in options(axis)
        if axis != "qk_norm" or option == "rmsnorm"  # one norm speaks for the place
        if option != ("ln" if axis == "norm" else baseline()[axis])
    },
    # At twice this rate heads normalise what is next to nothing, and roundings grow, to a tenth of the loss at worst.
    **{f"mixer={name}": (f"mixer={name}", "optim.lr=1e-2") for name in ("gated_deltanet", "hybrid", "rwkv7")},
    "mixer=hybrid, mamba2": ("mixer=hybrid", "mixer.recurrent=mamba2", "optim.lr=1e-2"),
    "softcap=tanh": ("softcap=tanh", "softcap.cap=0.002"),  # products are small in so few steps
    **{f"{axis}=batchnorm": (*words, "micro_batch_size=4") for axis, words in NORMS.items()},
    **{f"optim={name}": (f"optim={name}",) for name in options("optim") if name != "adamw"},
    # It makes full steps in every direction that a matrix has not seen yet, less those of rounding with this epsilon.
    "optim=soap": ("optim=soap", "optim.eps=1e-2", "optim.lr=4e-2"),
    "init=mup": ("init=mup", "optim.lr=5e-3"),
    "init=torch": ("init=torch", "optim.lr=2e-3"),
    "init=zero_out": ("init=zero_out", "optim.lr=1e-2"),  # at twice it roundings grow to 2e-4
    "objective=label_smoothing": ("objective=label_smoothing",),
    "objective=multi_token": ("objective=multi_token", "objective.n_future=2"),
    "objective=z_loss": ("objective=z_loss", "objective.weight=0.02"),
    "attention=sparse, strided": ("attention=sparse", "attention.pattern=strided"),
    "schedule=linear": ("schedule=linear", *TENTH),
    "schedule=wsd": ("schedule=wsd", *TENTH, "schedule.branches=1"),
    "everything": ("attention=gqa", "norm=ln", "norm@final_norm=rmsnorm", "pos=rope", "mlp=swiglu", "kernel=flash"),
}


def kept(before: list[float] | None, measured: list[float], bound: float = BOUND) -> list[float]:
    """The curve to write: the one before, unless it has moved by more than another processor moves it."""
    if before is None or len(before) != len(measured):
        return measured
    same = all(abs(new - old) <= bound * abs(old) for old, new in zip(before, measured, strict=True))
    return before if same else measured


def losses(case: str) -> list[float]:
    """Validation losses in nats after 0, 4, 8 and 12 steps."""
    schedule = () if case.startswith("schedule") else ("schedule=cosine", *TENTH)
    spec = app.prepare(compose(*SETTINGS, *schedule, *CASES[case]))
    with tempfile.TemporaryDirectory() as path:
        fit.run(spec, Path(path), [])
        return [float(loss) for loss in load_run(Path(path)).curve["val_loss"]]

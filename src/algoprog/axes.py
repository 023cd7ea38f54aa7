"""The table of axes: every algorithmic choice that gains are measured for, and what is asked about one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One choice in the model or in its training."""

    name: str  # key of the configuration and of records
    group: str  # folder of conf/ that holds its options
    owner: str  # who is built from it: model, training or data
    same_function: bool = False  # whether all its options compute the same function, as those of an A/A arm do
    always: bool = True  # whether every other option than the baseline's is a variant; else several in a sweep are

    @property
    def word(self) -> str:
        """What stands before `=OPTION` on a command line."""
        return self.name if self.name == self.group else f"{self.group}@{self.name}"


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("backbone", "backbone", "model"),
        Axis("block", "block", "model"),
        Axis("mixer", "mixer", "model"),
        Axis("attention", "attention", "model"),
        Axis("norm", "norm", "model"),
        Axis("final_norm", "norm", "model"),
        Axis("pos", "pos", "model"),
        Axis("qk_norm", "norm", "model"),
        Axis("output_gate", "output_gate", "model"),
        Axis("sinks", "sinks", "model"),
        Axis("softcap", "softcap", "model"),
        Axis("mlp", "mlp", "model"),
        Axis("skip", "skip", "model"),
        Axis("head", "head", "model"),
        Axis("kernel", "kernel", "model", same_function=True),
        Axis("init", "init", "training"),
        Axis("optim", "optim", "training"),
        Axis("objective", "objective", "training"),
        Axis("schedule", "schedule", "training", always=False),
        Axis("tokenizer", "tokenizer", "data", always=False),
        Axis("data", "data", "data", always=False),
    )
}
"""All axes by name, in the order in which they appear in a variant's name."""

MODEL = tuple(axis.name for axis in AXES.values() if axis.owner == "model")
"""The axes that a model is built from."""

DATA = tuple(axis.name for axis in AXES.values() if axis.owner == "data")
"""The axes that change what is read: a loss per token of one is none of another, bits per byte of one text are."""

SHARED = ("data.validation",)
"""Knobs that the options of an axis have in common, whichever is chosen: they are compared by none of them."""

ALWAYS = tuple(axis.name for axis in AXES.values() if axis.always)
"""The axes that are always compared: another option than the baseline's is a variant."""

SAME_FUNCTION = tuple(axis.name for axis in AXES.values() if axis.same_function)
"""Axes whose options compute the same function: variants that differ in them alone share what is chosen for them."""


def axis_of(word: str) -> str:
    """The axis that a key of the command line or of a design means: `final_norm` for `norm@final_norm`."""
    return word.rpartition("@")[2]

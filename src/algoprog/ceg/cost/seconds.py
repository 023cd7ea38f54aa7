"""Wall-clock seconds of training, evaluation excluded, on the device that trained the run."""

from algoprog.ceg.cost.interface import Cost

COST = Cost(
    rank=3,
    name="seconds",
    title="seconds",
    symbol="s",
    column="seconds",
    aliases=(
        *("train_seconds", "wall_seconds", "elapsed_seconds", "elapsed", "elapsed_time", "wall_clock"),
        *("wall_clock_seconds", "train_time", "training_time", "runtime", "_runtime"),
        *("relative_time_process", "relative_time_wall"),
    ),
    metric="train-time",
    measured=True,
)

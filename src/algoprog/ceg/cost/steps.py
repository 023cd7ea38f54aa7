"""Steps of the optimizer."""

from algoprog.ceg.cost.interface import Cost

COST = Cost(
    rank=2,
    name="steps",
    title="steps",
    symbol="st",
    column="step",
    aliases=(
        *("steps", "global_step", "train_step", "training_step", "iteration", "iterations", "iter", "iters"),
        *("n_steps", "num_steps", "update", "updates", "_step"),
    ),
    metric="train-steps",
    measured=False,
    counts_tokens=True,
)

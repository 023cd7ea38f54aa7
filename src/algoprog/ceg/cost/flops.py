"""Training FLOPs: of the model, forward and backward, and of the optimizer's matrix products."""

from algoprog.ceg.cost.interface import Cost

COST = Cost(
    rank=0,
    name="flops",
    title="training FLOPs",
    symbol="F",
    column="flops",
    aliases=("n_flops", "train_flops", "training_flops", "total_flops", "total_flos", "num_flops", "model_flops"),
    metric="train-flops",
    measured=False,
)

"""Training tokens seen, repetitions included."""

from algoprog.ceg.cost.interface import Cost

COST = Cost(
    rank=1,
    name="tokens",
    title="training tokens",
    symbol="tok",
    column="tokens",
    aliases=(
        *("n_tokens", "num_tokens", "tokens_seen", "train_tokens", "training_tokens", "total_tokens"),
        *("consumed_tokens", "tokens_processed", "num_tokens_seen", "num_input_tokens_seen"),
    ),
    metric="train-tokens",
    measured=False,
    counts_tokens=True,
)

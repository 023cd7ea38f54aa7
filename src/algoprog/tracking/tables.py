"""Tables that a sweep's summary run holds, and that the dashboard shows."""

GAINS = "gains"
"""The columns of gains.csv."""

SCALE = "ceg_by_compute"
"""One row a gain: what the baseline's training cost, and the CEG with its interval."""

SCALE_COLUMNS = ("variant", "model", "compute_flops", "ceg", "ci_low", "ci_high")

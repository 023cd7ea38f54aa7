"""The machines that train: what they are, what they have left, and how several share one run."""

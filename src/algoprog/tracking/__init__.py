"""Weights & Biases beside single rows: sessions that never stop training, the summary run, read-back, dashboard."""

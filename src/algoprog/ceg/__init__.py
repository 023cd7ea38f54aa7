"""Compute-equivalent gains from loss curves; numpy and scipy only."""

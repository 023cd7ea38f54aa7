"""Synthetic curves and ladders whose gain is known."""

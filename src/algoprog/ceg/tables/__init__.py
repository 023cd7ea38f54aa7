"""Curves in files that others wrote: tables of lines, charts of W&B, logs of speedruns."""

from algoprog.ceg.tables.read import read_table

__all__ = ["read_table"]

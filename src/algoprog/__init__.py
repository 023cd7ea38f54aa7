"""Measure the compute-equivalent gain of algorithmic changes to language models."""

from importlib.metadata import version

__version__ = version("algoprog")

"""Recurrences: what mixes positions by a state that is as large for any length, and how it is computed at once."""

"""Gains that the literature reports: data files, their recomputation, and measured gains beside them."""

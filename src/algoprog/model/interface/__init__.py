"""Contracts of the parts of a model: what an option must say of itself. Nothing has a default to forget."""

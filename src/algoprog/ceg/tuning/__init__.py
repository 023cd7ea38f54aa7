"""Tuned settings: what was tried for every variant, and where each is compared."""

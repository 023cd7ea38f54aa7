"""Sweeps that screen: rungs of models, looks at a growing number of seeds, and who goes on."""

"""Screening: which of many variants are shown to lie below a gate, by looks at a growing number of seeds."""

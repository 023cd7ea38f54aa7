"""The search phase of a sweep: every variant and model chooses its settings before it is compared."""

"""What numbers, flags and verdicts are called, wherever they are shown."""

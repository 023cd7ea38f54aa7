"""Options of `optim`."""

"""Options of the axis `norm`."""

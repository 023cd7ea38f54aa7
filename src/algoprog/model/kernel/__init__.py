"""Options of the axis `kernel`."""

"""Options of the axis `pos`."""

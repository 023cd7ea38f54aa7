"""Options of the axis `attention`."""

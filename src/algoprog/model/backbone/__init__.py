"""Options of the axis `backbone`."""

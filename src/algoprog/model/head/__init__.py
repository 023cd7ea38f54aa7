"""Options of the axis `head`: the output matrix."""

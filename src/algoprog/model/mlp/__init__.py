"""Options of the axis `mlp`."""

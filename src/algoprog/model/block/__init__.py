"""Options of the axis `block`."""

"""Options of the axis `objective`: what training minimises."""

"""Options of the axis `init`: from what distribution initial weights are drawn."""

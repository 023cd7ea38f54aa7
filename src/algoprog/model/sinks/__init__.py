"""Options of the axis `sinks`: where attention may look for nothing."""

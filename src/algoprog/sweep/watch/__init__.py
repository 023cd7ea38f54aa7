"""How a sweep is doing: status, screen, logs."""

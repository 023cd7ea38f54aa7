"""One run, from its checked specification to its record."""

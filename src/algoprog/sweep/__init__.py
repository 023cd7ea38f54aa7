"""Which runs a sweep consists of, which are done, how they are started and what follows."""

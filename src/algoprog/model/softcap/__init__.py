"""Options of the axis `softcap`: a bound of the products of queries and keys."""

"""Which curves may be compared: ends of budgets, equal protocols, and the pairs of every variant."""

"""What there is to choose from: every option of every axis, its source, what it costs and what it is said to gain."""

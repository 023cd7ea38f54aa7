"""A composable GPT: every part behind a contract, one file an option."""

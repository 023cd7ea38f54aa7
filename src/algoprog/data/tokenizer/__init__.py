"""Tokenizers: each yields a `tiktoken.Encoding`."""

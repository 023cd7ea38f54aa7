"""Corpora, tokenizers and the token windows that runs train on."""

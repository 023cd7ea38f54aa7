"""Settings that mean nothing or nobody reads, refused before anything is trained: each in one sentence."""

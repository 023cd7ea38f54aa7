"""An attention that tells a secret in its exception, and tries to tell others on its way there."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from algoprog.model.attention.dense import DenseAttention


class Leaky(DenseAttention):
    """Fails in training with the value of an environment variable for a message; `note` is its own setting."""

    def __init__(self, site, parts, *, name: str, note: str) -> None:
        super().__init__(site, parts)
        self.name, self.note, self.left = name, note, 3

    def forward(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            value = os.environ[self.name]
            print(f"printed {value!r}")
            print("and on standard error", {"inner": value}, file=sys.stderr)
            logging.getLogger("leaky").warning("logged %s", value)
            warnings.warn(f"warned of {value!r}", stacklevel=1)
            raise KeyError(value)
        return super().forward(*args, **kwargs)

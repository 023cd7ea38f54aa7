"""Which parameters ever received a gradient: decay moves what learns nothing, so movement does not tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

LOOK_EVERY = 10
"""Steps between two looks at what is still without one; each look makes a GPU wait."""


class GradientsSeen:
    """The parameters that have not received a gradient other than zero, as far as this process knows.

    Nearly all leave at the first look; only the few that stay cost anything afterwards.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.missing = list(names)
        self._flags: dict[str, Tensor] = {}  # on the device: whether one came since the last look
        self._steps = 0

    def note(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Take notice of the gradients as they are, once an optimizer step."""
        if not self.missing:
            return
        for name in self.missing:
            gradient = parameters[name].grad
            if gradient is not None:
                some = (gradient.to_local() if isinstance(gradient, DTensor) else gradient).any()
                self._flags[name] = self._flags[name] | some if name in self._flags else some
        if self._steps % LOOK_EVERY == 0:
            self.look()
        self._steps += 1

    def look(self) -> list[str]:
        """The parameters that are still without one."""
        seen = set(_names(self._flags))
        self.missing = [name for name in self.missing if name not in seen]
        self._flags.clear()
        return self.missing


def _names(flags: Mapping[str, Tensor]) -> Iterator[str]:
    """Names of the flags that are up, in one transfer."""
    if flags:
        up = torch.stack(list(flags.values())).tolist()
        yield from (name for name, is_up in zip(flags, up, strict=True) if is_up)

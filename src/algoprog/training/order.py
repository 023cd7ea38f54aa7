"""In which order, and from where on, a process reads the windows of a run."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler


class RunOrder(Sampler[int]):
    """The windows of a run one after the other, dealt out among its processes.

    Its length is that of the whole run even where it starts in the middle: Lightning counts the batches of a resumed
    run from the beginning.

    Args:
        n_windows: windows of the whole run, a multiple of `world_size`.
        start: window at which to begin.
        rank: this process.
        world_size: processes of the run.
    """

    def __init__(self, n_windows: int, *, start: int, rank: int, world_size: int) -> None:
        self.n_windows, self.start, self.rank, self.world_size = n_windows, start, rank, world_size

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start + self.rank, self.n_windows, self.world_size))

    def __len__(self) -> int:
        return self.n_windows // self.world_size

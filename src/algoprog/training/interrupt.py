"""Signals that ask a run to end: it writes a checkpoint first."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
"""From a scheduler or a launcher; Ctrl-C; from submitit before Slurm's time limit."""

log = logging.getLogger(__name__)


class StopRequest:
    """Notes a signal until the run has a checkpoint, then lets it take effect.

    A program around the run that listens to the signal (submitit requeues its job) is called then, and decides.
    """

    def __init__(self) -> None:
        self.received: list[signal.Signals] = []
        self._before = {signum: signal.getsignal(signum) for signum in SIGNALS}

    def listen(self) -> None:
        """From now on, in place of whoever listens; a signal that is ignored stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            return
        for signum, before in self._before.items():
            if before is not signal.SIG_IGN:
                signal.signal(signum, self._receive)

    def take_effect(self, step: int) -> None:
        """End the run, or call who listened before; a signal that another process of the run got counts as SIGTERM.

        Raises:
            SystemExit: with 128 plus the number of the signal, as shells count.
        """
        noted, self.received = self.received or [signal.SIGTERM], []
        for signum in noted:
            before = self._before[signum]
            if callable(before) and before is not signal.default_int_handler:
                before(signum, None)
                continue
            log.warning("stopped by %s after step %d: the same command goes on from there", signum.name, step)
            raise SystemExit(128 + signum)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT in self.received:  # whoever presses Ctrl-C twice does not want to wait
            raise SystemExit(128 + signum)
        self.received.append(signal.Signals(signum))


@contextmanager
def heeding(requests: Sequence[StopRequest]) -> Iterator[None]:
    """Let every one of several runs, whose threads hear no signals, take notice of those of this process."""

    def receive(signum: int, frame: FrameType | None) -> None:
        for request in requests:
            request._receive(signum, frame)

    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    for signum, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(signum, receive)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)

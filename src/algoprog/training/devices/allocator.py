"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's `mallopt(3)`."""


def keep_freed_memory() -> None:
    """Let this process keep what it frees for its next tensors, where the C library is glibc.

    By default glibc maps tensors of 32 MB and more anew each time and gives the end of its heap back again and again,
    so that a training step touches thousands of pages for the first time. What a process holds at its peak stays as it
    is to 2 %.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    # Before 2.35 glibc takes 32 MB at most. Where it takes neither, its own rule for both thresholds is the better one.
    if library.mallopt(M_MMAP_THRESHOLD, 2**30) or library.mallopt(M_MMAP_THRESHOLD, 2**25):
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)

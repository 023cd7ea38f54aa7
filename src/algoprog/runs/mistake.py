"""What to tell a user who asked for something that cannot be, above all a disk that refuses."""

from __future__ import annotations

import errno

from algoprog.runs.secrets import redacted

REMEDIES = {
    errno.ENOSPC: "free some space, then start again",
    errno.EDQUOT: "free some space, then start again",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
}


def sentence(error: OSError | ValueError) -> str:
    """What is wrong and what to change, without secrets; our own `ValueError`s say it themselves."""
    if isinstance(error, ValueError):
        return redacted(str(error))
    what = f"{error.filename} cannot be used" if error.filename else "the disk cannot be used"
    why = error.strerror or str(error) or type(error).__name__
    return redacted(f"{what} ({why}): {REMEDIES.get(error.errno or 0, 'choose another path')}")

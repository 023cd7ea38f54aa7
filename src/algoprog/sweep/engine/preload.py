"""What the fork server imports before it is asked for the first run, and works out once for all of them.

Nothing here may compute with torch: the threads that it would start do not survive a fork.
"""

from __future__ import annotations

import algoprog.run.app
import algoprog.run.fit  # noqa: F401 - and with it Lightning and the model
from algoprog.run.provenance import environment

environment()  # asks git and every package for its version; a forked run inherits the answer

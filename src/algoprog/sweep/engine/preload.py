"""What the fork server imports before it is asked for the first run, and works out once for all of them.

Nothing here may compute with torch: the threads that it would start do not survive a fork.
"""

from __future__ import annotations

from hydra import compose, initialize_config_dir

import algoprog.run.app
import algoprog.run.fit  # noqa: F401 - and with it Lightning and the model
from algoprog.config import conf_dir
from algoprog.run.provenance import environment

with initialize_config_dir(str(conf_dir()), version_base="1.3"):
    compose("config")  # Hydra looks through its plugins and reads its grammar for the first one
environment()  # asks git and every package for its version; a forked run inherits the answer

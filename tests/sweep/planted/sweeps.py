"""Runs several command lines of `train.py` one after the other in one process, each in a folder of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path


def main(script: str, conf: str, lines: str) -> None:
    """Train; a command line that fails ends it."""
    spec = importlib.util.spec_from_file_location("train", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for words in json.loads(Path(lines).read_text(encoding="utf-8")):
        sys.argv = [script, "-m", "--config-path", conf, *words]
        module.main()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Stands where train.py stands: goes wrong as its first word says, else leaves a record.

The second word is the number of attempts that go wrong; `hydra.run.dir='FOLDER'` comes last.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from fate import meet

kind, wrong, run_dir = sys.argv[1:]
folder = Path(run_dir.partition("=")[2].strip("'"))
os.chdir(folder)
attempts = len(list(folder.glob("began-*"))) + 1
(folder / "pid").write_text(str(os.getpid()))
(folder / "pid").rename(folder / f"began-{attempts}")
share = [os.environ[name] for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "ALGOPROG_BESIDE")]
print("attempt {} sees {} with {} beside {}".format(attempts, *share))
if attempts <= int(wrong):
    (folder / f"wrong-{os.getpid()}").touch()
    meet(kind)
(folder / "record.json").write_text("{}")

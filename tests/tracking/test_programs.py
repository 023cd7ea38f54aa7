"""Programs of the tests that are forked from one process do not clean up after each other."""

from __future__ import annotations

from pathlib import Path

from tests.warm import program

SCRIPT = """
from pathlib import Path
from wandb.sdk.data_types._private import MEDIA_TMP
print(Path(MEDIA_TMP.name).is_dir())
"""


def test_a_program_leaves_the_folders_of_the_next(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)
    assert [program(str(script)).stdout for _ in range(2)] == ["True\n"] * 2

"""Write docs/catalogue.md and docs/axes/: `make catalogue`, after an option was added or changed."""

from __future__ import annotations

from pathlib import Path

from algoprog.catalogue.axes import pages
from algoprog.catalogue.page import page, read_measured

DOCS = Path(__file__).resolve().parents[1] / "docs"
MEASURED = [DOCS / "measurements" / name for name in ("options.csv", "ten-options.csv")]


def written() -> str:
    """The page with what docs/measurements holds."""
    return page(read_measured(*MEASURED))


if __name__ == "__main__":
    (DOCS / "catalogue.md").write_text(written(), encoding="utf-8")
    (DOCS / "axes").mkdir(exist_ok=True)
    for axis, text in pages(read_measured(*MEASURED)).items():
        (DOCS / "axes" / f"{axis}.md").write_text(text, encoding="utf-8")

"""Write docs/catalogue.md: `make catalogue`, after an option was added or changed."""

from __future__ import annotations

from pathlib import Path

from algoprog.catalogue.page import page, read_measured

DOCS = Path(__file__).resolve().parents[1] / "docs"


def written() -> str:
    """The page with what docs/measurements holds."""
    return page(read_measured(DOCS / "measurements" / "options.csv"))


if __name__ == "__main__":
    (DOCS / "catalogue.md").write_text(written(), encoding="utf-8")

"""A small corpus on disk and ways to prepare it."""

import json
from itertools import islice
from pathlib import Path

import pytest

from algoprog.data.sotu import SotuCorpus


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Sixty passages of real English, all different."""
    addresses = [text for _, text in islice(SotuCorpus(validation=None).documents(0), 60)]
    return [text[:3000] for text in addresses]


@pytest.fixture(scope="session")
def jsonl(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The passages as one JSON object a line."""
    path = tmp_path_factory.mktemp("corpus") / "passages.jsonl"
    path.write_text("".join(json.dumps({"text": text, "id": n}) + "\n" for n, text in enumerate(texts)))
    return path

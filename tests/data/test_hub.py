"""The loader of hub data sets, run on folders with the files that the hub would serve."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from algoprog.data.hub import HubCorpus, joined
from algoprog.data.prepare import prepare
from algoprog.data.tokenizer.bytes import BytesTokenizer
from algoprog.data.tokens import TokenStore


def corpus_of(path: Path, **settings: Any) -> HubCorpus:
    usual: dict[str, Any] = {
        "name": None,
        "split": "train",
        "val_split": None,
        "val_fraction": 0.2,
        "text_column": "text",
        "document_start": None,
        "revision": "main",
        "streaming": False,
        "max_tokens": None,
        "validation": None,
    }
    return HubCorpus(path=str(path), **(usual | settings))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def write_folder(folder: Path, kind: str, splits: dict[str, list[str]]) -> Path:
    """A data set as the hub holds it: one file a split, with a column more than is needed."""
    import datasets

    folder.mkdir()
    for split, texts in splits.items():
        rows = datasets.Dataset.from_dict({"url": [f"u{n}" for n in range(len(texts))], "text": texts})
        if kind == "json":
            rows.to_json(folder / f"{split}.jsonl")
        elif kind == "parquet":
            rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
        else:
            rows.save_to_disk(folder / "saved")
            next((folder / "saved").glob("*.arrow")).rename(folder / f"{split}.arrow")
            for leftover in (folder / "saved").iterdir():
                leftover.unlink()
            (folder / "saved").rmdir()
    return folder


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["json", "parquet", "arrow"])
def test_every_format_gives_the_same_documents(kind: str, streaming: bool, tmp_path: Path, texts: list[str]) -> None:
    folder = write_folder(tmp_path / "set", kind, {"train": texts})
    corpus = corpus_of(folder, streaming=streaming)
    documents = list(corpus.documents(0))
    assert [text for _, text in documents] == texts
    assert 3 <= sum(split == "val" for split, _ in documents) <= 25
    assert list(corpus.documents(17)) == documents[17:]
    assert list(corpus.documents(60)) == []


def test_the_split_of_a_document_depends_on_its_text_alone(tmp_path: Path, texts: list[str]) -> None:
    ahead = corpus_of(write_folder(tmp_path / "a", "json", {"train": texts}))
    reverse = corpus_of(write_folder(tmp_path / "b", "json", {"train": texts[::-1] + texts[:5]}))
    assert set(ahead.documents(0)) == set(reverse.documents(0))


def test_an_own_validation_split_is_used(tmp_path: Path, texts: list[str]) -> None:
    folder = write_folder(tmp_path / "set", "parquet", {"train": texts[:50], "validation": texts[50:]})
    corpus = corpus_of(folder, val_split="validation", val_fraction=None)
    documents = list(corpus.documents(0))
    assert [text for split, text in documents if split == "val"] == texts[50:]
    assert [text for split, text in documents if split == "train"] == texts[:50]
    assert list(corpus.documents(5)) == documents[5:]


def test_lines_are_joined_to_articles(tmp_path: Path) -> None:
    lines = [
        "",
        " = Cat = \n",
        "",
        " A cat purrs . \n",
        " = = Food = = \n",
        " Mice . \n",
        " = Dog = \n",
        " Barks . \n",
    ]
    articles = list(joined(iter(lines * 2), r"^ = [^=]"))
    assert len(articles) == 5  # what comes before the first title is a document, too
    assert articles[1] == "".join(lines[1:6])
    folder = write_folder(tmp_path / "set", "parquet", {"train": lines * 2, "validation": lines})
    corpus = corpus_of(folder, document_start=r"^ = [^=]", val_split="validation", val_fraction=None)
    assert [text for split, text in corpus.documents(0) if split == "train"] == articles
    assert len(list(corpus.documents(4))) == len(list(corpus.documents(0))) - 4


def test_a_hub_corpus_is_prepared(tmp_path: Path, texts: list[str]) -> None:
    folder = write_folder(tmp_path / "set", "json", {"train": texts})

    def prepared(name: str, **settings: Any) -> TokenStore:
        return prepare(corpus_of(folder, **settings), BytesTokenizer(), tmp_path / name, progress=False)

    whole, streamed = prepared("whole"), prepared("streamed", streaming=True)
    limited = prepared("limited", max_tokens=5000)
    assert whole.info == streamed.info
    assert whole.info.name == "set"
    assert len(limited.train) == 5000
    assert limited.folder.name != whole.folder.name


def test_mistakes_are_one_sentence(tmp_path: Path, texts: list[str]) -> None:
    folder = write_folder(tmp_path / "set", "json", {"train": texts})
    for settings, says in (
        ({"text_column": "body"}, r"its columns are \['text', 'url'\], not 'body'"),
        ({"split": "test"}, "split test, .* cannot be read .*: correct these settings"),
        ({"name": "en"}, "name en, .* cannot be read .*: correct these settings"),
    ):
        for streaming in (False, True):
            with pytest.raises(ValueError, match=says) as caught:
                list(corpus_of(folder, streaming=streaming, **settings).documents(0))
            assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="make one of them null"):
        corpus_of(folder, val_split="validation")
    with pytest.raises(ValueError, match=r"data\.val_fraction is 1\.5"):
        corpus_of(folder, val_fraction=1.5)
    with pytest.raises(ValueError, match=r"data\.max_tokens is 0"):
        corpus_of(folder, max_tokens=0)


@pytest.mark.parametrize("path", ["Skylion007/openwebtext", "no/such/folder"])
def test_an_unreachable_hub_is_one_sentence_at_once(path: str, tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from algoprog.data.hub import HubCorpus\n"
        f"corpus = HubCorpus(path={path!r}, name=None, split='train', val_split=None, val_fraction=0.1,\n"
        "    text_column='text', document_start=None, revision='main', streaming=True,\n"
        "    max_tokens=None, validation=None)\n"
        "slept, sleep = [], time.sleep\n"
        "time.sleep = lambda seconds: (slept.append(seconds), sleep(seconds))\n"
        "try:\n    next(corpus.documents(0))\n"
        "except ValueError as error:\n    print(error)\n"
        "assert sum(slept) < 20\n"
    )
    # Nothing listens on port 9, which makes every machine one without internet.
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert done.stdout.count("\n") == 1, done.stdout
    assert ("cannot be reached" in done.stdout) == (path.count("/") == 1)
    assert "correct it" in done.stdout or "data=local" in done.stdout
    assert done.stderr == ""


def test_a_fingerprint_needs_no_hub() -> None:
    there = corpus_of(Path("owner/name"))
    assert there.fingerprint() != corpus_of(Path("owner/name"), revision="v2").fingerprint()
    assert there.fingerprint() == corpus_of(Path("owner/name"), streaming=True).fingerprint()
    assert json.dumps(there.name) == '"name"'


@pytest.mark.parametrize("script", ["set.py", "dataset.py"])
def test_code_beside_the_data_is_never_run(script: str, tmp_path: Path, texts: list[str]) -> None:
    folder = write_folder(tmp_path / "set", "json", {"train": texts})
    trace = tmp_path / "was-run"
    (folder / script).write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\n")
    try:
        read = [text for _, text in corpus_of(folder).documents(0)]
    except ValueError:
        read = texts  # refusing the folder is as good
    assert read == texts
    assert not trace.exists()


def test_a_pickle_among_the_data_is_never_opened(tmp_path: Path) -> None:
    trace = tmp_path / "was-run"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trace,)

    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"set .* cannot be read"):
        list(corpus_of(folder).documents(0))
    assert not trace.exists()
    pickle.loads((folder / "train.pkl").read_bytes())
    assert trace.exists(), "the trap itself works"

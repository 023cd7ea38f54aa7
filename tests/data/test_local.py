"""The user's own files: every kind is read, whole documents are held out, mistakes are one sentence."""

import json
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from algoprog.data.local import LocalCorpus, cut_text
from algoprog.data.prepare import prepare
from algoprog.data.tokenizer.bytes import BytesTokenizer


def corpus_of(path: Path | str, column: str = "text", val_fraction: float = 0.05) -> LocalCorpus:
    return LocalCorpus(path=str(path), text_column=column, val_fraction=val_fraction, validation=None)


def write_arrow(path: Path, table: pa.Table, *, stream: bool) -> None:
    with ipc.new_stream(path, table.schema) if stream else ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


def write_all_kinds(folder: Path, texts: list[str]) -> dict[str, Path]:
    """The same rows in every format."""
    table = pa.table({"id": list(range(len(texts))), "text": texts})
    paths = {kind: folder / f"rows_{kind}" for kind in ("jsonl", "parquet", "stream", "file")}
    paths = {kind: p.with_suffix(f".{kind}" if kind in ("jsonl", "parquet") else ".arrow") for kind, p in paths.items()}
    paths["jsonl"].write_text("".join(json.dumps({"id": n, "text": t}) + "\n\n" for n, t in enumerate(texts)))
    parquet.write_table(table, paths["parquet"], row_group_size=11)
    write_arrow(paths["stream"], table, stream=True)
    write_arrow(paths["file"], table, stream=False)
    return paths


def test_every_kind_gives_the_same_documents(tmp_path: Path, texts: list[str]) -> None:
    for path in write_all_kinds(tmp_path, texts).values():
        documents = list(corpus_of(path).documents(0))
        assert [text for _, text in documents] == texts
        assert [n for n, (split, _) in enumerate(documents) if split == "val"] == [10, 30, 50]
        assert list(corpus_of(path).documents(25)) == documents[25:]


def test_folders_and_globs_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for n in range(30):
        (tmp_path / ("deep" if n >= 20 else ".") / f"{n:02}.txt").write_text(f"document {n}")
    (tmp_path / "notes.md").write_text("not text of the corpus")
    (tmp_path / ".hidden.txt").write_text("neither")
    whole = {text for _, text in corpus_of(tmp_path).documents(0)}
    assert whole == {f"document {n}" for n in range(30)}  # enough files: each is a document
    some = [text for _, text in corpus_of(tmp_path / "0*.txt", val_fraction=0.1).documents(0)]
    assert some == [f"document {n}" for n in range(10)]
    assert {t for _, t in corpus_of(tmp_path / "**" / "*.txt").documents(0)} >= whole


def test_home_and_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").write_text("words here\n" * 400)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert corpus_of("~/mine.txt").fingerprint() == corpus_of("mine.txt").fingerprint()
    assert corpus_of("mine.txt").name == "mine"


@pytest.mark.parametrize("mark", ["\n\n", "\n", " "])
def test_a_lone_text_is_cut_where_it_pauses(mark: str) -> None:
    text = mark.join(f"paragraph-{n}" for n in range(5000))
    chunks = cut_text(text, 200)
    assert "".join(chunks) == text
    assert len(chunks) == 200
    assert all(chunk.endswith(mark) for chunk in chunks[:-1])
    assert max(map(len, chunks)) < 1.2 * len(text) / 200


def test_chunks_held_out_share_no_text(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(f"paragraph {n} of the book" for n in range(4000)))
    documents = list(corpus_of(path).documents(0))
    held_out = [n for n, (split, _) in enumerate(documents) if split == "val"]
    assert len(held_out) == 10
    assert {b - a for a, b in pairwise(held_out)} == {20}
    lines = {
        s: {line for side, t in documents if side == s for line in t.split("\n\n") if line} for s in ("train", "val")
    }
    assert not lines["train"] & lines["val"]
    assert len(lines["train"] | lines["val"]) == 4000


def test_odd_texts_survive(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    rows = ["half a pair \ud83d", "<|endoftext|>", "", "   ", None, "ok"] * 10
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    store = prepare(corpus_of(path), BytesTokenizer(), tmp_path, progress=False)
    text = bytes(t for t in store.train.tolist() if t < 256).decode()
    assert "half a pair \ufffd" in text
    assert (store.train == 256).sum() + (store.val == 256).sum() == 30  # blank texts leave nothing


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.txt", None, "does not exist .*correct data.path"),
        ("empty.txt", b"", "is empty: put text into it"),
        ("empty.jsonl", b"", "is empty: put text into it"),
        ("book.pdf", b"%PDF", "no file of a known kind: give .txt, .jsonl, .parquet, .arrow.*1 .pdf file"),
        ("latin.txt", b"caf\xe9 " * 100, "not UTF-8 text: convert it"),
        ("latin.jsonl", b'{"text": "caf\xe9"}', "line 1 of .* is not one JSON object a line .it is no UTF-8 text"),
        ("broken.jsonl", b'{"text": "a"}\n{"text": ', "line 2 of .* is not one JSON object a line"),
        (
            "nul.jsonl",
            b'{"text": "a"}\n{"text": "a\x00"}',
            "line 2 of .*invalid control character at column 12.: correct",
        ),
        (
            "deep.jsonl",
            b'{"text": "a"}\n' + b"[" * 200_000,
            "line 2 of .* one JSON object a line .RecursionError",
        ),
        ("broken.txt.gz", b"\x1f\x8bno", "cannot be unpacked"),
        ("broken.json", b'[{"text": "a"}, {]', "broken.json is not JSON"),
        ("other.json", b'[{"text": "a"}, {"body": "a"}]', "entry 2 of .* has no key 'text'"),
        ("latin.md", b"ok\n\ncaf\xe9 " * 100, "line 3 of .* is not UTF-8 text"),
        ("list.jsonl", b"[1]", "has no key 'text' but list: set data.text_column"),
        (
            "other.jsonl",
            b'{"body": "a"}',
            r"line 1 of .* has no key 'text' but \['body'\]: set data.text_column",
        ),
        ("number.jsonl", b'{"text": 3}', "has no text under 'text': set data.text_column"),
        ("broken.parquet", b"PAR1 not at all", "damaged or no .parquet file: replace it"),
        ("broken.arrow", b"ARROW1 not at all", "damaged or no .arrow file: replace it"),
        ("blank.txt", b" \n \n", "no training text: add documents"),
        ("short.jsonl", b'{"text": "a"}\n' * 5, "no validation text: add documents or change the share"),
    ],
)
def test_unusable_files_are_one_sentence(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        prepare(corpus_of(tmp_path / name), BytesTokenizer(), tmp_path / "cache", progress=False)
    assert "\n" not in str(caught.value)


def test_a_missing_column_names_the_columns(tmp_path: Path, texts: list[str]) -> None:
    for kind, path in write_all_kinds(tmp_path, texts).items():
        names = r"\['id', 'text'\]"
        with pytest.raises(ValueError, match=f"no (column|key) 'body' but {names}: set data.text_column"):
            list(corpus_of(path, column="body").documents(0))
        if kind != "jsonl":
            with pytest.raises(ValueError, match="has no text under 'id'"):
                list(corpus_of(path, column="id").documents(0))


def test_settings_out_of_range_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs data\.path"):
        corpus_of("")
    with pytest.raises(ValueError, match="holds no file of a known kind"):
        corpus_of(tmp_path)
    for fraction in (0.0, 0.6):
        with pytest.raises(ValueError, match=r"data\.val_fraction"):
            corpus_of(tmp_path, val_fraction=fraction)


def text_of(path: Path | str) -> str:
    return "".join(text for _, text in corpus_of(path).documents(0))


def test_what_is_hidden_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("seen")
    for folder in (".ipynb_checkpoints", "inner/.cache/deep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "copy.txt").write_text("hidden")
    (tmp_path / ".hidden.txt").write_text("hidden")
    assert text_of(tmp_path) == "seen"


def test_links_are_followed_once(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    (elsewhere / "inner").mkdir(parents=True)
    root.mkdir()
    (elsewhere / "inner" / "b.txt").write_text("linked")
    (root / "a.txt").write_text("own")
    (root / "again.txt").symlink_to(root / "a.txt")
    for name in ("one", "two"):
        (root / name).symlink_to(elsewhere)
    (elsewhere / "inner" / "round").symlink_to(root)
    assert text_of(root) == "ownlinked"


def test_packed_text_is_read(tmp_path: Path) -> None:
    import gzip

    import pyarrow as pa

    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("größer ".encode()))
    (tmp_path / "b.jsonl.zst").write_bytes(pa.Codec("zstd").compress(b'{"text": "packed"}\n', asbytes=True))
    assert text_of(tmp_path) == "größer packed"
    (tmp_path / "a.txt").write_text("größer ")
    with pytest.raises(ValueError, match=r"a\.txt lies beside a\.txt\.gz"):
        text_of(tmp_path)


def test_other_kinds_are_read_by_name_or_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "README.md").write_text("about it")
    (tmp_path / "rows.json").write_text('[{"text": "one"}, "two"]')
    assert text_of(tmp_path) == "text"
    assert "1 .json file and 1 .md file passed over" in capsys.readouterr().err
    assert text_of(tmp_path / "README.md") == text_of(f"{tmp_path}/*.md") == "about it"
    assert text_of(tmp_path / "rows.json") == "onetwo"

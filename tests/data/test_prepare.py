"""Prepared folders: exact, shared, resumable, and refused when damaged."""

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from algoprog.data import prepare as prepare_module
from algoprog.data import tokens as tokens_module
from algoprog.data.interface import Corpus, Tokenizer
from algoprog.data.local import LocalCorpus
from algoprog.data.prepare import prepare, token_folder
from algoprog.data.sotu import SotuCorpus
from algoprog.data.tokenizer.bpe import BpeTokenizer
from algoprog.data.tokenizer.bytes import BytesTokenizer
from algoprog.data.tokens import TokenStore

PREPARE = """
import os, signal, sys
from pathlib import Path
import algoprog.data.prepare as module
from algoprog.data.local import LocalCorpus
from algoprog.data.tokenizer.bytes import BytesTokenizer

class Killed(LocalCorpus):
    def documents(self, start):
        for number, document in enumerate(super().documents(start), start):
            if number == int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)
            yield document

module.BATCH_CHARS = 20_000
corpus = Killed(path=sys.argv[1], text_column="text", val_fraction=0.05, validation=None)
store = module.prepare(corpus, BytesTokenizer(), Path(sys.argv[2]), progress=True)
print(store.info.sha256)
"""


def corpus_of(path: Path) -> LocalCorpus:
    return LocalCorpus(path=str(path), text_column="text", val_fraction=0.05, validation=None)


def launch(jsonl: Path, cache: Path, kill_at: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", PREPARE, str(jsonl), str(cache), str(kill_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def store(jsonl: Path, tmp_path: Path) -> TokenStore:
    return prepare(corpus_of(jsonl), BytesTokenizer(), tmp_path, progress=False)


@pytest.mark.parametrize(
    "tokenizer", [BytesTokenizer(), BpeTokenizer(vocab_size=400, train_bytes=10**6, text=None)], ids=lambda t: t.name
)
def test_tokens_are_the_documents(tokenizer: Tokenizer, jsonl: Path, tmp_path: Path) -> None:
    corpus = corpus_of(jsonl)
    store = prepare(corpus, tokenizer, tmp_path, progress=False)
    encoding = tokenizer.encoding(corpus, tmp_path)
    for split, tokens in (("train", store.train), ("val", store.val)):
        wanted = [text + "<|endoftext|>" for side, text in corpus.documents(0) if side == split]
        assert encoding.decode(tokens.tolist()) == "".join(wanted)
    assert store.train.dtype == np.uint16
    assert not store.train.flags.writeable


def test_info_describes_the_tokens(store: TokenStore, jsonl: Path) -> None:
    texts = [text for side, text in corpus_of(jsonl).documents(0) if side == "val"]
    info = store.info
    assert (info.name, info.tokenizer, info.vocab_size) == ("passages", "bytes", 257)
    assert (info.train_tokens, info.val_tokens) == (len(store.train), len(store.val))
    assert info.val_bytes_per_token == sum(len(t.encode()) for t in texts) / len(store.val)
    assert len(info.sha256) == 64


def test_splits_of_sotu_are_disjoint_whole_and_spread() -> None:
    documents = list(SotuCorpus(validation=None).documents(0))
    val = [n for n, (split, _) in enumerate(documents) if split == "val"]
    assert len(documents) == 233
    assert len(val) == 12
    assert {b - a for a, b in pairwise(val)} == {20}
    texts = {side: {text for split, text in documents if split == side} for side in ("train", "val")}
    assert not texts["train"] & texts["val"]
    assert list(SotuCorpus(validation=None).documents(200)) == documents[200:]


def test_sotu_is_prepared_and_opened_again(tmp_path: Path) -> None:
    first = prepare(SotuCorpus(validation=None), BytesTokenizer(), tmp_path, progress=False)
    again = prepare(SotuCorpus(validation=None), BytesTokenizer(), tmp_path, progress=False)
    assert first.info == again.info
    assert 0.04 < first.info.val_tokens / first.info.train_tokens < 0.06


def test_the_same_content_gives_the_same_tokens_anywhere(jsonl: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / jsonl.name
    shutil.copy(jsonl, elsewhere)
    a = prepare(corpus_of(jsonl), BytesTokenizer(), tmp_path / "a", progress=False)
    b = prepare(corpus_of(elsewhere), BytesTokenizer(), tmp_path / "b", progress=False)
    assert a.info == b.info
    assert a.folder.name == b.folder.name


def test_other_settings_and_contents_give_another_folder(jsonl: Path, tmp_path: Path) -> None:
    changed = tmp_path / jsonl.name
    changed.write_text(jsonl.read_text() + '{"text": "one more"}\n')
    corpora: list[Corpus] = [
        corpus_of(jsonl),
        corpus_of(changed),
        LocalCorpus(path=str(jsonl), text_column="text", val_fraction=0.1, validation=None),
        SotuCorpus(validation=None),
    ]
    tokenizers = [BytesTokenizer()] + [
        BpeTokenizer(vocab_size=v, train_bytes=b, text=None) for v, b in ((300, 10), (301, 10), (300, 11))
    ]
    folders = {token_folder(corpus, tokenizer, tmp_path) for corpus in corpora for tokenizer in tokenizers}
    assert len(folders) == len(corpora) * len(tokenizers)


def test_processes_that_start_at_once_share_one_result(jsonl: Path, tmp_path: Path) -> None:
    cache = tmp_path / "not" / "there"
    processes = [launch(jsonl, cache) for _ in range(6)]
    outputs = [process.communicate(timeout=600) for process in processes]
    assert {process.returncode for process in processes} == {0}, outputs
    assert len({out for out, _ in outputs}) == 1
    assert {err for _, err in outputs} == {""}  # no bar without a terminal
    assert sorted(p.name for p in (cache / "tokens").iterdir() if p.is_dir()) == [
        token_folder(corpus_of(jsonl), BytesTokenizer(), tmp_path).name
    ]


def test_a_killed_call_is_taken_up(jsonl: Path, tmp_path: Path, store: TokenStore) -> None:
    killed = launch(jsonl, tmp_path / "killed", kill_at=40)
    killed.communicate(timeout=600)
    assert killed.returncode == -signal.SIGKILL
    partial = next((tmp_path / "killed" / "tokens").glob("*.partial"))
    done = json.loads((partial / "progress.json").read_text())["documents"]
    assert 0 < done <= 40
    with (partial / "train.bin").open("ab") as file:
        file.write(b"half a batch")  # written, never committed

    resumed_from: list[int] = []

    class Watched(LocalCorpus):
        def documents(self, start: int):  # type: ignore[no-untyped-def]
            resumed_from.append(start)
            return super().documents(start)

    watched = Watched(path=str(jsonl), text_column="text", val_fraction=0.05, validation=None)
    resumed = prepare(watched, BytesTokenizer(), tmp_path / "killed", progress=False)
    assert resumed_from == [done]
    assert resumed.info == store.info
    assert sorted(p.name for p in resumed.folder.iterdir()) == sorted(p.name for p in store.folder.iterdir())


def test_a_token_budget_stops_preparing(jsonl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_module, "BATCH_CHARS", 20_000)
    corpus = corpus_of(jsonl)
    corpus.max_tokens = 100_000
    limited = prepare(corpus, BytesTokenizer(), tmp_path / "limited", progress=False)
    whole = prepare(corpus_of(jsonl), BytesTokenizer(), tmp_path / "whole", progress=False)
    assert len(limited.train) == 100_000
    assert np.array_equal(limited.train, whole.train[:100_000])
    assert 0 < len(limited.val) < len(whole.val)


def flip_a_byte(folder: Path) -> None:
    tokens = np.memmap(folder / "val.bin", np.uint8, mode="r+")
    tokens[100] ^= 1
    tokens.flush()


def rewrite_meta(folder: Path, **changes: object) -> None:
    meta = json.loads((folder / "meta.json").read_text()) | changes
    (folder / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip_a_byte, "damaged val.bin"),
        (lambda folder: os.truncate(folder / "train.bin", 1000), "truncated or foreign train.bin"),
        (lambda folder: os.truncate(folder / "val.bin", 0), "truncated or foreign val.bin"),
        (lambda folder: (folder / "train.bin").unlink(), "has no train.bin"),
        (lambda folder: (folder / "meta.json").unlink(), "no readable meta.json"),
        (lambda folder: os.truncate(folder / "meta.json", 50), "no readable meta.json"),
        (lambda folder: (folder / "meta.json").write_text("[]"), "no readable meta.json"),
        (lambda folder: rewrite_meta(folder, train_tokens="3"), "damaged meta.json"),
        (lambda folder: rewrite_meta(folder, dtype="float16"), "damaged meta.json"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_sentence(store, jsonl, tmp_path, damage, says) -> None:
    damage(store.folder)
    with pytest.raises(ValueError, match=f"{says}: delete that folder, and `algoprog data prepare`") as caught:
        prepare(corpus_of(jsonl), BytesTokenizer(), tmp_path, progress=False)
    assert str(store.folder) in str(caught.value)
    shutil.rmtree(store.folder)
    assert prepare(corpus_of(jsonl), BytesTokenizer(), tmp_path, progress=False).info == store.info


def test_a_cache_that_cannot_be_written_is_one_sentence(jsonl: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="choose another cache_dir"):
        prepare(corpus_of(jsonl), BytesTokenizer(), tmp_path / "file", progress=False)


def test_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, algoprog.data.prepare, algoprog.data.hub, algoprog.data.local, algoprog.data.sotu\n"
        "import algoprog.data.tokenizer.bpe, algoprog.data.tokenizer.gpt2, algoprog.data.tokenizer.bytes\n"
        "print({'torch', 'datasets', 'tokenizers', 'tiktoken', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_big_file_is_hashed_again_when_it_changed(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "ALWAYS_HASHED_BYTES", 0)
    rewrite_meta(store.folder, train_sha256="0" * 64)  # goes unnoticed only if nothing is hashed
    assert TokenStore(store.folder).meta.train_sha256 == "0" * 64
    os.utime(store.folder / "train.bin")
    with pytest.raises(ValueError, match=r"damaged train\.bin"):
        TokenStore(store.folder)


ODD_TEXTS = [
    "漢字かな交じり文",
    "🏳️‍🌈👩‍👩‍👧‍👦",
    "a\x00b\x00\x00",
    "\ufeffvalue\ufffd",
    "half a pair \ud83d",
    "é\u0301\u200b",
    "<|endoftext|>",
]


@pytest.mark.parametrize("tokenizer", [BytesTokenizer(), BpeTokenizer(vocab_size=300, train_bytes=100_000, text=None)])
def test_every_byte_of_a_text_counts_once(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Also where tokens split a character, which no decoded token shows."""
    path = tmp_path / "odd.jsonl"
    path.write_text("".join(json.dumps({"text": f"{text} {n}"}) + "\n" for n in range(40) for text in ODD_TEXTS))
    store = prepare(corpus_of(path), tokenizer, tmp_path / "cache", progress=False)
    documents = list(corpus_of(path).documents(0))
    lengths = store.token_bytes
    assert lengths is not None
    assert lengths[store.meta.vocab_size - 1] == 0
    for split, tokens in (("train", store.train), ("val", store.val)):
        assert lengths[tokens].sum() == sum(len(text.encode()) for side, text in documents if side == split)
    assert store.info.val_bytes_per_token == lengths[store.val].sum() / len(store.val)


def test_folders_of_former_times_get_their_lengths(store: TokenStore, jsonl: Path, tmp_path: Path) -> None:
    (store.folder / "token_bytes.npy").unlink()
    assert store.token_bytes is None
    again = prepare(corpus_of(jsonl), BytesTokenizer(), tmp_path, progress=False)
    assert again.token_bytes is not None
    assert again.token_bytes.tolist() == [1] * 256 + [0]

"""One validation text for all tokenizers and corpora: every byte once, and none of it trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiktoken
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algoprog.data.interface import Corpus, Tokenizer, digest
from algoprog.data.local import LocalCorpus
from algoprog.data.overlap import share_seen
from algoprog.data.prepare import prepare
from algoprog.data.sotu import SotuCorpus
from algoprog.data.tokenizer.bpe import BpeTokenizer
from algoprog.data.tokenizer.bytes import BytesTokenizer
from algoprog.data.tokens import TokenStore
from algoprog.data.windows import IGNORED, DocumentWindows, spread

ODD = [
    "漢字かな交じり文。" * 40,
    "🙂🏽👩‍👩‍👧 flags 🇯🇵 " * 30,
    "\x00nul\x00" * 20,
    "half \ud800 pair " * 9,
    "é" * 301,
    "a",
    "  b\n",
]


class Whole(Tokenizer):
    """Whole words of up to six letters are tokens, as far as there is room: another cut of every text."""

    name = "whole"

    def fingerprint(self) -> str:
        return digest("whole")

    def encoding(self, corpus: Corpus, cache_dir: Path) -> tiktoken.Encoding:
        ranks = {bytes([n]): n for n in range(256)} | {pair: 256 + n for n, pair in enumerate(PAIRS)}
        ends = {"<|endoftext|>": 256 + len(PAIRS)}
        return tiktoken.Encoding("whole", pat_str=r"[\s\S]{1,32}", mergeable_ranks=ranks, special_tokens=ends)


PAIRS = [bytes(pair) for pair in (b"th", b"he", b"\xe6\xbc", b"\xf0\x9f", b"of", b"an")]

TOKENIZERS: list[Tokenizer] = [BytesTokenizer(), Whole(), BpeTokenizer(vocab_size=300, train_bytes=10**5, text=None)]


def write(path: Path, documents: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    return path


def local(path: Path, validation: Path | None = None) -> LocalCorpus:
    own = None if validation is None else str(validation)
    return LocalCorpus(path=str(path), text_column="text", val_fraction=0.05, validation=own)


def scored(windows: DocumentWindows, store: TokenStore) -> tuple[int, int, list[int]]:
    """Bytes and number of the targets that count, and the targets themselves."""
    assert store.token_bytes is not None
    targets = torch.cat([target for _, target in windows])  # type: ignore[attr-defined]
    kept = targets[targets != IGNORED].numpy()
    return int(store.token_bytes[kept].sum()), len(kept), kept.tolist()


def windows_of(store: TokenStore, seq_len: int, max_bytes: int) -> DocumentWindows:
    assert store.token_bytes is not None
    return DocumentWindows(store.val, store.token_bytes, seq_len, max_bytes)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.name)
def test_every_byte_of_the_text_is_a_target_once(tokenizer: Tokenizer, jsonl: Path, tmp_path: Path) -> None:
    corpus = local(jsonl, write(tmp_path / "odd.jsonl", ODD))
    store = prepare(corpus, tokenizer, tmp_path, progress=False)
    length = sum(len(text.replace("\ud800", "\ufffd").encode()) for text in ODD)
    for seq_len in (1, 7, 64, 100_000):
        windows = windows_of(store, seq_len, 10**9)
        n_bytes, n_tokens, targets = scored(windows, store)
        assert n_bytes == windows.n_bytes == length
        assert targets == np.asarray(store.val).tolist()  # the end of each document among them, as 0 bytes
        assert n_tokens == len(store.val)
        inputs, first = windows[0]
        assert inputs[0] == store.val[-1]  # an end of text before the first
        assert inputs[1:].equal(first[:-1].where(first[:-1] != IGNORED, inputs[1:]))
    assert store.meta.val_tokens == len(store.val)


def test_a_part_of_the_text_is_the_same_under_every_tokenizer(texts: list[str], tmp_path: Path) -> None:
    validation = write(tmp_path / "validation.jsonl", [text[: 50 + 31 * n] for n, text in enumerate(texts)])
    corpus = local(write(tmp_path / "train.jsonl", ODD * 30), validation)
    stores = [prepare(corpus, tokenizer, tmp_path, progress=False) for tokenizer in TOKENIZERS]
    parts = []
    for tokenizer, store in zip(TOKENIZERS, stores, strict=True):
        windows = windows_of(store, 33, 9_000)
        n_bytes, _, targets = scored(windows, store)
        assert n_bytes == windows.n_bytes <= 9_000
        encoding = tokenizer.encoding(local(tmp_path / "train.jsonl"), tmp_path)
        parts.append(b"|".join(encoding.decode_bytes([t]) if store.token_bytes[t] else b"\n" for t in targets))  # type: ignore[index]
    assert len({part.replace(b"|", b"") for part in parts}) == 1
    assert len(set(parts)) == len(parts)
    assert len({store.info.val_text_sha256 for store in stores}) == 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(0, 2000))
@settings(max_examples=60)
def test_documents_fill_the_limit_and_lie_everywhere(lengths: list[int], limit: int) -> None:
    array = np.array(lengths)
    chosen = spread(array, limit)
    assert chosen == sorted(set(chosen))
    left = limit - int(array[chosen].sum())
    assert left >= 0
    assert all(lengths[n] > left for n in range(len(lengths)) if n not in chosen)
    if len(chosen) > 20 and limit >= sum(lengths) / 2:
        assert max(np.diff(chosen)) <= len(lengths) / 2


def test_a_limit_below_every_document_leaves_the_shortest(tmp_path: Path) -> None:
    texts = ["some words " * n for n in (40, 30, 50)] * 14
    store = prepare(local(write(tmp_path / "a.jsonl", texts)), BytesTokenizer(), tmp_path, progress=False)
    assert windows_of(store, 16, 7).n_bytes in (330, 440, 550)
    assert windows_of(store, 16, 7).n_bytes == min(map(len, np.split(store.val, np.flatnonzero(store.val == 256)[:-1])))


def test_the_training_split_does_not_change_with_the_text_validated_on(
    jsonl: Path, texts: list[str], tmp_path: Path
) -> None:
    other = write(tmp_path / "other.jsonl", ODD)
    own, common = (
        prepare(corpus, BytesTokenizer(), tmp_path, progress=False) for corpus in (local(jsonl), local(jsonl, other))
    )
    assert np.array_equal(own.train, common.train)
    assert own.info.sha256 != common.info.sha256
    assert common.validation is not None
    assert common.validation.seen == 0.0
    assert own.validation is not None
    assert own.validation.seen is None


def test_a_long_text_is_cut_so_that_a_part_is_spread_over_it(jsonl: Path, tmp_path: Path) -> None:
    text = "".join(f"Line number {n} says nothing of line {n * 7}.\n" for n in range(4000))
    (tmp_path / "long.txt").write_text(text)
    store = prepare(local(jsonl, tmp_path / "long.txt"), BytesTokenizer(), tmp_path, progress=False)
    windows = windows_of(store, 64, 50_000)
    assert 30_000 < windows.n_bytes <= 50_000
    assert windows_of(store, 64, 10**9).n_bytes == len(text)


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda texts: texts, True),
        (lambda texts: ["\r\n\r\n ".join(text.split()) for text in texts], True),  # other white space
        (lambda texts: ["before it. " + texts[0] + " after it."], False),  # one of sixty
        (lambda texts: [text[:40] for text in texts], False),  # a common beginning of each
        (lambda texts: [text[:300] for text in texts], True),
    ],
)
def test_a_text_that_is_trained_on_is_refused(change, refused: bool, texts: list[str], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    others = [text for split, text in SotuCorpus(validation=None).documents(120) if split == "train"][:20]
    train = write(tmp_path / "train.jsonl", [text[:20_000] for text in others] + change(texts) * 2)
    corpus = local(train, write(tmp_path / "validation.jsonl", texts))
    for _ in range(2):  # the second time from what is remembered
        if refused:
            with pytest.raises(ValueError, match=r"\d+% of data\.validation=.* stands in the training text of train"):
                prepare(corpus, BytesTokenizer(), tmp_path, progress=False)
        else:
            prepare(corpus, BytesTokenizer(), tmp_path, progress=False)
    (remembered,) = tmp_path.glob("tokens/*/validation.json")
    assert (json.loads(remembered.read_text())["seen"] > 0.05) == refused


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=8), st.integers(0, 7))
@settings(max_examples=40)
def test_the_share_is_that_of_all_passages(texts: list[str], at: int) -> None:
    own = [text.encode("utf-8", "replace") for text in texts]
    other = own[at % len(own)]
    plain = [b" ".join(text.split()) for text in own]
    passages = [{text.ljust(64, b"\0")[i : i + 64] for i in range(max(1, len(text) - 63))} for text in plain if text]
    every = set().union(*passages)
    known = b" ".join(other.split())
    there = {known.ljust(64, b"\0")[i : i + 64] for i in range(max(1, len(known) - 63))} if known else set()
    assert share_seen(own, [b"x" * 70, other, b"y"]) == pytest.approx(len(every & there) / max(1, len(every)))


def test_tokens_of_a_text_of_its_own_are_those_of_every_corpus(jsonl: Path, texts: list[str], tmp_path: Path) -> None:
    learn = write(tmp_path / "learn.jsonl", texts[:20])
    tokenizer = BpeTokenizer(vocab_size=400, train_bytes=10**6, text=str(learn))
    one = tokenizer.encoding(local(jsonl), tmp_path / "a")
    other = tokenizer.encoding(local(write(tmp_path / "odd.jsonl", ODD)), tmp_path / "b")
    assert one.token_byte_values() == other.token_byte_values()
    own = BpeTokenizer(vocab_size=400, train_bytes=10**6, text=None)
    assert own.encoding(local(jsonl), tmp_path / "c").token_byte_values() != one.token_byte_values()
    assert not tokenizer.of_the_corpus
    assert own.of_the_corpus
    assert tokenizer.fingerprint() != own.fingerprint()


def test_a_folder_of_former_times_learns_what_it_is_validated_on(jsonl: Path, tmp_path: Path) -> None:
    store = prepare(local(jsonl), BytesTokenizer(), tmp_path, progress=False)
    (store.folder / "validation.json").unlink()
    assert TokenStore(store.folder).info.val_text_sha256 is None
    again = prepare(local(jsonl), BytesTokenizer(), tmp_path, progress=False)
    assert again.info == store.info
    assert again.info.val_text_sha256 is not None

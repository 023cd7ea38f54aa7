"""Corpus x tokenizer -> a folder of token files, made once and shared by every run.

`train.bin` and `val.bin` hold unsigned integers, each document followed by `<|endoftext|>`; `meta.json`
describes them. The folder's name is keyed by its content, and it appears by a rename: complete or not at all.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from algoprog.data import validation
from algoprog.data.interface import END_OF_TEXT, Corpus, Document, Split, Tokenizer, digest
from algoprog.data.tokens import FILES, LENGTHS_FILE, META_FILE, Meta, TokenStore, file_sha256, token_dtype
from algoprog.runs.store import write_atomic

if TYPE_CHECKING:
    import tiktoken

FORMAT_VERSION = 1
PROGRESS_FILE = "progress.json"
BATCH_CHARS, BATCH_DOCUMENTS = 2**23, 2**15
"""What is encoded between two commits: an interruption costs at most this much work."""


@dataclass
class Prepared:
    """How far an unfinished folder has come; whatever its files hold beyond is discarded."""

    documents: int = 0
    train_tokens: int = 0
    val_tokens: int = 0
    val_bytes: int = 0  # UTF-8 bytes of the validation texts


def prepare(corpus: Corpus, tokenizer: Tokenizer, cache_dir: Path, *, progress: bool) -> TokenStore:
    """The tokens of `corpus`, prepared below `cache_dir` unless they are there already.

    Several processes may call it at once: one works, the others wait and use the result. An interrupted call
    is taken up where its last finished batch ended. `progress` shows a bar, silent without a terminal.

    Raises:
        ValueError: the corpus, the tokenizer's files or the prepared folder are unusable, or a validation text of its
            own stands in what is trained on, with the remedy.
    """
    corpus = validation.with_validation(corpus)
    folder = token_folder(corpus, tokenizer, cache_dir)
    if not folder.exists():
        _make_writable(folder.parent)
        with FileLock(f"{folder}.lock"):  # the kernel frees it when its holder is killed
            if not folder.exists():
                _build(corpus, tokenizer, cache_dir, folder, progress=progress)
    store = TokenStore(folder)
    if store.token_bytes is None or store.validation is None:
        with suppress(OSError, ValueError):  # a cache of former times that cannot be written, or ranks that are away
            _describe(corpus, tokenizer.encoding(validation.learned_from(corpus), _path(cache_dir)), store)
    if store.validation is not None:
        validation.refuse_seen(store.validation, store.meta.corpus, corpus.validation)
    return store


def _path(cache_dir: Path) -> Path:
    return Path(cache_dir).expanduser()


def _describe(corpus: Corpus, encoding: tiktoken.Encoding, store: TokenStore) -> None:
    """Write what follows from the tokens beside them: how long each is, and what is validated on."""
    _write_lengths(encoding, store.folder)
    words = token_words(encoding)
    validation.describe(store.folder, (store.train, store.val), words, own=corpus.validation is None)


def token_lengths(encoding: tiktoken.Encoding) -> NDArray[np.int64]:
    """Bytes of text that each token stands for, from its own bytes: tokens may split a character.

    Their sum over the tokens of a text is the length of the text; its end counts 0.
    """
    return np.array([len(word) for word in token_words(encoding)], np.int64)


def token_words(encoding: tiktoken.Encoding) -> list[bytes]:
    """The bytes of every token, none for the end of a text and for numbers that no token has."""
    words = [b""] * encoding.n_vocab
    for token in range(encoding.n_vocab):
        with suppress(KeyError):
            words[token] = encoding.decode_single_token_bytes(token)
    words[encoding.encode_single_token(END_OF_TEXT)] = b""
    return words


def _write_lengths(encoding: tiktoken.Encoding, folder: Path) -> None:
    """Rename the file into place: several processes may write it at once."""
    content = io.BytesIO()
    np.save(content, token_lengths(encoding))
    write_atomic(folder / LENGTHS_FILE, content.getvalue())


def token_folder(corpus: Corpus, tokenizer: Tokenizer, cache_dir: Path) -> Path:
    """Where the tokens of `corpus` lie once they are prepared, with the validation text that it names."""
    corpus = validation.with_validation(corpus)
    key = digest(FORMAT_VERSION, corpus.fingerprint(), tokenizer.fingerprint())[:12]
    name = re.sub(r"[^\w.-]+", "-", f"{corpus.name}-{tokenizer.name}-{key}")
    return _path(cache_dir) / "tokens" / name


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder} cannot be made ({error.strerror}): choose another cache_dir") from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{folder} cannot be written: choose another cache_dir")


def _build(corpus: Corpus, tokenizer: Tokenizer, cache_dir: Path, folder: Path, *, progress: bool) -> None:
    """Tokenize into `FOLDER.partial` and rename it to `folder`."""
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(exist_ok=True)
    encoding = tokenizer.encoding(validation.learned_from(corpus), _path(cache_dir))
    dtype = token_dtype(encoding.n_vocab)
    done = _tokenize(corpus, encoding, partial, dtype, progress=progress)
    for split, n_tokens in (("training", done.train_tokens), ("validation", done.val_tokens)):
        if not n_tokens:
            raise ValueError(f"{corpus.name} has no {split} text: add documents or change the share held out")
    meta = Meta(
        corpus=corpus.name,
        tokenizer=tokenizer.name,
        vocab_size=encoding.n_vocab,
        dtype=dtype.name,
        train_tokens=done.train_tokens,
        val_tokens=done.val_tokens,
        val_bytes_per_token=done.val_bytes / done.val_tokens,
        train_sha256=file_sha256(partial / FILES["train"]),
        val_sha256=file_sha256(partial / FILES["val"]),
    )
    write_atomic(partial / META_FILE, json.dumps(asdict(meta), indent=2) + "\n")
    _describe(corpus, encoding, TokenStore(partial))
    partial.rename(folder)
    (folder / PROGRESS_FILE).unlink()


def _tokenize(
    corpus: Corpus,
    encoding: tiktoken.Encoding,
    folder: Path,
    dtype: np.dtype[np.unsignedinteger],
    *,
    progress: bool,
) -> Prepared:
    """Append the tokens of every batch that is not in `folder` yet, committing after each."""
    done = _resume(folder, dtype)
    encode, lengths = _encoder(encoding, dtype), token_lengths(encoding)
    batches = _batches(corpus.documents(done.documents))
    with ExitStack() as stack:
        files = {split: stack.enter_context((folder / name).open("ab")) for split, name in FILES.items()}
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))  # tiktoken releases the GIL
        bar = stack.enter_context(
            tqdm(
                desc=f"tokenizing {corpus.name}",
                total=corpus.max_tokens,
                initial=done.train_tokens,
                unit=" tokens",
                unit_scale=True,
                disable=None if progress else True,  # None: silent where standard error is no terminal
            )
        )
        while corpus.max_tokens is None or done.train_tokens < corpus.max_tokens:
            if not (batch := next(batches, None)):
                break
            before = done.train_tokens
            _append(batch, list(pool.map(encode, [text for _, text in batch])), files, done, lengths)
            done.train_tokens = min(done.train_tokens, corpus.max_tokens or done.train_tokens)
            _commit(folder, done)
            bar.update(done.train_tokens - before)
    _resume(folder, dtype)  # cuts what the last batch had beyond max_tokens
    return done


def _append(
    batch: list[Document],
    tokens: list[NDArray[np.unsignedinteger]],
    files: Mapping[Split, IO[bytes]],
    done: Prepared,
    lengths: NDArray[np.int64],
) -> None:
    """Write one batch through to the disk and count it."""
    for (split, _), ids in zip(batch, tokens, strict=True):
        files[split].write(ids.tobytes())
        if split == "train":
            done.train_tokens += len(ids)
        elif len(ids):  # a blank text leaves nothing
            done.val_tokens += len(ids)
            done.val_bytes += int(lengths[ids].sum())
    done.documents += len(batch)
    for file in files.values():
        file.flush()
        os.fsync(file.fileno())


def _commit(folder: Path, done: Prepared) -> None:
    """From now on an interruption comes back to this point."""
    write_atomic(folder / PROGRESS_FILE, json.dumps(asdict(done)) + "\n")


def _resume(folder: Path, dtype: np.dtype[np.unsignedinteger]) -> Prepared:
    """The last commit, with the files cut back to it."""
    path = folder / PROGRESS_FILE
    done = Prepared(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Prepared()
    for name, n_tokens in ((FILES["train"], done.train_tokens), (FILES["val"], done.val_tokens)):
        with (folder / name).open("ab") as file:
            if file.tell() < n_tokens * dtype.itemsize:
                raise ValueError(f"{folder} has lost tokens: delete that folder and run again")
            file.truncate(n_tokens * dtype.itemsize)
    return done


def _encoder(
    encoding: tiktoken.Encoding, dtype: np.dtype[np.unsignedinteger]
) -> Callable[[str], NDArray[np.unsignedinteger]]:
    """A function from one text to its tokens and the end-of-text token; nothing for a blank text."""
    end = np.array([encoding.encode_single_token(END_OF_TEXT)], dtype)

    def encode(text: str) -> NDArray[np.unsignedinteger]:
        if not text.strip():
            return end[:0]
        ids = encoding.encode_to_numpy(text, disallowed_special=())
        return np.concatenate([ids.astype(dtype), end])

    return encode


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Cut the stream into batches whose limits depend on the documents alone."""
    while True:
        batch: list[Document] = []
        size = 0
        for document in islice(documents, BATCH_DOCUMENTS):
            batch.append(document)
            size += len(document[1])
            if size >= BATCH_CHARS:
                break
        if not batch:
            return
        yield batch

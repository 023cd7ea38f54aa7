"""Every tokenizer is a reversible `tiktoken.Encoding`, and the learned one is what it was learned to be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Model
from tokenizers import decoders, models, pre_tokenizers

from algoprog.data.interface import END_OF_TEXT, Tokenizer, padded_vocab_size
from algoprog.data.local import LocalCorpus
from algoprog.data.sotu import SotuCorpus
from algoprog.data.tokenizer.bpe import BpeTokenizer, _byte_symbols, learn_merges
from algoprog.data.tokenizer.bytes import BytesTokenizer
from algoprog.data.tokenizer.gpt2 import Gpt2Tokenizer

RANKS = Path(__file__).parents[3] / "shared" / "data" / "tiktoken"
TEXTS = [
    "We the people, in 1789: don't stop -- naïve façade… 你好 🙂 \U0001f468‍\U0001f469‍\U0001f467",
    " leading,  double   triple\n\n\ttabs\r\nand trailing  ",
    "<|endoftext|> is text here",
    "a" * 5000 + " " * 5000 + "=-" * 3000,
    "\x00\x01\x7f\x85\xa0",
]


@pytest.fixture
def corpus(jsonl: Path) -> LocalCorpus:
    return LocalCorpus(path=str(jsonl), text_column="text", val_fraction=0.05, validation=None)


def small_bpe() -> BpeTokenizer:
    return BpeTokenizer(vocab_size=512, train_bytes=1_000_000, text=None)


@pytest.mark.parametrize("tokenizer", [BytesTokenizer(), small_bpe()], ids=lambda t: t.name)
def test_round_trip(tokenizer: Tokenizer, corpus: LocalCorpus, tmp_path: Path, texts: list[str]) -> None:
    encoding = tokenizer.encoding(corpus, tmp_path)
    assert encoding.encode_single_token(END_OF_TEXT) == encoding.n_vocab - 1
    for text in [*TEXTS, *texts]:
        ids = encoding.encode_ordinary(text)
        assert encoding.decode(ids) == text
        assert max(ids, default=0) < encoding.n_vocab - 1


def test_bytes_are_the_bytes(corpus: LocalCorpus, tmp_path: Path) -> None:
    encoding = BytesTokenizer().encoding(corpus, tmp_path)
    assert encoding.n_vocab == 257
    for text in TEXTS:
        assert encoding.encode_ordinary(text) == list(text.encode())


def test_gpt2_is_gpt2(corpus: LocalCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if RANKS.is_dir():
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(RANKS))
    elif "TIKTOKEN_CACHE_DIR" not in os.environ:
        pytest.skip("needs the ranks of gpt2 in TIKTOKEN_CACHE_DIR")
    encoding = Gpt2Tokenizer().encoding(corpus, tmp_path)
    assert encoding.encode_ordinary("hello world") == [31373, 995]
    assert encoding.n_vocab == 50257
    assert all(encoding.decode(encoding.encode_ordinary(text)) == text for text in TEXTS)


def test_gpt2_without_ranks_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from algoprog.data.sotu import SotuCorpus\n"
        "from algoprog.data.tokenizer.gpt2 import Gpt2Tokenizer\n"
        "try:\n    Gpt2Tokenizer().encoding(SotuCorpus(validation=None), Path())\n"
        "except ValueError as error:\n    print(error)\n"
    )
    # No proxy listens on port 9, which makes every machine one without internet.
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "no_proxy": ""}
    environment = {**os.environ, **nowhere, "TIKTOKEN_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    assert "TIKTOKEN_CACHE_DIR" in done.stdout
    assert "tokenizer=bpe" in done.stdout
    assert done.stdout.count("\n") == 1


def test_bpe_equals_the_library_it_was_learned_with(texts: list[str], corpus: LocalCorpus, tmp_path: Path) -> None:
    """Tiktoken's merges by rank give the tokens that the trained model itself gives."""
    train = [text for split, text in corpus.documents(0) if split == "train"]
    merges = learn_merges(iter(train), 512 - 257)
    symbols = _byte_symbols()
    written = [tuple("".join(symbols[b] for b in part) for part in merge) for merge in merges]
    tokens = [symbols[n] for n in range(256)] + ["".join(merge) for merge in written]
    model = Model(models.BPE({token: n for n, token in enumerate(tokens)}, written))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    model.decoder = decoders.ByteLevel()

    encoding = small_bpe().encoding(corpus, tmp_path)
    assert encoding.n_vocab == 512
    addresses = [text for _, text in SotuCorpus(validation=None).documents(0)][::25]
    for text in [*TEXTS, *texts, *addresses]:
        assert encoding.encode_ordinary(text) == model.encode(text).ids


def test_bpe_learns_the_same_in_every_process(corpus: LocalCorpus, jsonl: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from algoprog.data.local import LocalCorpus\n"
        "from algoprog.data.tokenizer.bpe import BpeTokenizer\n"
        f"corpus = LocalCorpus(path={str(jsonl)!r}, text_column='text', val_fraction=0.05, validation=None)\n"
        "tokenizer = BpeTokenizer(vocab_size=512, train_bytes=1_000_000, text=None)\n"
        f"tokenizer.encoding(corpus, Path({str(tmp_path / 'b')!r}))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "RAYON_NUM_THREADS": "1"})
    small_bpe().encoding(corpus, tmp_path / "a")
    first, second = (next((tmp_path / side / "bpe").glob("*.json")) for side in "ab")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_bpe_sees_the_training_split_only(tmp_path: Path) -> None:
    documents = ["plain words " * 50] * 40
    documents[10] = documents[30] = "zqzqzq " * 500  # documents 10 and 30 are held out
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join('{"text": "' + text + '"}\n' for text in documents))
    corpus = LocalCorpus(path=str(path), text_column="text", val_fraction=0.05, validation=None)
    encoding = BpeTokenizer(vocab_size=262, train_bytes=10**6, text=None).encoding(corpus, tmp_path)
    assert not any(b"z" in token for token in encoding.token_byte_values() if len(token) > 1)


def test_bpe_refuses_what_cannot_work(tmp_path: Path, corpus: LocalCorpus) -> None:
    with pytest.raises(ValueError, match="tokenizer=bytes"):
        BpeTokenizer(vocab_size=257, train_bytes=1, text=None)
    with pytest.raises(ValueError, match=r"lower tokenizer\.vocab_size from 50000"):
        BpeTokenizer(vocab_size=50000, train_bytes=10_000, text=None).encoding(corpus, tmp_path)


def test_damaged_merges_are_one_sentence(corpus: LocalCorpus, tmp_path: Path) -> None:
    small_bpe().encoding(corpus, tmp_path)
    path = next((tmp_path / "bpe").glob("*.json"))
    for content in ("[", '["00"]', "{}", "[1]", path.read_text()[: -len('"0000"]\n') - 20]):
        path.write_text(content)
        with pytest.raises(ValueError, match="delete it"):
            small_bpe().encoding(corpus, tmp_path)


@pytest.mark.parametrize(("n_vocab", "rows"), [(50257, 50304), (1024, 1024), (257, 320), (1, 64)])
def test_padded_vocab_size(n_vocab: int, rows: int) -> None:
    assert padded_vocab_size(n_vocab) == rows

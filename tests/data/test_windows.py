"""Which tokens a sample holds is a pure function of (seed, index)."""

import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algoprog.data.windows import TrainWindows, ValidationWindows, permuted


def tokens(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.uint32)


@given(n=st.integers(1, 3000), key=st.integers(0, 2**64 - 1))
def test_permuted_is_a_permutation(n: int, key: int) -> None:
    assert sorted(permuted(rank, n, key) for rank in range(n)) == list(range(n))


def test_permutation_looks_random() -> None:
    n = 10_000
    images = np.array([permuted(rank, n, 7) for rank in range(n)])
    ranks = np.arange(n)
    assert abs(np.corrcoef(ranks, images)[0, 1]) < 0.05
    assert abs(np.corrcoef(images[:-1], images[1:])[0, 1]) < 0.05
    assert np.mean(np.abs(np.diff(images)) == 1) < 0.001
    assert not np.array_equal(images, [permuted(rank, n, 8) for rank in range(n)])


def test_small_permutations_are_uniform() -> None:
    counts = np.zeros((5, 5))
    for key in range(5000):
        for rank in range(5):
            counts[rank, permuted(rank, 5, key * 0x9E3779B97F4A7C15)] += 1
    assert np.all(np.abs(counts - 1000) < 150)


def test_an_item_is_a_window_and_its_shift() -> None:
    x, y = TrainWindows(tokens(1000), 16, seed=0, n_windows=5)[3]
    assert x.dtype == y.dtype == torch.int64
    assert x.shape == y.shape == (16,)
    assert torch.equal(x + 1, y)


def test_the_order_depends_on_seed_and_index_alone() -> None:
    windows = TrainWindows(tokens(5000), 16, seed=3, n_windows=900)
    resumed = TrainWindows(tokens(5000), 16, seed=3, n_windows=900, start=700)
    longer = TrainWindows(tokens(5000), 16, seed=3, n_windows=9000)
    assert len(resumed) == 200
    for i in (199, 0, 57):  # in any order, again and again
        assert torch.equal(windows[700 + i][0], resumed[i][0])
        assert torch.equal(longer[700 + i][0], resumed[i][0])


def test_seeds_and_epochs_differ() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        windows = TrainWindows(tokens(5000), 16, seed, 10_000)
        first = epoch * windows.windows_per_epoch
        return [windows.position(first + i) for i in range(windows.windows_per_epoch)]

    orders = [order(seed, epoch) for seed in (0, 1, 2, -1) for epoch in (0, 1)]
    assert len({tuple(o) for o in orders}) == len(orders)
    assert len({min(o) % 16 for o in orders}) > 1  # the offset moves, too


@pytest.mark.parametrize("n", [17, 32, 33, 34, 100, 5000])
def test_an_epoch_covers_the_corpus_without_overlap(n: int) -> None:
    windows = TrainWindows(tokens(n), 16, seed=1, n_windows=10**6)
    places = sorted(windows.position(i) for i in range(windows.windows_per_epoch))
    assert np.all(np.diff(places) == 16)
    assert places[0] >= 0
    assert places[-1] + 17 <= n
    assert n - 1 - 16 * len(places) < 32


def test_every_token_is_seen_over_epochs() -> None:
    windows = TrainWindows(tokens(200), 16, seed=0, n_windows=3000)
    seen = {int(t) for x, y in (windows[i] for i in range(len(windows))) for t in (x[0], x[-1], y[-1])}
    assert {0, 199} <= seen


def test_validation_is_fixed_spread_and_disjoint() -> None:
    windows = ValidationWindows(tokens(10_001), 16, max_tokens=1000)
    assert len(windows) == 62
    places = [windows.position(i) for i in range(len(windows))]
    gaps = np.diff(places)
    assert gaps.min() >= 16
    assert gaps.max() - gaps.min() <= 1
    assert places[0] == 0
    assert places[-1] > 9700
    assert torch.equal(windows[61][1], torch.arange(places[-1] + 1, places[-1] + 17))


@given(n=st.integers(2, 400), seq_len=st.integers(1, 40), limit=st.integers(0, 500))
def test_validation_windows_stay_inside(n: int, seq_len: int, limit: int) -> None:
    if n <= seq_len:
        return
    windows = ValidationWindows(tokens(n), seq_len, limit)
    places = [windows.position(i) for i in range(len(windows))]
    assert len(places) == max(1, min(limit // seq_len, (n - 1) // seq_len))
    assert places[-1] + seq_len + 1 <= n
    assert all(b - a >= seq_len for a, b in pairwise(places))


def test_iteration_ends() -> None:
    assert len(list(TrainWindows(tokens(100), 8, 0, 5))) == 5  # type: ignore[call-overload]
    assert len(list(ValidationWindows(tokens(100), 8, 24))) == 3  # type: ignore[call-overload]


def test_a_context_longer_than_the_corpus_is_one_sentence() -> None:
    for make in (
        lambda: TrainWindows(tokens(16), 16, seed=0, n_windows=1),
        lambda: ValidationWindows(tokens(16), 16, max_tokens=100),
    ):
        with pytest.raises(ValueError, match=r"lower model\.seq_len or take a larger corpus"):
            make()
    with pytest.raises(ValueError, match=r"model\.seq_len is 0"):
        TrainWindows(tokens(16), 0, seed=0, n_windows=1)


def test_items_are_cheap_in_a_huge_corpus() -> None:
    """No work per item grows with the corpus: ten billion tokens cost what ten thousand cost."""

    def seconds(n_tokens: int) -> float:
        """Of this processor for a thousand items, at best of five."""
        corpus = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint16), shape=(n_tokens,), strides=(0,))
        windows, took = TrainWindows(corpus, 1024, seed=0, n_windows=10**8), []
        for _ in range(5):
            began = time.process_time()
            for i in range(0, 10**8, 10**5):
                windows[i]
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(10**10) < 10 * seconds(10**4)

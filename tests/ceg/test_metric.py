"""Losses in bits per byte: what tokenizers have in common, and what is refused in nats."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg.curves import Curve, common_costs
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.metric import BITS_PER_BYTE, METRICS, NATS, curves_in, metric_for
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.tables.save import curves_csv
from algoprog.ceg.tables.sources import read_sources
from algoprog.cli import main
from algoprog.report.tables.table import gains_table

BYTES = {"bpe": 2.5, "bytes": 1.0, "halves": 1.25}
"""Bytes of a token; `halves` are those of `bpe`, each split in two."""


def run(variant: str, tokenizer: str, gain: float = 1.0, seed: int = 0, text: str = "t") -> Curve:
    """A run of equal FLOPs whose bits per byte are those of its gain, whatever its tokens are."""
    curve = World(noise=0.002).curve(np.random.default_rng([seed, 7]), gain, variant, seed)
    bits = curve.val_loss / np.log(2) / BYTES["bpe"]
    per_token = np.log(2) * BYTES[tokenizer]
    return replace(curve, val_loss=bits * per_token, bits_per_byte=bits, tokenizer=tokenizer, text=text)


ARMS = [
    run(*arm, seed=seed) for seed in (0, 1) for arm in (("none", "bpe"), ("halves", "halves"), ("bytes", "bytes", 2.0))
]


def ceg(curves: list[Curve], variant: str, cost: str = "flops") -> float:
    rows = compute_gains(curves, estimators=["iso_loss"], costs=[cost])
    return next(row.ceg for row in rows if row.variant == variant and row.kind == "primary")


def test_tokens_split_in_two_gain_nothing_and_better_ones_what_they_gain() -> None:
    curves = curves_in(ARMS, BITS_PER_BYTE)
    assert ceg(curves, "halves") == pytest.approx(1.0, rel=1e-9)
    assert ceg(curves, "bytes") == pytest.approx(2.0, rel=0.05)
    rows = compute_gains([replace(c, costs={**c.costs, "seconds": c.costs["flops"]}) for c in curves])
    assert {row.metric for row in rows} == {"bits_per_byte"}
    assert {row.cost for row in rows} == {"flops", "seconds"}, "steps and tokens are left out"


def test_in_nats_they_are_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"^nats per token of bpe and halves and bytes .*: add --metric bits_per_byte$"
    ):
        compute_gains(ARMS)


@pytest.mark.parametrize("axis", ["tokens", "steps"])
def test_what_counts_tokens_is_no_cost_of_different_ones(axis: str) -> None:
    curves = curves_in(ARMS, BITS_PER_BYTE)
    assert axis not in common_costs(curves)
    with pytest.raises(ValueError, match=rf"^cost {axis} .*: a token is not the same .*: ask for --cost flops"):
        compute_gains(curves, costs=[axis])
    alike = curves_in([run("none", "bpe"), run("arm", "bpe", 1.5)], BITS_PER_BYTE)
    assert ceg(alike, "arm", axis) == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize("metric", METRICS)
def test_different_texts_are_refused_in_any_metric(metric: str) -> None:
    curves = curves_in([run("none", "bpe"), run("arm", "bpe", text="other")], METRICS[metric])
    with pytest.raises(ValueError, match=r"validated on different texts: .* --metric bits_per_byte"):
        compute_gains(curves)


def test_one_tokenizer_has_the_same_gain_in_both_metrics() -> None:
    curves = [run(variant, "bpe", gain, seed) for seed in (0, 1, 2) for variant, gain in (("none", 1.0), ("arm", 1.7))]
    both = [compute_gains(curves_in(curves, metric), costs=["flops"]) for metric in (NATS, BITS_PER_BYTE)]
    for one, other in zip(*both, strict=True):
        assert other.ceg == pytest.approx(one.ceg, rel=1e-3)
        if one.target_loss is not None:
            assert other.target_loss == pytest.approx(one.target_loss / np.log(2) / 2.5, rel=1e-6)


def test_curves_without_bits_per_byte_say_so(tmp_path: Path) -> None:
    curve = replace(run("none", "bpe"), bits_per_byte=np.full(len(ARMS[0].val_loss), np.nan))
    with pytest.raises(ValueError, match=r"has no val_bits_per_byte: add that column, or leave --metric out"):
        curves_in([curve], BITS_PER_BYTE)


def test_saved_curves_are_refused_and_compared_as_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(curves_csv(ARMS))
    assert "tokenizer" in path.read_text().splitlines()[0]
    again = read_sources([path])
    assert metric_for(again) is BITS_PER_BYTE
    assert ceg(curves_in(again, BITS_PER_BYTE), "bytes") == ceg(curves_in(ARMS, BITS_PER_BYTE), "bytes")
    assert main(["ceg", str(path)]) == 2
    assert "add --metric bits_per_byte" in capsys.readouterr().err
    saved = tmp_path / "again.csv"
    assert main(["ceg", str(path), "--metric", "bits_per_byte", "--save-curves", str(saved)]) == 0
    table = capsys.readouterr().out
    assert saved.read_text() == path.read_text()
    assert "bits per byte" in table
    assert "nats" not in table
    assert all(len(line) <= 80 for line in table.splitlines())
    assert main(["ceg", str(path), "--metric", "bits_per_byte", "--cost", "tokens"]) == 2
    assert "cost tokens" in capsys.readouterr().err


def test_the_table_says_the_unit() -> None:
    curves = curves_in(ARMS, BITS_PER_BYTE)
    table = gains_table(compute_gains(curves, costs=["flops"]), curves=curves)
    assert "loss: last validation loss in bits per byte" in table
    nats = [run("none", "bpe"), run("arm", "bpe", 1.5)]
    assert "loss: last validation loss in nats per token" in gains_table(
        compute_gains(nats, costs=["flops"]), curves=nats
    )


def table(path: Path, bits) -> str:  # type: ignore[no-untyped-def]
    """Two variants with a column of bits per byte beside the nats."""
    lines = ["variant,model,seed,step,val_loss,bpb"]
    for variant, gain in (("none", 1.0), ("arm", 1.5)):
        losses = {step: 2 + 6 * (gain * step) ** -0.4 for step in range(10, 400, 10)}
        lines += [f"{variant},m,0,{step},{loss},{bits(step, loss)}" for step, loss in losses.items()]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("bits", "told"),
    [
        (lambda step, loss: loss / 2 if step % 20 else "", None),  # measured at every other evaluation
        (lambda step, loss: "see below", "has no val_bits_per_byte"),
        (lambda step, loss: -loss, "not above zero"),
    ],
)
def test_bits_per_byte_matter_to_whom_they_are_asked_of(bits, told: str | None, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    curves = read_sources([Path(table(tmp_path / "mine.csv", bits))])
    assert ceg(curves, "arm", "steps") == pytest.approx(1.5, rel=1e-3), "in nats they are passed over"
    if told is None:
        assert ceg(curves_in(curves, BITS_PER_BYTE), "arm", "steps") == pytest.approx(1.5, rel=1e-2)
    else:
        with pytest.raises(ValueError, match=told):
            curves_in(curves, BITS_PER_BYTE)


def test_rows_of_what_diverged_say_the_metric_too() -> None:
    lost = [replace(curve, flags=("diverged",)) for curve in ARMS]
    rows = compute_gains(curves_in(lost, BITS_PER_BYTE), costs=["flops"])
    assert {row.metric for row in rows} == {"bits_per_byte"}

"""One optimizer step of our models beside the same step of others' models, interleaved; the ratio of the medians.

Run by `make bench`. Models have equal sizes, batch, context, vocabulary and precision: GPT-2 (`baseline=gpt2`) against
transformers' GPT-2, Llama (`baseline=llama`) against transformers' and litgpt's Llama and x-transformers. Weights are
copied first, and logits must agree (x-transformers', whose layers are wired otherwise, only in their number of
parameters). A second model of ours runs beside the first: where the two differ by more than ours and a peer do, nothing
is concluded. Times are medians of interleaved steps (forward, backward, clipping at 1, fused AdamW).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
sys.path += [str(Path(sys.prefix) / "reference"), str(Path(sys.prefix) / "peers")]

from algoprog import build  # noqa: E402
from algoprog.compose import compose  # noqa: E402
from algoprog.model.dims import Dims  # noqa: E402
from algoprog.model.interface.backbone import Backbone  # noqa: E402
from algoprog.run.precision import lacking  # noqa: E402
from algoprog.training.devices.allocator import keep_freed_memory  # noqa: E402
from algoprog.training.devices.hardware import device_name  # noqa: E402
from algoprog.training.module import next_token_loss  # noqa: E402
from benchmarks.whole_program import compared, told  # noqa: E402
from tests.whole_models import copy_to, gpt2, llama  # noqa: E402

VOCABULARY = 2048
SHAPES = {"nano": (16, 256), "micro": (8, 256), "mini": (4, 256), "compact": (2, 256)}
"""Sequences and context of a step."""

AGREE = 1e-4
"""What logits of copied weights may differ by, relative to the largest."""

Logits = Callable[[Tensor], Tensor]


class Contender:
    """A model, its optimizer and the seconds of its steps.

    Args:
        name: in the table.
        model: anything with parameters.
        logits: of a batch of tokens.
        loss: of logits and targets.
    """

    def __init__(self, name: str, model: nn.Module, logits: Logits, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.name, self.model, self.logits, self.loss = name, model.train(), logits, loss
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        self.seconds: list[float] = []

    def step(self, batch: Tensor, precision: torch.dtype) -> None:
        """Train on a batch and note how long it took."""
        device = batch.device.type
        _wait(device)
        began = time.perf_counter()
        self.optimizer.zero_grad()
        with torch.autocast(device, dtype=precision, enabled=precision != torch.float32):
            logits = self.logits(batch[:, :-1])
        self.loss(logits, batch[:, 1:]).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        _wait(device)
        self.seconds.append(time.perf_counter() - began)

    @property
    def median(self) -> float:
        """Seconds of a step, warm-up left out."""
        return statistics.median(self.seconds[len(self.seconds) // 4 :])


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _torch_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def _ours(baseline: str, model: str, seq_len: int, device: str) -> Backbone:
    words = [f"baseline={baseline}", "kernel=flash", f"model={model}", "model.dropout=0", f"model.seq_len={seq_len}"]
    config = build.resolve(compose(words))
    sizes = {name: config["model"][name] for name in ("d_model", "n_layers", "n_heads", "dropout", "bias")}
    gpt = build.gpt(config, Dims(**sizes, seq_len=seq_len, vocab_size=VOCABULARY))
    gpt.init_weights(0)
    return gpt.to(device)


def contenders(family: str, model: str, seq_len: int, device: str) -> Iterator[Contender]:
    """Two of ours and the peers of a family: `gpt2` or `llama`."""
    gpt = _ours(family, model, seq_len, device)
    yield Contender("algoprog", gpt, gpt, next_token_loss)
    again = _ours(family, model, seq_len, device)
    yield Contender("algoprog again", again, again, next_token_loss)
    bare = _ours(family, model, seq_len, device)
    yield Contender("our model, PyTorch's loss", bare, bare, _torch_loss)
    if family == "gpt2":
        from transformers.models.gpt2 import modeling_gpt2

        theirs: Any = copy_to(gpt2(modeling_gpt2, gpt, attn_implementation="sdpa").to(device), gpt)
        yield Contender("transformers GPT-2", theirs, lambda x: theirs(x, use_cache=False).logits, _torch_loss)
        return
    from transformers.models.llama import modeling_llama

    meta: Any = copy_to(llama(modeling_llama, gpt, attn_implementation="sdpa").to(device), gpt)
    yield Contender("transformers Llama", meta, lambda x: meta(x, use_cache=False).logits, _torch_loss)
    lit = _litgpt(gpt, meta, seq_len).to(device)
    yield Contender("litgpt Llama", lit, lit, _torch_loss)
    x = _x_transformers(gpt, seq_len).to(device)
    yield Contender("x-transformers", x, x, _torch_loss)


def _litgpt(gpt: Backbone, theirs: nn.Module, seq_len: int) -> nn.Module:
    from litgpt.model import GPT, Config
    from litgpt.scripts.convert_hf_checkpoint import copy_weights_hf_llama

    dims = gpt.dims
    config = Config(
        block_size=seq_len,
        vocab_size=VOCABULARY,
        padded_vocab_size=VOCABULARY,
        n_layer=dims.n_layers,
        n_head=dims.n_heads,
        n_embd=dims.d_model,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        norm_eps=1e-5,
        mlp_class_name="LLaMAMLP",
        intermediate_size=gpt.get_parameter("blocks.0.mlp.up.weight").shape[0],
    )
    model: nn.Module = GPT(config)
    weights: dict[str, Tensor] = {}
    copy_weights_hf_llama(config, {}, weights, dict(theirs.state_dict()))
    model.load_state_dict(weights)
    model.lm_head.weight = model.transformer.wte.weight
    return model


def _x_transformers(gpt: Backbone, seq_len: int) -> nn.Module:
    from x_transformers import Decoder, TransformerWrapper

    dims = gpt.dims
    layers = Decoder(
        dim=dims.d_model,
        depth=dims.n_layers,
        heads=dims.n_heads,
        attn_dim_head=dims.d_model // dims.n_heads,
        attn_flash=True,
        rotary_pos_emb=True,
        use_rmsnorm=True,
        ff_glu=True,
        ff_swish=True,
        ff_no_bias=True,
        ff_mult=gpt.get_parameter("blocks.0.mlp.up.weight").shape[0] / dims.d_model,
    )
    model: nn.Module = TransformerWrapper(
        num_tokens=VOCABULARY, max_seq_len=seq_len, use_abs_pos_emb=False, tie_embedding=True, attn_layers=layers
    )
    return model


def _check(found: list[Contender], batch: Tensor) -> None:
    """Stop where a peer computes something else."""
    with torch.no_grad():
        ours = found[0].logits(batch[:, :-1])
        n_params = sum(parameter.numel() for parameter in found[0].model.parameters())
        for other in found[1:]:
            count = sum(parameter.numel() for parameter in other.model.parameters())
            if abs(count / n_params - 1) > 0.01:
                raise SystemExit(f"{other.name} has {count:,} parameters, ours {n_params:,}")
            off = (other.logits(batch[:, :-1]) - ours).abs().max() / ours.abs().max()
            if off > AGREE and other.name != "x-transformers":
                raise SystemExit(f"logits of {other.name} with our weights are off by {off:.1e}")


def measure(family: str, model: str, steps: int, device: str, precision: torch.dtype) -> dict[str, Any]:
    """The row of a model and a family."""
    n_sequences, seq_len = SHAPES[model]
    torch.manual_seed(0)
    found = list(contenders(family, model, seq_len, device))
    batch = torch.randint(0, VOCABULARY, (n_sequences, seq_len + 1), device=device)
    _check(found, batch)
    for _ in range(steps):
        for one in found:
            one.step(batch, precision)
    ours = found[0].median
    ratios = {one.name: round(one.median / ours, 3) for one in found[1:]}
    spread = abs(ratios["algoprog again"] - 1)
    concluded = {name: ratio if abs(ratio - 1) > spread else None for name, ratio in ratios.items()}
    kind = str(precision).removeprefix("torch.")
    return {
        "family": family,
        "model": model,
        "precision": kind,
        "ms": round(1e3 * ours, 1),
        "ratios": ratios,
        "concluded": concluded,
    }


def main() -> None:
    """Print a line a peer, and write all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="nano,micro,mini,compact")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument(
        "--precisions", default=",".join(precisions()), help="(default: what the processor multiplies in)"
    )
    parser.add_argument("--whole", type=int, default=60, help="steps of whole programs, 0 for none (default: 60)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    keep_freed_memory()
    rows = [
        _told(measure(family, model, options.steps, options.device, getattr(torch, precision)))
        for precision in options.precisions.split(",")
        for model in options.models.split(",")
        for family in ("gpt2", "llama")
    ]
    whole = [_whole(model, options.whole) for model in options.models.split(",") if options.whole]
    print("\n".join(map(told, whole)))
    where = {"device": options.device, "threads": torch.get_num_threads()}
    where |= {"processor": device_name(torch.device("cpu")), "torch": torch.__version__}
    found = {"date": datetime.now(UTC).date().isoformat(), **where, "shapes": SHAPES, "rows": rows, "whole": whole}
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _whole(model: str, steps: int) -> dict[str, Any]:
    """train.py beside a bare loop, in a process that has trained nothing before: memory in pieces slows either."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(compared, (model, *SHAPES[model], steps))


def precisions() -> list[str]:
    """float32, and bfloat16 where the processor or the GPU has it."""
    return ["float32", *([] if lacking(cpu=not torch.cuda.is_available()) else ["bfloat16"])]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row, printed."""
    print(f"{row['model']}, {row['family']}, {row['precision']}: {row['ms']} ms a step", flush=True)
    for name, ratio in row["ratios"].items():
        doubt = "" if row["concluded"][name] or name == "algoprog again" else "  within the spread of our own"
        print(f"  {name:28} x{ratio:.3f}{doubt}", flush=True)
    return row


if __name__ == "__main__":
    main()

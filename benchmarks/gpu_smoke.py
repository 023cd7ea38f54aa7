"""Speed, memory and agreement on one CUDA GPU, in under 8 minutes: `make gpu-smoke`.

Runs the program as users do, reads the records it leaves, and writes the table to docs/measurements/.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import tiktoken
import torch

from algoprog.runs.record import Record, Run
from algoprog.runs.store import load_run, load_runs

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "measurements"
GPU = "trainer=gpu precision=bf16-mixed"
PAPER_BATCH = {"compact": "batch_size=512 micro_batch_size=128", "full": "batch_size=512 micro_batch_size=64"}
LOSS_TOLERANCE = 0.02
"""Nats by which the same run may differ between CPU and GPU in float32 after 20 steps."""


def train(words: str, folder: Path) -> None:
    """Run train.py with these words and show what it prints."""
    command = [sys.executable, str(ROOT / "train.py"), *shlex.split(words)]
    print(f"$ python train.py {words}", flush=True)
    subprocess.run([*command, f"hydra.{'sweep' if '-m' in command else 'run'}.dir={folder}"], check=True, cwd=ROOT)


def arms(root: Path) -> list[str]:
    """The seven arms at micro, a few hundred steps each."""
    folder = root / "arms"
    train(f'-m "variant=glob(*)" model=micro budget.steps=300 batch_size=64 micro_batch_size=64 {GPU}', folder)
    runs = sorted(load_runs(folder), key=lambda run: run.record.final_val_loss or 0)
    return ["## Seven arms at micro, 300 steps of 64 x 256 tokens", "", *_table(runs)]


def paper_batches(root: Path) -> list[str]:
    """Both models of the paper at its batch, both kernels."""
    tokenizer = _tokenizer()
    runs = []
    for model, batch in PAPER_BATCH.items():
        for kernel in ("math", "flash"):
            folder = root / f"{model}-{kernel}"
            words = f"model={model} kernel={kernel} budget.steps=30 {tokenizer} {batch} {GPU}"
            train(f"{words} evaluation.points=2 evaluation.tokens=65536", folder)
            runs.append(load_run(folder))
    return [f"## The paper's models at the paper's batch, 30 steps, {tokenizer}", "", *_table(runs)]


def agreement(root: Path) -> list[str]:
    """The same float32 run on both devices."""
    losses = {}
    for device in ("cpu", "gpu"):
        words = f"model=nano budget.steps=20 trainer={device} trainer.compile=false precision=32 evaluation.points=4"
        train(words, root / f"agree-{device}")
        losses[device] = load_run(root / f"agree-{device}").curve["val_loss"]
    worst = float(abs(losses["cpu"] - losses["gpu"]).max())
    verdict = "agree" if worst <= LOSS_TOLERANCE else "DISAGREE"
    line = f"Largest difference of the validation loss over 20 float32 steps: {worst:.2e} nats; the devices {verdict}."
    return ["## CPU against GPU", "", line]


def _tokenizer() -> str:
    """The paper's vocabulary where it can be loaded, else the largest that the embedded corpus teaches."""
    try:
        tiktoken.get_encoding("gpt2")
    except Exception:  # the library raises whatever its download raised
        return "tokenizer=bpe tokenizer.vocab_size=30000"
    return "tokenizer=gpt2"


def _table(runs: list[Run]) -> list[str]:
    rows = ["| model | variant | tokens/s | MFU | peak memory | final loss |", "|---|---|---|---|---|---|"]
    return [*rows, *(_row(run.record) for run in runs)]


def _row(record: Record) -> str:
    mfu = f"{record.mfu:.1%}" if record.mfu is not None else "unknown peak"
    memory = f"{record.peak_memory_bytes / 2**30:.1f} GiB"
    return (
        f"| {record.model} | {record.variant} | {record.tokens_per_second:,.0f} | {mfu} | {memory}"
        f" | {record.final_val_loss:.4f} |"
    )


def main() -> int:
    """Measure, print and write the table."""
    if not torch.cuda.is_available():
        print("error: make gpu-smoke needs a CUDA GPU and a torch build for it", file=sys.stderr)
        return 2
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        sections = [arms(root), paper_batches(root), agreement(root)]
        versions = load_run(root / "agree-gpu").record.environment["versions"]
    gpu = torch.cuda.get_device_name()
    head = [
        f"# {gpu}, {datetime.now(UTC):%Y-%m-%d}",
        "",
        f"Command: `make gpu-smoke`; {time.monotonic() - started:.0f} s;"
        f" torch {torch.__version__}, CUDA {torch.version.cuda}, lightning {versions['lightning']}.",
    ]
    text = "\n".join(line for part in [head, *sections] for line in [*part, ""])
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"gpu-smoke-{gpu.replace(' ', '-')}.md"
    path.write_text(text, encoding="utf-8")
    print(f"\n{text}\nWritten to {path}")
    return 0 if "DISAGREE" not in text else 1


if __name__ == "__main__":
    raise SystemExit(main())

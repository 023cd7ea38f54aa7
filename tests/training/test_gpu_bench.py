"""The benchmark for GPUs, at sizes at which it runs on a CPU: its tables, its refusal."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_bench


@pytest.mark.slow
def test_every_table_has_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    tables = gpu_bench.measure(gpu_bench.Bench(torch.device("cpu"), tiny=True, deadline=time.monotonic() + 600))
    assert [row["members"] for row in tables["members"]] == [2] * 4
    assert {(row["model"], row["kernel"]) for row in tables["speeds"]} == {
        (model, kernel) for model in ("compact", "full") for kernel in ("math", "flash")
    }
    assert all(row["tokens_per_second"] > 0 and row["mfu"] > 0 for row in tables["speeds"])
    (schedule,) = tables["recompilations"]
    assert schedule["branches"] > 0
    assert schedule["graphs"] == 0  # nothing is compiled at these sizes
    written = gpu_bench.text(tables, "some GPU", 12.0)
    assert json.loads(written.split("```json\n")[1].split("\n```")[0])["members"] == tables["members"]


def test_nothing_begins_when_the_time_is_up() -> None:
    assert not any(gpu_bench.measure(gpu_bench.Bench(torch.device("cpu"), tiny=True, deadline=0.0)).values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_bench.py", "--out", str(tmp_path)])
    assert gpu_bench.main() == 2
    assert capsys.readouterr().err == "error: make gpu-bench needs a CUDA GPU and a torch build for it\n"
    assert not any(tmp_path.iterdir())

"""What `algoprog literature` prints, alone and with a sweep."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest

from algoprog.literature.command import run
from algoprog.literature.write import KEYS


@pytest.fixture
def curves(tmp_path):
    lines = ["variant,model,seed,step,flops,val_loss"]
    for variant, speed in (("none", 1.0), ("rope", 1.3)):
        for seed in range(3):
            noise = np.random.default_rng(seed).normal(0, 0.001, 60)
            for step, wobble in enumerate(noise, start=1):
                loss = 3 + 2 * (speed * step) ** -0.4 + wobble
                lines.append(f"{variant},small,{seed},{step},{step * 1e9},{loss}")
    path = tmp_path / "curves.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_json_has_exactly_the_documented_keys():
    rows = json.loads(run(None, "json"))
    assert len(rows) == 48
    assert all(tuple(row) == KEYS for row in rows)
    assert rows[0]["recomputed_low"] is None
    assert rows[0]["flags"] == ["not-measured"]


def test_csv_holds_the_same():
    rows = list(csv.DictReader(io.StringIO(run(None, "csv"))))
    assert tuple(rows[0]) == KEYS
    assert [row["ceg_high"] for row in rows] == [str(row["ceg_high"]) for row in json.loads(run(None, "json"))]
    assert json.loads(rows[0]["inputs_high"])["variant"] == {"total": 2.3e19}


def test_a_sweep_stands_beside_the_literature(curves):
    rows = [row for row in json.loads(run(curves, "json")) if row["variant"] == "rope"]
    same = [row for row in rows if row["advance"] == "RoPE over learned" and row["cost"] == "flops"]
    assert {row["cost"] for row in rows} == {"flops", "steps"}
    assert [row["flags"] for row in same] == [[]]
    assert same[0]["ceg"] == pytest.approx(1.3, rel=0.1)
    assert "Measured gains and the literature" in run(curves, "table")


def test_gains_over_another_baseline(curves):
    curves.write_text(curves.read_text().replace("none,small", "learned,small"))
    with pytest.raises(ValueError, match="choose --baseline among learned, rope"):
        run(curves, "json")
    rows = [row for row in json.loads(run(curves, "json", baseline="learned")) if row["variant"] == "rope"]
    flags = {row["advance"]: row["flags"] for row in rows if row["cost"] == "flops"}
    assert flags["RoPE over learned"] == []  # its own reference is called so
    curves.write_text(curves.read_text().replace("learned,small", "other,small"))
    rows = [row for row in json.loads(run(curves, "json", baseline="other")) if row["variant"] == "rope"]
    assert all("other-reference" in row["flags"] for row in rows)


def test_mistakes_get_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="choose among table, json, csv"):
        run(None, "xml")
    with pytest.raises(ValueError, match="holds no finished run"):
        run(tmp_path, "table")


def test_the_literature_alone_needs_neither_torch_nor_matplotlib():
    code = (
        "import sys; from algoprog.literature.command import run; run(None, 'table');"
        "print([m for m in ('torch', 'hydra', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

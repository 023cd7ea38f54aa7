"""Cost axes: what follows from what, what an hour costs, and that a new axis is one file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg import cost
from algoprog.ceg.cost import COSTS, Hardware, beside, with_derived
from algoprog.ceg.cost.prices import read_prices
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.tables.sources import read_source
from algoprog.cli import main

SECONDS = np.array([0.0, 1800.0, 3600.0])
PRICES = "device,dollars_per_hour,date\n{}\n"


def prices(folder: Path, *lines: str) -> Path:
    path = folder / "prices.csv"
    path.write_text(PRICES.format("\n".join(lines)))
    return path


def table(folder: Path, header: str, cells: str) -> Path:
    """Two curves of ten evaluations, the variant's twice as fast to every loss."""
    lines = [f"variant,model,step,val_loss,annealed,{header}"]
    for name, speed in (("none", 1.0), ("fast", 2.0)):
        for step in range(100, 1100, 100):
            loss = 2 + (speed * step) ** -0.3
            lines.append(f"{name},nano,{step},{loss},1,{cells.format(seconds=3.6 * step)}")
    path = folder / "curves.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_device_hours_are_seconds_times_devices() -> None:
    found = with_derived({"seconds": SECONDS}, Hardware("H100", 8))
    np.testing.assert_array_equal(found["device_hours"], [0, 4, 8])
    assert "device_hours" not in with_derived({"seconds": SECONDS}, Hardware("H100"))
    assert "device_hours" not in with_derived({"tokens": SECONDS}, Hardware("H100", 8))


def test_what_is_recorded_is_not_derived_again() -> None:
    found = with_derived({"seconds": SECONDS, "device_hours": SECONDS}, Hardware("H100", 8))
    np.testing.assert_array_equal(found["device_hours"], SECONDS)


def test_dollars_are_device_hours_at_the_newest_price(tmp_path: Path) -> None:
    table = read_prices(prices(tmp_path, "h100,4,2026-01-01", "H100,2.5,2026-11-26", "A100,1,2025-06-01"))
    found = with_derived({"seconds": SECONDS}, Hardware("H100", 8), table)
    np.testing.assert_array_equal(found["dollars"], [0, 10, 20])
    assert str(table) == "prices of 2025-06-01 to 2026-11-26, from prices.csv"
    with pytest.raises(ValueError, match=r"prices\.csv has no price of 'B200': add a line"):
        with_derived({"seconds": SECONDS}, Hardware("B200", 8), table)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("device,date\nH100,2026-01-01\n", "lacks dollars_per_hour"),
        ("", "lacks device"),
        (PRICES.format("H100,free,2026-01-01"), "line 2: dollars_per_hour is 'free', not above 0"),
        (PRICES.format("H100,-1,2026-01-01"), "line 2: dollars_per_hour is '-1', not above 0"),
        (PRICES.format("H100,2,yesterday"), "line 2: date is 'yesterday', no date"),
        (PRICES.format(",2,2026-01-01"), "line 2: device is empty"),
        (PRICES.format("H100"), "line 2: dollars_per_hour is '', not above 0"),
    ],
)
def test_a_price_table_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_prices(path)


def test_a_price_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv cannot be read as a price table: No such file or directory$"):
        read_prices(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(PRICES.format("H100 \xe9,2,2026-01-01").encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.csv is no CSV in UTF-8"):
        read_prices(tmp_path / "latin.csv")


def test_dollars_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curves = table(tmp_path, "seconds,device,n_devices", "{seconds},H100,8")
    assert main(["ceg", str(curves), "--cost", "dollars"]) == 2
    assert "give --prices FILE" in capsys.readouterr().err
    command = ["ceg", str(curves), "--cost", "dollars", "--prices", str(prices(tmp_path, "H100,2.5,2026-11-26"))]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "cost axis: dollars" in said
    assert "dollars: prices of 2026-11-26, from prices.csv" in said
    assert "2.000" in next(line for line in said.splitlines() if line.startswith("fast"))


def test_a_report_in_dollars_says_the_prices(tmp_path: Path) -> None:
    curves = table(tmp_path, "seconds,device,n_devices", "{seconds},H100,8")
    words = ["--cost", "dollars", "--prices", str(prices(tmp_path, "H100,2.5,2026-11-26"))]
    assert main(["report", str(curves), *words, "--out", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "Dollars: prices of 2026-11-26, from prices.csv" in page
    assert "Gain in dollars" in page


def test_a_number_of_devices_is_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 2: n_devices is '0', not a number of devices"):
        read_source(table(tmp_path, "seconds,n_devices", "{seconds},0"))


def test_a_counted_axis_stands_beside_a_clocks() -> None:
    assert {beside(name) for name in ("flops", "tokens", "steps")} == {"seconds"}
    assert {beside(name) for name in ("seconds", "device_hours", "dollars")} == {"flops"}


def test_the_gain_in_device_hours_is_that_in_seconds(tmp_path: Path) -> None:
    curves = read_source(table(tmp_path, "seconds,n_devices", "{seconds},3"))
    rows = compute_gains(curves, costs=("seconds", "device_hours"), estimators=["iso_loss"])
    found = {(row.cost, row.variant): row.ceg for row in rows}
    assert found["device_hours", "fast"] == pytest.approx(found["seconds", "fast"], rel=1e-9)


def test_a_new_axis_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    (example,) = re.findall(r'```python\n("""Petaflop.*?)```', page, re.DOTALL)
    (tmp_path / "pf_days.py").write_text(example, encoding="utf-8")
    monkeypatch.setattr(cost, "__path__", [*cost.__path__, str(tmp_path)])
    found = cost._found()
    assert found.keys() == {*COSTS, "pf_days"}
    derive = found["pf_days"].derive
    assert derive is not None
    np.testing.assert_allclose(derive({"flops": np.array([8.64e19])}, Hardware(), None), [1.0])

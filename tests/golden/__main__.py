"""Measure the golden losses again: `python -m tests.golden`, after a change that is meant to move them."""

import json

from tests.golden.measure import CASES, FILE, losses

if __name__ == "__main__":
    measured = {case: [round(loss, 6) for loss in losses(case)] for case in CASES}
    lines = [f"  {json.dumps(case)}: {json.dumps(curve)}" for case, curve in measured.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(measured)} curves written to {FILE}; look at the difference before you commit it")

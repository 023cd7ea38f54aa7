"""Measure the golden losses again: `python -m tests.golden`, after a change that is meant to move them."""

import json

from tests.golden.measure import BOUND, CASES, FILE, WIDER, kept, losses

if __name__ == "__main__":
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    measured = {
        case: kept(before.get(case), [round(loss, 6) for loss in losses(case)], WIDER.get(case, BOUND))
        for case in CASES
    }
    lines = [f"  {json.dumps(case)}: {json.dumps(curve)}" for case, curve in measured.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    moved = [case for case, curve in measured.items() if curve != before.get(case)]
    told = f"{', '.join(moved)}: look at the difference before you commit it" if moved else "nothing moved"
    print(f"{len(moved)} of {len(measured)} curves written to {FILE}: {told}")

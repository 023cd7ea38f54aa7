"""What seconds depend on beside the algorithm: the device, its threads, and the runs beside."""

from __future__ import annotations

from collections.abc import Iterable

from algoprog.ceg.curves import Curve

OTHER_DEVICE, OTHER_LOAD = "other-device", "other-load"


def surroundings(pairs: Iterable[tuple[Curve, Curve]]) -> set[str]:
    """Flags of seconds that were taken on different devices, or with other numbers of runs beside."""
    curves = {curve for pair in pairs for curve in pair}
    devices = {curve.device for curve in curves if curve.device}
    loads = {curve.beside for curve in curves if curve.beside is not None}
    return {word for word, known in ((OTHER_DEVICE, devices), (OTHER_LOAD, loads)) if len(known) > 1}

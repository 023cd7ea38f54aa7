"""What a forward pass hands to every part that it goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from algoprog.model.interface.part import Kernel, Part, Position
from algoprog.model.interface.places import Places
from algoprog.model.interface.reports import Reports, key
from algoprog.model.interface.wiring import Carried, Skip


@dataclass(frozen=True, eq=False)
class Context:
    """One forward pass.

    Args:
        places: where its positions stand.
        reports: what parts tell it.
        shared: parts that the layers of the backbone have in common, by axis.
        carried: what layers leave for later ones.
    """

    places: Places
    reports: Reports
    shared: Mapping[str, Part]
    carried: Carried = field(default_factory=dict)

    @property
    def skip(self) -> Skip:
        """The option of the axis `skip`."""
        skip = self.shared["skip"]
        assert isinstance(skip, Skip)
        return skip

    @property
    def position(self) -> Position:
        """The option of the axis `pos`."""
        position = self.shared["pos"]
        assert isinstance(position, Position)
        return position

    @property
    def kernel(self) -> Kernel:
        """The option of the axis `kernel`."""
        kernel = self.shared["kernel"]
        assert isinstance(kernel, Kernel)
        return kernel

    def add_loss(self, loss: Tensor) -> None:
        """A term that training adds to the cross-entropy; see `Reports.add_loss`."""
        self.reports.add_loss(loss)

    def report(self, part: Part, name: str, value: Tensor) -> None:
        """A statistic that the part declares, of this pass; no gradient goes through it."""
        self.reports.statistics[key(part.site.layer, name)] = value.detach()

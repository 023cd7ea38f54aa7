"""The options of the axes, from their files and from what their classes say."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.utils import get_object
from omegaconf import OmegaConf

from algoprog.axes import AXES, Axis
from algoprog.config import conf_dir
from algoprog.literature.rows import PublishedGain, literature_rows
from algoprog.variant import bare, options, text


@dataclass(frozen=True)
class Option:
    """One option of an axis.

    `summary` is the first sentence of its class, `source` its paper and the place in it (empty for what is no
    algorithm, as a corpus), `knobs` what its file sets.
    """

    axis: str
    name: str
    summary: str
    source: str
    knobs: dict[str, Any]

    @property
    def variant(self) -> str:
        """What runs and tables call the baseline with this option."""
        return self.name if bare(self.axis, self.name) else f"{self.axis}={self.name}"

    @property
    def settings(self) -> str:
        """Its knobs as the command line spells them."""
        return ", ".join(f"{self.axis}.{knob}={text(value)}" for knob, value in self.knobs.items())

    @property
    def reported(self) -> list[PublishedGain]:
        """What the literature says that it gains."""
        return [row for row in literature_rows() if (row.axis, row.option) == (self.axis, self.name)]


PLACES = {axis.name: axis for axis in AXES.values() if axis.name == axis.group}
"""The axes that have options of their own: `final_norm` and `qk_norm` choose among those of `norm`."""


def catalogue(axis: str | None = None) -> list[Option]:
    """Every option, or those of one axis, in the order of the axes and of names.

    Raises:
        ValueError: there is no such axis.
    """
    if axis is not None and axis not in PLACES:
        raise ValueError(_no_axis(axis))
    chosen = PLACES.values() if axis is None else [PLACES[axis]]
    return [_option(place.name, name) for place in chosen for name in options(place.name)]


@cache
def _option(axis: str, name: str) -> Option:
    node = configured(PLACES[axis], name)
    summary, source = _told(get_object(node["_target_"]))
    return Option(axis, name, summary, source, {key: value for key, value in node.items() if not key.startswith("_")})


def configured(axis: Axis, name: str) -> dict[str, Any]:
    """The file of an option as it stands, what it borrows from the rest of the configuration unresolved."""
    loaded = OmegaConf.load(conf_dir() / axis.group / f"{name}.yaml")
    found: dict[str, Any] = OmegaConf.to_container(loaded)  # type: ignore[assignment] # options are mappings
    return found


def _told(target: Any) -> tuple[str, str]:
    """The first sentence and the source of what an option makes."""
    told = inspect.getdoc(target) or ""
    # A pre-set of another option says its source there.
    further = [inspect.getdoc(base) or "" for base in inspect.getmro(target)[1:]] if inspect.isclass(target) else []
    sources = [found for found in (_source(doc) for doc in (told, *further)) if found]
    return " ".join(told.split("\n\n")[0].split()), sources[0] if sources else ""


def _source(told: str) -> str:
    found = re.search(r"^Source: (.*?)(?:\n\s*\n|\Z)", told, flags=re.M | re.S)
    return " ".join(found[1].split()) if found else ""


def _no_axis(axis: str) -> str:
    shared = AXES.get(axis)
    if shared is not None:
        return f"{axis} chooses among the options of {shared.group}: ask for those"
    return f"no axis is called {axis!r}: choose among {', '.join(PLACES)}"

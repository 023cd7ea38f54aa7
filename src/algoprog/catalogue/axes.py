"""A page an axis for whoever has to choose: docs/axes/, written by `make catalogue`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from algoprog import build
from algoprog.axes import AXES, MODEL
from algoprog.baseline import baseline, meaningless
from algoprog.catalogue.costs import configuration, dims
from algoprog.catalogue.options import PLACES, Option, catalogue
from algoprog.catalogue.page import MODELS, Measured, costs_of, gains_of, row
from algoprog.catalogue.table import COLUMNS, multiples
from algoprog.config import conf_dir
from algoprog.refusals.pairs import refuse

BASELINES = tuple(sorted(path.stem for path in (conf_dir() / "baseline").glob("*.yaml")))

HEAD = """<!-- written by `make catalogue` from the options themselves and src/algoprog/catalogue/choosing.yaml -->
# `{axis}`: {decides}

`python train.py -m {axis}={names} seed=0,1,2` compares them; [the catalogue](../catalogue.md#{axis})
has their papers and knobs. Advice is by what the options are and what the literature says; whether it holds at your
scale is what a sweep measures.
"""

COSTS = f"""
## What they cost

Multiples of the default baseline with layer norm at {", ".join(MODELS)}, as in the catalogue.
"""


@cache
def choosing() -> Mapping[str, Mapping[str, Any]]:
    """What is said of every axis: what it decides, and when to choose which option."""
    found = OmegaConf.to_container(OmegaConf.load(Path(__file__).parent / "choosing.yaml"))
    assert isinstance(found, dict)
    return {str(axis): said for axis, said in found.items()}


def axis_page(axis: str, measured: Measured) -> str:
    """The page of one axis."""
    found, said = catalogue(axis), choosing()[axis]
    names = ",".join(option.name for option in found[:3])
    lines = [HEAD.format(axis=axis, decides=said["decides"], names=names), *_chosen(axis)]
    lines += ["## When to choose which\n", row(["option", "choose it", "what it is"]), row(["---"] * 3)]
    lines += [row([f"`{o.name}`", said["choose"].get(o.name, ""), o.summary]) for o in found]
    if AXES[axis].owner != "data":
        lines += [COSTS, row(["option", *COLUMNS]), row(["---"] * (1 + len(COLUMNS)))]
        lines += [row([f"`{option.name}`", *costs_of(option)]) for option in found]
    lines += [
        "",
        "## What is known of their gains\n",
        *_gains(found, measured),
        "",
        "## What is refused\n",
        *_refused(axis, found),
    ]
    return "\n".join([*lines, ""])


def pages(measured: Measured) -> dict[str, str]:
    """The pages of all axes that have options of their own, by the axis."""
    return {axis: axis_page(axis, measured) for axis in PLACES}


def _chosen(axis: str) -> list[str]:
    """What the files in conf/baseline/ choose, of the axes that borrow these options too."""
    own = [name for name, other in AXES.items() if other.group == axis and other.always]
    lines = []
    for name in own:
        chosen = ", ".join(f"`{option}` in {base}" for base in BASELINES if (option := baseline(base).get(name)))
        lines += [f"- `{AXES[name].word}`: {chosen}."] if chosen else []
    return ["The baselines choose:\n", *lines, ""] if lines else []


def _gains(found: Sequence[Option], measured: Measured) -> list[str]:
    lines = [f"- `{option.name}`: {text}" for option in found for text in gains_of(option, measured)]
    missing = [f"`{option.name}`" for option in found if not gains_of(option, measured)]
    none = f"No published or measured gain is on file for {', '.join(missing)}." if missing else ""
    return [*lines, *(["", none] if lines and none else [none] if none else [])]


def _refused(axis: str, found: Sequence[Option]) -> list[str]:
    """Options that cannot be had alone, axes that mean nothing beside one, and what leaves this axis no meaning."""
    lines = [f"- `{o.name}` over `baseline=gpt2_paper`: {why}" for o in found if (why := _sentence(o))]
    lines += [f"- `{o.name}` at {model}: {why}" for o in found for model in MODELS if (why := _unaffordable(o, model))]
    lines += [f"- beside `{o.name}`: {_listed(_absent(o))}" for o in found if axis in MODEL and _absent(o)]
    others = [o for o in catalogue() if o.axis in MODEL and o.axis != axis]
    outer = [f"`{o.axis}={o.name}`" for o in others if axis in MODEL and axis in _absent(o)]
    lines += [f"- this axis means nothing beside {', '.join(outer)}"] if outer else []
    return lines or ["Nothing by name."]


def _sentence(option: Option) -> str:
    """The sentence by which the option is refused alone; empty where it is not."""
    try:
        config = configuration("nano", option.axis, option.name, beside=())
        refuse(config)
        build.skeleton(config, dims(config))
    except ValueError as error:
        return str(error)
    return ""


def _unaffordable(option: Option, model: str) -> str:
    found = multiples(option, model) if AXES[option.axis].owner != "data" else {}
    return found if isinstance(found, str) else ""


def _absent(option: Option) -> Mapping[str, tuple[str, str]]:
    """The axes that the option leaves no meaning, each with the reason, less those that mean nothing anyway."""
    alone = configuration("nano", option.axis, option.name, beside=())
    return {name: why for name, why in meaningless(alone).items() if why[0] == option.axis}


def _listed(absent: Mapping[str, tuple[str, str]]) -> str:
    """The axes by their reason."""
    found: dict[str, list[str]] = {}
    for name, (_, why) in absent.items():
        found.setdefault("it is" if why.startswith("without ") else why, []).append(f"`{name}`")
    return (
        "; ".join(f"{', '.join(names)}" + ("" if why == "it is" else f" ({why})") for why, names in found.items())
        + " mean nothing"
    )

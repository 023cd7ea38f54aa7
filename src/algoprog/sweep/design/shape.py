"""Designs: which variants a sweep trains, when that is not the product of everything named.

A design is a file in conf/design/, chosen with `design=NAME` beside `-m`. Its `shape` says how the options in `parts`
become variants; `zip` and `vary` add settings that go together or are multiplied; `exclude` leaves combinations out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from algoprog.axes import AXES, MODEL, axis_of
from algoprog.baseline import baseline
from algoprog.ceg.screening.rule import Screen
from algoprog.sweep.design.every import Around, LeftOut, every_option, not_every_option, put_back, same_function
from algoprog.sweep.design.screen import FIELDS as SCREEN_FIELDS
from algoprog.sweep.design.screen import screen_of
from algoprog.sweep.design.variants import arm, check, is_baseline, words

Options: TypeAlias = Mapping[str, Sequence[str]]
"""The options of each axis that a design is about, the baseline's left out."""

Arms: TypeAlias = list[dict[str, str]]

EVERY, SCREEN, LEAVE_ONE_OUT = "every_option", "screen", "leave_one_out"

OF_ALL = ("shape", "parts", "variants", "zip", "vary", "exclude")
OF_ONE = {"axes": (EVERY, SCREEN), "put_back": (LEAVE_ONE_OUT,), **dict.fromkeys(SCREEN_FIELDS, (SCREEN,))}
"""Fields of every design, and those of few shapes."""


@dataclass(frozen=True)
class Design:
    """A design that has been read and found to make sense."""

    shape: str
    arms: tuple[Mapping[str, str], ...]  # none: the words of the command line alone say what is trained
    axes: tuple[str, ...]  # axes, and other settings, that the design sets, and that nobody else may
    zipped: tuple[Mapping[str, Sequence[str]], ...]  # groups of settings that go together
    vary: Mapping[str, Sequence[str]]
    exclude: tuple[Mapping[str, Sequence[str]], ...]
    left_out: tuple[LeftOut, ...] = ()  # options that a design over all of them is not about
    tolerant: bool = False  # nobody named its variants one by one: those that cannot be trained are left out
    screen: Screen | None = None  # the rule by which variants leave the sweep; None: all stay

    def sets(self, key: str) -> bool:
        """Whether its variants set this, or have something to say of it; what trains a model keeps its knobs."""
        axis = key.split(".")[0]
        within = axis in MODEL and axis in self.axes
        return bool(self.arms) and (key in self.axes or within or axis == "variant")


@dataclass(frozen=True)
class _Meant:
    """The options that a design is about, and how they become variants."""

    shape: str
    parts: Options
    left_out: tuple[LeftOut, ...] = ()
    tolerant: bool = False


def read(raw: Any, base: Mapping[str, str] | None = None, around: Around | None = None) -> Design:
    """The design that a file in conf/design/ and words such as `design.parts.norm=[ln]` describe.

    Args:
        raw: its fields.
        base: the baseline's option of every axis; None for the default one.
        around: the configuration and the words that it stands among; None for the baseline alone.

    Raises:
        ValueError: a field, axis, option or list is not usable, saying what is.
    """
    fields = _mapping("design", raw)
    shape, variants = str(fields.get("shape")), _texts("design.variants", fields.get("variants"))
    _check_fields(shape, fields)
    around = around or Around(base or baseline())
    meant = _meant(shape, fields, base, around, named=bool(variants))
    screen = screen_of(fields) if shape == SCREEN else None
    zipped = tuple(_zip(group) for group in _list("design.zip", fields.get("zip")))
    vary = _settings("design.vary", fields.get("vary"))
    if screen and not any("seed" in settings for settings in (*zipped, vary, around.typed)):
        vary["seed"] = [str(seed) for seed in range(screen.looks[-1])]
    arms = tuple(_arms(meant.shape, meant.parts, variants, base))
    return Design(
        shape=shape,
        arms=arms,
        axes=(*MODEL, *(key for arm in arms for key in arm)) if meant.shape == "variants" else tuple(meant.parts),
        zipped=zipped,
        vary=vary,
        exclude=tuple(_settings("design.exclude", entry) for entry in _list("design.exclude", fields.get("exclude"))),
        left_out=meant.left_out,
        tolerant=meant.tolerant,
        screen=screen,
    )


def _check_fields(shape: str, fields: Mapping[Any, Any]) -> None:
    unknown = fields.keys() - {*OF_ALL, *OF_ONE}
    if unknown:
        known = ", ".join((*OF_ALL, *OF_ONE))
        raise ValueError(f"design.{min(unknown)} is no field of a design: use {known}")
    for field, shapes in OF_ONE.items():
        if fields.get(field) is not None and shape not in shapes and field != "put_back":  # whatever its file became
            raise ValueError(f"a design of shape {shape} takes no {field}: use shape {' or '.join(shapes)}")


def _meant(
    shape: str, fields: Mapping[Any, Any], base: Mapping[str, str] | None, around: Around, *, named: bool
) -> _Meant:
    """What a design is about: what it names, or the parts that follow from the options that there are."""
    parts = _parts(fields.get("parts"), base)
    if named and shape == SCREEN:
        return _Meant("variants", parts)
    if parts and (shape == EVERY or fields.get("axes") is not None):
        raise ValueError(
            "a design over every option takes no parts: use design=one_at_a_time, or design.axes for some axes"
        )
    if shape == EVERY or (shape == SCREEN and not parts):
        axes = None if fields.get("axes") is None else [axis_of(axis) for axis in _texts("design.axes", fields["axes"])]
        every, left_out = every_option(axes, around), () if axes else not_every_option(around)
        kept, same = same_function(every) if shape == SCREEN else (every, ())
        return _Meant(EVERY, kept, (*left_out, *same), tolerant=True)
    if shape == LEAVE_ONE_OUT and _from_baseline(fields, around):
        return _Meant("one_at_a_time", put_back(str(fields["put_back"]), around))
    return _Meant(shape, parts)


def _from_baseline(fields: Mapping[Any, Any], around: Around) -> bool:
    """Whether the parts are the baseline's own: another one than the usual was chosen, and no part was named."""
    former, named = fields.get("put_back"), any(key.startswith("design.parts") for key in around.typed)
    return former is not None and around.baseline != former and not named


def one_at_a_time(parts: Options) -> Arms:
    """The baseline, and every option alone."""
    return [{}, *({axis: option} for axis, options in parts.items() for option in options)]


def leave_one_out(parts: Options) -> Arms:
    """The baseline, all together, and all less one; once for every choice where an axis has several options."""
    full = [dict(zip(parts, chosen, strict=True)) for chosen in product(*parts.values())]
    less = [{axis: arm[axis] for axis in arm if axis != left_out} for left_out in parts for arm in full]
    return _distinct([{}, *full, *less])


def factorial(parts: Options) -> Arms:
    """Every combination of the options, that of leaving an axis at the baseline included."""
    levels = [(None, *options) for options in parts.values()]
    return [
        {axis: option for axis, option in zip(parts, chosen, strict=True) if option is not None}
        for chosen in product(*levels)
    ]


SHAPES: dict[str, Callable[[Options], Arms]] = {
    "one_at_a_time": one_at_a_time,
    LEAVE_ONE_OUT: leave_one_out,
    "factorial": factorial,
    EVERY: one_at_a_time,
    SCREEN: one_at_a_time,
}


def _arms(shape: str, parts: Options, variants: Sequence[str], base: Mapping[str, str] | None) -> Arms:
    if shape not in ("product", "variants", *SHAPES):
        raise ValueError(f"design.shape={shape} must be one of product, variants, {', '.join(SHAPES)}")
    if parts and shape not in SHAPES:
        raise ValueError(f"a design of shape {shape} takes no parts: use one of {', '.join(SHAPES)}")
    if variants and shape != "variants":
        raise ValueError(f"a design of shape {shape} takes no variants: use shape variants or {SCREEN}")
    if shape == "product":
        return []
    if shape == "variants":
        if not variants:
            raise ValueError("the design lists no variant: give design.variants=[none,ln,ln+rope] or the like")
        return _distinct([arm(name, base) for name in variants])
    if not parts:
        raise ValueError(f"a design of shape {shape} needs parts: give design.parts.norm=[ln] or the like")
    return SHAPES[shape](parts)


def _distinct(arms: Arms) -> Arms:
    return list({tuple(words(arm)): arm for arm in arms}.values())


def _parts(raw: Any, base: Mapping[str, str] | None) -> dict[str, list[str]]:
    """The axes with options, in the order of names of variants."""
    named = {str(key): value for key, value in _mapping("design.parts", raw).items()}
    given = {axis_of(key): _texts(f"design.parts.{key}", value) for key, value in named.items()}
    checked = {axis: [check(axis, option) for option in options] for axis, options in given.items()}
    for axis in given.keys() - set(AXES):
        check(axis, "")
    given_once = {axis: dict.fromkeys(checked.get(axis, ())) for axis in AXES}
    changes = {axis: [o for o in options if not is_baseline(axis, o, base)] for axis, options in given_once.items()}
    return {axis: options for axis, options in changes.items() if options}


def _zip(raw: Any) -> dict[str, list[str]]:
    """Settings with lists of equal length, taken element by element."""
    group = _settings("design.zip", raw)
    lengths = {key: len(values) for key, values in group.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ValueError(f"design.zip pairs lists of equal length, and {given}: make them equal")
    return group


def _settings(where: str, raw: Any) -> dict[str, list[str]]:
    """Settings of the command line, each with its values."""
    entries = _mapping(where, raw)
    found = {axis_of(str(key)): _texts(where, value) for key, value in entries.items()}
    for key, values in found.items():
        if not values:
            raise ValueError(f"{where} gives {key} no value: give a list or leave it out")
    return found


def _mapping(where: str, raw: Any) -> Mapping[Any, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where}={raw} must be a mapping such as {{norm: [ln]}}")
    return raw


def _list(where: str, raw: Any) -> Sequence[Any]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise ValueError(f"{where}={raw} must be a list such as [{{model: [nano, micro]}}]")
    return raw


def _texts(where: str, raw: Any) -> list[str]:
    """One value or several, as the command line would spell them."""
    values = raw if isinstance(raw, list) else [] if raw is None else [raw]
    if any(isinstance(value, Mapping) for value in values):
        raise ValueError(f"{where} must list plain values, not {raw}")
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(_text, value))}]" if isinstance(value, list) else str(value)

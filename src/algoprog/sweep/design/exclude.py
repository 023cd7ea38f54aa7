"""What `design.exclude` leaves out: combinations of options, of variants by name, and of any other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from algoprog.axes import ALWAYS
from algoprog.baseline import baseline_of, option
from algoprog.overrides import parse, setting, subject
from algoprog.sweep.design.composition import Compose
from algoprog.sweep.design.variants import Changes, arm, check, parse_label
from algoprog.variant import variant

Entry: TypeAlias = Mapping[str, Sequence[str]]
"""Settings with the values that an exclusion is about: it leaves out what has one of the values of each."""

MOST_NAMED = 12


def kept(
    jobs: Sequence[list[str]], entries: Sequence[Entry], config: DictConfig, loader: ConfigLoader, compose: Compose
) -> list[list[str]]:
    """The combinations that no entry leaves out.

    Args:
        jobs: the words of each combination.
        entries: `design.exclude`.
        config: the composed configuration of the whole sweep.
        loader: Hydra's.
        compose: Hydra's composition of the words of one combination.

    Raises:
        ValueError: an entry names what is not there, leaves out nothing, or all of them leave out everything.
    """
    for entry in entries:
        for key, values in entry.items():
            _check(key, values, loader)
    sweep = Combinations(config, compose)
    left_out: set[int] = set()
    for entry in entries:
        found = {at for at, job in enumerate(jobs) if sweep.match(job, entry)}
        if not found:
            raise ValueError(_nothing(entry, jobs, sweep))
        left_out |= found
    if len(left_out) == len(jobs):
        raise ValueError("design.exclude leaves out every combination: nothing is left to train")
    return [job for at, job in enumerate(jobs) if at not in left_out]


class Combinations:
    """What each combination of a sweep has for a key of an exclusion."""

    def __init__(self, config: DictConfig, compose: Compose) -> None:
        self.config, self.compose = config, compose
        self.composed: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}

    def match(self, job: list[str], entry: Entry) -> bool:
        """Whether a combination has one of the values of every key."""
        return all(any(self.has(job, key, value) for value in values) for key, values in entry.items())

    def has(self, job: list[str], key: str, value: str) -> bool:
        """Whether a combination has this value; an option without brackets stands for any knobs of it.

        Raises:
            ValueError: there is no such setting.
        """
        if key in ALWAYS:
            wanted, knobs = parse_label(value)
            part = self._part(job, key)
            return option(part) == wanted and all(part.get(knob) == _value(text) for knob, text in knobs.items())
        if key == "variant" and _is_variant(value):
            return _taken_apart(arm(value)) == _taken_apart(arm(self._variant(job)))
        return self.get(job, key) == _value(value)

    def get(self, job: list[str], key: str) -> Any:
        """What a combination has: from its words, else from the sweep's configuration.

        Raises:
            ValueError: there is no such setting.
        """
        if key in ALWAYS:
            return arm(self._variant(job)).get(key, self._base()[key])
        axis, _, knob = key.partition(".")
        if axis in ALWAYS:
            return self._part(job, axis).get(knob)
        typed = {setting(word): word.value() for word in parse(job)}
        if key == "variant" and key not in typed:
            return self._variant(job)
        return typed[key] if key in typed else self._default(key)

    def _default(self, key: str) -> Any:
        choices = self.config.hydra.runtime.choices
        if key in choices:
            return choices[key]
        found = OmegaConf.select(self.config, key, default=choices)
        if found is choices:
            raise ValueError(
                f"design.exclude names {key}, which is no setting of these runs: correct it or leave it out"
            )
        return found

    def _variant(self, job: list[str]) -> str:
        """Name of a combination's variant, as far as its axes go."""
        chosen = OmegaConf.to_container(OmegaConf.masked_copy(self.config, ["baseline", "tuned"]), resolve=True)
        assert isinstance(chosen, dict)
        return variant({**{axis: self._part(job, axis) for axis in ALWAYS}, **{str(k): v for k, v in chosen.items()}})

    def _base(self) -> dict[str, str]:
        return baseline_of({"baseline": self.config.baseline})

    def _part(self, job: list[str], axis: str) -> dict[str, Any]:
        """An axis of a combination with all its knobs, as Hydra composes it."""
        parsed = zip(job, parse(job), strict=True)
        words = tuple(text for text, word in parsed if subject(word) in (axis, "variant"))
        if (axis, words) not in self.composed:
            whole = self.compose(list(words)) if words else self.config
            part = OmegaConf.to_container(whole[axis], resolve=True)
            assert isinstance(part, dict)
            self.composed[axis, words] = {str(knob): value for knob, value in part.items()}
        return self.composed[axis, words]


def _check(key: str, values: Sequence[str], loader: ConfigLoader) -> None:
    """Refuse values that no run can have.

    Raises:
        ValueError: there is no such option, with those there are.
    """
    known = [] if key in ALWAYS else loader.get_group_options(key, ObjectType.CONFIG)
    for value in values:
        try:
            if key in ALWAYS:
                check(key, value)
            elif key == "variant" and value not in known:
                arm(value)
            elif known and value not in known:
                raise ValueError(f"{key} has no option {value}: choose among {', '.join(known)}")
        except ValueError as error:
            raise ValueError(f"design.exclude: {error}") from None


def _is_variant(name: str) -> bool:
    """Whether the name lists changes; a file in conf/variant/ may have any other."""
    try:
        arm(name)
    except ValueError:
        return False
    return True


def _taken_apart(changes: Changes) -> dict[str, tuple[str, dict[str, Any]]]:
    """Option and knobs of each changed axis, so that two spellings of one number are equal."""
    found = {}
    for axis, label in changes.items():
        chosen, knobs = parse_label(label)
        found[axis] = (chosen, {knob: _value(text) for knob, text in knobs.items()})
    return found


def _value(text: str) -> Any:
    """What the command line would make of a text."""
    try:
        (word,) = parse([f"value={text}"])
    except HydraException:
        return text
    return text if word.is_sweep_override() else word.value()


def _nothing(entry: Entry, jobs: Sequence[list[str]], sweep: Combinations) -> str:
    """The sentence about an entry that matches no combination, with what there is where one key alone is to blame."""
    written = ", ".join(f"{key}: {_listed(values)}" for key, values in entry.items())
    text = f"design.exclude names {{{written}}}, which no combination of this sweep has"
    for key, values in entry.items():
        if not any(sweep.has(job, key, value) for job in jobs for value in values):
            there = list(dict.fromkeys(str(sweep.get(job, key)) for job in jobs))
            more = ", ..." if len(there) > MOST_NAMED else ""
            return f"{text} ({key} is {', '.join(there[:MOST_NAMED])}{more}): correct it or leave it out"
    return f"{text}: correct it or leave it out"


def _listed(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"

"""What you sweep, you compare: the settings with several values, and what each run is measured against.

Axes of the algorithm are compared wherever they differ from the baseline; tuned settings are chosen for every variant;
all others are protocol, and equal for all runs unless a sweep gives one several values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from algoprog.axes import AXES, DATA, SHARED
from algoprog.baseline import baseline_of, get, option, preset, reference_part
from algoprog.config import COMPARISON, EXECUTION, SIZES
from algoprog.overrides import parse, quoted, setting, told, with_moved_axes, without_axes
from algoprog.sweep.design.composer import Composer
from algoprog.sweep.design.composition import Compose

Words = list[str]
"""Those that train one run."""

APART = ("seed", "budget", "evaluation", "variant", "experiment", "hydra", "micro_batch_size", *SHARED)
"""Settings that a sweep may vary without comparing them: repetitions, other texts, other budgets of one curve."""

BYTES_PER_TOKEN = 4
"""Validated on for each of `evaluation.tokens` where tokenizers or data are compared: GPT-2's tokens are that long."""

ROLES = (*APART, *EXECUTION, *COMPARISON, "model", *(f"model.{size}" for size in SIZES))


def compared(
    jobs: Sequence[Words],
    compose: Compose,
    tuned: Sequence[str],
    moved: Mapping[str, Any],
    searched: Sequence[str] = (),
) -> list[Words]:
    """The jobs, each with what it is measured against where that is not the baseline's file alone.

    Args:
        jobs: the words of every run asked for.
        compose: Hydra's composition.
        tuned: settings that are chosen for every variant.
        moved: axes, with their knobs, that an experiment set otherwise than the baseline's file.
        searched: tuned settings that the sweep searches, whose typed values are a grid and no value of a run.
    """
    several = {model: tuple(_several(own, tuned)) for model, own in _by_model(jobs).items()}
    if not moved and not any(several.values()) and not any(_types(job, "optim") for job in jobs):
        return [list(job) for job in jobs]
    composer = Composer(compose)
    return [
        told
        for model, own in _by_model(jobs).items()
        for told in _Model(composer, own, several[model], moved, searched).told()
    ]


def baseline_words(job: Sequence[str], composer: Composer) -> Words:
    """The words of the run that a run is measured against."""
    plain = with_moved_axes(without_axes(list(job)))
    against = told(list(job))
    config = _composed(composer, plain) or {}  # one that is compared may have no value of its own
    words = [*plain, *(word for key, value in against.items() for word in _words(config, key, value))]
    return _with_micro_batch(words, composer(words)) if "batch_size" in against else words


def _words(config: Mapping[str, Any], key: str, value: Any) -> Iterator[str]:
    """What has to be typed for a setting, or an axis with its knobs, to have this value."""
    if key not in AXES:
        if get(config, key) != value:
            yield f"{key}={literal(value)}"
    elif config.get(key) != value:
        name = option(value)
        usual = preset(AXES[key].group, name)
        yield f"{AXES[key].word}={name}"
        changed = {f"{key}.{knob}": own for knob, own in value.items() if usual.get(knob) != own}
        yield from (f"{knob}={literal(own)}" for knob, own in changed.items() if knob not in SHARED)


def moved(configured: Mapping[str, Any]) -> dict[str, Any]:
    """The axes of the model that a configuration has otherwise than the file of its baseline."""
    base = baseline_of(configured)
    parts = {axis: configured[axis] for axis in base if AXES[axis].owner == "model"}
    return {axis: part for axis, part in parts.items() if part != preset(AXES[axis].group, base[axis])}


def _by_model(jobs: Sequence[Words]) -> dict[str, list[Words]]:
    found: dict[str, list[Words]] = {}
    for job in jobs:
        found.setdefault(_model(job), []).append(job)
    return found


def _model(job: Sequence[str]) -> str:
    """The words that choose a model: what goes with it, as in `design.zip`, is not compared."""
    chosen = [text for text, word in zip(job, parse(list(job)), strict=True) if _chooses_model(setting(word))]
    return " ".join(chosen)


def _chooses_model(key: str) -> bool:
    return key == "model" or key in {f"model.{size}" for size in SIZES}


def _several(jobs: Sequence[Words], tuned: Sequence[str]) -> Iterator[str]:
    """The protocol settings to which the jobs of one model give several values."""
    typed = [{setting(word): text for text, word in zip(job, parse(job), strict=True)} for job in jobs]
    for key in dict.fromkeys(key for words in typed for key in words):
        if _is_protocol(key, tuned) and len({words.get(key) for words in typed}) > 1:
            yield key


def _is_protocol(key: str, tuned: Sequence[str]) -> bool:
    if key in tuned or key in ROLES or key.split(".")[0] in {*ROLES} - {"model"}:
        return False
    top = key.split(".")[0]
    return not (top in AXES and AXES[top].always and (AXES[top].owner == "model" or key == top))


def _plain(job: Words, several: Iterable[str]) -> Words:
    """The words that are left once all that is compared is taken out."""
    told = f"++against={literal(dict.fromkeys(several))}"
    return [word for word in without_axes([*job, told]) if word != told]


class _Model:
    """The jobs of one model, and what is compared among them."""

    def __init__(
        self,
        composer: Composer,
        jobs: Sequence[Words],
        several: Sequence[str],
        moved: Mapping[str, Any],
        searched: Sequence[str],
    ) -> None:
        self.composer, self.jobs, self.moved, self.searched = composer, jobs, moved, searched
        self.several = several
        configs = [config for job in jobs if (config := _composed(composer, job)) is not None]
        self.first = configs[0] if configs else None
        listed = {key: [get(config, key) for config in configs] for key in several}
        within = {key for key in several if "." in key and key.split(".")[0] in several}  # knobs of what is compared
        differ = {key: values for key, values in listed.items() if any(value != values[0] for value in values)}
        self.listed = {key: values for key, values in differ.items() if key not in within}

    def told(self) -> list[Words]:
        """The jobs with the words that follow from what is compared; what cannot be composed is left to be refused."""
        found = []
        for job in self.jobs:
            config = _composed(self.composer, job)
            base = _composed(self.composer, _plain(job, self.several))  # none where a setting has no value of its own
            found.append(list(job) if config is None else self._told(job, config, base))
        return found

    def _told(self, job: Words, config: Mapping[str, Any], base: Mapping[str, Any] | None) -> Words:
        against = self._against(config, base or self.first or config)
        words = [*self._less_usual(job, config, base or {}, against), *_own_rates(job, config)]
        if "batch_size" in against:
            words = _with_micro_batch(words, config)
        if any(key.split(".")[0] in DATA for key in against) and config["evaluation"]["bytes"] is None:
            words = [*words, f"evaluation.bytes={BYTES_PER_TOKEN * config['evaluation']['tokens']}"]
        return [*words, f"++against={literal(against)}"] if against else words

    def _less_usual(
        self, job: Words, config: Mapping[str, Any], base: Mapping[str, Any], against: Mapping[str, Any]
    ) -> Words:
        """The words less those that give a compared setting what it has anyway: 0 and 0.0 would be two runs."""
        usual = [key for key in against if key not in AXES and get(config, key) == get(base, key)]
        return [text for text, word in zip(job, parse(job), strict=True) if setting(word) not in usual]

    def _against(self, config: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
        """What one run is measured against: of each setting the configured value, or the first listed."""
        found = dict(self.moved)
        for key, values in self.listed.items():
            usual = get(base, key)
            found[key] = usual if usual in values else values[0]
        other = option(config["optim"]) != baseline_of(config)["optim"]
        preset_optim = reference_part(config, "optim")
        own = {**base["optim"], **{knob: preset_optim[knob] for knob in _knobs(self.searched) if knob in preset_optim}}
        if other and own != preset_optim:
            found["optim"] = own
        return {**{axis: found[axis] for axis in AXES if axis in found}, **found}


def _composed(composer: Composer, job: Words) -> dict[str, Any] | None:
    """The configuration of some words; None where they do not compose or leave a setting without a value."""
    try:
        return composer(job)
    except ValueError:
        return None


def _knobs(tuned: Sequence[str]) -> list[str]:
    """The knobs of the optimizer among tuned settings."""
    return [key.partition(".")[2] for key in tuned if key.startswith("optim.")]


def _own_rates(job: Words, config: Mapping[str, Any]) -> Iterator[str]:
    """Another optimizer than the baseline's keeps its own scale of rates: an experiment's are for the baseline's."""
    name = option(config["optim"])
    if name == baseline_of(config)["optim"] or not _types(job, "optim"):
        return
    usual, typed = preset("optim", name), {setting(word) for word in parse(job)}
    for knob in _knobs(config.get("tuned") or ()):
        key = f"optim.{knob}"
        if key not in typed and knob in usual and config["optim"][knob] != usual[knob]:
            yield f"{key}={literal(usual[knob])}"


def _with_micro_batch(job: Words, config: Mapping[str, Any]) -> Words:
    """The micro-batch follows a batch that it does not divide."""
    batch, micro = config["batch_size"], config["micro_batch_size"]
    if not isinstance(micro, int) or not isinstance(batch, int) or micro < 1 or batch < 1 or batch % micro == 0:
        return job
    kept = [text for text, word in zip(job, parse(job), strict=True) if setting(word) != "micro_batch_size"]
    largest = max(size for size in range(1, min(micro, batch) + 1) if batch % size == 0)
    return [*kept, f"micro_batch_size={largest}"]


def _types(job: Sequence[str], key: str) -> bool:
    return any(setting(word) == key for word in parse(list(job)))


def literal(value: Any) -> str:
    """A value in the grammar of Hydra's command line."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(literal, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return quoted(value) if isinstance(value, str) else repr(value)

"""The record of one run: frozen dataclasses that every reader shares.

A run's folder holds `config.yaml` (the resolved configuration, written first), `curve.csv` (appended at every
evaluation) and `record.json` (renamed into place last: its presence means "done").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Raw = dict[str, Any]
"""A record as JSON holds it."""

SEARCH, COMPARE = "search", "compare"
"""What a run is for: to choose the settings of a variant, or to be compared. The two never share a seed."""


def _with_axes(since: dict[str, str], beside: str) -> Callable[[Raw], Raw]:
    """What had an axis had others too, which did not exist, with the options that they came with."""

    def migrated(raw: Raw) -> Raw:
        axes, choices = raw.get("axes"), raw.get("choices")
        if not isinstance(axes, dict) or not isinstance(choices, dict) or beside not in axes:
            return raw
        options = {axis: {"option": option} for axis, option in since.items()}
        return {**raw, "axes": {**since, **axes}, "choices": {**options, **choices}}

    return migrated


def _with_choice(axis: str, option: str) -> Callable[[Raw], Raw]:
    """What was chosen of an axis of training that did not exist; records from before choices were kept have none."""

    def migrated(raw: Raw) -> Raw:
        choices = raw.get("choices")
        if not isinstance(choices, dict) or "optim" not in choices:
            return raw
        return {**raw, "choices": {axis: {"option": option}, **choices}}

    return migrated


DEFAULT_BASELINE = "gpt2_paper"
"""The file in conf/baseline/ that variants are measured against where no other is named, as all once were."""

MIGRATIONS: tuple[Callable[[Raw], Raw], ...] = (
    lambda raw: {**raw, "protocol": {}},
    lambda raw: {**raw, "role": COMPARE, "beside": None},
    lambda raw: {
        **raw,
        "axes": {"backbone": "transformer", "block": "pre", **raw["axes"]},
        "n_active_params": raw["n_params"],
        "n_devices": raw["environment"].get("n_devices", 1),
        "optimizer_flops": 0.0,
        "facts": {},
        "stats": {},
    },
    lambda raw: {
        **raw,
        "choices": {axis: {"option": option} for axis, option in dict(raw["axes"]).items()},
        "baseline": DEFAULT_BASELINE,
        "against": {},
    },
    _with_axes({"mixer": "attention"}, beside="attention"),
    _with_axes(dict.fromkeys(("qk_norm", "output_gate", "sinks", "softcap"), "none"), beside="attention"),
    lambda raw: raw,  # seconds, speed and memory of runs that train together are not known
    _with_axes({"skip": "none"}, beside="block"),
    _with_axes({"head": "tied"}, beside="backbone"),
    _with_choice("objective", "next_token"),
    _with_choice("init", "gpt2"),
)
"""From every former version of the schema to the next, the first from 1 to 2: what was paid for stays readable."""

SCHEMA_VERSION = len(MIGRATIONS) + 1

BESIDE = "ALGOPROG_BESIDE"
"""Environment variable in which an engine tells a run how many others train beside it on the machine."""

BASELINE = "none"
"""Name of the variant in which no axis is changed."""

FINISHED, DIVERGED = "finished", "diverged"

CONFIG_FILE, CURVE_FILE, RECORD_FILE = "config.yaml", "curve.csv", "record.json"
LOG_FILE = "run.log"  # all that a run of a sweep printed, every attempt of it
SWEEP_FILE = "sweep.json"
"""What a sweep set out to do: its command line, and name and overrides of every run."""
CHOICES_FILE = "choices.json"
"""What the searches of a sweep chose, and the trials that they chose by."""
SCREENING_FILE = "screening.json"
"""What the looks of a sweep decided, and the rule that they decided by."""
GAINS_CSV, GAINS_JSON, REPORT_FILE = "gains.csv", "gains.json", "report.html"
CURVES_CSV = "curves.csv"  # the curves behind a published table
FIGURES = "figures"  # folder of the figures beside the report

CURVE_COLUMNS = (
    "step",  # optimizer steps taken
    "tokens",  # training tokens seen
    "flops",  # charged for training: of the model (forward + backward) and of the optimizer
    "seconds",  # wall-clock seconds of training, evaluation excluded
    "train_loss",  # nats per token, mean since the row before
    "val_loss",  # nats per token on the fixed validation windows
    "val_perplexity",
    "val_bits_per_byte",
    "lr",
    "annealed",  # 1 at the end of an annealed budget: of a branch, or of a run whose rate is taken down; else 0
)

"""Columns of every curve; behind them stand those that a run has more: `optimizer_flops`, statistics of its parts."""

ANNEALED = "annealed"
"""The column that marks the ends."""

NEEDED_COLUMNS = ("step", "val_loss")
"""Without these there is no curve; of the others a run has none that was recorded before they were."""

OPTIMIZER_FLOPS = "optimizer_flops"
"""Of `flops`, the matrix products of the optimizer; without them there is no such column."""


LOSS_AT_CONTEXT = "val_loss_context_"
"""Facts of a run: its final loss over windows of so many times the context that it was trained with."""


class NewerSchemaError(ValueError):
    """A record was written by a newer version of the program."""


@dataclass(frozen=True)
class DataInfo:
    """What was trained on; `sha256` identifies tokens and split exactly."""

    name: str
    tokenizer: str
    sha256: str
    vocab_size: int
    train_tokens: int
    val_tokens: int
    val_bytes_per_token: float
    val_text_sha256: str | None = None  # of the text that is validated on, whatever its tokens are; None where unknown


@dataclass(frozen=True)
class Record:
    """Everything about one run that is not a curve.

    `run_id` is the hash of what determines the result; `cohort` is the same hash without the axes and the seed, so
    runs of one cohort may be compared with each other and differ only in variant and seed.
    """

    run_id: str
    cohort: str
    variant: str
    axes: dict[str, str]
    choices: dict[str, Any]  # option and knobs of every axis; the options alone in records from before they were kept
    baseline: str  # file in conf/baseline/ that the variant is measured against, moved axes in brackets
    against: dict[str, Any]  # settings that the sweep compares, with the value that the run is measured against
    model: str
    seed: int
    status: str
    reason: str | None  # why a diverged run was ended
    steps: int
    tokens: int
    train_flops: float  # charged: of the model, forward and backward, and of the optimizer
    optimizer_flops: float  # of these, the optimizer's matrix products
    seconds: float | None  # None where it trained together with others
    final_val_loss: float | None
    min_val_loss: float | None
    min_val_step: int | None
    n_params: int
    n_active_params: int  # that one token uses
    n_embedding_params: int
    train_flops_per_token: float  # of the model
    attention_density: float | None  # attended keys / causal keys, measured; None without attention
    facts: dict[str, float]  # constants of the built model: bytes of state, FLOPs of use, ...
    stats: dict[str, float | None]  # what its parts reported between the last two rows of the curve, by layer
    corpus_passes: float  # training tokens seen per token of the corpus
    tokens_per_second: float | None
    mfu: float | None  # model FLOPs utilisation; None where the peak of the device is unknown
    peak_memory_bytes: int | None
    n_devices: int
    data: DataInfo
    flags: tuple[str, ...]  # warnings of the gates, short words
    context: dict[str, Any]  # settings changed on the command line that are neither axis, model nor seed
    overrides: tuple[str, ...]  # the command line that repeats the run
    environment: dict[str, Any]  # versions, device, git state
    protocol: dict[str, Any]  # settings that all runs of a ladder should share: all but axes, seed, sizes and budget
    role: str  # search or compare
    beside: int | None  # runs that trained on the machine at the same time, this one excluded; None where unknown
    created: str  # ISO 8601, UTC
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Record:
        """Rebuild a record from its JSON object.

        Keys that this program does not know are passed over, and what a program of before did not know is taken as
        not known: neither is damage.

        Raises:
            ValueError: a key without which it is no record is missing, a value has another type, or the schema is newer
                than this program.
        """
        raw = _known(cls, _migrated(raw))
        _check_types(cls, raw)
        if raw["role"] not in (SEARCH, COMPARE):
            raise ValueError(f"role is {raw['role']!r}, neither {SEARCH} nor {COMPARE}")
        data = _data_info(raw["data"])
        return cls(**{**raw, "data": data, "flags": tuple(raw["flags"]), "overrides": tuple(raw["overrides"])})


def _migrated(raw: Any) -> Raw:
    """A record in the schema of this program.

    Raises:
        ValueError: it is no record, or of a newer program.
    """
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError(f"schema_version is {version!r}, no number of a schema")
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(f"schema_version is {version}, this algoprog reads up to {SCHEMA_VERSION}")
    for migrate in MIGRATIONS[version - 1 :]:
        raw = migrate(raw)
    return {**raw, "schema_version": SCHEMA_VERSION}


def _known(cls: type, raw: Raw) -> Raw:
    """The keys of a record that are known here; a missing one is None, empty or no list where its type allows that."""
    found: Raw = {}
    for name, hint in _hints(cls).items():
        nothing: tuple[Any, ...] = (None, {}, [])
        known = [raw[name]] if name in raw else [value for value in nothing if _fits(value, hint)]
        found.update(zip([name], known, strict=False))
    if missing := sorted(_hints(cls).keys() - found.keys()):
        raise ValueError(f"keys missing {missing}")
    return found


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _data_info(raw: Any) -> DataInfo:
    if not isinstance(raw, dict):
        raise ValueError(f"data is {raw!r}, no object")
    try:
        raw = _known(DataInfo, raw)
    except ValueError as error:
        raise ValueError(f"data is no data set: {error}") from error
    _check_types(DataInfo, raw)
    return DataInfo(**raw)


def _check_types(cls: type, raw: dict[str, Any]) -> None:
    """Refuse JSON values that are not of their fields' types; `data` is looked into by itself."""
    for name, hint in _hints(cls).items():
        if hint is not DataInfo and not _fits(raw[name], hint):
            raise ValueError(f"{name} is {raw[name]!r}, not of type {getattr(hint, '__name__', hint)}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of an annotated type; a list stands for a tuple, a whole number for a float."""
    parts = get_args(hint)
    if get_origin(hint) is UnionType:
        return any(_fits(value, part) for part in parts)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in value.values())
    if get_origin(hint) is tuple:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if hint is Any:
        return True
    return isinstance(value, (int, float) if hint is float else hint) and not isinstance(value, bool)


@dataclass(frozen=True)
class Run:
    """A finished run as read back from its folder: the record and one array a curve column, rows in step order."""

    record: Record
    curve: dict[str, NDArray[np.float64]] = field(repr=False)
    path: Path

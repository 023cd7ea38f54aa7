"""The typed schema of the configuration: names, types and units. Values live in conf/ alone."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from algoprog.axes import AXES
from algoprog.runs.record import CONFIG_FILE

EXECUTION = ("trainer", "logger", "cache_dir", "per_model", "role")
"""Top-level settings that say how and where a run is computed, never what comes out."""

COMPARISON = ("baseline", "tuned", "against")
"""Top-level settings that say what a run is compared with, never what comes out."""

OF_THE_SWEEP = ("hydra", "design", "tune")
"""Top-level settings that say which runs there are, and belong to none of them."""

AUTO = "auto"
"""Value of a setting that is worked out where the run is trained."""

SIZES = ("name", "n_layers", "d_model", "n_heads")
"""What distinguishes the models of a clean ladder; the other settings of a model belong to the protocol."""


@dataclass
class ModelConfig:
    """Sizes of the model."""

    name: str = MISSING
    n_layers: int = MISSING
    d_model: int = MISSING
    n_heads: int = MISSING
    seq_len: int = MISSING  # tokens
    dropout: float = MISSING
    bias: bool = MISSING


@dataclass
class BudgetConfig:
    """How long a run trains; exactly one is set."""

    steps: int | None = MISSING
    tokens: float | None = MISSING
    flops: float | None = MISSING
    tokens_per_param: float | None = MISSING


@dataclass
class EvaluationConfig:
    """When and on how much text the validation loss is measured; exactly one of points and every is set."""

    points: int | None = MISSING
    every: int | None = MISSING  # steps
    tokens: int = MISSING
    bytes: int | None = MISSING  # of whole documents, in place of tokens
    contexts: list[int] = MISSING  # of the trained one


@dataclass
class TrainerConfig:
    """The machine."""

    accelerator: str = MISSING
    devices: Any = MISSING  # a number, a list of indices or auto
    num_nodes: int = MISSING
    strategy: str = MISSING
    threads: int | None = MISSING
    compile: bool = MISSING
    checkpoint_seconds: float | None = MISSING
    checkpoint_steps: int | None = MISSING  # optimizer steps


Baseline = make_dataclass(
    "Baseline", [("name", str, MISSING), *((axis.name, Any, None) for axis in AXES.values() if axis.always)]
)
"""The file in conf/baseline/ that gains are measured against, and the options of the axes that are moved in it."""


@dataclass
class Config:
    """A run, less the axes. They and the other parts with a `_target_` are typed by the constructors that they name."""

    model: ModelConfig = MISSING
    budget: BudgetConfig = MISSING
    evaluation: EvaluationConfig = MISSING
    trainer: TrainerConfig = MISSING
    logger: Any = MISSING
    seed: int = MISSING
    batch_size: int = MISSING  # sequences
    micro_batch_size: Any = MISSING  # sequences, or auto
    gradient_clip: float = MISSING
    precision: str = MISSING
    cache_dir: str = MISSING
    role: str = MISSING  # search or compare
    design: Any = MISSING  # of the sweep: no run's configuration or identity holds it
    tune: Any = MISSING  # of the sweep as well
    baseline: Any = field(default_factory=Baseline)
    tuned: list[str] = MISSING
    against: dict[str, Any] = MISSING
    per_model: dict[str, Any] = MISSING  # settings that an experiment ties to the model, for interpolation


Schema = make_dataclass("Schema", [(axis, Any, MISSING) for axis in AXES], bases=(Config,))
ConfigStore.instance().store("schema", Schema)


def conf_dir() -> Path:
    """The folder of the configuration: beside the sources in a clone, inside the package once installed."""
    here = Path(__file__).resolve().parent
    return here / "conf" if (here / "conf").is_dir() else here.parents[1] / "conf"


def read_config(folder: Path) -> dict[str, Any]:
    """The settings that a run wrote to its folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, naming the file and the remedy.
    """
    path = folder / CONFIG_FILE
    try:
        config = OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")))
    except (OmegaConfBaseException, UnicodeDecodeError, YAMLError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"{path} cannot be read ({why}): move its folder away and run it again") from error
    if not isinstance(config, dict) or not config:
        raise ValueError(f"{path} holds no settings: move its folder away and run it again")
    return {str(key): value for key, value in config.items()}

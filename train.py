"""Train one model, or sweep over many with `-m`. `python train.py --help` shows the choices."""

import sys

import hydra
from omegaconf import DictConfig

import algoprog.config  # noqa: F401 - registers the schema
from algoprog.start import start


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float | None:
    """Run what the configuration says; the final validation loss in nats."""
    from algoprog.run.app import main as run  # here, so that --help does not wait for torch

    return run(cfg)


if __name__ == "__main__":
    sys.exit(start(main))

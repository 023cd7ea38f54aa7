"""Checked and priced runs, with what is equal between them worked out once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from algoprog import build
from algoprog.data.prepare import token_folder
from algoprog.data.tokens import TokenStore
from algoprog.run.spec import RunSpec, priced, reseeded
from algoprog.sweep.plan.placement import Placement


class Specs:
    """`priced` for many runs: the seed alone changes neither size nor price, and corpora are shared."""

    def __init__(self, placement: Placement | None = None) -> None:
        """Keep where the runs will be trained; None for runs of this process."""
        self.placement = placement
        self.stores: dict[str, TokenStore] = {}
        self.specs: dict[str, RunSpec] = {}

    def __call__(self, config: dict[str, Any]) -> RunSpec:
        """The run of a resolved configuration.

        Raises:
            ValueError: it cannot be trained, saying what to change.
        """
        key = json.dumps({name: value for name, value in config.items() if name != "seed"}, default=str)
        seed = config["seed"]
        if key in self.specs and isinstance(seed, int) and 0 <= seed < 2**32:
            known = self.specs[key]
            return reseeded(known, seed)
        self.specs[key] = self._checked(config)
        return self.specs[key]

    def _checked(self, config: dict[str, Any]) -> RunSpec:
        if self.placement:
            self.placement.check(config["trainer"])
        return priced(config, self._tokens(config), self.placement.gpus if self.placement else None)

    def _tokens(self, config: dict[str, Any]) -> TokenStore:
        """Each corpus, prepared once for all runs that share it."""
        key = repr((config["data"], config["tokenizer"], config["cache_dir"]))
        if key not in self.stores:
            corpus, tokenizer = build.sources(config)
            folder = token_folder(corpus, tokenizer, Path(config["cache_dir"]))
            if not folder.exists():
                print(f"preparing the tokens of {corpus.name} with {tokenizer.name} in {folder}", file=sys.stderr)
            self.stores[key] = build.tokens(config)
        return self.stores[key]

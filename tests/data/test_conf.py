"""Every data and tokenizer yaml builds its object, names every knob, and nothing has a second default."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from algoprog.data.interface import Corpus, Tokenizer

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted([*(CONF / "data").glob("*.yaml"), *(CONF / "tokenizer").glob("*.yaml")])


def test_all_are_found() -> None:
    names = {f"{path.parent.name}/{path.stem}" for path in FILES}
    data = {"sotu", "openwebtext", "fineweb_edu", "c4", "wikitext103", "tinystories", "local"}
    assert names == {f"data/{n}" for n in data} | {f"tokenizer/{n}" for n in ("gpt2", "bytes", "bpe")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_yaml_and_constructor_agree(path: Path, tmp_path: Path) -> None:
    config = OmegaConf.load(path)
    if path.stem == "local":
        assert OmegaConf.is_missing(config, "path")
        (tmp_path / "text.txt").write_text("words")
        config["path"] = str(tmp_path)
    built = instantiate(config)
    assert isinstance(built, Corpus if path.parent.name == "data" else Tokenizer)
    assert len(built.fingerprint()) == 64
    cls = get_class(config["_target_"])
    if cls.__init__ is object.__init__:
        assert set(config) == {"_target_"}
        return
    parameters = dict(list(inspect.signature(cls).parameters.items()))
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters.values())
    assert set(config) == {"_target_", *parameters}

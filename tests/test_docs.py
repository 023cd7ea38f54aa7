"""The documentation's code runs and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml

from algoprog.axes import MODEL
from algoprog.model.interface.site import Site
from tests.configs import TINY, gpt, tokens

ROOT = Path(__file__).resolve().parents[1]


def _blocks(path: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / path).read_text(), flags=re.S)


def test_the_example_of_an_option_works() -> None:
    source = _blocks("docs/extending.md", "python")[0]
    (knobs,) = (yaml.safe_load(block) for block in _blocks("docs/extending.md", "yaml"))
    module: dict[str, object] = {}
    exec(compile(source, "docs/extending.md", "exec"), module)
    build = module[knobs["_target_"].rsplit(".", 1)[1]]
    assert callable(build)

    def mlp(site: Site) -> object:
        return build(site, expansion=knobs["expansion"])

    model = type(gpt())(TINY, {**_parts(), "mlp": mlp})
    model.init_weights(0)
    logits = model(tokens(2))
    assert torch.isfinite(logits).all()
    assert model.flops_per_token() > 0


def _parts() -> dict[str, object]:
    from algoprog import build
    from tests.configs import compose

    config = compose()
    return {axis: build.construct(config, axis) for axis in MODEL if axis != "backbone"}


def test_every_make_target_that_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"make ([a-z-]+)", text))
    assert named
    assert named <= targets


def test_every_file_that_the_readme_links_exists() -> None:
    for source in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", source.read_text()):
            assert link.startswith("https://") or (source.parent / link).exists(), f"{source.name}: {link}"


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_the_tests_that_a_page_names_exist(page: str) -> None:
    for path, test in re.findall(r"(tests/[\w/]+\.py)::(test_\w+)", (ROOT / "docs" / page).read_text()):
        assert f"def {test}(" in (ROOT / path).read_text(), f"{page} names {path}::{test}"


def test_the_page_on_the_house_names_every_folder_and_what_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "algoprog"
    folders = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(re.findall(r"^\| `src/algoprog/(\w+)/` \|", text, flags=re.M))
    inner = set(re.findall(r"`(\w+)/`", text))
    assert inner <= {path.name for path in ROOT.rglob("*") if path.is_dir()}
    places = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(places) > 8
    for file, name in places:
        assert re.search(rf"(def|class) {name}\b", (source / file).read_text(encoding="utf-8")), f"{file}::{name}"
    for conf in re.findall(r"`(conf/[\w/]+\.yaml)`", text):
        assert (ROOT / conf).exists()

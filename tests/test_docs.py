"""The documentation's code runs and its commands exist."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch

from algoprog.model.interface.reports import Reports
from tests import test_conformance
from tests.configs import gpt, tokens
from tests.model import test_flops, test_properties, test_steps

ROOT = Path(__file__).resolve().parents[1]


EXAMPLE = re.compile(r"^`((?:src|conf)/[\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", flags=re.M | re.S)


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """The yaml of each kind of option that the page shows, its code standing where the page says."""
    written, before = {}, set(sys.modules)
    for place, content in EXAMPLE.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")):
        file = tmp_path / place
        file.parent.mkdir(parents=True)
        file.write_text(content, encoding="utf-8")
        if file.suffix == ".yaml":
            written[file.parent.name] = file
        else:
            package = import_module(".".join(Path(place).parent.parts[1:]))
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(file.parent)])
    yield written
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_there_is_an_example_of_every_kind(examples: dict[str, Path]) -> None:
    assert examples.keys() == {"mlp", "mixer", "optim"}
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    for kind in ("cost", "estimator"):  # run in tests/ceg
        assert len(re.findall(rf"^`src/algoprog/ceg/{kind}/\w+\.py`:\n\n```python", text, flags=re.M)) == 1


@pytest.mark.parametrize("kind", ["mlp", "mixer", "optim"])
def test_files_of_an_example_agree(examples: dict[str, Path], kind: str) -> None:
    path = examples[kind]
    test_conformance.test_yaml_and_constructor_agree(path)
    test_conformance.test_docstrings_explain(path)


@pytest.mark.parametrize("axis", ["mlp", "mixer"])
def test_an_example_holds_what_options_are_held_to(examples: dict[str, Path], axis: str) -> None:
    parts = {axis: test_conformance.load(examples[axis])}
    test_conformance.test_option_is_named_alike_everywhere(examples[axis])
    test_properties.test_causality(parts)
    test_properties.test_every_parameter_learns(parts)
    test_steps.test_steps_say_what_the_whole_says(parts)
    test_steps.test_rows_of_unequal_length_do_not_meet(parts)
    test_steps.test_the_bytes_of_a_state_are_those_that_are_allocated(parts)
    test_steps.test_decoding_costs_what_reading_costs(parts)
    test_flops.test_closed_form_is_what_is_counted(axis, parts[axis])


def test_the_loss_of_the_example_is_for_training_alone(examples: dict[str, Path]) -> None:
    mlp = test_conformance.load(examples["mlp"])
    plain, penalised = (gpt(mlp={**mlp, "l1": l1}) for l1 in (0.0, 0.5))
    told = [Reports(), Reports()]
    assert plain(tokens(2), told[0]).equal(penalised(tokens(2), told[1]))
    losses = [reports.objective(torch.zeros(())).item() for reports in told]
    assert losses[0] == 0 < losses[1]
    assert all(0 < float(share) < 1 for share in told[1].statistics.values())
    assert {name for own in penalised.statistics().values() for name in own.columns()} == {"active_features"}


def test_the_example_of_an_optimizer_holds_what_optimizers_are_held_to(examples: dict[str, Path]) -> None:
    test_conformance.test_state_and_products_of_an_optimizer_are_what_it_says(examples["optim"])
    for knob in test_conformance.knobs(examples["optim"]):
        test_conformance.test_no_knob_of_an_optimizer_is_dead(examples["optim"], knob)


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
    roots = [ROOT / name for name in ("benchmarks", "conf", "docs", "src", "tests")]
    assert inner <= {path.name for root in roots for path in (root, *root.rglob("*")) if path.is_dir()}
    places = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(places) > 8
    for file, name in places:
        assert re.search(rf"(def|class) {name}\b", (source / file).read_text(encoding="utf-8")), f"{file}::{name}"
    for conf in re.findall(r"`(conf/[\w/]+\.yaml)`", text):
        assert (ROOT / conf).exists()

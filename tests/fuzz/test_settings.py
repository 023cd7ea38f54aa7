"""Odd words of a command line: a plan whose runs train, or one sentence, and never a run that fails half-way."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from algoprog import build
from algoprog.compose import compose
from algoprog.config import conf_dir
from algoprog.refusals.by_hydra import settings
from algoprog.run import app, fit
from algoprog.runs.mistake import sentence
from algoprog.runs.store import load_run
from algoprog.start import hydra_words
from tests.configs import TINY_RUN
from tests.fuzz.command import assert_sentence, few, told

ELSEWHERE = ("cache_dir", "data", "tokenizer", "logger", "trainer.compile", "trainer.strategy", "trainer.num_nodes")
"""Settings that write to other places, ask the network or start other programs."""

KEYS = tuple(key for key in settings() if not key.startswith(ELSEWHERE))
ODD_KEYS = """
foo seeed optim.lrr model. .model model..name a.b.c.d é model/x norm@x norm@final_norm hydra.sweeper.params
hydra.run.dir hydra.job.name hydra/launcher hydra _target_ optim._target_ 1 model[0] optim.betas[0] per_model.nano.lr
against.seed tuned baseline.kernel baseline.nope variant design.parts.norm attention.mask
""".split()  # noqa: SIM905
FOLDERS = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())
GROUPS = tuple(name for name in FOLDERS if name not in ("data", "experiment", "hydra", "logger", "tokenizer"))
OPTIONS = tuple(sorted({path.stem for group in GROUPS for path in (conf_dir() / group).glob("*.yaml")}))
VALUES = [
    *"""
    0 1 2 3 -1 0.5 1.5 1e-3 1e5 1e400 -1e400 inf nan -0.0 0x10 1_000 01 999999999999999999999999999999 true false null
    '' "" nope é 漢字 ../x / . .. a/b $ ${seed} ${nope} ${oc.env:HOME} ${oc.env:NOPE} ${ } [] [1] [1,2] [[1],[2]]
    [0.9,0.95] [0.9,0.95,0.99] ['a'] {} {a:1} {a:{b:[1,2]}} 1,2 0,1,2 a,b range(3) range(0) range(2) glob(*) glob(x)
    choice(1,2) interval(0,1) sort(2,1) shuffle(1,2) str(1) int(x) int(1.5) extend_list(1) ' " a=b a:b # @ * ! % ~ + -
    auto none ln ??? (1,2) -m --help 1;2 & \\
    """.split(),  # noqa: SIM905
    *("", " ", "a b", "'a b'", "\t", "\n", "\x00", "\x1b[31m", "\u202e", "\u2028", "x" * 300),
]

keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(GROUPS), st.sampled_from(ODD_KEYS))
values = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(OPTIONS),
    st.integers(-3, 20).map(str),
    st.floats().map(str),
    st.text(max_size=6),
)
signs = st.sampled_from(["", "", "", "", "+", "++", "~"])


@st.composite
def words(draw: st.DrawFn) -> str:
    """One word: mostly a setting and a value, now and then something else."""
    key, sign = draw(keys), draw(signs)
    shapes = [f"{sign}{key}={draw(values)}"] * 8 + [f"{sign}{key}", f"{key}:{draw(values)}", draw(st.text(max_size=8))]
    return str(draw(st.sampled_from(shapes)))


def planned(*typed: str) -> list[dict[str, Any]]:
    """The runs of a plan; none where it says in a sentence why it is none, or refuses runs in one each."""
    with tempfile.TemporaryDirectory() as records:
        code, out, error = told("plan", "--records", records, "--format", "json", "--", *TINY_RUN, *typed)
    if code == 0:
        found: dict[str, Any] = json.loads(out)
        for line in error.splitlines():
            assert_sentence(line)
        return [run for run in found["runs"] if run["state"] == "new"]
    assert code == 2, error
    if out:
        refused = json.loads(out)["refused"]
        assert refused
        for combination in refused:
            assert_sentence(combination["reason"])
        return []
    last = error.splitlines()[-1]
    assert last.startswith("error: "), error
    assert_sentence(last)
    return []


def trained(typed: list[str]) -> None:
    """Train one run that a plan promised; its record can be read."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit.run(app.prepare(build.resolve(compose(typed))), Path(folder), typed)
        assert load_run(Path(folder)).record.variant


def is_short(run: dict[str, Any]) -> bool:
    return run["steps"] <= 12 and run["train_flops"] < 1e9 and "***" not in "".join(run["overrides"])


@few(8)
@given(typed=st.lists(words(), min_size=1, max_size=2))
def test_odd_settings_are_planned_and_train_or_are_one_sentence(typed: list[str]) -> None:
    for run in [run for run in planned(*typed) if is_short(run)][:1]:
        trained(run["overrides"])


@few(8)
@example(typed=["model=[0.9,0.95,0.99]"])
@given(typed=st.lists(st.one_of(words(), words().map("--{}".format)), min_size=1, max_size=3))
def test_words_of_a_command_line_compose_or_are_one_sentence(typed: list[str]) -> None:
    try:
        compose(hydra_words([*TINY_RUN, *typed]))
    except ValueError as error:
        assert_sentence(sentence(error))

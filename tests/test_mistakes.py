"""What cannot be is told in one sentence that names it, whoever finds it, and before anything is trained."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from algoprog import build
from algoprog.compose import compose as composed
from algoprog.overrides import refuse_choices
from algoprog.refusals.names import check_name
from algoprog.refusals.unknown import unread
from algoprog.run.spec import priced
from algoprog.runs.mistake import sentence
from algoprog.start import hydra_words
from algoprog.sweep.plan.preview import preview
from algoprog.training.devices.hardware import Gpus, count_devices
from tests.configs import TINY_RUN, compose


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["attention=nope"], "Could not find 'attention/nope': choose among "),
        (["attn=mqa"], "attn is no setting: did you mean attention?"),
        (["optim.lrr=1"], "optim.lrr is no setting: did you mean optim.lr?"),
        (["model.size=1"], "model.size is no setting: model has bias, d_model"),
        (["data.path=x"], "data.path belongs to data=c4, fineweb_edu, local"),
        (["seed=1.5"], "seed=1.5 does not fit: value '1.5' of type 'float' could not be converted to Integer"),
        (["model.n_layers=null"], "model.n_layers=null does not fit"),
        (["nope"], "nope is no KEY=VALUE"),
        (["note=a=b"], "note=a=b is no KEY=VALUE"),
        (["+seed=1"], "+seed is there already: write seed=... without the plus"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_hydra_refuses_is_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}") as caught:
        composed(words)
    assert "\n" not in str(caught.value)


def test_what_nobody_reads_is_told() -> None:
    assert unread(["+sed=1", "seed=2", "+optim.lr=1"]) == [
        "nothing reads +sed, for sed is no setting: did you mean seed?"
    ]
    assert unread(["+width=64", "model.d_model=${width}", "variant=ln", "experiment=demo", "norm@final_norm=ln"]) == []


def test_words_of_an_agent_are_understood_or_named() -> None:
    words = ["--optim.lr=0.1", "seed=1", "--config-name=config", "-m", "--multirun"]
    assert hydra_words(words) == ["optim.lr=0.1", "seed=1", "--config-name=config", "-m", "--multirun"]
    with pytest.raises(ValueError, match="--fast is no option"):
        hydra_words(["--fast"])
    with pytest.raises(ValueError, match="UTF-8"):
        hydra_words(["+note=\udcff"])


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "/", "../../evil", "a\\b", "a\nb", "\x1b[31m", "a\u2028b", "\u202eb", 300 * "x"]
)
def test_a_name_never_leaves_its_folder(name: str) -> None:
    config = compose(*TINY_RUN)
    config["model"]["name"] = name
    with pytest.raises(ValueError, match=r"model\.name=.*: choose a name") as caught:
        priced(config, build.tokens(config))
    assert str(caught.value).isprintable()


def test_a_name_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "planted-0f5d7c")
    with pytest.raises(ValueError, match=r"model\.name=my-\*\*\* holds a secret"):
        check_name("model.name", "my-planted-0f5d7c")
    check_name("model.name", "größer 2")


@pytest.mark.parametrize("odd", ["\x1b[31m", "\u202e", "\x1f", "\udcff", "a\nb", "\u2028"])
def test_a_sentence_shows_what_it_names_on_one_line(odd: str) -> None:
    """Whatever a file, a folder or a word is called; half a letter could not be printed at all."""
    for error in (ValueError(f"{odd} is no setting"), OSError(errno.ENOENT, "No such file", odd)):
        said = sentence(error)
        assert said.isprintable()
        assert said.encode()
    with pytest.raises(ValueError, match=r"is no option|is no UTF-8") as caught:
        hydra_words([f"--{odd}"])
    assert sentence(caught.value).isprintable()


def test_one_run_has_one_option_of_an_axis() -> None:
    for word in ("attention=[mqa,gqa]", "model=[nano,micro]", "model=[0.9]", "norm@final_norm=[ln]", "experiment=[1]"):
        with pytest.raises(ValueError, match="lists options"):
            refuse_choices([word])
        for refuse in (composed, hydra_words, lambda words: preview(words, Path())):
            with pytest.raises(ValueError, match="lists options"):
                refuse([word])
    refuse_choices(["optim.betas=[0.9,0.95]", "attention=mqa", "experiment=[demo,ladder]", "tuned=[optim.lr]"])


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("attention=../norm/ln", "attention=../norm/ln names no option: choose among "),
        ("norm@final_norm=../norm/ln", "names no option: choose among "),
        ("attention=null", "attention=null names no option"),
        ("attention=5", "attention=5 names no option"),
        ("model={name:x}", "model={name:x} names no option: choose among compact, "),
        ("hydra/launcher=[]", "hydra/launcher=[] lists options"),
        ("hydra.launcher=null", "leaves nothing of hydra.launcher: write hydra.launcher.NAME=VALUE"),
        ("hydra=null", "leaves nothing of hydra"),
        ("~seed", "~seed would leave runs without seed"),
        ("~norm@final_norm", "would leave runs without norm"),
        ("~model.name=1,2", "~model.name=1,2 deletes model.name, of which no values can be swept"),
        ("+attention=mqa", "+attention is there already: write attention=... without the plus"),
        ("design.vary={seed:[0,1]}", "takes no further key that way: write +design.vary.seed=..."),
    ],
)
def test_what_chooses_or_deletes_what_it_cannot_is_told(word: str, says: str) -> None:
    for refuse in (composed, lambda words: preview(words, Path())):
        with pytest.raises(ValueError, match=re.escape(says)):
            refuse([word])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["attention=mqa,../norm/ln"], "attention=mqa,../norm/ln names no option"),
        (["+design.vary.attention=[../norm/ln]"], "attention=../norm/ln names no option"),
        (["+hydra.sweeper.params.attention=../norm/ln"], "attention=../norm/ln names no option"),
        (["hydra.sweeper.reuse=5"], "hydra.sweeper.reuse=5 must be null, or a folder"),
        (["hydra.sweeper.skip_refused=maybe"], "hydra.sweeper.skip_refused=maybe must be true or false"),
        (["hydra.sweeper.params=3"], "hydra.sweeper.params=3 must be null, or a mapping"),
        (["tune=lr", "tune.space=3"], "tune.space=3 must be a mapping such as {optim.lr: null}"),
    ],
    ids=lambda value: value[-1],
)
def test_a_sweep_is_refused_for_knobs_that_it_cannot_have(words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        preview([*TINY_RUN, *words], Path())


def test_what_may_be_deleted_or_left_out_stays_so() -> None:
    refuse_choices(
        ["~hydra.callbacks.gains", "~experiment", "~design.parts.norm", "~optim.lr", "hydra.launcher.runs=1"]
    )


@pytest.mark.parametrize("devices", [[-1], [0, 0], [True], ["0"], [], 0, "0,1", 1.5, True, "²"])
def test_devices_that_are_no_number_or_list_are_refused(devices: object) -> None:
    with pytest.raises(ValueError, match="must be a number of at least 1, a list of indices, or auto"):
        count_devices("gpu", devices, Gpus(4, 4))  # type: ignore[arg-type]


def test_listed_devices_are_there() -> None:
    assert count_devices("gpu", [3, 1], Gpus(4, 4)) == 2
    with pytest.raises(ValueError, match="a run sees 4"):
        count_devices("gpu", [4], Gpus(4, 4))
    with pytest.raises(ValueError, match=r"use trainer\.devices=1"):
        count_devices("auto", [0], Gpus(0, 0))

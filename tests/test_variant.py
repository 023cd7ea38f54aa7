"""Names and identity of a run follow from its configuration and from nothing else."""

from __future__ import annotations

import pytest

from algoprog.axes import ALWAYS, AXES, MODEL
from algoprog.config import COMPARISON, EXECUTION, conf_dir
from algoprog.variant import FORMERLY, SINCE_BASELINES, baseline, cohort, model_name, option, protocol, run_id, variant
from tests.configs import compose, options

SHA = "0" * 64


def test_the_default_baseline_is_that_of_the_paper() -> None:
    assert baseline() == {
        "backbone": "transformer",
        "block": "pre",
        "mixer": "attention",
        "attention": "dense",
        "norm": "none",
        "final_norm": "ln",
        "pos": "learned",
        "qk_norm": "none",
        "output_gate": "none",
        "sinks": "none",
        "softcap": "none",
        "mlp": "gelu",
        "skip": "none",
        "head": "tied",
        "kernel": "math",
        "init": "gpt2",
        "optim": "adamw",
        "objective": "next_token",
    }


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ((), "none"),
        (("attention=mqa",), "mqa"),
        (("attention=mqa", "attention.n_kv_heads=2"), "mqa(n_kv_heads=2)"),
        (("attention=mqa", "attention.n_kv_heads=1"), "mqa"),
        (("attention=sparse", "attention.window=8", "attention.n_summary=2"), "sparse(window=8,n_summary=2)"),
        (("kernel=flash", "norm=ln", "pos=rope"), "ln+rope+flash"),
        (("pos=none",), "pos=none"),
        (("norm@final_norm=none",), "final_norm=none"),
        (("norm@final_norm=rmsnorm",), "final_norm=rmsnorm"),
        (("norm=rmsnorm", "norm@final_norm=rmsnorm"), "rmsnorm+final_norm=rmsnorm"),
        (("final_norm.eps=1e-3",), "final_norm=ln(eps=0.001)"),
        (("sinks=learned", "norm@qk_norm=rmsnorm", "softcap=tanh"), "qk_norm=rmsnorm+sinks=learned+tanh"),
        (("mlp.expansion=2",), "gelu(expansion=2)"),
        (("seed=1", "model=micro", "optim.lr=3e-4"), "none"),
    ],
)
def test_name(overrides: tuple[str, ...], name: str) -> None:
    assert variant(compose(*overrides)) == name


@pytest.mark.parametrize("path", sorted((conf_dir() / "variant").glob("*.yaml")), ids=lambda path: path.stem)
def test_arm_is_called_like_its_file(path) -> None:
    assert variant(compose(f"variant={path.stem}")) == path.stem


def test_there_are_the_seven_arms_of_the_paper() -> None:
    arms = {path.stem for path in (conf_dir() / "variant").glob("*.yaml")}
    assert arms == {"none", "flash", "ln", "rope", "mqa", "sparse", "ln+rope+flash"}


def test_names_tell_options_apart() -> None:
    changed = [(axis, name) for axis in MODEL for name in options(axis) if name != baseline()[axis]]
    names = [variant(compose(f"{AXES[axis].word}={name}")) for axis, name in changed]
    assert len(set(names)) == len(names)


def test_option_is_the_module() -> None:
    config = compose("attention=gqa", "norm@final_norm=rmsnorm")
    assert (option(config["attention"]), option(config["final_norm"])) == ("gqa", "rmsnorm")


def test_model_name_tells_what_was_changed() -> None:
    assert model_name(compose("model=micro")) == "micro"
    assert model_name(compose("model=micro", "model.n_layers=3")) == "micro(n_layers=3)"


@pytest.mark.parametrize(
    "override",
    [
        "trainer=cpu",
        "trainer.threads=1",
        "trainer.compile=true",
        "logger=wandb",
        "cache_dir=elsewhere",
        "micro_batch_size=8",
        "role=search",
    ],
)
def test_run_id_ignores_how_a_run_is_executed(override: str) -> None:
    assert run_id(compose(override), SHA) == run_id(compose(), SHA)
    assert cohort(compose(override), SHA) == cohort(compose(), SHA)


@pytest.mark.parametrize(
    "override",
    [
        "model.n_layers=3",
        "model.dropout=0.1",
        "tokenizer=bytes",
        "optim.lr=3e-4",
        "optim.betas=[0.9,0.99]",
        "schedule=cosine",
        "schedule.final_fraction=0.1",
        "schedule.warmup_steps=10",
        "budget.steps=7",
        "evaluation.tokens=1024",
        "batch_size=32",
        "gradient_clip=0.5",
        "precision=bf16-mixed",
    ],
)
def test_what_changes_a_curve_changes_run_id_and_cohort(override: str) -> None:
    assert run_id(compose(override), SHA) != run_id(compose(), SHA)
    assert cohort(compose(override), SHA) != cohort(compose(), SHA)


def test_a_cut_was_a_part_of_the_identity_and_a_run_of_that_time_is_still_known_by_it() -> None:
    typed, whole = compose("micro_batch_size=8"), compose("micro_batch_size=16")
    assert run_id(typed, SHA, former=True) != run_id(typed, SHA)
    assert run_id(whole, SHA, former=True) == run_id(whole, SHA) == run_id(compose(), SHA)


@pytest.mark.parametrize("override", ["seed=1", "attention=mqa", "mlp.expansion=2", "norm@final_norm=none"])
def test_axes_and_seed_change_run_id_within_one_cohort(override: str) -> None:
    assert run_id(compose(override), SHA) != run_id(compose(), SHA)
    assert cohort(compose(override), SHA) == cohort(compose(), SHA)


PAPER = {
    "compact": {
        "none": "04bb576b3c468649",
        "flash": "fbd3a79e433ea061",
        "ln": "a8533ba0cb8f19f0",
        "rope": "d440e56e317e7e1b",
        "mqa": "bf1880a679db942c",
        "sparse": "2c02451b05922095",
        "ln+rope+flash": "a361d2aed7f1dbdf",
    },
    "full": {
        "none": "935b89189f041543",
        "flash": "7abebf2619a6a830",
        "ln": "04a617b527778426",
        "rope": "8aa917f6f73db866",
        "mqa": "c9c180eab2288d07",
        "sparse": "909b955907db1df9",
        "ln+rope+flash": "a877c19f1a231f5b",
    },
}
TENTH = ("schedule.warmup_steps=null", "schedule.warmup_fraction=0.1")
FORMER = {
    ("schedule=cosine",): "017f2a5af0455b43",
    ("schedule=cosine", "attention=mqa"): "1678e6737e95c001",
    ("schedule=cosine", "budget=smoke"): "f520d68f466ea87a",
    ("schedule=cosine", "budget=chinchilla", "model=mini"): "a489361e8d84335d",
    ("schedule=linear", *TENTH): "d61d286576be77f0",
    ("schedule=constant", *TENTH): "4121f7ade2282851",
    ("schedule=wsd", *TENTH, "schedule.branches=1"): "059e3e14c52070bc",
    ("schedule=wsd", *TENTH, "schedule.branches=6"): "34f2a730e5b3d1eb",
}
"""Identities as they were when the default schedule was a cosine and every warm-up a share of all steps."""


@pytest.mark.parametrize(("model", "arm"), [(model, arm) for model, arms in PAPER.items() for arm in arms])
def test_the_runs_of_the_paper_are_what_they_were(model: str, arm: str) -> None:
    config = compose("experiment=paper", f"model={model}", f"variant={arm}")
    assert run_id(config, SHA, former=True) == PAPER[model][arm]
    assert config["schedule"]["warmup_fraction"] == 0.02
    assert config["optim"]["lr"] == {"compact": 6e-4, "full": 3e-4}[model]


@pytest.mark.parametrize("words", FORMER, ids=" ".join)
def test_former_runs_are_found_by_the_words_that_restore_their_settings(words: tuple[str, ...]) -> None:
    assert run_id(compose(*words), SHA) == FORMER[words]


def test_a_setting_that_is_new_is_in_no_identity_at_its_former_value() -> None:
    config = compose("schedule=cosine")
    known = {name: value for name, value in config["schedule"].items() if name != "warmup_steps"}
    former = {**config, "schedule": known}
    assert run_id(former, SHA) == run_id(config, SHA)
    assert cohort(former, SHA) == cohort(config, SHA)
    assert protocol(former) == protocol(config)
    changed = {**config, "schedule": {**known, "warmup_steps": 3, "warmup_fraction": None}}
    assert run_id(changed, SHA) != run_id(config, SHA)


def test_ends_that_the_length_of_a_run_decides_are_one_cohort() -> None:
    few, many = compose("schedule.branches=2"), compose("schedule.branches=6")
    assert run_id(few, SHA) != run_id(many, SHA)
    assert cohort(few, SHA) == cohort(many, SHA)


def test_data_count_by_their_content() -> None:
    config = compose()
    elsewhere = {**config, "data": {"path": "the same text in another place"}}
    assert run_id(elsewhere, SHA) == run_id(config, SHA)
    assert run_id(config, "1" * 64) != run_id(config, SHA)
    assert cohort(config, "1" * 64) != cohort(config, SHA)


def test_run_id_does_not_depend_on_the_order_of_keys() -> None:
    config = compose("attention=sparse")
    turned = {key: config[key] for key in reversed(config)}
    turned["attention"] = dict(reversed(config["attention"].items()))
    assert run_id(turned, SHA) == run_id(config, SHA)


def test_every_top_level_key_is_identity_or_execution() -> None:
    """A key added to the schema lands in the hash unless somebody says that it cannot change a result."""
    config = compose()
    for key in config.keys() - {*EXECUTION, *COMPARISON, "data", "micro_batch_size"}:
        assert run_id({**config, key: "changed"}, SHA) != run_id(config, SHA), key


def test_a_protocol_names_what_a_ladder_shares_and_nothing_that_it_may_change() -> None:
    small, large = (protocol(compose(*words)) for words in (("model=nano", "seed=1"), ("model=mini", "norm=ln")))
    assert small == large
    assert protocol(compose("model=nano", "optim.lr=1e-2"))["optim.lr"] == 1e-2
    assert protocol(compose("model=compact"))["model.seq_len"] != small["model.seq_len"]
    assert small["schedule"] == "WarmupStableDecay"
    assert not {"budget.steps", "trainer.devices", "attention", "model.d_model", "seed"} & small.keys()


def told(config: dict, **against: object) -> dict:
    """The configuration of a run that its sweep measures against these values."""
    return {**config, "against": against}


def test_what_a_sweep_compares_is_named_and_shares_the_cohort_of_its_baseline() -> None:
    base, mixed = compose(), told(compose("precision=bf16-mixed", "attention=mqa"), precision="32")
    assert variant(mixed) == "mqa+precision=bf16-mixed"
    assert cohort(mixed, SHA) == cohort(base, SHA)
    assert protocol(mixed) == protocol(base)
    assert run_id(mixed, SHA) == run_id(compose("precision=bf16-mixed", "attention=mqa"), SHA)


def test_a_setting_of_the_model_that_is_compared_makes_no_other_model() -> None:
    dropped = told(compose("model.dropout=0.1"), **{"model.dropout": 0.0})
    assert (variant(dropped), model_name(dropped)) == ("model.dropout=0.1", "nano")
    assert model_name(compose("model.dropout=0.1")) == "nano(dropout=0.1)"
    assert cohort(dropped, SHA) == cohort(compose(), SHA)


def test_a_schedule_is_a_variant_where_a_sweep_compares_it_and_protocol_elsewhere() -> None:
    cosine, wsd = compose("schedule=cosine"), compose()
    assert variant(cosine) == "none"
    compared = told(cosine, schedule=wsd["schedule"])
    assert variant(compared) == "cosine"
    assert cohort(compared, SHA) == cohort(wsd, SHA) != cohort(cosine, SHA)
    assert protocol(compared) == protocol(wsd)


@pytest.mark.parametrize("name", ["gpt2_paper", "gpt2", "llama", "modern"])
def test_a_baseline_names_an_option_of_every_axis_and_is_none(name: str) -> None:
    config = compose(f"baseline={name}")
    assert baseline(name).keys() == set(ALWAYS)
    assert variant(config) == "none"
    assert model_name(config) == "nano"
    assert (cohort(config, SHA) == cohort(compose(), SHA)) is (name == "gpt2_paper")


def test_a_variant_is_the_difference_from_its_baseline() -> None:
    assert variant(compose("baseline=llama", "attention=gqa", "norm=ln")) == "gqa+ln"
    assert variant(compose("baseline=llama", "pos=learned")) == "learned"
    assert variant(compose("baseline=llama", "baseline.kernel=math", "kernel=math")) == "none"


def test_the_baseline_is_no_part_of_a_runs_identity() -> None:
    words = ("attention=dense", "norm=rmsnorm", "norm@final_norm=rmsnorm", "pos=rope", "mlp=swiglu", "kernel=flash")
    spelled = compose(*words, "model.bias=false")
    assert run_id(compose("baseline=llama"), SHA) == run_id(spelled, SHA)
    assert variant(spelled) == "rmsnorm+final_norm=rmsnorm+rope+swiglu+flash"


def test_a_baseline_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="there is no baseline bert: choose among gpt2, gpt2_paper, llama, modern"):
        baseline("bert")


@pytest.mark.parametrize("axis", [setting for setting in FORMERLY if setting in AXES])
def test_an_axis_that_is_new_changes_no_identity_at_its_former_option(axis: str) -> None:
    config = compose("attention=mqa")
    former = {key: value for key, value in config.items() if key != axis}
    assert run_id(former, SHA) == run_id(config, SHA)
    assert cohort(former, SHA) == cohort(config, SHA)
    assert variant(former) == variant(config) == "mqa"


def test_axes_that_are_new_change_no_cohort_of_another_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs against LLaMA are compared by is what it was before there were these axes."""
    config = compose("baseline=llama", "attention=mqa")
    now = cohort(config, SHA)
    before = {axis: option for axis, option in baseline("llama").items() if axis not in SINCE_BASELINES}
    first = {axis: option for axis, option in baseline().items() if axis not in SINCE_BASELINES}
    monkeypatch.setattr("algoprog.variant.baseline_of", lambda config: before)
    monkeypatch.setattr("algoprog.variant.baseline", lambda name=None: first)
    assert cohort({key: value for key, value in config.items() if key not in SINCE_BASELINES}, SHA) == now
    assert now != cohort(compose("attention=mqa"), SHA)

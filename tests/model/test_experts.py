"""Mixtures of experts against loops over tokens, and against the dense MLPs that they are with one expert."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from algoprog.model.experts import StackedLinear
from algoprog.model.interface.context import Context
from algoprog.model.interface.places import FromTheStart
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.roles import Role
from algoprog.model.interface.site import Work
from algoprog.model.mixture import LOAD, MixtureOfExperts, load_summary, unevenness
from algoprog.model.mlp.deepseek_moe import DeepSeekMoe
from algoprog.model.mlp.gelu import GeluMlp
from algoprog.model.mlp.moe import SoftmaxMoe
from algoprog.model.mlp.swiglu import SwigluMlp
from algoprog.model.mlp.switch import SwitchMlp
from algoprog.training.gradients import GradientsSeen
from tests.configs import SITE, TINY, assert_same, gpt, part, shaken, tokens
from tests.model.counting import counted
from tests.model.test_flops import with_counting_kernel

DENSE = {"gelu": GeluMlp, "swiglu": SwigluMlp}
ALL = ("moe", "switch", "deepseek_moe")


def build(option: str, activation: str = "gelu", n_experts: int = 5, top_k: int = 2, n_shared: int = 0) -> Any:
    """A mixture with weights so large that every one matters; `switch` has no `top_k` and nothing to share."""
    if option == "switch":
        return shaken(SwitchMlp(SITE, n_experts=n_experts, expansion=2.0, activation=activation, balance_loss=0.1))
    sizes: dict[str, Any] = {"n_experts": n_experts, "top_k": top_k, "n_shared": n_shared, "expansion": 2.0}
    if option == "moe":
        return shaken(SoftmaxMoe(SITE, **sizes, activation=activation, balance_loss=0.1))
    return shaken(DeepSeekMoe(SITE, **sizes, activation=activation, bias_speed=0.1))


def inputs(batch: int = 3, seq: int = 7, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, seq, TINY.d_model, generator=generator, dtype=torch.float64)


def context(seq: int = 7) -> Context:
    return Context(FromTheStart(seq), Reports(), {})


def one_expert(experts: Any, number: int, token: Tensor) -> Tensor:
    """What one expert makes of one token, from its own matrices."""

    def through(layer: StackedLinear, vector: Tensor) -> Tensor:
        assert layer.bias is not None
        return layer.weight[number] @ vector + layer.bias[number]

    hidden = through(experts.up, token)
    if hasattr(experts, "gate"):
        gate = through(experts.gate, token)
        hidden = gate / (1 + torch.exp(-gate)) * hidden
    else:
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    return through(experts.down, hidden)


def chosen_and_weights(option: str, mlp: Any, token: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The router's choice for one token, by sorting."""
    logits = mlp.router.weight @ token
    if option == "deepseek_moe":
        scores = 1 / (1 + torch.exp(-logits))
        order = (scores + mlp.expert_bias).tolist()
    else:
        scores = torch.exp(logits) / torch.exp(logits).sum()
        order = scores.tolist()
    best = sorted(range(len(order)), key=lambda number: -order[number])[: mlp.top_k]
    whole = 1.0 if option == "switch" else sum(scores[number] for number in best)
    yield from ((number, scores[number] / whole) for number in best)


def by_token(option: str, mlp: Any, x: Tensor) -> Tensor:
    """The mixture as its papers define it, one token after the other."""
    rows = []
    for token in x.flatten(0, 1):
        routed = [weight * one_expert(mlp.experts, n, token) for n, weight in chosen_and_weights(option, mlp, token)]
        rows.append(sum(routed) + sum(one_expert(shared, 0, token) for shared in mlp.shared))
    return torch.stack(rows).view_as(x)


def gradients(mlp: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Of a sum in which every output counts differently."""
    named = {**dict(mlp.named_parameters()), "x": x}
    found = torch.autograd.grad((y * inputs(seed=3)).sum(), list(named.values()), allow_unused=True)
    return {name: value for name, value in zip(named, found, strict=True) if value is not None}


@pytest.mark.parametrize("n_shared", [0, 2])
@pytest.mark.parametrize("activation", DENSE)
@pytest.mark.parametrize("option", ALL)
def test_a_mixture_is_what_a_loop_over_tokens_gives(option: str, activation: str, n_shared: int) -> None:
    if option == "switch" and n_shared:
        pytest.skip("it shares nothing")
    mlp, x = build(option, activation, n_shared=n_shared), inputs().requires_grad_()
    if option == "deepseek_moe":
        mlp.expert_bias.copy_(torch.linspace(-0.3, 0.3, 5))
    y, expected = mlp(x, context()), by_token(option, mlp, x)
    assert_same(y.detach(), expected.detach())
    ours, theirs = gradients(mlp, x, y), gradients(mlp, x, expected)
    assert ours.keys() == theirs.keys() == {*dict(mlp.named_parameters()), "x"}
    assert_same(ours, theirs)


def copied(dense: Any, experts: Any) -> Any:
    """A dense MLP with the weights of the first expert."""
    for name, layer in experts.layers.items():
        getattr(dense, name).weight.data.copy_(layer.weight[0])
        getattr(dense, name).bias.data.copy_(layer.bias[0])
    return dense


@pytest.mark.parametrize("activation", DENSE)
@pytest.mark.parametrize("option", ALL)
def test_one_expert_is_its_dense_mlp(option: str, activation: str) -> None:
    mlp, x = build(option, activation, n_experts=1, top_k=1), inputs().requires_grad_()
    dense = copied(DENSE[activation](SITE, expansion=2.0).double(), mlp.experts)
    y, expected = mlp(x, context()), dense(x, context())
    assert_same(y.detach(), expected.detach())
    ours, theirs = gradients(mlp, x, y), gradients(dense, x, expected)
    assert_same(ours["x"], theirs["x"])
    for name in mlp.experts.layers:
        assert_same(ours[f"experts.{name}.weight"][0], theirs[f"{name}.weight"])
        assert_same(ours[f"experts.{name}.bias"][0], theirs[f"{name}.bias"])


@pytest.mark.parametrize("activation", DENSE)
@pytest.mark.parametrize("option", ["moe", "deepseek_moe"])
def test_all_experts_of_equal_weight_are_their_mean(option: str, activation: str) -> None:
    """And with equal experts, whatever the router says, the dense MLP."""
    mlp, x = build(option, activation, n_experts=4, top_k=4), inputs()
    dense = copied(DENSE[activation](SITE, expansion=2.0).double(), mlp.experts)
    with torch.no_grad():
        router = mlp.router.weight.clone()
        mlp.router.weight.zero_()
        each = torch.stack([torch.stack([one_expert(mlp.experts, n, token) for token in x[0]]) for n in range(4)])
        assert_same(mlp(x[:1], context())[0], each.mean(dim=0))
        mlp.router.weight.copy_(router)
        for parameter in mlp.experts.parameters():
            parameter.copy_(parameter[:1].expand_as(parameter))
        assert_same(mlp(x, context()), dense(x, context()))


def never(mlp: Any, number: int) -> None:
    """Keep one expert from being chosen, for inputs that are all positive."""
    mlp.router.weight.data[number] = -5.0


@pytest.mark.parametrize("option", ALL)
def test_an_expert_without_tokens_has_zero_gradient(option: str) -> None:
    """Which is no dead parameter: the others in its tensor learn, and the load says how many are idle."""
    mlp, there = build(option), context()
    never(mlp, 3)
    mlp(inputs().abs(), there).square().sum().backward()
    load = there.reports.statistics[f"layer 0 {LOAD}"]
    assert load[3] == 0
    assert load.sum() == 3 * 7 * mlp.top_k
    for layer in mlp.experts.layers.values():
        for parameter in layer.parameters():
            busy = parameter.grad.flatten(1).any(dim=1).tolist()
            assert not busy[3]
            assert busy == (load > 0).tolist()
    seen = GradientsSeen(name for name, _ in mlp.named_parameters())
    seen.note(dict(mlp.named_parameters()))
    assert seen.look() == []
    assert load_summary(load)["idle_experts"] == (load == 0).sum()


@pytest.mark.parametrize("option", ALL)
def test_nothing_lets_one_expert_take_all(option: str) -> None:
    """No token is dropped, however uneven the load."""
    mlp, x = build(option, n_experts=3, top_k=1 if option == "switch" else 2), inputs().abs()
    never(mlp, 0)
    if option == "switch":
        never(mlp, 2)
    assert_same(mlp(x, context()).detach(), by_token(option, mlp, x).detach())


def test_balance_loss_is_the_formula() -> None:
    mlp, there, x = build("moe", n_experts=4), context(), inputs()
    mlp(x, there)
    (loss,) = there.reports.losses
    of_sequences = []
    for sequence in x:
        probabilities = torch.stack([(mlp.router.weight @ token).softmax(dim=0) for token in sequence])
        f, p = [0.0] * 4, probabilities.mean(dim=0)
        for row in probabilities:
            for number in sorted(range(4), key=lambda n: -row[n].item())[:2]:
                f[number] += 1 / (2 * len(sequence))
        of_sequences.append(4 * sum(f[number] * p[number] for number in range(4)))
    assert_same(loss.detach(), (0.1 * sum(of_sequences) / len(x)).detach())


def test_balance_loss_is_least_where_the_load_is_even() -> None:
    even, all_one_s = torch.full((2, 5, 4), 0.25), torch.eye(4)[:1].expand(2, 5, 4)
    assert unevenness(even, torch.full((2, 4), 5.0)) == 1
    assert unevenness(all_one_s, torch.tensor([20.0, 0, 0, 0]).expand(2, 4)) == 4


@pytest.mark.parametrize("option", ["moe", "switch"])
def test_balance_loss_does_not_depend_on_how_a_batch_is_cut(option: str) -> None:
    mlp, x = build(option), inputs(batch=4)
    there, halves = context(), (context(), context())
    mlp(x, there)
    for half, rows in zip(halves, x.chunk(2), strict=True):
        mlp(rows, half)
    of_halves = sum(half.reports.losses[0] for half in halves) / 2
    assert_same(there.reports.losses[0].detach(), of_halves.detach())
    (router,) = torch.autograd.grad(there.reports.losses[0], mlp.router.weight)
    assert router.any(), "it reaches the router"


def test_the_bias_decides_who_is_chosen_but_not_the_weight() -> None:
    mlp, x = build("deepseek_moe"), inputs()
    free, _ = mlp.route(mlp.router(x), context())
    mlp.expert_bias[4] = 10.0
    biased, _ = mlp.route(mlp.router(x), context())
    assert (biased.chosen == 4).any(dim=-1).all()
    assert not (free.chosen == 4).any(dim=-1).all()
    scores = mlp.router(x).sigmoid().gather(-1, biased.chosen)
    assert_same(biased.weights.detach(), (scores / scores.sum(dim=-1, keepdim=True)).detach())


def test_the_bias_evens_a_planted_imbalance() -> None:
    """Every step sees other tokens; two of eight experts would take most of them."""
    mlp = DeepSeekMoe(
        SITE, n_experts=8, top_k=2, n_shared=0, expansion=1.0, activation="gelu", bias_speed=0.01
    ).double()
    with torch.no_grad():
        mlp.router.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
        mlp.router.weight[:2] += 0.3

    def load(step: int) -> Tensor:
        there = context()
        mlp((inputs(16, 7, seed=step) + 0.5), there)
        mlp.adapt(told := {LOAD: there.reports.statistics[f"layer 0 {LOAD}"]})
        return told[LOAD]

    with torch.no_grad():
        loads = [load(step) for step in range(300)]
    fullest = f"{LOAD}_max"
    assert load_summary(loads[0])[fullest] > 3, "an even share is 1, all choices of one expert are 4"
    assert load_summary(sum(loads[-100:], start=torch.zeros(8)))[fullest] < 1.1
    assert mlp.expert_bias[:2].max() < mlp.expert_bias[2:].min()


def test_the_bias_moves_by_its_speed_against_the_load() -> None:
    mlp = build("deepseek_moe", n_experts=4)
    mlp.adapt({LOAD: torch.tensor([9.0, 1.0, 5.0, 5.0], dtype=torch.float64)})
    assert mlp.expert_bias.tolist() == [-0.1, 0.1, 0.0, 0.0]


@pytest.mark.parametrize("option", ALL)
def test_work_is_what_a_token_uses(option: str) -> None:
    """In every mode, counted by torch and by the rows that every expert is given, which no counter can miss."""
    model, tally = with_counting_kernel(gpt(mlp=option)), [0]

    def note(layer: StackedLinear, given: tuple[Tensor, list[int]]) -> None:
        rows, sizes = given
        assert sum(sizes) == len(rows)
        tally[0] += 2 * len(rows) * layer.weight[0].numel()

    for module in model.modules():
        if isinstance(module, StackedLinear):
            module.register_forward_pre_hook(note)
    state = model.new_state(1, TINY.seq_len)
    works = (
        (Work.training(TINY.seq_len), lambda: model(tokens(1))),
        (Work.prefill(9), lambda: model.step(tokens(1)[:, :9], state)),
        (Work.decode(10), lambda: model.step(tokens(1)[:, 9:10], state)),
    )
    for work, run in works:
        tally[0] = 0
        assert counted(run) == model.flops(work)
        mixtures = [part for part in model.parts().values() if isinstance(part, MixtureOfExperts)]
        routers = 2 * sum(part.router.weight.numel() for part in mixtures) * work.tokens
        of_mlps = sum(part.flops(work) for name, part in model.parts().items() if ".mlp" in name)
        assert tally[0] + routers == of_mlps
    with torch.device("meta"):
        skeleton = gpt(mlp=option, seed=None)
        skeleton(torch.zeros(2, 3, dtype=torch.long))


def test_equal_matrices_a_token_cost_what_the_dense_mlp_does() -> None:
    """Apart from the router."""
    dense = gpt().flops_per_token()
    for option in ALL:
        model = gpt(mlp=option)
        routers = 6 * TINY.n_layers * model.blocks[0].mlp.router.weight.numel()
        assert model.flops_per_token() == dense + routers


def test_what_a_token_uses_is_told_from_what_is_held() -> None:
    plain = gpt()
    d_model, d_ff, n_experts, per_token, n_shared = TINY.d_model, TINY.d_model, 16, 3, 1
    expert, router = 2 * d_model * d_ff + d_ff + d_model, n_experts * d_model
    dense = sum(parameter.numel() for parameter in plain.blocks[0].mlp.parameters())
    model = gpt(mlp="deepseek_moe")
    rest = plain.n_params() - TINY.n_layers * dense
    assert model.n_params() == rest + TINY.n_layers * (router + (n_experts + n_shared) * expert)
    assert model.n_active_params() == rest + TINY.n_layers * (router + (per_token + n_shared) * expert)


@pytest.mark.parametrize("activation", DENSE)
def test_experts_are_matrices_of_their_own(activation: str) -> None:
    """So that an optimizer of matrices takes them apart."""
    model = gpt(mlp=part("mlp", "moe", activation=activation))
    declared = {name: own for (name, _), own in zip(model.named_parameters(), model.parameters_by_role(), strict=True)}
    up, router = declared["blocks.0.mlp.experts.up.weight"], declared["blocks.0.mlp.router.weight"]
    assert list(up.matrices()) == [(32, 16)] * 8
    assert (up.role, up.active, up.decayed) == (Role.MATRIX, 0.25, True)
    assert (router.role, router.active) == (Role.ROUTER, 1.0)
    assert declared["blocks.0.mlp.experts.up.bias"].role is Role.VECTOR


def test_further_experts_leave_the_weights_of_the_others() -> None:
    few, many = (gpt(mlp=part("mlp", "moe", n_experts=n)).blocks[0].mlp.experts.up.weight for n in (4, 8))
    assert many[:4].equal(few)


COMPILED = """
import torch
from algoprog.model.interface.reports import Reports
from tests.configs import gpt, tokens

for option in ("moe", "switch", "deepseek_moe"):
    model, x = gpt(mlp=option), tokens(2)
    compiled, plain, told = torch.compile(model, backend="aot_eager"), Reports(), Reports()
    expected, actual = model(x, plain), compiled(x, told)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(told.statistics, plain.statistics)
    torch.testing.assert_close(told.losses, plain.losses)
    ours, theirs = (
        torch.autograd.grad(there.objective(y.square().sum()), list(model.parameters()))
        for y, there in ((actual, told), (expected, plain))
    )
    torch.testing.assert_close(ours, theirs)
"""


@pytest.mark.slow
def test_a_compiled_model_is_the_same() -> None:
    """What is traced goes round the experts, whose rows depend on data; reports arrive. Without the check of shapes."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_bf16_routes_in_float32() -> None:
    """In bfloat16 the scores of many experts are equal."""
    model, there = gpt(mlp="moe"), []
    mlp = model.blocks[0].mlp
    route = mlp.route
    mlp.route = lambda logits, given: (there.append(logits.dtype), route(logits, given))[1]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = model(tokens(2))
    assert there == [torch.float32]
    torch.testing.assert_close(rounded.float(), model(tokens(2)), atol=0.02, rtol=0.05)


@pytest.mark.parametrize(
    ("option", "knobs", "sentence"),
    [
        ("moe", {"n_experts": 0}, "mlp.n_experts=0 must be at least 1"),
        ("moe", {"top_k": 9}, "mlp.top_k=9 must be at least 1 and at most mlp.n_experts=8"),
        ("moe", {"top_k": 1}, "use mlp=switch"),
        ("deepseek_moe", {"top_k": 1}, "use mlp=switch"),
        ("moe", {"n_shared": -1}, "mlp.n_shared=-1 must be at least 0"),
        ("switch", {"balance_loss": -0.1}, "mlp.balance_loss=-0.1 must be at least 0"),
        ("deepseek_moe", {"bias_speed": -0.1}, "mlp.bias_speed=-0.1 must be at least 0"),
        ("switch", {"expansion": 0.01}, "mlp.expansion=0.01 leaves no hidden feature"),
    ],
)
def test_mixtures_that_cannot_be_are_refused(option: str, knobs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"mlp={option}: .*{sentence}"):
        gpt(mlp=part("mlp", option, **knobs))

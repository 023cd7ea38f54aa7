"""Optimizers against torch's, or their paper's recursion in numpy: twenty steps of a quadratic, and small runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter

from algoprog import build
from algoprog.model.interface.roles import Declared, Role, matrix, vector
from algoprog.run import app, fit
from algoprog.runs.store import load_run
from algoprog.training.optimizer import Averaging
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN, compose, part
from tests.training.resuming import finish, result, resumed
from tests.training.test_ranks import begin, end

Array = NDArray[np.float64]
NAMES = ("adafactor", "ademamix", "soap", "schedule_free")
SHAPE, STEPS = (4, 4), 20
START = torch.linspace(-2, 3, 16, dtype=torch.float64).reshape(SHAPE)
TARGET = np.sin(np.arange(16.0)).reshape(SHAPE)
CURVATURE = 0.5 + np.cos(np.arange(16.0)).reshape(SHAPE) ** 2


def recipe(name: str, **knobs: Any) -> Any:
    return build.construct({"optim": part("optim", name, **knobs)}, "optim")


def gradient(weight: Any) -> Any:
    """Of a quadratic with a curvature for each element."""
    c, t = (torch.from_numpy(x) if isinstance(weight, Tensor) else x for x in (CURVATURE, TARGET))
    return c * (weight - t)


def trained(name: str, **knobs: Any) -> tuple[Parameter, Any]:
    """One matrix after twenty steps, in float64."""
    weight = Parameter(START.clone())
    optimizer = recipe(name, **knobs)([matrix(weight)])
    for _ in range(STEPS):
        weight.grad = gradient(weight.detach())
        optimizer.step()
    return weight, optimizer


def test_ademamix_is_its_algorithm() -> None:
    """Pagliardini et al. 2024, algorithm 1, with both schedules of section 3."""
    lr, (b1, b2), last, alpha, length, eps, decay = 0.05, (0.8, 0.9), 0.99, 3.0, 12, 1e-6, 0.1
    knobs = {"lr": lr, "betas": [b1, b2], "slow_beta": last, "alpha": alpha, "warmup_steps": length, "eps": eps}
    ours, _ = trained("ademamix", **knobs, weight_decay=decay)
    theta, m1, m2, nu = START.numpy().copy(), *np.zeros((3, *SHAPE))
    for t in range(1, STEPS + 1):
        g = gradient(theta)
        share = t / length
        half_lives = np.log(b1) * np.log(last) / ((1 - share) * np.log(last) + share * np.log(b1))
        b3, a = min(np.exp(half_lives), last) if t < length else last, min(share * alpha, alpha)
        m1, m2, nu = b1 * m1 + (1 - b1) * g, b3 * m2 + (1 - b3) * g, b2 * nu + (1 - b2) * g**2
        theta = theta - lr * ((m1 / (1 - b1**t) + a * m2) / (np.sqrt(nu / (1 - b2**t)) + eps) + decay * theta)
    np.testing.assert_allclose(ours.detach().numpy(), theta, rtol=1e-9)


def test_schedule_free_is_its_algorithm() -> None:
    """Defazio et al. 2024, algorithm 1, with the sequences x, y and z of the paper; weights from a rate that varies."""
    lr, (b1, b2), eps, decay = 0.05, (0.8, 0.9), 1e-6, 0.1
    weight = Parameter(START.clone())
    optimizer = recipe("schedule_free", lr=lr, betas=[b1, b2], eps=eps, weight_decay=decay)([matrix(weight)])
    rates = [lr * min(1, (t + 1) / 5) for t in range(STEPS)]
    x, z, nu, total = START.numpy().copy(), START.numpy().copy(), np.zeros(SHAPE), 0.0
    for t, rate in enumerate(rates, start=1):
        for group in optimizer.param_groups:
            group["lr"] = rate
        weight.grad = gradient(weight.detach())
        optimizer.step()
        y = (1 - b1) * z + b1 * x
        g = gradient(y)
        nu = b2 * nu + (1 - b2) * g**2
        z = z - rate * (g / (np.sqrt(nu / (1 - b2**t)) + eps) + decay * y)
        total += rate**2
        x = (1 - rate**2 / total) * x + rate**2 / total * z
        with optimizer.averaged():
            np.testing.assert_allclose(weight.detach().numpy(), x, rtol=1e-9)
    np.testing.assert_allclose(weight.detach().numpy(), (1 - b1) * z + b1 * x, rtol=1e-9)


def test_evaluation_leaves_no_trace() -> None:
    """Not even of rounding, in float32."""
    weight = Parameter(START.float())
    optimizer = recipe("schedule_free")([matrix(weight)])
    assert isinstance(optimizer, Averaging)
    with optimizer.averaged():
        assert weight.equal(START.float()), "before the first step there is nothing to average"
    for _ in range(3):
        weight.grad = torch.randn(SHAPE)
        optimizer.step()
    before = weight.detach().clone()
    with optimizer.averaged():
        assert not weight.equal(before)
    assert weight.equal(before)


def test_soap_is_its_algorithm() -> None:
    """Vyas et al. 2024, algorithms 3 and 4: the mean is kept unturned there, and turned anew at every step."""
    lr, (b1, b2), every, eps, decay = 0.05, (0.8, 0.9), 3, 1e-8, 0.1
    ours, _ = trained("soap", lr=lr, betas=[b1, b2], every=every, eps=eps, weight_decay=decay)
    theta = START.numpy().copy()
    g = gradient(theta)
    sides = [(1 - b2) * g @ g.T, (1 - b2) * g.T @ g]
    ql, qr = (np.linalg.eigh(side)[1][:, ::-1] for side in sides)
    m, v = np.zeros(SHAPE), np.zeros(SHAPE)
    for t in range(1, STEPS):  # the first step has taken the bases alone
        g = gradient(theta)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (ql.T @ g @ qr) ** 2
        turned = ql.T @ m @ qr / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps / np.sqrt(1 - b2**t))
        theta = theta * (1 - lr * decay) - lr * ql @ turned @ qr.T
        sides = [b2 * side + (1 - b2) * new for side, new in zip(sides, (g @ g.T, g.T @ g), strict=True)]
        if t % every == 0:
            (ql, left), (qr, right) = (_iterated(side, basis) for side, basis in zip(sides, (ql, qr), strict=True))
            v = v[left][:, right]
    np.testing.assert_allclose(ours.detach().numpy(), theta, rtol=1e-6)


def _iterated(side: Array, basis: Array) -> tuple[Array, Any]:
    """The basis after a power iteration, in the order of the eigenvalues, and that order."""
    order = np.argsort(-np.diag(basis.T @ side @ basis), kind="stable")
    return np.linalg.qr(side @ basis[:, order])[0], order


def test_soap_in_a_basis_that_stays_is_adam() -> None:
    """Of gradients that are diagonal, whose eigenvectors are the axes: the first step aside."""
    ours, theirs = Parameter(torch.eye(3).double()), Parameter(torch.eye(3).double())
    soap = recipe("soap", lr=0.01, weight_decay=0.0, every=100)([matrix(ours)])
    adam = torch.optim.Adam([theirs], lr=0.01, betas=(0.95, 0.95), eps=1e-8)
    for step in range(6):
        ours.grad = torch.diag(torch.tensor([3.0, 2.0, 1.0]).double() + step)
        theirs.grad = ours.grad.clone()
        soap.step()
        if step:
            adam.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_adafactor_is_torch_s() -> None:
    """Of matrices, stacks and vectors, clipped and not, with decay; in float32, where gradients are not tiny."""
    shapes = ((3, 5), (2, 3, 4), (7,))
    pairs = [
        [Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(4))) for _ in "ab"] for shape in shapes
    ]
    knobs = {"lr": 0.3, "beta2_decay": -0.7, "weight_decay": 0.1}
    declared = [matrix(pairs[0][0]), vector(pairs[2][0])]
    ours = recipe("adafactor", **knobs, clip=1.0, least_rms=1e-3)(declared)
    theirs = torch.optim.Adafactor(
        [{"params": [pairs[0][1]]}, {"params": [pairs[2][1]], "weight_decay": 0.0}], **knobs, d=1.0, eps=(None, 1e-3)
    )
    experts = recipe("adafactor", **knobs, clip=1.0, least_rms=1e-3)([matrix(pairs[1][0])])
    alone = [Parameter(one.detach().clone()) for one in pairs[1][1]]  # of torch's, every expert is a parameter
    each = torch.optim.Adafactor(alone, **knobs, d=1.0, eps=(None, 1e-3))
    for step in range(STEPS):
        for number, pair in enumerate(pairs):
            scale = 10 if step == 5 else 1
            for one in pair:
                generator = torch.Generator().manual_seed(10 * step + number)
                one.grad = scale * torch.randn(one.shape, generator=generator)
        for one, grad in zip(alone, pairs[1][0].grad, strict=True):
            one.grad = grad.clone()
        for optimizer in (ours, theirs, experts, each):
            optimizer.step()
    for own, other in (pairs[0], pairs[2], (pairs[1][0], torch.stack(list(alone)))):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_fused_matrices_have_moments_of_their_own() -> None:
    """What is fused in a tensor moves as if it were not."""
    for name in ("adafactor", "soap"):
        whole = Parameter(torch.randn(7, 4))
        parts = [Parameter(own.detach().clone()) for own in whole.split((4, 1, 2))]
        optimizers = [
            recipe(name)([matrix(whole, fused=(4, 1, 2))]),
            recipe(name)([matrix(own) for own in parts]),
        ]
        for _ in range(12):
            whole.grad = torch.randn(7, 4)
            for own, grad in zip(parts, whole.grad.split((4, 1, 2)), strict=True):
                own.grad = grad.clone()
            for optimizer in optimizers:
                optimizer.step()
        torch.testing.assert_close(whole, torch.cat(parts), rtol=1e-4, atol=1e-5)


def test_what_is_no_matrix_gets_adamw_beside_soap() -> None:
    table, other = (Parameter(START.float()) for _ in "ab")
    ours = recipe("soap")([Declared(table, Role.EMBEDDING, decayed=True, active=1.0, rows=(4,))])
    theirs = torch.optim.AdamW([other], lr=1e-3, betas=(0.95, 0.95), eps=1e-8, weight_decay=0.1)
    for optimizer, own in ((ours, table), (theirs, other)):
        own.grad = START.float()
        optimizer.step()
    torch.testing.assert_close(table, other)


@pytest.mark.parametrize(
    ("name", "knobs", "sentence"),
    [
        ("adafactor", {"beta2_decay": 0.5}, r"optim\.beta2_decay=0\.5 must be below 0"),
        ("adafactor", {"clip": 0.0}, r"optim\.clip=0\.0 must be above 0"),
        ("ademamix", {"slow_beta": 0.5}, r"optim\.slow_beta=0\.5 must be at least the first"),
        ("ademamix", {"alpha": -1.0}, r"optim\.alpha=-1\.0"),
        ("soap", {"every": 0}, r"optim\.every=0 must be at least 1"),
        ("schedule_free", {"betas": [0.0, 0.9]}, r"the first of optim\.betas=\[0\.0, 0\.9\] must be above 0"),
    ],
)
def test_impossible_knobs_are_refused(name: str, knobs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        recipe(name, **knobs)


WSD = (
    *("model.dropout=0.2", "norm=ln", "schedule=wsd", "budget.steps=12", "schedule.warmup_steps=1"),
    *(
        "schedule.decay_fraction=0.5",
        "schedule.branch_ratio=2",
        "evaluation.points=4",
        "optim.lr=1e-2",
    ),  # less than adafactor's
)
QUICK = {"soap": ("optim.every=2",), "ademamix": ("optim.warmup_steps=5",), "adafactor": ("optim.lr=0.3",)}


@pytest.mark.parametrize("name", NAMES)
def test_an_end_point_is_that_of_a_run_of_its_own(tmp_path: Path, name: str) -> None:
    def curve(folder: str, *words: str) -> Any:
        words = (*WSD, f"optim={name}", *QUICK.get(name, ()), *words)
        fit.run(app.prepare(compose(*TINY_RUN, *words)), tmp_path / folder, [])
        return load_run(tmp_path / folder).curve

    branched = curve("branched", "schedule.branches=2")
    assert branched["val_loss"][-1] < branched["val_loss"][0] - 0.1
    alone = curve("alone", "schedule.branches=1", "budget.steps=6")
    (row,) = ((branched["step"] == 6) & (branched["annealed"] == 1)).nonzero()[0]
    for column in ("step", "flops", "val_loss", "lr"):
        assert alone[column][-1] == branched[column][row], column


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_give_the_curve_of_one(tmp_path: Path, name: str, strategy: str) -> None:
    """Stopped and gone on with; evaluations in between."""
    words = (f"optim={name}", *QUICK.get(name, ()), "norm=ln", "budget.steps=8")
    assert finish(tmp_path / "one", *words)[0] == 0
    two = (*words, f"trainer.strategy={strategy}")
    assert end(begin(tmp_path / "two", *two, faults={"step": 5})) == [-9, -9]
    assert end(begin(tmp_path / "two", *two)) == [0, 0]
    assert resumed(tmp_path / "two") == [4]
    (ours, _), (theirs, _) = result(tmp_path / "two"), result(tmp_path / "one")
    for column in ("train_loss", "val_loss"):
        one, other = ([float(row[column]) for row in rows] for rows in (ours, theirs))
        assert one == pytest.approx(other, rel=FLOATING_POINT_ORDER, nan_ok=True)

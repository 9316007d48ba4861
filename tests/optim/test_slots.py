"""What is kept for each parameter: numbers that have faded go, and change nothing."""

import numpy as np
import pytest

from tests.optim.makers import ALL, every, give, leaf
from tinygrad_mnist import optim
from tinygrad_mnist.optim import optimizers


def faded(make, dtype, steps=1000, monkeypatch=None, every=None):
    """Return a parameter after one gradient and then, as of a pixel no longer lit, none."""
    if every is not None:
        monkeypatch.setattr(optimizers, "FLUSH_STEPS", every)
    parameter = leaf((0.5, -2.0, 3.0), dtype)
    optimizer = make([parameter])
    for step in range(steps):
        optimizer.zero_grad()
        give(parameter, np.zeros(3) if step else (1.0, -1e-3, 1e-6))
        optimizer.step()
    return parameter.data, optimizer.state_dict()


MEANS = {
    "momentum_buffer": lambda ps: optim.SGD(ps, 0.1, 0.9),
    "exp_avg": lambda ps: optim.Adam(ps, 0.05),
    "grad_avg": lambda ps: optim.RMSprop(ps, 0.01, alpha=0.9, centered=True),
}


@pytest.mark.parametrize("name", MEANS)
def test_no_running_mean_stays_where_processors_are_slow(name, monkeypatch):
    mean = f"0.{name}"
    _, state = faded(MEANS[name], np.float32, monkeypatch=monkeypatch, every=10**9)
    assert (np.abs(state[mean]) < np.finfo(np.float32).tiny).all()
    assert state[mean].any(), "rounding keeps it from 0"
    monkeypatch.undo()
    assert not faded(MEANS[name], np.float32)[1][mean].any()


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_parameter_changes_with_what_has_faded(make, dtype, monkeypatch):
    with_it, _ = faded(make, dtype)
    without, _ = faded(make, dtype, monkeypatch=monkeypatch, every=10**9)
    assert with_it.tobytes() == without.tobytes()


def test_mean_squares_and_half_precision_never_fade():
    parameter = leaf(dtype=np.float32)
    optimizer = optim.Adam([parameter], eps=0.0)
    for _ in range(64):
        optimizer.zero_grad()
        give(parameter, np.full(3, 1e-17))
        optimizer.step()
    assert (parameter.data < leaf().data).all(), "steps of the learning rate, however small"
    assert np.isfinite(parameter.data).all()
    half = leaf(dtype=np.float16)
    optimizer = ALL["momentum"]([half])
    for _ in range(64):
        optimizer.zero_grad()
        give(half, np.full(3, 1e-7))
        optimizer.step()
    assert optimizer.state_dict()["0.momentum_buffer"].all()

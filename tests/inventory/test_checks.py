"""The checks of the inventory see what is wrong, and nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.inventory import checks
from tests.inventory.differences import curvature, gradient
from tests.inventory.table import CALLS, Call, read
from tinygrad_mnist import op, ops


def test_differences_are_those_of_calculus():
    x = np.array([0.7, -1.3, 2.1])
    f = lambda x: np.sum(np.sin(x) * x)  # noqa: E731
    np.testing.assert_allclose(gradient(f, x), np.cos(x) * x + np.sin(x), atol=1e-11)
    np.testing.assert_allclose(curvature(f, x, x), np.sum(x**2 * (2 * np.cos(x) - x * np.sin(x))))


def faulty(forward=np.tanh, slope=None):
    """Return tanh with a fault, called as a function of the table."""

    @op
    def tanh(x):
        return forward(x)

    return tanh.defvjp(x=slope or (lambda g, out: g * (1 - out * out)))


def detached(out):
    """Return a result without its history: an error of the second order alone."""
    return out.detach() if hasattr(out, "detach") else out


FAULTS = {
    "none": (faulty(), None),
    "one bit": (faulty(forward=lambda x: np.tanh(x) * (1 + 3e-16)), "value"),
    "dtype": (faulty(forward=lambda x: np.tanh(x).astype(np.float64)), "float32"),
    "shape": (faulty(forward=lambda x: np.tanh(x)[None]), "shapes"),
    "sign": (faulty(slope=lambda g, out: g * (1 + out * out)), "order 1"),
    "one entry": (faulty(slope=lambda g, x: g * np.where(x > 2, 1, np.cosh(x) ** -2)), "order 1"),
    "second order": (faulty(slope=lambda g, out: g * (1 - detached(out) ** 2)), "order 2"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_catch_planted_faults(fault, monkeypatch):
    planted, complaint = FAULTS[fault]
    monkeypatch.setattr("tests.inventory.table.OWN", {"tanh"})
    monkeypatch.setattr(checks, "ops", SimpleNamespace(tanh=planted))
    call = Call("elementwise", "tanh", "f(x)")
    if complaint is None:
        checks.check(call)
    else:
        with pytest.raises(AssertionError, match=complaint):
            checks.check(call)


def test_another_container_than_numpys_is_a_fault(monkeypatch):
    monkeypatch.setattr("tests.inventory.table.OWN", {"split"})
    monkeypatch.setattr(checks, "ops", SimpleNamespace(split=lambda *a: tuple(ops.split(*a))))
    with pytest.raises(AssertionError, match="containers"):
        checks.check(Call("shape", "split", "f(x, 2)"))


def test_a_block_of_a_table_gives_every_call_to_every_name():
    calls = read("sin cos\n    f(x)\n    f(s)\n\nsum\n    f(x, 0)\n", "some")
    assert [str(call) for call in calls] == ["sin(x)", "cos(x)", "sin(s)", "cos(s)", "sum(x, 0)"]
    assert [list(call.inputs) for call in calls] == [["x"], ["x"], ["s"], ["s"], ["x"]]


def test_the_table_has_every_call_once():
    assert len(set(map(str, CALLS))) == len(CALLS)

"""A Tensor's methods are NumPy's: tracked, or plain where there is no derivative."""

import numpy as np
import pytest

from tests.toys import difference, leaf
from tinygrad_mnist import Tensor

# Methods ------------------------------------------------------------------------------------------


METHODS = {
    "astype": lambda t: t.astype(np.float64),
    "clip": lambda t: t.clip(0.0, 2.0),
    "clip by name": lambda t: t.clip(min=0.0),
    "copy": lambda t: t.copy(),
    "dot": lambda t: t.dot(np.ones((3, 2))),
    "flatten": lambda t: t.flatten(),
    "flatten by column": lambda t: t.flatten("F"),
    "max": lambda t: t.max(),
    "max of rows": lambda t: t.max(axis=1, keepdims=True),
    "mean": lambda t: t.mean(axis=0),
    "min": lambda t: t.min(0),
    "prod": lambda t: t.prod(),
    "ravel": lambda t: t.ravel(),
    "reshape": lambda t: t.reshape(3, 2),
    "reshape to a tuple": lambda t: t.reshape((3, -1)),
    "reshape to one axis": lambda t: t.reshape(-1),
    "reshape by column": lambda t: t.reshape(3, 2, order="F"),
    "squeeze": lambda t: t.reshape(2, 1, 3).squeeze(),
    "std": lambda t: t.std(axis=1, ddof=1),
    "sum": lambda t: t.sum(axis=(0, 1)),
    "swapaxes": lambda t: t.swapaxes(0, 1),
    "transpose": lambda t: t.transpose(),
    "transpose by numbers": lambda t: t.transpose(1, 0),
    "transpose by a tuple": lambda t: t.transpose((1, 0)),
    "var": lambda t: t.var(),
    "T": lambda t: t.T,
    "mT": lambda t: t.mT,
    "item": lambda t: t[1, 2],
    "row": lambda t: t[0],
    "slice": lambda t: t[:, ::-2],
    "mask": lambda t: t[t > 0],
    "new axis": lambda t: t[..., None],
    "places": lambda t: t[[0, 0, 1], [2, 2, 0]],
}


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS)
def test_methods_are_numpys_and_tracked(call):
    array = np.array([[1.5, -2.5, 0.25], [3.0, 0.5, -1.0]])
    t = leaf(array)
    out, expected = call(t), call(array)
    assert isinstance(out, Tensor)
    assert np.allclose(out.data, expected)
    assert out.shape == np.shape(expected)
    out.backward(np.ones(out.shape))
    assert np.allclose(t.grad, difference(call, array), atol=1e-7)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.argmax(),
        lambda t: t.argmin(axis=1),
        lambda t: t.argsort(),
        lambda t: t.all(),
        lambda t: t.any(axis=0),
        lambda t: t.round(),
        lambda t: t.astype(int),
    ],
    ids=["argmax", "argmin", "argsort", "all", "any", "round", "astype"],
)
def test_methods_without_a_derivative_give_plain_arrays(call):
    array = np.array([[1.5, -2.5, 0.0], [3.0, 0.5, -1.0]])
    out = call(leaf(array))
    assert not isinstance(out, Tensor)
    assert np.array_equal(out, call(array))

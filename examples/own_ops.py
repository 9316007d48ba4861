"""A small library of ops, one of which has a wrong rule, its test, and what the test says."""

import numpy as np

from tinygrad_mnist import gradcheck, op


@op(pointwise=True)
def softsign(x: np.ndarray) -> np.ndarray:
    """Return x / (1 + |x|): like tanh, without an exponential."""
    return x / (1 + np.abs(x))


softsign.defvjp(x=lambda g, x: g / (1 + np.abs(x)) ** 2)


@op(shapes="(…,n),(…,n)")
def row_dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the dot products of rows."""
    return np.sum(x * y, axis=-1)


row_dot.defvjp(
    x=lambda g, y: np.expand_dims(g, -1) * y,
    y=lambda g, x: np.expand_dims(g, -1) * x,
)


@op(pointwise=True, domain={"x": (0, np.inf)})
def entropy(x: np.ndarray) -> np.ndarray:
    """Return -x log(x)."""
    return -x * np.log(x)


entropy.defvjp(x=lambda g, x: -g * np.log(x))  # wrong: the product has a second term


# The test: five lines, to be found by pytest.
def test_every_gradient() -> None:
    """Search for a point at which the gradient of an op is wrong."""
    for one in (softsign, row_dot, entropy):
        gradcheck(one)


try:
    test_every_gradient()
except AssertionError as error:
    print(error)

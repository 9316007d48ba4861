"""Ops small enough to see through, so that tests of the engine lean on no family of `ops`."""

import numpy as np

from tinygrad_mnist import Tensor, op


def leaf(data, dtype=np.float64):
    """Return a Tensor of its own memory that asks for a gradient."""
    return Tensor(np.array(data, dtype=dtype), requires_grad=True)


@op
def spread(x, shape):
    return np.broadcast_to(x, shape).copy()


spread.defvjp(x=lambda g: g, shape=None)


@op
def total(x):
    return np.sum(x)


total.defvjp(x=lambda g, x_shape: spread(g, shape=x_shape))


@op(pointwise=True)
def times(x, y):
    return np.multiply(x, y)


times.defvjp(x=lambda g, y: times(y, g), y=lambda g, x: times(x, g))


@op(pointwise=True)
def cube(x):
    return x * x * x


cube.defvjp(x=lambda g, x: g * (3.0 * (x * x)))


@op
def fold(x, shape):
    """Reshape, that is: a result that shares its operand's memory."""
    return x.reshape(shape)


fold.defvjp(x=lambda g, x_shape: fold(g, shape=x_shape), shape=None)


@op
def pair(x, y):
    """Return the sum and the product."""
    return x + y, x * y


def _through_pair(other, g):
    parts = [part for part in (g[0], None if g[1] is None else g[1] * other) if part is not None]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


pair.defvjp(x=lambda g, y: _through_pair(y, g), y=lambda g, x: _through_pair(x, g))


def counted():
    """Return an op for ``x * y`` and the list of the operands whose rule was called."""
    calls = []

    @op
    def counted_times(x, y):
        return x * y

    def for_x(g, y):
        calls.append("x")
        return g * y

    def for_y(g, x):
        calls.append("y")
        return g * x

    counted_times.defvjp(x=for_x, y=for_y)
    return counted_times, calls


def scaled():
    """Return a new op without rules, with a static parameter."""

    @op
    def scaled(x, factor=2.0):
        return x * factor

    return scaled


def difference(f, x, step=1e-6):
    """Return the derivative of the sum of ``f`` by each entry of `x`, from central differences."""
    return np.array(
        [
            (np.sum(f(x + e)) - np.sum(f(x - e))) / (2 * step)
            for e in step * np.eye(x.size).reshape(x.size, *x.shape)
        ]
    ).reshape(x.shape)

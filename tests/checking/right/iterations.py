"""Iterations and recurrences."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import op, ops

WEIGHTS = np.random.default_rng(0).normal(size=(4, 3))


@right(domain=(0, np.inf))
def root_by_newton(x):
    y = 1 + x / 2
    for _ in range(6):
        y = (y + x / y) / 2
    return y


@right()
def fixed_point(x):
    y = x * 0
    for _ in range(60):
        y = np.tanh(0.5 * y + x)
    return y


@right()
@op(pointwise=True)
def implicit_cubic(x):
    """Return the y for which y + y**3 = x."""
    y = np.cbrt(x)
    for _ in range(60):
        y = y - (y + y**3 - x) / (1 + 3 * y * y)
    return y


implicit_cubic.defvjp(x=lambda g, out: g / (1 + 3 * out * out))


@right(shapes="(n,n)")
def inverse_by_newton_schulz(a):
    a = a / (1 + np.sum(a * a)) + 2 * np.eye(len(a))
    x = a.T / np.sum(a * a)
    for _ in range(30):
        x = x @ (2 * np.eye(len(a)) - a @ x)
    return x


@right(shapes="(4),(3)")
def rnn(x, h):
    w, u = WEIGHTS[0], WEIGHTS[1:, :]
    for t in range(4):
        h = np.tanh(x[t] * w + h @ u)
    return h


@right(shapes="(b,n),(b,m),(n,m),(m,m)")
def gru_cell(x, h, w, u):
    z = ops.sigmoid(x @ w + h @ u)
    n = np.tanh(x @ w + (1 - z) * (h @ u))
    return (1 - z) * n + z * h


@right(shapes="(n)")
def logistic_map(x):
    x = 0.5 + 0.25 * np.tanh(x)
    for _ in range(3):
        x = 2.5 * x * (1 - x)
    return x


@right(shapes="(2)")
def orbit(state):
    position, velocity = state[0], state[1]
    for _ in range(20):
        velocity = velocity - 0.05 * np.sin(position)
        position = position + 0.05 * velocity
    return position, velocity


@right(shapes="(n),(n)")
def smith_waterman_soft(a, b):
    total = np.zeros(())
    for k in range(a.shape[0]):
        total = np.logaddexp(total + a[k], b[k])
    return total

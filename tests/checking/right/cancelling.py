"""Functions that lose digits where terms cancel, turn too fast to follow, or go on for long."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import ops

TINY = 1e-6 * np.array([1.0, -1.0, 3.0])


@right()
def sinc_by_quotient(x):
    return np.sin(x) / x


@right()
def sine_of_inverse(x):
    return np.sin(1 / x)


@right()
def exponential_quotient(x):
    return (np.exp(x) - 1) / x


@right(shapes="(8)")
def fourier_there_and_back(x):
    return np.real(np.fft.ifft(np.fft.fft(x))) - x


@right(TINY)
def root_minus_one(x):
    return np.sqrt(x * x + 1) - 1


@right(TINY)
def one_minus_cosine(x):
    return 1 - np.cos(x)


@right(np.array([0.3, 1e3]), np.array([2.0, -1e-3]))
def zero_by_identity(x, y):
    return (x * x - y * y) - (x - y) * (x + y)


@right(1e6 * np.array([[0.3, -1.2], [0.7, 2.0]]))
def far_determinant(a):
    return np.linalg.det(a @ a.T + np.eye(2))


@right(1e6 + np.array([0.3, -1.2, 0.7]))
def far_variance(x):
    return np.mean(x * x) - np.mean(x) ** 2


@right(shapes="(n,n)")
def two_log_determinants(a):
    gram = a @ a.T + np.eye(len(a))
    return np.log(np.linalg.det(gram)) - np.linalg.slogdet(gram)[1]


@right(shapes="(n,n),(n)")
def residual_of_solution(a, b):
    return a @ np.linalg.solve(a, b) - b


@right(np.array([[0.3, -0.8], [1.1, 0.4]]), np.array([0.5, -0.2]))
def hundred_steps(w, h):
    for _ in range(100):
        h = np.tanh(w @ h)
    return h


@right(shapes="(b,n)")
def cross_entropy_by_hand(x):
    exponentials = np.exp(x)
    return -np.mean(np.log(exponentials[:, 0] / np.sum(exponentials, axis=1)))


@right()
def squared_hinge(x):
    return ops.relu(x) ** 2 - x * np.abs(x)

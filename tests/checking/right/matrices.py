"""Functions of matrices: products, solvers, decompositions, attention."""

import numpy as np

from tests.checking.right.table import right
from tinygrad_mnist import op, ops


@right()
@op(shapes="(m,k),(k,n)")
def product(a, b):
    return a @ b


product.defvjp(a=lambda g, b: g @ b.T, b=lambda g, a: a.T @ g)


@right()
@op(shapes="(m,k),(k,n),(n)")
def dense(x, w, b):
    return np.tanh(x @ w + b)


dense.defvjp(
    x=lambda g, w, out: (g * (1 - out * out)) @ w.T,
    w=lambda g, x, out: x.T @ (g * (1 - out * out)),
    b=lambda g, out: g * (1 - out * out),
)


@right(shapes="(q,d),(k,d),(k,e)")
def attention(q, k, v):
    return ops.softmax(q @ k.T / np.sqrt(q.shape[-1]), axis=-1) @ v


@right(shapes="(n,d),(n,d),(n,d)")
def causal_attention(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    future = np.triu(np.ones(scores.shape, bool), 1)
    return ops.softmax(np.where(future, -1e9, scores), axis=-1) @ v


@right(shapes="(b,n,d),(b,n,d),(b,n,d)")
def batched_attention(q, k, v):
    scores = np.einsum("bqd,bkd->bqk", q, k) / np.sqrt(q.shape[-1])
    return np.einsum("bqk,bkd->bqd", ops.softmax(scores, axis=-1), v)


@right(shapes="(n,n)")
def log_determinant(a):
    return np.linalg.slogdet(a @ a.T + np.eye(len(a)))[1]


@right(shapes="(n,n)")
def inverse_of_positive(a):
    return np.linalg.inv(a @ a.T + np.eye(len(a)))


@right(shapes="(n,n),(n)")
def ridge(a, y):
    return np.linalg.solve(a.T @ a + 0.5 * np.eye(len(a)), a.T @ y)


@right(shapes="(n,n),(n)")
@op(shapes="(n,n),(n)")
def solve_with_rule(a, y):
    return np.linalg.solve(a + 3 * np.eye(len(y)) * (1 + np.sum(a * a)), y)


def _solve_rule_a(g, a, y):
    n = a.shape[0]
    system = a + 3 * np.eye(n) * (1 + np.sum(a * a))
    x = np.linalg.solve(system, y)
    w = np.linalg.solve(system.T, g)
    outer = -np.outer(w, x)
    return outer + 6 * a * np.trace(outer)


def _solve_rule_y(g, a):
    n = a.shape[0]
    return np.linalg.solve((a + 3 * np.eye(n) * (1 + np.sum(a * a))).T, g)


solve_with_rule.defvjp(a=_solve_rule_a, y=_solve_rule_y)


@right(shapes="(n,n)")
def matrix_exponential_by_taylor(a):
    a = a / (1 + np.sum(a * a))
    total = term = np.eye(len(a))
    for k in range(1, 12):
        term = term @ a / k
        total = total + term
    return total


@right(shapes="(n,n)")
def symmetric_root(a):
    values, vectors = np.linalg.eigh(a @ a.T + np.diag(np.arange(1.0, len(a) + 1)))
    return (vectors * np.sqrt(values)) @ vectors.T


@right(shapes="(n,n)")
def trace_of_square(a):
    return np.trace(a @ a)


@right(shapes="(n,n)")
def cholesky_diagonal(a):
    return np.log(np.diagonal(np.linalg.cholesky(a @ a.T + np.eye(len(a)))))


@right(shapes="(m,n)")
def gram(x):
    return x.T @ x


@right(shapes="(m,n)")
def whitened(x):
    centred = x - np.mean(x, axis=0)
    return centred / np.sqrt(np.var(x, axis=0) + 1e-2)


@right(shapes="(n)")
def outer_with_itself(x):
    return np.outer(x, x)


@right(shapes="(n,n)")
def power_iteration(a):
    m = a @ a.T / (1 + np.sum(a * a)) + np.diag(1.0 + np.arange(len(a)))
    v = np.ones(len(a))
    for _ in range(8):
        v = m @ v
        v = v / np.sqrt(np.sum(v * v))
    return v @ m @ v


@right(shapes="(n,n)")
def nuclear_norm(a):
    return np.sum(np.linalg.svd(a + 2 * np.eye(len(a)) * (1 + np.sum(np.abs(a))))[1])


# Where these have no derivative, no rule is at fault.


@right(shapes="(m,n)")
def singular_values(a):
    return np.linalg.svd(a)[1]


@right(shapes="(n,n)")
def sum_of_eigenvalues(a):
    return np.sum(np.linalg.eigvals(a).real)


@right()
def rebuilt_of_singular_vectors(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return (u * s[..., None, :]) @ vh


@right()
def triangular_factor(a):
    return np.linalg.qr(a)[1]


@right()
def pseudo_inverse(a):
    return np.linalg.pinv(a)


@right(shapes="(n,n)")
def spectrum(a):
    return np.linalg.eigvalsh(a + a.T)


@right(shapes="(n,n)")
def log_of_determinant(a):
    return np.linalg.slogdet(a)[1]

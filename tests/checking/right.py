"""Right functions of many sorts, as people write them: none of these may be accused.

Some have rules of their own, most are composed of ops; each stands by a name beside the arguments
that `gradcheck` is given for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mnist import Tensor, grad, nn, op, ops
from tinygrad_mnist.tensor import raw

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(4, 3))
KERNEL = np.array([0.25, 0.5, 0.25])
MODEL = nn.MLP((4, 3, 2), rng=0)
LABELS = np.array([0, 2, 1])
CASES: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {}


def right(*inputs, **options):
    """Add a function to the table: to be searched, or to be checked at `inputs`."""

    def add(f):
        name = getattr(f, "name", None) or f.__name__
        assert name not in CASES
        CASES[name] = (f, inputs, options)
        return f

    return add


# Pointwise, stable forms and guards ---------------------------------------------------------------


@right()
def softplus_by_logaddexp(x):
    return np.logaddexp(0.0, x)


@right()
@op
def silu_with_rule(x):
    return x / (1 + np.exp(-x))


silu_with_rule.defvjp(x=lambda g, x, out: g * (out + (1 - out) / (1 + np.exp(-x))))


@right()
def guarded_root(x):
    return np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0)


@right()
def guarded_root_bare(x):
    return np.where(x > 0, np.sqrt(x), 0)


@right(domain=(0, np.inf))
def entropy(p):
    return np.where(p > 0, -p * np.log(p), 0.0)


@right()
def huber(x):
    return np.where(np.abs(x) < 1, x * x / 2, np.abs(x) - 0.5)


@right()
def smooth_step(x):
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3 - 2 * t)


@right()
def sinc_by_where(x):
    near = np.abs(x) < 1e-3
    safe = np.where(near, 1.0, x)
    return np.where(near, 1 - x * x / 6, np.sin(safe) / safe)


@right()
def expm1_over_x(x):
    near = np.abs(x) < 1e-5
    safe = np.where(near, 1.0, x)
    return np.where(near, 1 + x / 2 + x * x / 6, np.expm1(safe) / safe)


@right()
def log_cosh(x):
    return np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - np.log(2)


@right()
@op(pointwise=True)
def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu.defvjp(x=lambda g, x, alpha: g * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))))


@right()
@op(pointwise=True)
def gelu_by_tanh(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def _gelu_rule(g, x):
    t = np.tanh(0.7978845608 * (x + 0.044715 * x**3))
    inner = 0.7978845608 * (1 + 3 * 0.044715 * x * x)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)


gelu_by_tanh.defvjp(x=_gelu_rule)


@right()
def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


@right()
def triangle_wave(x):
    return np.abs(x - 2 * np.floor(x / 2 + 0.5))


@right()
def cube_root_of_absolute(x):
    return np.cbrt(x * x + 1e-3)


@right(domain=(0, np.inf))
def power_of_itself(x):
    return x**x


@right()
@op(pointwise=True, domain={"p": (0, 1)})
def logit(p):
    return np.log(p) - np.log1p(-p)


logit.defvjp(p=lambda g, p: g / (p * (1 - p)))


@right()
def soft_threshold(x):
    return np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)


@right()
def leaky_with_keyword(x, slope=0.2):
    return np.where(x > 0, x, slope * x)


# Several inputs, broadcasting ---------------------------------------------------------------------


@right()
def affine(x, scale, shift):
    return x * scale + shift


@right()
@op
def gated(x, gate):
    return x * np.tanh(gate)


gated.defvjp(
    x=lambda g, gate: g * np.tanh(gate), gate=lambda g, x, gate: g * x * (1 - np.tanh(gate) ** 2)
)


@right()
def lerp(a, b, t):
    return a + t * (b - a)


@right()
def safe_divide(a, b):
    return a * b / (b * b + 1e-3)


@right()
def gaussian_density(x, mean, spread):
    width = 0.1 + spread * spread
    return -0.5 * (x - mean) ** 2 / width - 0.5 * np.log(width)


@right()
def kl_of_gaussians(m, s, n, t):
    s, t = np.exp(np.tanh(s)), np.exp(np.tanh(t))
    return np.log(t / s) + (s * s + (m - n) ** 2) / (2 * t * t) - 0.5


@right()
def maximum_of_three(a, b, c):
    return np.maximum(np.maximum(a, b), c)


@right()
def smooth_maximum(a, b):
    return (a + b + np.sqrt((a - b) ** 2 + 1e-2)) / 2


@right()
def polar(x, y):
    return np.hypot(x, y), np.arctan2(y, x)


@right(domain={"x": (0.0, np.inf)})
@op(domain={"base": (0, np.inf)})
def log_to_base(x, base):
    return np.log(x) / np.log(base + 1)


log_to_base.defvjp(
    x=lambda g, x, base: g / (x * np.log(base + 1)),
    base=lambda g, out, base: -g * out / ((base + 1) * np.log(base + 1)),
)


# Matrices -----------------------------------------------------------------------------------------


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


# Norms and reductions -----------------------------------------------------------------------------


@right(shapes="(n)")
def euclidean(x):
    return np.linalg.norm(x)


@right(shapes="(n)")
@op(shapes="(n)")
def euclidean_with_rule(x):
    return np.sqrt(np.sum(x * x))


euclidean_with_rule.defvjp(x=lambda g, x, out: g * x / np.where(np.equal(raw(out), 0), 1.0, out))


@right(shapes="(m,n)")
def unit_rows(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


@right(shapes="(n),(n)")
def cosine_similarity(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-8)


@right(shapes="(m,n),(n),(n)")
def layer_norm(x, gain, bias):
    mean = np.mean(x, axis=-1, keepdims=True)
    var = np.mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * gain + bias


@right(shapes="(m,n),(n),(n)")
@op(shapes="(m,n),(n),(n)")
def batch_norm_with_rule(x, gain, bias):
    spread = np.sqrt(np.mean((x - np.mean(x, 0)) ** 2, 0) + 1e-3)
    return (x - np.mean(x, 0)) / spread * gain + bias


def _batch_norm_rule(g, x, gain):
    spread = np.sqrt(np.mean((x - np.mean(x, 0)) ** 2, 0) + 1e-3)
    unit = (x - np.mean(x, 0)) / spread
    g = g * gain
    return (g - np.mean(g, 0) - unit * np.mean(g * unit, 0)) / spread


batch_norm_with_rule.defvjp(
    x=_batch_norm_rule,
    gain=lambda g, x: np.sum(
        g * (x - np.mean(x, 0)) / np.sqrt(np.mean((x - np.mean(x, 0)) ** 2, 0) + 1e-3), 0
    ),
    bias=lambda g: np.sum(g, 0),
)


@right(shapes="(m,n)")
@op(shapes="(m,n)")
def softmax_with_rule(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


softmax_with_rule.defvjp(x=lambda g, out: out * (g - np.sum(g * out, axis=-1, keepdims=True)))


@right(shapes="(m,n)")
def log_sum_exp_by_hand(x):
    top = np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=1)) + top[:, 0]


@right(shapes="(n)")
def geometric_mean(x):
    return np.exp(np.mean(np.log(x * x + 1)))


@right(shapes="(n)")
def coefficient_of_variation(x):
    return np.std(x) / (1 + np.mean(x) ** 2)


@right(shapes="(n)")
def skewness(x):
    centred = x - np.mean(x)
    return np.mean(centred**3) / (np.mean(centred**2) + 0.1) ** 1.5


@right(shapes="(m,n)")
def range_of_rows(x):
    return np.max(x, axis=1) - np.min(x, axis=1)


@right(shapes="(n)")
def total_variation(x):
    return np.sum(np.abs(x[1:] - x[:-1]))


@right(shapes="(n)")
def mean_with_keyword(x, axis=None):
    return np.mean(x * x, axis=axis)


# Sorting, choosing, indexing ----------------------------------------------------------------------


@right(shapes="(n)")
def sorted_and_weighted(x):
    return np.sort(x) * np.arange(1.0, x.shape[0] + 1)


@right(shapes="(n)")
@op(shapes="(n)")
def sort_with_rule(x):
    return np.sort(x)


sort_with_rule.defvjp(
    x=lambda g, x: g[np.argsort(np.argsort(raw(x), kind="stable"), kind="stable")]
)


@right(shapes="(n)")
def trimmed_mean(x):
    return np.mean(np.sort(x)[1:]) if x.shape[0] > 1 else np.mean(x)


@right(shapes="(n)")
def top_two(x):
    return x[np.argsort(raw(x))[-2:]]


@right(shapes="(n)")
def median_deviation(x):
    return np.median(np.abs(x - np.median(x)))


@right(shapes="(m,n)")
def picked(x):
    return x[:, 0] * x[:, -1]


@right(shapes="(4,n)")
def repeated_rows(table):
    return table[np.array([0, 2, 2, 3, 0])] ** 2


@right(shapes="(n)")
def shifted(x):
    return np.concatenate([x[:1] * 2, x, x[-1:] ** 2])


@right(shapes="(n)")
def prefix_products(x):
    return np.cumprod(1 + x / (1 + np.abs(x)))


@right(shapes="(m,n)")
def flipped_and_rolled(x):
    return np.roll(np.flip(x, 0), 1, axis=1) * x


@right(shapes="(3,n)")
def hinge(scores):
    right = scores[LABELS[:, None] * 0 + np.arange(3)[:, None], 0]
    return np.maximum(0, 1 + scores - right)


# Losses -------------------------------------------------------------------------------------------


@right(shapes="(3,3)")
def focal_loss(logits):
    p = ops.softmax(logits, axis=-1)[np.arange(3), LABELS]
    return np.mean((1 - p) ** 2 * -np.log(p + 1e-9))


@right(shapes="(m,n),(m,n)")
def relative_error(x, y):
    return np.sum((x - y) ** 2) / (1 + np.sum(y * y))


@right(shapes="(8),(8)")
def spectral_loss(x, y):
    return np.mean(np.abs(np.fft.rfft(x) - np.fft.rfft(y)) ** 2)


@right(shapes="(8)")
def power_spectrum_in_decibels(x):
    return 10 * np.log10(np.abs(np.fft.fft(x)) ** 2 + 1e-3)


@right(shapes="(8),(8)")
def convolved_by_fourier(x, y):
    return np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(y)))


@right(shapes="(8)")
@op(shapes="(8)")
def low_pass_with_rule(x):
    spectrum = np.fft.rfft(x)
    return np.fft.irfft(spectrum * (np.arange(5) < 3), 8)


low_pass_with_rule.defvjp(x=lambda g: np.fft.irfft(np.fft.rfft(g) * (np.arange(5) < 3), 8))


@right(shapes="(n)")
def phase_rotation(x):
    return np.real(x * np.exp(1j * 0.7)) + np.imag((x + 2j) ** 2)


@right(shapes="(3,3)")
def contrastive(x):
    similar = x @ x.T / (1 + np.sum(x * x))
    return ops.cross_entropy(similar, np.arange(3))


@right(shapes="(m,n),(k,n)")
def squared_distances(x, y):
    return np.sum((x[:, None, :] - y[None, :, :]) ** 2, axis=-1)


@right(shapes="(m,n),(k,n)")
def kernel_of_distances(x, y):
    d = np.sum(x * x, 1)[:, None] + np.sum(y * y, 1)[None, :] - 2 * x @ y.T
    return np.exp(-np.tanh(d / 10))


# Iterations and recurrences -----------------------------------------------------------------------


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


# Precision, structure, closures, keywords, randomness ---------------------------------------------


@right()
def single_throughout(x):
    return np.tanh(x) * np.float32(2)


@right(RANDOM.normal(size=(3, 4)).astype(np.float32))
def single_in_and_out(x):
    return np.exp(x.astype(np.float32) * np.float32(0.5))


@right()
@op(pointwise=True)
def computed_in_single(x):
    return np.asarray(np.tanh(np.asarray(x, np.float32)), np.float64)


computed_in_single.defvjp(x=lambda g, x: g * (1 - np.tanh(x) ** 2))


@right([RANDOM.normal(size=3), RANDOM.normal(size=(2, 3))])
def of_a_list(arrays):
    return sum(np.sum(np.sin(a)) for a in arrays)


@right({"w": RANDOM.normal(size=(3, 2)), "b": RANDOM.normal(size=2)}, RANDOM.normal(size=(4, 3)))
def of_a_dict(params, x):
    return {"out": np.tanh(x @ params["w"] + params["b"]), "size": 3}


@right()
def of_several(*arrays):
    return arrays[0] * np.tanh(arrays[1])


@right(shapes="(m,4)")
def closure(x):
    return np.maximum(x @ WEIGHTS, 0)


@right()
def doubled(x):
    return x + x


@right(shapes="(n)")
@op(shapes="(n)", cases=({}, {"power": 3}, {"power": 2, "mean": True}))
def moment(x, power=2, mean=False):
    total = np.sum(x**power)
    return total / x.size if mean else total


moment.defvjp(x=lambda g, x, power, mean: g * power * x ** (power - 1) / (x.size if mean else 1))


@right()
@op
def noisy_by_generator(x, rng=0):
    return x * np.random.default_rng(rng).uniform(0.5, 1.5, np.shape(x))


noisy_by_generator.defvjp(
    x=lambda g, x_shape, rng: g * np.random.default_rng(rng).uniform(0.5, 1.5, x_shape)
)


@right()
def dropout_with_generator(x):
    return ops.dropout(x, p=0.5, rng=0)


@right(shapes="(n)")
def smoothed(x):
    return np.convolve(x, KERNEL)


@right(shapes="(n)")
def straight_through_gradient_of_a_sum(x):
    return grad(lambda y: np.sum(np.sin(y) * y))(x)


@right(RANDOM.normal(size=(5, 4)))
def module_inside(x):
    return MODEL(x)


@right(shapes="(n)")
@op(shapes="(n)")
def split_in_two(x):
    return np.sin(x), np.cos(x)


def _split_rule(g, x):
    one = 0 if g[0] is None else g[0] * np.cos(x)
    other = 0 if g[1] is None else -g[1] * np.sin(x)
    return one + other


split_in_two.defvjp(x=_split_rule)


@right()
@op(hidden=1)
def masked(x):
    mask = np.sin(1e3 * np.arange(np.size(x)).reshape(np.shape(x))) > 0
    return x * mask, mask


masked.defvjp(x=lambda g, out: g[0] * out[1])


@right(shapes="(a,b,6,6),(c,b,3,3)")
def convolution_by_windows(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("abijkl,cbkl->acij", windows, w)


@right(shapes="(a,b,6,6)")
def pooled(x):
    a, b, h, w = x.shape
    return np.max(np.max(x.reshape(a, b, h // 2, 2, w // 2, 2), axis=5), axis=3)


@right(Tensor(RANDOM.normal(size=3)))
def of_a_tensor(x):
    return x.exp() if hasattr(x, "exp") else np.exp(x)


@right(shapes="(n)")
def polynomial(x):
    return np.polyval([0.5, -1.0, 2.0, 3.0], np.tanh(x))


@right(shapes="(m,n)")
def nan_ignored(x):
    return np.nansum(np.where(np.abs(x) > 1e3, np.nan, x * x), axis=0)


@right(shapes="(n)")
def interpolated(x):
    return np.interp(np.tanh(x), [-1.0, -0.3, 0.4, 1.0], [0.0, 2.0, 1.0, 3.0])


@right(shapes="(m,n)")
def quantiles(x):
    return np.quantile(x, 0.3, axis=0)


@right(shapes="(n,3),(n,3)")
def angular_momentum(r, v):
    return np.sum(np.cross(r, v), axis=0)


@right(shapes="(3)")
def rotation(angles):
    c, s = np.cos(angles), np.sin(angles)
    zero, one = np.zeros(()), np.ones(())
    rows = [[c[0], -s[0], zero], [s[0], c[0], zero], [zero, zero, one]]
    return np.stack([np.stack(row) for row in rows]) @ angles

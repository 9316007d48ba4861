"""What neural networks are made of: activations, softmax, losses, dropout, the linear layer."""

from __future__ import annotations

import functools
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import remember
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.reductions import spread

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.ops.reductions import Axes

# Activations: values at kinks stand in docs/kinks.md ----------------------------------------------


@op(pointwise=True, cases=({}, {"negative_slope": 0.0}, {"negative_slope": -0.5}))
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """Return the entries of `x` above 0, and those below times a slope; at 0 the slope holds."""
    return np.maximum(x, 0) + negative_slope * np.minimum(x, 0)


leaky_relu.defvjp(x=lambda g, x, negative_slope: np.where(x > 0, g, negative_slope * g))


@op(pointwise=True, real=True)
def relu(x: Array) -> Array:
    """Return the entries of `x` above 0, else 0; relu'(0) = 0."""
    return np.maximum(x, 0)


# sign first: NumPy then multiplies in its place, where a mask would take memory of its own
relu.defvjp(x=lambda g, out: np.sign(out) * g)


@op(pointwise=True, real=True)
def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``, which overflows nowhere and loses no digits near 0."""
    small = np.exp(np.minimum(x, -x))  # complex for complex x, so that it is refused
    return np.where(x >= 0, 1, small) / (1 + small)


sigmoid.defvjp(x=lambda g, out: g * (out * (1 - out)))


@op(pointwise=True)
def softplus(x: Array) -> Array:
    """Return ``log(1 + exp(x))``, a smooth `relu`."""
    return np.logaddexp(x, 0)


softplus.defvjp(x=lambda g, x: g * sigmoid(x))

# Softmax and its relatives: -inf has no weight, not even in a row of its own; inf has it all ----

_ROWS: tuple[dict[str, Any], ...] = (
    {"shapes": "(…,n)"},
    {"axis": 0, "shapes": "(n,…)"},
    {"axis": (0, -1), "shapes": "(a,b,c)"},
    {"axis": None, "shapes": "(…)"},
)


def _shifted(x: Any, axis: Axes) -> tuple[Any, Any]:
    """Return `x` less its largest entry, so that no exponential overflows, and that entry."""
    top = np.max(x, axis=axis, keepdims=True)
    if np.isfinite(top).all():
        return x - top, top
    with np.errstate(invalid="ignore"):  # inf - inf
        shifted = np.where(np.isposinf(x), 0, x - top)
    return np.where(np.isneginf(top), -np.inf, shifted), top


@op(cases=_ROWS)
def softmax(x: Array, axis: Axes = -1) -> Array:
    """Return ``exp(x) / sum(exp(x))``, the sum over an axis, several or (None) all."""
    weights = np.exp(_shifted(x, axis)[0])
    total = np.sum(weights, axis=axis, keepdims=True)
    return weights / np.where(total == 0, 1, total)


softmax.defvjp(x=lambda g, out, axis: out * (g - np.sum(g * out, axis=axis, keepdims=True)))


@op(cases=_ROWS)
def log_softmax(x: Array, axis: Axes = -1) -> Array:
    """Return ``log(softmax(x))``, finite where the softmax is too small to be seen."""
    shifted, _ = _shifted(x, axis)
    total = np.sum(np.exp(shifted), axis=axis, keepdims=True)
    return shifted - np.log(np.where(total == 0, 1, total))


log_softmax.defvjp(x=lambda g, out, axis: g - np.exp(out) * np.sum(g, axis=axis, keepdims=True))


@op(
    cases=(
        {"shapes": "(…)"},
        {"axis": 0, "shapes": "(n,…)"},
        {"axis": (0, -1), "keepdims": True, "shapes": "(a,b,c)"},
    )
)
def logsumexp(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return ``log(sum(exp(x)))`` over all axes or those named."""
    shifted, top = _shifted(x, axis)
    with np.errstate(divide="ignore"):  # log(0) = -inf is right
        total = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=keepdims))
    return total + np.reshape(top, total.shape)


logsumexp.defvjp(x=lambda g, x, axis, keepdims: spread(g, axis, keepdims) * softmax(x, axis))


# The linear layer -------------------------------------------------------------------------------


@functools.lru_cache(8)
def _ones(n: int, dtype: Any) -> Any:
    """Return n ones: their product with a matrix adds up its rows, in a quarter of a sum's time."""
    ones = np.ones(n, dtype)
    ones.setflags(write=False)
    return ones


def _linear_w(g: Any, x: Any) -> Any:
    if x.ndim == 2:
        return x.T @ g  # np.dot would fill its result with zeros first: 2 us of a large one
    rows = math.prod(x.shape[:-1])
    return np.reshape(x, (rows, x.shape[-1])).T @ np.reshape(g, (rows, g.shape[-1]))


def _linear_b(g: Any) -> Any:
    if g.ndim != 2:
        return g  # the engine adds up
    return _ones(len(g), g.dtype).dot(g) if g.__class__ is np.ndarray else np.add.reduce(g)


@op(cases=({"shapes": "(k,n),(n,m)"}, {"shapes": "(…,n),(n,m)"}, {"shapes": "(…,n),(n,m),(m)"}))
def linear(x: Array, w: Array, b: Array | None = None) -> Array:
    """Return ``x @ w + b``.

    Parameters
    ----------
    x : array of shape (…, in)
    w : array of shape (in, out)
    b : array of shape (out,), optional

    Returns
    -------
    array of shape (…, out)

    Raises
    ------
    ValueError
        If the shapes are others.
    """
    try:
        if w.ndim == 2 and (b is None or b.shape == w.shape[1:]):
            out = x.dot(w) if x.ndim == 2 else np.matmul(x, w)
            return out if b is None else np.add(out, b, out if b.dtype is out.dtype else None)
    except (AttributeError, ValueError):
        pass
    shapes = f"x {np.shape(x)}, w {np.shape(w)}" + ("" if b is None else f", b {np.shape(b)}")
    raise ValueError(f"linear takes x of shape (…, in), w (in, out), b (out,); got {shapes}")


linear.defvjp(
    x=lambda g, w: np.dot(g, w.T) if g.ndim == 2 else g @ w.T,
    w=_linear_w,
    b=_linear_b,
)

_add_up: Any = np.add.reduce  # np.sum and the method take 0.1 us more
_largest: Any = np.maximum.reduce

# Losses -----------------------------------------------------------------------------------------

_hinted = False


def _hint_at_logits(logits: Any) -> None:
    """Warn, once per process, who gives probabilities where logits belong."""
    global _hinted  # noqa: PLW0603
    if _look_like_probabilities(logits):
        _hinted = True
        warnings.warn(
            "cross_entropy was given probabilities: every row is non-negative and sums to 1; give "
            "logits, the numbers before softmax, which cross_entropy applies itself",
            stacklevel=5,
        )


def _look_like_probabilities(logits: Any) -> bool:
    """Return whether each row could be a distribution; the first row decides almost always."""
    if abs(math.fsum(logits[0].tolist()) - 1) > 1e-4:
        return False
    return bool((logits >= 0).all() and np.allclose(logits.sum(axis=-1), 1, rtol=0, atol=1e-4))


def _checked_labels(logits: Any, labels: Any) -> Any:
    """Return the labels as an array of integers that name columns of the logits."""
    if not hasattr(labels, "dtype"):
        labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy takes integer labels, got {labels.dtype}: give the number of each "
            "row's class, for one-hot rows labels.argmax(axis=-1)"
        )
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy takes logits of shape (…, classes) and labels of shape (…), got "
            f"logits {logits.shape} and labels {labels.shape}"
        )
    if not logits.size:
        raise ValueError(f"cross_entropy of logits of shape {logits.shape}: nothing has no mean")
    labels = labels.astype(np.intp, copy=False)
    if labels.ndim != 1:
        labels = labels.reshape(-1)
    classes = logits.shape[-1]
    try:  # to count them is the quickest look at them: negative ones are refused
        known = np.bincount(labels, None, classes).size == classes
    except (ValueError, MemoryError):
        known = False
    if not known:
        raise ValueError(
            f"cross_entropy takes labels from 0 to {classes - 1} for logits of shape "
            f"{logits.shape}, got labels from {labels.min()} to {labels.max()}"
        )
    return labels


def _cross_entropy_rule(g: Any, out: Any) -> Any:
    """Return the gradient of the logits; the loss's derivative is a hidden output.

    That derivative is d = (softmax - one_hot) / n, and its own along v is
    softmax * (v - sum(softmax * v)) / n.
    """
    _, d, at = out
    first = 0 if g[0] is None else g[0] * d
    if g[1] is None:
        return first
    one_hot = np.zeros_like(d)
    np.put(one_hot, at, 1)
    n = at.size
    p = d * n + one_hot
    pv = p * g[1]
    return first + (pv - p * np.sum(pv, axis=-1, keepdims=True)) / n


@op(
    hidden=2,
    cases=(
        {"labels": np.array([2, 0, 3]), "shapes": "(3,4)"},
        {"labels": np.array(1), "shapes": "(2)"},
        {"labels": np.array([[0, 1]], dtype=np.uint8), "shapes": "(1,2,2)"},
    ),
)
def cross_entropy(logits: Array, labels: Array) -> Any:
    """Return the mean of ``-log(softmax(logits))`` at each row's label.

    Parameters
    ----------
    logits : array of shape (…, classes)
    labels : array of integers, of shape (…)

    Raises
    ------
    TypeError
        If the labels are no integers.
    ValueError
        If shapes disagree, a label names no class, or there is no row.

    Notes
    -----
    Rows are shifted by their maximum, so that logits of ±1e4 are exact in float32. Warns once if
    the logits look like probabilities.
    """
    classes = _checked_labels(logits, labels)
    rows = logits if logits.ndim == 2 else logits.reshape(-1, logits.shape[-1])
    if not _hinted and 0 <= rows.item(0) <= 1:
        _hint_at_logits(rows)
    n, width = rows.shape
    shifted = np.subtract(rows, _largest(rows, 1, keepdims=True), order="C")
    at = np.arange(0, n * width, width) + classes  # the labels' entries, counted row after row
    d = np.exp(shifted)
    total = _add_up(d, 1)
    loss = _add_up(np.log(total) - shifted.reshape(-1)[at]) / n
    d /= total[:, None]
    d.reshape(-1)[at] -= 1
    d /= n
    return loss, d if logits.ndim == 2 else d.reshape(logits.shape), at


cross_entropy.defvjp(logits=_cross_entropy_rule, labels=None)


def _mse_rule(g: Any, prediction: Any, target: Any) -> Any:
    return 2 * g / np.size(prediction) * (prediction - target)


@op(shapes="(n,m),(n,m)", cases=({}, {"shapes": "(),()"}))
def mse_loss(prediction: Array, target: Array) -> Array:
    """Return the mean of the squared differences of two arrays of one shape.

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting would average differences that nobody asked for.
    """
    if np.shape(prediction) != np.shape(target):
        raise ValueError(
            f"mse_loss takes a prediction and a target of one shape, got {np.shape(prediction)} "
            f"and {np.shape(target)}: reshape one of them"
        )
    return np.mean(np.square(np.subtract(prediction, target)))


mse_loss.defvjp(
    prediction=_mse_rule, target=lambda g, prediction, target: _mse_rule(g, target, prediction)
)

# Dropout ----------------------------------------------------------------------------------------


@op(
    hidden=1,
    pointwise=True,
    shapes="(…)",
    cases=({"rng": 0}, {"p": 0.0}, {"p": 1.0}, {"training": False}),
)
def dropout(
    x: Array,
    p: float = 0.5,
    rng: np.random.Generator | int | None = None,
    training: bool = True,
) -> Any:
    """Set entries to 0 with probability `p`, and divide the others by 1 - `p`.

    Parameters
    ----------
    x : array
    p : float
        Probability of dropping an entry, from 0 to 1.
    rng : Generator, int or None
        Where the choice comes from; None: a fresh generator.
    training : bool
        If not, return `x` as it is.

    Raises
    ------
    ValueError
        If `p` is no probability.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout takes a probability p from 0 to 1, got {p}")
    if not training or p == 0:
        return x, True
    generator = np.random.default_rng(rng)
    remember(generator)
    kept = generator.random(np.shape(x), dtype=np.float32) >= p
    return x * kept * _scale(p), kept


def _scale(p: float) -> float:
    """Return what keeps the mean as it is; nothing is left to scale if all are dropped."""
    return 1 / (1 - p) if p < 1 else 0.0


dropout.defvjp(
    x=lambda g, out, p, training: g[0] * out[1] * (_scale(p) if training else 1.0),
)

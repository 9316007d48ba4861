"""What neural networks are made of: activations, softmax, losses, dropout, the linear layer."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

# Activations (values at kinks: docs/kinks.md) ----------------------------------------------------


@op(pointwise=True)
def relu(x: Array) -> Array:
    """Return the entries of `x` above 0, else 0; relu'(0) = 0."""
    return np.maximum(x, 0)


relu.defvjp(x=lambda g, out: g * (out > 0))

# The linear layer -------------------------------------------------------------------------------


def _linear_w(g: Any, x: Any) -> Any:
    if x.ndim == 2:
        return x.T @ g
    rows = math.prod(x.shape[:-1])
    return np.reshape(x, (rows, x.shape[-1])).T @ np.reshape(g, (rows, g.shape[-1]))


@op(cases=({"shapes": "(k,n),(n,m)"}, {"shapes": "(…,n),(n,m)"}, {"shapes": "(…,n),(n,m),(m)"}))
def linear(x: Array, w: Array, b: Array | None = None) -> Array:
    """Return ``x @ w + b``: `x` of shape (…, in), `w` (in, out), `b` (out,) or None."""
    try:
        out = np.matmul(x, w)
        if b is None:
            return out
        if b.dtype == out.dtype:
            out += b
            return out
    except ValueError:
        shapes = f"x {np.shape(x)}, w {np.shape(w)}" + ("" if b is None else f", b {np.shape(b)}")
        raise ValueError(
            f"linear takes x of shape (…, in), w (in, out), b (out,); got {shapes}"
        ) from None
    return out + b


linear.defvjp(
    x=lambda g, w: g @ w.T,
    w=_linear_w,
    b=lambda g: g.sum(axis=0) if g.ndim == 2 else g,
)

# Losses -----------------------------------------------------------------------------------------

_hinted = False


def _look_like_probabilities(logits: Any) -> bool:
    """Return whether each row could be a distribution; the first row decides almost always."""
    if not 0 <= logits.item(0) <= 1 or abs(math.fsum(logits[0].tolist()) - 1) > 1e-4:
        return False
    return bool((logits >= 0).all() and np.allclose(logits.sum(axis=-1), 1, rtol=0, atol=1e-4))


def _hint_at_logits(logits: Any) -> None:
    """Warn, once per process, who gives probabilities where logits belong."""
    global _hinted  # noqa: PLW0603
    if not _hinted and _look_like_probabilities(logits):
        _hinted = True
        warnings.warn(
            "cross_entropy was given probabilities: every row is non-negative and sums to 1; give "
            "logits, the numbers before softmax, which cross_entropy applies itself",
            stacklevel=5,
        )


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
    if labels.min() < 0 or labels.max() >= logits.shape[-1]:
        raise ValueError(
            f"cross_entropy takes labels from 0 to {logits.shape[-1] - 1} for logits of shape "
            f"{logits.shape}, got labels from {labels.min()} to {labels.max()}"
        )
    return labels.reshape(-1)


def _cross_entropy_rule(g: Any, out: Any, labels: Any) -> Any:
    """Return the gradient of the logits; the loss's derivative is the hidden output.

    That derivative is d = (softmax - one_hot) / n, whose own, along v, is
    softmax * (v - sum(softmax * v)) / n.
    """
    d = out[1]
    first = 0 if g[0] is None else g[0] * d
    if g[1] is None:
        return first
    n = d.size // d.shape[-1]
    one_hot = np.zeros_like(d)
    np.put_along_axis(one_hot, np.expand_dims(labels, -1), 1, axis=-1)
    p = d * n + one_hot
    pv = p * g[1]
    return first + (pv - p * np.sum(pv, axis=-1, keepdims=True)) / n


@op(
    hidden=1,
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
    rows = logits.reshape(-1, logits.shape[-1])
    _hint_at_logits(rows)
    n = len(rows)
    at = np.arange(n), classes
    shifted = rows - rows.max(axis=-1, keepdims=True)
    d = np.exp(shifted)
    total = d.sum(axis=-1, keepdims=True)
    loss = (np.log(total).sum() - shifted[at].sum()) / n
    d /= total
    d[at] -= 1
    d /= n
    return loss, d.reshape(logits.shape)


cross_entropy.defvjp(logits=_cross_entropy_rule, labels=None)

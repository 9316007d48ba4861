"""Derivatives of functions: grad, vjp, jvp, hvp, jacobian, hessian, to any order."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.engine import leading, propagate, seed
from tinygrad_mnist.graph import Array, next_index
from tinygrad_mnist.nested import leaves_as
from tinygrad_mnist.tensor import Tensor, as_array, raw
from tinygrad_mnist.traces import (
    Trace,
    arguments,
    check_number,
    check_real,
    is_one,
    matching,
    numbers,
    recording,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that computes both ``f`` and its gradient.

    Parameters
    ----------
    f : callable
        Returns a single number. Arguments may be nested lists, tuples and dicts of arrays.
    argnums : int or sequence of int, optional
        Which positional arguments to differentiate.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns ``(value, gradient)``, the gradient in the structure,
        shapes and dtypes of the argument, a tuple of them for a sequence of argnums. Plain arrays,
        unless they depend on a tracked Tensor from outside `f`. Nobody's ``grad`` is written.

    Raises
    ------
    TypeError
        If an argument to differentiate is of integers or complex numbers.
    ValueError
        If `f` does not return a single number.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> tuple[Any, Any]:
        trace = Trace(f, args, numbers(argnums, args, "grad"), keywords)
        check_number(trace.outputs)
        out = trace.outputs[0]
        seed = np.ones_like(out._value) if isinstance(out, Tensor) else None
        grads = trace.per_argument(trace.pull([seed], free=True))
        return trace.value(), grads[0] if is_one(argnums) else grads

    return wrapped


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Return the gradient function of ``f``; see `value_and_grad`.

    Examples
    --------
    >>> grad(grad(lambda x: x**3))(2.0)
    array(12.)
    """
    both = value_and_grad(f, argnums)

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        return both(*args, **keywords)[1]

    return wrapped


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return ``f(*xs)`` and the function from a cotangent of it to the gradients of `xs`.

    Parameters
    ----------
    f : callable
        Takes and returns arrays, or nested lists, tuples and dicts of them.
    *xs
        Where.

    Returns
    -------
    out
        ``f(*xs)``.
    pull : callable
        Takes a cotangent in the structure and shapes of `out`; returns a tuple with a gradient for
        each of `xs`. May be called more than once.
    """
    trace = Trace(f, xs, range(len(xs)))

    def pull(cotangent: Any) -> tuple[Any, ...]:
        cotangents, tracked = matching(cotangent, trace, "cotangent")
        return trace.per_argument(trace.pull(cotangents, record=trace.record or tracked))

    return trace.value(read_only=True), pull


def jvp(f: Callable[..., Any], xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return ``f(*xs)`` and its derivative along `tangents`: forward mode, at any order.

    A rule is linear in its cotangent, so the vjp of the vjp is the jvp [1]_.

    Parameters
    ----------
    f : callable
    xs, tangents : tuples of the same structure and shapes

    Returns
    -------
    out, tangent_out

    References
    ----------
    .. [1] J. Townsend, "A new trick for calculating Jacobian vector products", 2017.
    """
    xs, tangents = arguments(xs), arguments(tangents)
    trace = Trace(f, xs, range(len(xs)))
    check_real(trace.outputs, "jvp")
    along = leaves_as(trace.per_argument(trace.inputs), tangents, "the tuple of tangents")
    pushes = [seed(t, v, "tangent") for t, v in zip(trace.inputs, along, strict=True)]
    record = trace.record or any(isinstance(v, Tensor) and v.requires_grad for v in pushes)
    start = next_index()
    dummies = [
        Tensor(_generic(o._value), requires_grad=True)
        if isinstance(o, Tensor) and o.dtype.kind == "f"
        else None
        for o in trace.outputs
    ]
    pulled = trace.pull(dummies, record=True)
    targets = [d._node for d in dummies if d is not None]
    pairs = [(p, v) for p, v in zip(pulled, pushes, strict=True) if isinstance(p, Tensor)]
    leads, _ = leading([p._node for p, _ in pairs], targets, start)
    seeds = [(p._node, v) for p, v in pairs if p._node in leads]
    with recording():
        found = propagate(seeds, targets, leads, record=record)
    tangent = []
    for o, d in zip(trace.outputs, dummies, strict=True):
        t = None if d is None else found[d._node]
        tangent.append(np.zeros_like(raw(o)) if t is None else t if record else as_array(t))
    return trace.value(), trace.rebuild_out(tangent)


def _generic(like: Array) -> Array:
    """Return a cotangent, any but a special one: at 0 rules are masked, at 1 some look right."""
    count = np.cumsum(np.ones_like(like)).reshape(like.shape)
    return 1 + np.cos(count) / 4


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """Return the Hessian of ``f`` at `x` times `v`, without the Hessian.

    Parameters
    ----------
    f : callable
        Takes `x`, returns a single number.
    x, v : array_like, or nested lists, tuples and dicts of the same structure
    """
    return vjp(grad(f), x)[1](v)[0]


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Return the function that computes the Jacobian of ``f``, of shape ``out.shape + x.shape``.

    Parameters
    ----------
    f : callable
        Takes and returns arrays, or nested structures of them: then the result has the structure
        of `f`'s result, with that of the argument inside.
    argnums : int or sequence of int, optional
        Which positional arguments to differentiate.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        trace = Trace(f, args, numbers(argnums, args, "jacobian"), keywords)
        check_real(trace.outputs, "jacobian")
        blocks = []
        for k, out in enumerate(trace.outputs):
            shape = np.shape(raw(out))
            rows = []
            for j in range(int(np.prod(shape, dtype=int)) if isinstance(out, Tensor) else 0):
                seed = np.zeros_like(out._value)
                seed[np.unravel_index(j, shape)] = 1
                rows.append(
                    trace.pull([seed if n == k else None for n in range(len(trace.outputs))])
                )
            columns = [
                np.stack([row[n] for row in rows]).reshape(shape + t.shape)
                if rows
                else np.zeros(shape + t.shape, t.dtype)
                for n, t in enumerate(trace.inputs)
            ]
            inside = trace.per_argument(columns)
            blocks.append(inside[0] if is_one(argnums) else inside)
        return trace.rebuild_out(blocks)

    return wrapped


def hessian(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that computes the Hessian of ``f``, of shape ``x.shape + x.shape``."""
    return jacobian(grad(f))

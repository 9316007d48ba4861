"""Sums of products: matrix products, and einsum for all others."""

from __future__ import annotations

import math
import re
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array


# Matrix products --------------------------------------------------------------------------------


def _matmul_left(g: Any, x2: Any, x1_shape: tuple[int, ...]) -> Any:
    """Return the gradient of ``x1`` in ``x1 @ x2``."""
    if x2.ndim == 1:
        return g[..., None] * x2
    if len(x1_shape) == 1:
        return (x2 @ g[..., None])[..., 0]
    return g @ np.swapaxes(x2, -1, -2)


def _matmul_right(g: Any, x1: Any, x2_shape: tuple[int, ...]) -> Any:
    """Return the gradient of ``x2`` in ``x1 @ x2``."""
    if x1.ndim == 1:
        return g[..., None] * x1 if len(x2_shape) == 1 else x1[:, None] * g[..., None, :]
    if len(x2_shape) <= 2:  # one product for the whole batch
        rows = math.prod(x1.shape[:-1])
        flat = np.reshape(x1, (rows, x1.shape[-1])).T
        return flat @ np.reshape(g, (rows, *x2_shape[1:]))
    return np.swapaxes(x1, -1, -2) @ g


@op(
    cases=(
        {"shapes": "(m,k),(k,n)"},
        {"shapes": "(…,m,k),(…,k,n)"},
        {"shapes": "(…,m,k),(k,n)"},
        {"shapes": "(m,k),(…,k,n)"},
        {"shapes": "(k),(…,k,n)"},
        {"shapes": "(…,m,k),(k)"},
        {"shapes": "(k),(k)"},
    ),
    implements=(np.matmul,),
)
def matmul(x1: Array, x2: Array) -> Array:
    """Return the matrix product: over the last axis of `x1` and the second last of `x2`."""
    return np.matmul(x1, x2)


matmul.defvjp(x1=_matmul_left, x2=_matmul_right)


def _columns(b: Any) -> Any:
    """Return `b` as a matrix whose rows are what `dot` sums over."""
    if b.ndim == 1:
        return b[:, None]
    return np.reshape(np.moveaxis(b, -2, 0), (b.shape[-2], math.prod(b.shape[:-2]) * b.shape[-1]))


def _dot_left(g: Any, b: Any, a_shape: tuple[int, ...]) -> Any:
    """Return the gradient of ``a`` in ``dot(a, b)``."""
    if not a_shape or not np.ndim(b):
        return g * b
    columns = _columns(b)
    rows = np.reshape(g, (math.prod(a_shape[:-1]), columns.shape[1]))
    return np.reshape(rows @ columns.T, a_shape)


def _dot_right(g: Any, a: Any, b_shape: tuple[int, ...]) -> Any:
    """Return the gradient of ``b`` in ``dot(a, b)``."""
    if not b_shape or not np.ndim(a):
        return g * a
    n, rows = a.shape[-1], math.prod(a.shape[:-1])
    others = (*b_shape[:-2], b_shape[-1]) if len(b_shape) > 1 else ()
    gradient = np.reshape(a, (rows, n)).T @ np.reshape(g, (rows, math.prod(others)))
    gradient = np.reshape(gradient, (n, *others))
    return np.moveaxis(gradient, 0, -2) if others else gradient


@op(
    cases=(
        {"shapes": "(m,k),(k,n)"},
        {"shapes": "(a,m,k),(b,k,n)"},
        {"shapes": "(a,m,k),(k)"},
        {"shapes": "(k),(a,k,n)"},
        {"shapes": "(k),(k)"},
        {"shapes": "(),(a,b)"},
        {"shapes": "(a),()"},
    ),
    implements=(np.dot,),
)
def dot(a: Array, b: Array) -> Array:
    """Return the product of numbers, vectors and matrices; of more axes, every pair of vectors'."""
    return np.dot(a, b)


dot.defvjp(a=_dot_left, b=_dot_right)


@op(cases=({"shapes": "(m),(n)"}, {"shapes": "(m,k),()"}), implements=(np.outer,))
def outer(a: Array, b: Array) -> Array:
    """Return the products of every entry of `a` with every entry of `b`, as a matrix."""
    return np.outer(a, b)


outer.defvjp(
    a=lambda g, b, a_shape: np.reshape(g @ np.ravel(b), a_shape),
    b=lambda g, a, b_shape: np.reshape(np.ravel(a) @ g, b_shape),
)

# Any product of any axes ------------------------------------------------------------------------


def _read_term(term: Any) -> list[Any]:
    """Return the indices of one array: letters and Ellipsis, from ``i...j`` or ``[0, ..., 1]``."""
    if isinstance(term, str):
        return [... if entry == "..." else entry for entry in re.findall(r"\.\.\.|\S", term)]
    return [... if entry is ... else (ascii_uppercase + ascii_lowercase)[entry] for entry in term]


def _named_axes(term: list[Any], extra: int) -> list[Any]:
    """Return an index for every axis: those that ``...`` stands for count up to -1."""
    return [e for entry in term for e in (range(-extra, 0) if entry is ... else (entry,))]


def _read_einsum(subscripts: Any, operands: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the arrays of a call, the indices of each, and those of the result."""
    if isinstance(subscripts, str):
        arrays = list(operands)
        inputs, arrow, output = subscripts.partition("->")
        terms, result = inputs.split(","), output if arrow else None
    else:
        given = [subscripts, *operands]
        arrays, terms = given[::2], given[1::2]
        result = arrays.pop() if len(arrays) > len(terms) else None
    read = [_read_term(term) for term in terms]
    axes = [_named_axes(t, np.ndim(a) - len(t) + 1) for t, a in zip(read, arrays, strict=True)]
    every = [index for term in axes for index in term]
    hidden = [index for index in every if isinstance(index, int)]
    if result is None:
        once = {index for index in every if every.count(index) == 1 and index not in hidden}
        return arrays, axes, [*sorted(set(hidden)), *sorted(once)]
    return arrays, axes, _named_axes(_read_term(result), len(set(hidden)))


def _einsum_rule(g: Any, number: int, subscripts: Any, operands: Any, optimize: Any) -> Any:
    """Return the gradient of one array: an einsum of the others and `g`."""
    arrays, axes, result = _read_einsum(subscripts, operands)
    factors = [(a, t) for k, (a, t) in enumerate(zip(arrays, axes, strict=True)) if k != number]
    factors.append((g, result))
    known = {index for _, term in factors for index in term}
    wanted: list[Any] = []
    for index, n in zip(axes[number], arrays[number].shape, strict=True):
        if index in wanted:  # a diagonal was read: beside it is nothing
            other = (index, len(wanted))
            factors.append((np.diag(np.ones_like(g, shape=n)), [index, other]))
            wanted.append(other)
            continue
        if index not in known:  # it was summed over: every entry counts alike
            factors.append((np.ones_like(g, shape=n), [index]))
        wanted.append(index)
    letters: dict[Any, str] = {}
    terms = [
        "".join(letters.setdefault(index, ascii_letters[len(letters)]) for index in term)
        for term in (*(term for _, term in factors), wanted)
    ]
    text = ",".join(terms[:-1]) + "->" + terms[-1]
    return np.einsum(text, *(a for a, _ in factors), optimize=optimize or len(factors) > 2)


@op(
    cases=(
        {"subscripts": "ij,jk->ik", "shapes": "(i,j),(j,k)"},
        {"subscripts": "ij,jk,kl", "shapes": "(i,j),(j,k),(k,l)"},
        {"subscripts": "ij,ij->i", "shapes": "(1,j),(i,j)"},
        {"subscripts": "i...,...j", "shapes": "(i,…),(…,j)", "optimize": True},
        {"operands": ([1, 0],), "shapes": "(i,j)"},
        {"operands": ([0, 0], [0]), "shapes": "(i,i)"},
        {"operands": ([0, 0, 1], [1]), "shapes": "(i,i,j)"},
        {"operands": ([..., 0, 0], [...]), "shapes": "(…,i,i)"},
        {"operands": ([0, 1], []), "shapes": "(i,j)"},
    ),
    implements=(np.einsum,),
)
def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Array:
    """Return the sum over products that subscripts such as ``"ij,jk->ik"`` describe.

    Both of NumPy's forms: a text and arrays, or arrays each followed by a list of numbers.
    """
    return np.einsum(subscripts, *operands, optimize=optimize)


einsum.defvjp(
    subscripts=lambda g, subscripts, operands, optimize: _einsum_rule(
        g, 0, subscripts, operands, optimize
    ),
    operands=lambda g, i, subscripts, operands, optimize: _einsum_rule(
        g, i if isinstance(subscripts, str) else (i + 1) // 2, subscripts, operands, optimize
    ),
)

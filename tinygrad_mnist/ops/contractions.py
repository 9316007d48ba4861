"""Sums of products over any axes: einsum, tensordot, and products of many matrices."""

from __future__ import annotations

import math
import operator
import re
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygrad_mnist.graph import Array

# einsum -----------------------------------------------------------------------------------------


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
    """Return the gradient of one array: an einsum of the others and `g`, in an order of its own.

    The best order takes a time that grows with the factorial of the number of arrays, so it is a
    good one that is looked for.
    """
    arrays, axes, result = _read_einsum(subscripts, operands)
    factors = [(a, t) for k, (a, t) in enumerate(zip(arrays, axes, strict=True)) if k != number]
    factors.append((g, result))
    known: dict[Any, int] = {}
    for array, term in factors:
        for index, n in zip(term, np.shape(array), strict=True):
            known[index] = max(n, known.get(index, 0))
    wanted: list[Any] = []
    for index, n in zip(axes[number], arrays[number].shape, strict=True):
        if index in wanted:  # a diagonal was read: beside it is nothing
            other = (index, len(wanted))
            factors.append((np.diag(np.ones_like(g, shape=n)), [index, other]))
            wanted.append(other)
            continue
        if index not in known or known[index] == 1 != n:  # each of its entries counts alike
            factors.append((np.ones_like(g, shape=n), [index]))
        wanted.append(index)
    letters: dict[Any, str] = {}
    terms = [
        "".join(letters.setdefault(index, ascii_letters[len(letters)]) for index in term)
        for term in (*(term for _, term in factors), wanted)
    ]
    text = ",".join(terms[:-1]) + "->" + terms[-1]
    order = "greedy" if optimize or len(factors) > 2 else False
    return np.einsum(text, *(a for a, _ in factors), optimize=order)


@op(
    cases=(
        {"subscripts": "ij,jk->ik", "shapes": "(i,j),(j,k)"},
        {"subscripts": "ij,jk,kl", "shapes": "(i,j),(j,k),(k,l)"},
        {"subscripts": "ij,ij->i", "shapes": "(1,j),(i,j)"},
        {"subscripts": "ij,jk->ik", "shapes": "(i,1),(j,k)"},
        {"subscripts": "i...,...j", "shapes": "(i,…),(…,j)", "optimize": True},
        {"operands": ([1, 0],), "shapes": "(i,j)"},
        {"operands": ([0, 0], [0]), "shapes": "(i,i)"},
        {"operands": ([0, 0, 1], [1]), "shapes": "(i,i,j)"},
        {"operands": ([..., 0, 0], [...]), "shapes": "(…,i,i)"},
        {"operands": ([0, 1], []), "shapes": "(i,j)"},
    ),
    implements=(np.einsum,),
)
def einsum(
    subscripts: Any,
    *operands: Any,
    optimize: Any = False,
    dtype: Any = None,
    order: Any = "K",  # noqa: ARG001 - where numbers lie in memory changes none of them
    casting: Any = "safe",
) -> Array:
    """Return the sum over products that subscripts such as ``"ij,jk->ik"`` describe.

    Both of NumPy's forms: a text and arrays, or arrays each followed by a list of numbers.
    """
    return np.einsum(subscripts, *operands, optimize=optimize, dtype=dtype, casting=casting)


einsum.defvjp(
    subscripts=lambda g, subscripts, operands, optimize: _einsum_rule(
        g, 0, subscripts, operands, optimize
    ),
    operands=lambda g, i, subscripts, operands, optimize: _einsum_rule(
        g, i if isinstance(subscripts, str) else (i + 1) // 2, subscripts, operands, optimize
    ),
)

# tensordot --------------------------------------------------------------------------------------


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Return the sums of products over some axes of both: the last and first, or those named."""
    shapes = np.shape(a), np.shape(b)
    summed = _summed(axes, *map(len, shapes))
    lengths = [[shape[k] for k in some] for shape, some in zip(shapes, summed, strict=True)]
    if lengths[0] != lengths[1] or any(len(set(some)) < len(some) for some in summed):
        raise ValueError(
            f"tensordot can't sum over axes={axes} of arrays of shapes {shapes[0]} and "
            f"{shapes[1]}: they must be as many, of the same lengths, and none twice"
        )
    n = math.prod(lengths[0])
    kept_a, kept_b = (
        [k for k in range(len(shape)) if k not in some]
        for shape, some in zip(shapes, summed, strict=True)
    )
    left, right = [shapes[0][k] for k in kept_a], [shapes[1][k] for k in kept_b]
    rows = np.reshape(np.transpose(a, kept_a + summed[0]), (math.prod(left), n))
    columns = np.reshape(np.transpose(b, summed[1] + kept_b), (n, math.prod(right)))
    return np.reshape(np.dot(rows, columns), left + right)


def _summed(axes: Any, a_ndim: int, b_ndim: int) -> tuple[list[int], list[int]]:
    """Return the axes of both that are summed over, of which a number is the last and first."""
    if isinstance(axes, (tuple, list)) or np.ndim(axes):
        of_a, of_b = axes
        return [int(k) % a_ndim for k in np.ravel(of_a)], [int(k) % b_ndim for k in np.ravel(of_b)]
    n = operator.index(axes)
    return list(range(a_ndim - n, a_ndim)), list(range(n))


# Many matrices ----------------------------------------------------------------------------------


def _factor(g: Any, i: int, arrays: Sequence[Any], arrays_shape: Any) -> Any:
    """Return the gradient of one matrix: what stands left of it, `g`, and what stands right."""
    first, last = arrays_shape[0], arrays_shape[-1]
    rows = first[0] if len(first) > 1 else 1
    g = np.reshape(g, (rows, last[1] if len(last) > 1 else 1))
    matrices = list(arrays)
    if len(first) == 1:
        matrices[0] = matrices[0][None, :]
    if len(last) == 1:
        matrices[-1] = matrices[-1][:, None]
    factors = [*(m.T for m in matrices[i - 1 :: -1] if i), g, *(m.T for m in matrices[:i:-1])]
    return np.reshape(np.linalg.multi_dot(factors) if len(factors) > 1 else g, arrays_shape[i])


@op(
    cases=(
        {"shapes": "(a,b),(b,c)"},
        {"shapes": "(a,b),(b,c),(c,d)"},
        {"shapes": "(b),(b,c),(c,d),(d)"},
        {"shapes": "(b),(b,c),(c)"},
    ),
    implements=(np.linalg.multi_dot,),
)
def multi_dot(arrays: Sequence[Array]) -> Array:
    """Return the product of many matrices, in the order that takes the fewest operations."""
    return np.linalg.multi_dot(arrays)


multi_dot.defvjp(arrays=_factor)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Return a power of each square matrix, by repeated squaring; of a negative one the inverse."""
    n = operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power needs square matrices; got shape {a.shape}")
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy()
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 3:  # as NumPy does it, to the last bit
        return (a @ a) @ a
    power = None
    while n:
        n, odd = divmod(n, 2)
        if odd:
            power = a if power is None else power @ a
        if n:
            a = a @ a
    return power

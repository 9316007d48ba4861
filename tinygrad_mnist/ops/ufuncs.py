"""NumPy's ufuncs beyond plain calls: keyword arguments, and methods such as ``np.add.reduce``."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import Box
from tinygrad_mnist.operation import Op, op
from tinygrad_mnist.ops import reductions
from tinygrad_mnist.ops.elementwise import nonzero, part_of
from tinygrad_mnist.ops.indexing import scatter
from tinygrad_mnist.ops.reductions import extreme_rule, given, lined_up, put_back, spread
from tinygrad_mnist.ops.shape import astype
from tinygrad_mnist.protocols import newer, overrides

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.ops.reductions import Axes

# Keyword arguments: np.add(x, y, where=..., dtype=...) --------------------------------------------


def with_options(
    ufunc: Op,
    *args: Any,
    where: Any = True,
    dtype: Any = None,
    casting: Any = "same_kind",
    signature: Any = None,
    sig: Any = None,
    order: str = "K",  # noqa: ARG001 - where numbers lie in memory,
    subok: bool = True,  # noqa: ARG001 - and of what class, changes none of them
    **named: Any,
) -> Any:
    """Call a ufunc with NumPy's keyword arguments; what `where` leaves out is 0."""
    operands = _cast(ufunc.forward, ufunc.bound(args, named), dtype, casting, signature or sig)
    if where is True:
        return ufunc.call(*operands)
    inside = [
        np.where(where, x, _inside(*ufunc.domain.get(name, (-math.inf, math.inf))))
        for name, x in zip(ufunc.names, operands, strict=True)
    ]
    return np.where(where, ufunc.call(*inside), 0)


def _cast(ufunc: Any, operands: Any, dtype: Any, casting: Any, signature: Any) -> Any:
    """Return operands of the dtypes that NumPy computes with; raise where it does not cast."""
    if dtype is None and signature is None and casting == "same_kind":
        return operands
    if dtype is not None:
        if signature is not None:
            raise TypeError("cannot specify both 'signature' and 'dtype'")  # NumPy's words
        signature = (*[None] * ufunc.nin, *[np.dtype(dtype)] * ufunc.nout)
    numbers = {int, float, complex}
    arrays = [x if isinstance(x, Box) or type(x) in numbers else np.asarray(x) for x in operands]
    kinds = [getattr(x, "dtype", type(x)) for x in arrays]
    chosen = {} if signature is None else {"signature": signature}
    loop = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout), casting=casting, **chosen)
    return tuple(
        astype(x, to) if hasattr(x, "dtype") else to.type(x)
        for x, to in zip(arrays, loop[: ufunc.nin], strict=True)
    )


def _inside(low: float, high: float) -> float:
    """Return a number inside an open interval, and not 0 if it can be helped."""
    if math.isfinite(low):
        return (low + high) / 2 if math.isfinite(high) else low + 1
    return high - 1 if math.isfinite(high) else 1


# Keyword arguments of products: np.matmul(x, y, axes=...) -----------------------------------------


def product_with_options(
    ufunc: np.ufunc,
    product: Op,
    *args: Any,
    axes: Any = None,
    axis: int | None = None,
    keepdims: bool = False,
    dtype: Any = None,
    casting: Any = "same_kind",
    signature: Any = None,
    sig: Any = None,
    order: str = "K",  # noqa: ARG001 - as in `with_options`
    subok: bool = True,  # noqa: ARG001
    **named: Any,
) -> Any:
    """Call a ufunc of vectors and matrices, such as `matmul`, with NumPy's keyword arguments."""
    x1, x2 = _cast(ufunc, product.bound(args, named), dtype, casting, signature or sig)
    first, second, last = _core_axes(ufunc, (np.ndim(x1), np.ndim(x2)), axes, axis, keepdims)
    out = product.call(*(np.moveaxis(x, k, _last(k)) for x, k in ((x1, first), (x2, second))))
    return np.moveaxis(np.expand_dims(out, -1) if keepdims else out, _last(last), last)


def _last(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the last axes, as many as given."""
    return tuple(range(-len(axes), 0))


def _core_axes(
    ufunc: np.ufunc, ndims: tuple[int, int], axes: Any, axis: int | None, keepdims: bool
) -> list[tuple[int, ...]]:
    """Return the axes of both operands and of the result that a product is over."""
    described = re.findall(r"\((.*?)\)", ufunc.signature or "")  # (n),(n)->()
    terms = [re.findall(r"\w+\??", term) for term in described]
    if (axis is not None or keepdims) and list(map(len, terms)) != [1, 1, 0]:
        raise TypeError(f"np.{ufunc.__name__} takes neither axis nor keepdims: give it axes")
    if axis is not None and axes is not None:
        raise TypeError("cannot specify both 'axis' and 'axes'")  # NumPy's words
    dropped = {  # (n?,k) of a vector is (k)
        index
        for term, n in zip(terms, ndims, strict=False)
        if n < len(term)
        for index in term
        if index.endswith("?")
    }
    wanted = [len(set(term) - dropped) for term in terms]
    wanted[2] += keepdims
    if axes is None:
        axes = [-1 if axis is None else axis] * 3 if axis is not None or keepdims else None
    if axes is None:
        return [_last((0,) * n) for n in wanted]
    found = [tuple(one) if isinstance(one, (tuple, list)) else (one,) for one in axes]
    if wanted[2] == 0 or (keepdims and len(found) == 2):
        found = [*found[:2], _last((0,) * wanted[2])]
    if [len(one) for one in found] != wanted:
        raise ValueError(
            f"np.{ufunc.__name__} takes axes as a list of {wanted[0]} for its first operand, "
            f"{wanted[1]} for its second and {wanted[2]} for its result; got {axes}"
        )
    return found


# Methods: np.add.reduce, np.add.accumulate, ... ---------------------------------------------------


def _slopes(ufunc: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """Return both derivatives of a ufunc of two operands, by its op's rules."""
    known = {"x": x, "y": y, "out": out}
    rules: dict[str, Any] = overrides[ufunc].rules  # type: ignore[attr-defined]
    ones = np.ones_like(out)
    return [
        rules[name].call(ones, *(known[n] for n in rules[name].names))
        if name in rules
        else 0 * ones
        for name in ("x", "y")
    ]


def carried_back(g: Any, factors: Any) -> Any:
    """Return r with ``r[k] = g[k] + factors[k] * r[k + 1]``: log n steps of growing reach."""
    step = 1
    while step < len(g):
        g = np.concatenate([g[:-step] + factors[:-step] * g[step:], g[-step:]])
        factors = np.concatenate([factors[:-step] * factors[step:], 0 * factors[-step:]])
        step *= 2
    return g


def accumulate_rule(g: Any, ufunc: Any, array: Any, out: Any, axis: int) -> Any:
    """Return the gradient of ``out[k] = ufunc(out[k - 1], array[k])``."""
    if not g.size:
        return g
    g, array, out = (np.moveaxis(a, axis, 0) for a in (g, array, out))
    if ufunc is np.hypot:
        first = np.concatenate([g[:1], np.zeros_like(g[1:])])
        rest = np.concatenate([np.zeros_like(g[:1]), g[1:] / nonzero(out[1:])])
        rest = array * np.flip(np.add.accumulate(np.flip(rest, 0)), 0)
        return np.moveaxis(first + rest, 0, axis)
    before, entry = _slopes(ufunc, out[:-1], array[1:], out[1:])
    g = carried_back(g, np.concatenate([before, np.zeros_like(g[:1])]))
    return np.moveaxis(np.concatenate([g[:1], g[1:] * entry]), 0, axis)


@op(
    cases=tuple(
        {"ufunc": ufunc, "axis": axis, "shapes": shapes}
        for ufunc in (np.multiply, np.logaddexp)
        for axis, shapes in ((0, "(n,…)"), (-1, "(…,n)"))
    )
)
def accumulate(ufunc: np.ufunc, array: Array, axis: int = 0, dtype: Any = None) -> Array:
    """Return all results on the way, as a ufunc of two operands goes along an axis."""
    return ufunc.accumulate(array, axis, dtype)


accumulate.defvjp(ufunc=None, array=accumulate_rule)


def _along(g: Any, ufunc: Any, rows: Any, initial: Any = None) -> Any:
    """Return the gradient of a ufunc that took row after row: all later steps' slopes multiply."""
    first = rows[:1] if initial is None else np.full_like(rows[:1], initial)
    rest = rows[1:] if initial is None else rows
    way = ufunc.accumulate(np.concatenate([first, rest]))
    before, entry = _slopes(ufunc, way[:-1], rest, way[1:])
    after = np.flip(np.multiply.accumulate(np.flip(before, 0)), 0)
    after = np.concatenate([after, np.ones_like(first)])
    slopes = after[1:] * entry
    return g * (slopes if initial is not None else np.concatenate([after[:1], slopes]))


_EXPONENTIALS = {np.logaddexp: np.exp, np.logaddexp2: np.exp2}  # whose sum they add up


def _parts_rule(
    g: Any, ufunc: Any, array: Any, out: Any, axis: Axes, initial: Any, where: Any
) -> Any:
    """Return `g` for each entry by its part in a sum of exponentials."""
    exponential = _EXPONENTIALS[ufunc]
    parts = part_of(exponential, array, out)
    parts = parts if where is True else np.where(where, parts, 0)
    total = np.sum(parts, axis=axis, keepdims=True)
    if initial is not None:
        total = total + part_of(exponential, initial, out)
    return g * (parts / np.where(np.equal(total, 0), 1, total))


_EXTREMES = {np.maximum, np.minimum, np.fmax, np.fmin}
_NEUTRAL = {np.subtract: 0, np.divide: 1, np.power: 1, np.float_power: 1}  # as second operands


def _counts(ufunc: Any, array: Any) -> Any:
    """Return which entries may be an extreme: not NaN, for those that pass it over."""
    return True if ufunc in {np.maximum, np.minimum} else ~np.isnan(array)


def _reduce_rule(
    g: Any,
    ufunc: Any,
    array: Any,
    out: Any,
    axis: Axes,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Any:
    if not array.size:
        return np.zeros_like(array)
    if ufunc in _EXTREMES:
        return extreme_rule(
            g, array, out, axis, keepdims, np.logical_and(where, _counts(ufunc, array))
        )
    if ufunc is np.hypot:
        g = array * spread(g / nonzero(out), axis, keepdims)
        return g if where is True else np.where(where, g, 0)
    if ufunc in _EXPONENTIALS:
        g, out = spread(g, axis, keepdims), spread(out, axis, keepdims)
        return _parts_rule(g, ufunc, array, out, axis, initial, where)
    entries = array
    if where is not True:
        neutral = _NEUTRAL.get(ufunc) if ufunc.identity is None else ufunc.identity
        if neutral is None:
            raise TypeError(
                f"np.{ufunc.__name__}.reduce of a Tensor does not take where=: index the entries"
            )
        entries = np.where(where, array, neutral)
    rows = lined_up(entries, axis)
    initial = ufunc.identity if initial is None else initial
    g = put_back(_along(np.reshape(g, rows.shape[1:]), ufunc, rows, initial), array.shape, axis)
    return g if where is True else np.where(where, g, 0)


@op(
    cases=(
        {"ufunc": np.logaddexp, "shapes": "(n,…)"},
        {"ufunc": np.hypot, "axis": (0, -1), "shapes": "(n,m,k)"},
        {"ufunc": np.subtract, "axis": -1, "keepdims": True, "shapes": "(…,n)"},
        {"ufunc": np.subtract, "initial": 2.0, "shapes": "(n)"},
        {"ufunc": np.fmax, "axis": -1, "shapes": "(…,3)"},
        {"ufunc": np.logaddexp, "axis": None, "where": [True, False, True], "shapes": "(n,3)"},
    )
)
def reduce(
    ufunc: np.ufunc,
    array: Array,
    axis: Axes = 0,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Array:
    """Return what a ufunc of two operands makes of all entries, one after the other."""
    options = given(where, initial=initial)
    return ufunc.reduce(array, axis, dtype, keepdims=keepdims, **options)


reduce.defvjp(ufunc=None, array=_reduce_rule)


def _segments(indices: Any, length: int) -> list[Any]:
    """Return the places that `reduceat` reduces: from each index to the next, or it alone."""
    starts = [int(k) for k in indices]
    ends = [*starts[1:], length]
    return [np.arange(k, max(n, k + 1)) for k, n in zip(starts, ends, strict=False)]


def _part_rule(g: Any, ufunc: Any, part: Any, out: Any) -> Any:
    """Return the gradient of one part, reduced along the first axis from its first entry on."""
    if ufunc in _EXTREMES:
        return extreme_rule(g, part, out, 0, False, _counts(ufunc, part))
    if ufunc is np.hypot and len(part) > 1:
        return part * (g / nonzero(out))
    if ufunc in _EXPONENTIALS:
        return _parts_rule(g, ufunc, part, out, 0, None, True)
    return _along(g, ufunc, part)


def _reduceat_rule(g: Any, ufunc: Any, array: Any, out: Any, indices: Any, axis: int) -> Any:
    g, array, out = (np.moveaxis(a, axis, 0) for a in (g, array, out))
    places = _segments(indices, len(array))
    if not places:
        return np.zeros_like(np.moveaxis(array, 0, axis))
    parts = [_part_rule(g[k], ufunc, array[place], out[k]) for k, place in enumerate(places)]
    total = scatter(np.concatenate(parts), np.concatenate(places), array.shape)
    return np.moveaxis(total, 0, axis)


@op(
    cases=(
        {"ufunc": np.add, "indices": [0, 2, 3], "shapes": "(5,…)"},
        {"ufunc": np.multiply, "indices": [1, 0, 2, 2], "axis": -1, "shapes": "(…,4)"},
    )
)
def reduceat(
    ufunc: np.ufunc, array: Array, indices: Any, axis: int = 0, dtype: Any = None
) -> Array:
    """Return a ufunc's reductions of the parts of an axis, each from one of `indices` on."""
    return ufunc.reduceat(array, indices, axis, dtype)


reduceat.defvjp(ufunc=None, array=_reduceat_rule, indices=None)


def _outer(ufunc: Any, x: Any, y: Any, **options: Any) -> Any:
    """Return a ufunc of every entry of `x` with every entry of `y`."""
    return ufunc(np.reshape(x, (*np.shape(x), *[1] * np.ndim(y))), y, **options)


_REDUCTIONS: dict[np.ufunc, Op] = {
    np.add: reductions.sum,
    np.multiply: reductions.prod,
    np.maximum: reductions.max,
    np.minimum: reductions.min,
}


def _reduce_with(own: Op, array: Any, axis: Axes = 0, dtype: Any = None, **options: Any) -> Any:
    """Call a reduction's op as NumPy calls a ufunc's method: along the first axis, unless told."""
    return own(array, axis, **options, **({} if dtype is None else {"dtype": dtype}))


_SLIPS = {np.arctan2, np.power}  # whose loops in NumPy overwrite what they still have to read


def _slips(ufunc: Any, method: str, *_: Any, **__: Any) -> Any:
    raise TypeError(
        f"np.{ufunc.__name__}.{method} is wrong in NumPy itself, where entries lie side by side in "
        f"memory: use np.{ufunc.__name__}.accumulate(t)[-1]"
    )


def install(ops: Iterable[Op]) -> None:
    """Give the ufuncs among `ops` their keyword arguments and methods."""
    for one in ops:
        ufunc = one.forward
        if not isinstance(ufunc, np.ufunc) or ufunc.nout > 1:
            continue
        one.with_options = partial(with_options, one)
        if ufunc.nin == 2:
            own = _REDUCTIONS.get(ufunc)
            overrides[ufunc.reduce] = partial(_reduce_with, own) if own else partial(reduce, ufunc)
            overrides[ufunc.accumulate] = partial(accumulate, ufunc)
            overrides[ufunc.reduceat] = partial(reduceat, ufunc)
            if ufunc in _SLIPS:
                overrides[ufunc.reduce] = partial(_slips, ufunc, "reduce")
                overrides[ufunc.reduceat] = partial(_slips, ufunc, "reduceat")
            overrides[ufunc.outer] = partial(_outer, ufunc)
    products: tuple[Any, ...] = (np.matmul, np.vecdot, *newer("matvec", "vecmat"))
    for ufunc in products:
        product: Any = overrides[ufunc]
        product.with_options = partial(product_with_options, ufunc, product)

"""Products of vectors and matrices: matmul, dot, outer, cross, convolve and their relatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.protocols import implements, newer

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
    implements=(np.matmul, np.linalg.matmul),
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


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Return the sums of products over the last axis of both, for every pair of vectors."""
    return np.dot(a, b if np.ndim(b) < 2 or not np.ndim(a) else np.swapaxes(b, -1, -2))


@implements(np.linalg.outer)
def outer_of_vectors(x1: Any, x2: Any, /) -> Any:
    """Return the products of every entry of a vector with every entry of another."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(
            f"linalg.outer takes vectors; got shapes {np.shape(x1)} and {np.shape(x2)}"
        )
    return outer(x1, x2)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Return blocks: all of `b` times each entry of `a`."""
    n = max(np.ndim(a), np.ndim(b))
    shapes = [(*[1] * (n - np.ndim(x)), *np.shape(x)) for x in (a, b)]
    a, b = (np.reshape(x, shape) for x, shape in zip((a, b), shapes, strict=True))
    blocks = np.expand_dims(a, tuple(range(1, 2 * n, 2))) * np.expand_dims(
        b, tuple(range(0, 2 * n, 2))
    )
    return np.reshape(blocks, [k * m for k, m in zip(*shapes, strict=True)])


# Products of vectors; of complex ones the first is conjugated -------------------------------------


@op(cases=({"shapes": "(n),(n)"}, {"shapes": "(n,m),(n,m)"}), implements=(np.vdot,))
def vdot(a: Array, b: Array) -> Array:
    """Return the sum of conj(a) b over all entries."""
    return np.vdot(a, b)


vdot.defvjp(
    a=lambda g, b, a_shape: np.reshape((g * b).conj(), a_shape),
    b=lambda g, a, b_shape: np.reshape(g * a.conj(), b_shape),
)


@op(cases=({"shapes": "(…,n),(…,n)"}, {"shapes": "(n),(…,n)"}), implements=(np.vecdot,))
def vecdot(x1: Array, x2: Array) -> Array:
    """Return the sums of conj(x1) x2 over the last axis."""
    return np.vecdot(x1, x2)


vecdot.defvjp(
    x1=lambda g, x2: (g[..., None] * x2).conj(),
    x2=lambda g, x1: g[..., None] * x1.conj(),
)


@implements(np.linalg.vecdot)
def vecdot_along(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Return the sums of conj(x1) x2 over an axis of both."""
    product: Any = np.vecdot
    return product(x1, x2, axis=axis)


@op(cases=({"shapes": "(…,m,n),(…,n)"}, {"shapes": "(m,n),(…,n)"}), implements=newer("matvec"))
def matvec(x1: Array, x2: Array) -> Array:
    """Return matrices times vectors."""
    return np.matvec(x1, x2) if _HAS_MATVEC else np.matmul(x1, x2[..., None])[..., 0]


matvec.defvjp(
    x1=lambda g, x2: g[..., :, None] * x2[..., None, :],
    x2=lambda g, x1: matvec(np.swapaxes(x1, -1, -2), g),
)


@op(cases=({"shapes": "(…,n),(…,n,m)"}, {"shapes": "(…,n),(n,m)"}), implements=newer("vecmat"))
def vecmat(x1: Array, x2: Array) -> Array:
    """Return conjugated vectors times matrices."""
    return np.vecmat(x1, x2) if _HAS_MATVEC else np.matmul(x1.conj()[..., None, :], x2)[..., 0, :]


vecmat.defvjp(
    x1=lambda g, x2: matvec(x2, g).conj(),
    x2=lambda g, x1: x1.conj()[..., :, None] * g[..., None, :],
)
_HAS_MATVEC = hasattr(np, "matvec")  # and vecmat: new in NumPy 2.2


def _space(x: Any, axis: int) -> Any:
    """Return vectors along the last axis, with a third coordinate of 0 where there are but two."""
    x = np.moveaxis(x, axis, -1)
    if x.shape[-1] == 3:
        return x
    return np.concatenate([x, np.zeros_like(x[..., :1])], -1)


def _cross_back(g: Any, other: Any, shape: Any, axes: tuple[int, int, int], sign: int) -> Any:
    """Return ``sign * other x g``, the gradient of one factor, of the shape that it has."""
    mine, its, result = axes
    flat = shape[mine] == other.shape[its] == 2  # then the result is the third coordinate alone
    g = np.stack([0 * g, 0 * g, g], -1) if flat else np.moveaxis(g, result, -1)
    gradient = sign * np.cross(_space(other, its), g)
    return np.moveaxis(gradient[..., : shape[mine]], -1, mine % len(shape) - len(shape))


@op(
    cases=(
        {"shapes": "(…,3),(…,3)"},
        {"axisa": 0, "axisb": 1, "shapes": "(3,n),(n,3)"},
        {"axisc": 0, "shapes": "(n,m,3),(3)"},
    )
)
def cross(a: Array, b: Array, axisa: int = -1, axisb: int = -1, axisc: int = -1) -> Array:
    """Return the vectors at right angles to those of both, as long as they span area."""
    return np.cross(a, b, axisa, axisb, axisc)


cross.defvjp(
    a=lambda g, b, a_shape, axisa, axisb, axisc: _cross_back(
        g, b, a_shape, (axisa, axisb, axisc), 1
    ),
    b=lambda g, a, b_shape, axisa, axisb, axisc: _cross_back(
        g, a, b_shape, (axisb, axisa, axisc), -1
    ),
)


@implements(np.cross)
def cross_along(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Call `cross` with an axis for all three."""
    return cross(a, b, axis, axis, axis) if axis is not None else cross(a, b, axisa, axisb, axisc)


@implements(np.linalg.cross)
def cross_in_space(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Return the cross product of vectors with three coordinates."""
    if not np.shape(x1)[axis] == np.shape(x2)[axis] == 3:
        raise ValueError(
            f"linalg.cross takes vectors of three coordinates along axis {axis}; got shapes "
            f"{np.shape(x1)} and {np.shape(x2)}"
        )
    return cross(x1, x2, axis, axis, axis)


# Sliding products -------------------------------------------------------------------------------


def _whole(g: Any, a_shape: Any, v_shape: Any, mode: Any) -> Any:
    """Return the cotangent of all overlaps, of which a mode looks at the middle ones."""
    n, m = math.prod(a_shape), math.prod(v_shape)
    valid, same = min(n, m) - 1, min(n, m) - 1 - min(n, m) // 2
    before = {"valid": valid, 0: valid, "same": same, 1: same, "full": 0, 2: 0}[mode]
    after = n + m - 1 - g.size - before
    return np.concatenate([np.zeros_like(g, shape=before), g, np.zeros_like(g, shape=after)])


_SLIDING: tuple[dict[str, Any], ...] = tuple(
    {"mode": mode, "shapes": shapes}
    for mode in ("full", "same", "valid")
    for shapes in ("(5),(3)", "(n),(4)")
)


@op(cases=_SLIDING, implements=(np.convolve,))
def convolve(a: Array, v: Array, mode: Any = "full") -> Array:
    """Return the sums of products of two vectors, one of them reversed, at each of their shifts."""
    return np.convolve(a, v, mode)


convolve.defvjp(
    a=lambda g, v, a_shape, v_shape, mode: np.correlate(
        _whole(g, a_shape, v_shape, mode), np.ravel(v).conj(), "valid"
    ),
    v=lambda g, a, a_shape, v_shape, mode: np.correlate(
        _whole(g, a_shape, v_shape, mode), np.ravel(a).conj(), "valid"
    ),
)


@op(cases=_SLIDING, implements=(np.correlate,))
def correlate(a: Array, v: Array, mode: Any = "valid") -> Array:
    """Return the sums of products of two vectors, the second conjugated, at all shifts."""
    return np.correlate(a, v, mode)


def _overlaps(g: Any, a_shape: Any, v_shape: Any, mode: Any) -> Any:
    """Return the cotangent of all overlaps; with the longer vector second, NumPy turns around."""
    if math.prod(a_shape) >= math.prod(v_shape):
        return _whole(g, a_shape, v_shape, mode)
    return np.flip(_whole(np.flip(g), a_shape, v_shape, mode))


correlate.defvjp(
    a=lambda g, v, a_shape, v_shape, mode: np.convolve(
        _overlaps(g, a_shape, v_shape, mode), v.conj(), "valid"
    ),
    v=lambda g, a, a_shape, v_shape, mode: np.convolve(
        np.flip(_overlaps(g, a_shape, v_shape, mode)).conj(), a.conj(), "valid"
    ),
)

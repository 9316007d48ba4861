"""Linear systems: inverses, solutions, determinants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.composing import numpys_own
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinygrad_mnist.graph import Array

    Pair = tuple[Any, Any]

_SQUARE: dict[str, Any] = {"shapes": "(…,n,n)", "matrices": {"a": "full rank"}}


def transposed(a: Any) -> Any:
    """Return each matrix with rows and columns exchanged."""
    return np.swapaxes(a, -1, -2)


def conj(a: Any) -> Any:
    """Return the conjugate of complex numbers, and real ones as they are."""
    return a.conj() if a.dtype.kind == "c" else a


def adjoint(a: Any) -> Any:
    """Return the conjugate transpose of each matrix."""
    return conj(transposed(a))


# Inverses and solutions -------------------------------------------------------------------------


@op(**_SQUARE, implements=(np.linalg.inv,))
def inv(a: Array) -> Array:
    """Return the inverse of each matrix."""
    return np.linalg.inv(a)


inv.defvjp(a=lambda g, out: -transposed(out) @ g @ transposed(out))


def _solved(a: Any, b: Any, *, vector: bool) -> Any:
    """Return ``inv(a) @ b``, also for a batch of vectors, which NumPy takes for a matrix."""
    return np.linalg.solve(a, b[..., None])[..., 0] if vector else np.linalg.solve(a, b)


def _solve_a(g: Any, a: Any, out: Any, b_shape: tuple[int, ...]) -> Any:
    vector = len(b_shape) == 1
    gb = _solved(transposed(a), g, vector=vector)
    return -gb[..., :, None] * out[..., None, :] if vector else -gb @ transposed(out)


@op(
    matrices={"a": "full rank"},
    cases=(
        {"shapes": "(n,n),(n)"},
        {"shapes": "(…,n,n),(n)"},
        {"shapes": "(…,n,n),(…,n,k)"},
        {"shapes": "(n,n),(…,n,k)"},
    ),
    implements=(np.linalg.solve,),
)
def solve(a: Array, b: Array) -> Array:
    """Return x with ``a @ x == b``, for a vector or the columns of matrices."""
    return np.linalg.solve(a, b)


solve.defvjp(
    a=_solve_a,
    b=lambda g, a, b_shape: _solved(transposed(a), g, vector=len(b_shape) == 1),
)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """Return the inverse of the linear map from the last axes to the first `ind`."""
    if ind <= 0:
        raise ValueError(f"tensorinv needs a positive number of axes; got ind={ind}")
    rows, columns = a.shape[:ind], a.shape[ind:]
    matrix = np.reshape(a, (int(np.prod(columns)), -1))
    return np.reshape(np.linalg.inv(matrix), (*columns, *rows))


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Return x with ``tensordot(a, x, x.ndim) == b``."""
    if axes is not None:
        order = list(range(np.ndim(a)))
        for k in axes:
            order.remove(k)
            order.append(k)
        a = np.transpose(a, order)
    shape = np.shape(a)[np.ndim(b) :]
    n = int(np.prod(shape))
    if np.size(a) != n * n:
        raise np.linalg.LinAlgError(
            f"tensorsolve needs as many unknowns as equations; got a of shape {np.shape(a)} and b "
            f"of shape {np.shape(b)}"
        )
    return np.reshape(np.linalg.solve(np.reshape(a, (n, n)), np.ravel(b)), shape)


# Determinants: a polynomial, so finite where the matrix is singular -------------------------------

_WELL = 1e4  # a condition up to which a matrix is inverted without a thought


def _minors(a: Any) -> Any:
    """Return the cofactors of small matrices: determinants without a row and a column each."""
    n = a.shape[-1]
    if n < 2:
        return np.ones_like(a)
    others = np.array([[j for j in range(n) if j != k] for k in range(n)])
    minors = a[..., others[:, None, :, None], others[None, :, None, :]]
    return np.linalg.det(minors) * (-1.0) ** np.add.outer(np.arange(n), np.arange(n))


def _cofactors(a: Any) -> Any:
    """Return the derivative of each determinant, as a function that is smooth at every matrix.

    Turned by the singular vectors, which are constants here, a matrix has a block that can be
    inverted well, and a small rest whose cofactors are determinants themselves.
    """
    n = a.shape[-1]
    u, s, vh = np.linalg.svd(unboxed(a))
    small = int((s * _WELL < s[..., :1]).sum(-1).max(initial=0)) if n else 0
    small = n if n and not (s[..., 0] > 0).all() else small
    left, right = transposed(u).conj(), transposed(vh).conj()
    turn = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    k = n - small
    b = left @ a @ right
    rest = b[..., k:, k:]
    if not k:
        return turn * (transposed(left) @ _minors(rest) @ transposed(right))
    inverse, size = np.linalg.inv(b[..., :k, :k]), np.linalg.det(b[..., :k, :k])[..., None, None]
    if not small:
        return turn * size * (transposed(left) @ transposed(inverse) @ transposed(right))
    p, q = inverse @ b[..., :k, k:], b[..., k:, :k] @ inverse
    rest = rest - b[..., k:, :k] @ p
    minors = size * _minors(rest)
    inner = size * np.linalg.det(rest)[..., None, None] * transposed(inverse)
    top = [inner + transposed(q) @ minors @ transposed(p), -transposed(q) @ minors]
    bottom = [-minors @ transposed(p), minors]
    whole = np.concatenate([np.concatenate(row, -1) for row in (top, bottom)], -2)
    return turn * (transposed(left) @ whole @ transposed(right))


@op(
    matrices={"a": "full rank"},
    cases=({"shapes": "(…,n,n)"}, {"shapes": "(3,3)"}),
    implements=(np.linalg.det,),
)
def det(a: Array) -> Array:
    """Return the determinant of each matrix; its derivative is that of a polynomial everywhere."""
    return np.linalg.det(a)


def _det_rule(g: Any, a: Any, out: Any) -> Any:
    """Return the cofactors, by the inverse where that is as good: in a tenth of the time."""
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return g[..., None, None] * _cofactors(a)
    sizes = [np.linalg.norm(unboxed(x), axis=(-2, -1)) for x in (a, inverse)]
    if not (sizes[0] * sizes[1] < _WELL).all():
        return g[..., None, None] * _cofactors(a)
    return (g * out)[..., None, None] * transposed(inverse)


det.defvjp(a=_det_rule)


def _slogdet_rule(g: Pair, a: Any, out: Pair) -> Any:
    """Return the gradient of log|det|, and of the sign, which turns if it is complex."""
    slope = g[1]
    if g[0] is not None and out[0].dtype.kind == "c":
        turning = np.imag(g[0] * out[0]) * 1j
        slope = turning if slope is None else slope + turning
    if slope is None:
        return np.zeros_like(a)
    return slope[..., None, None] * transposed(np.linalg.inv(a))


@op(**_SQUARE, implements=(np.linalg.slogdet,))
def slogdet(a: Array) -> tuple[Array, Array]:
    """Return the sign and the logarithm of the size of each determinant."""
    return np.linalg.slogdet(a)


slogdet.defvjp(a=_slogdet_rule)


def __getattr__(name: str) -> Callable[..., Any]:
    return numpys_own(np.linalg, name)

"""Matrices taken apart: Cholesky, QR, eigenvalues, singular values.

Eigenvectors and singular vectors are not determined where values coincide, and have no derivative
there. What is computed from them may have one; `docs/kinks.md` says what comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.operation import implements, op, unboxed
from tinygrad_mnist.ops.linalg import transposed

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

    Pair = tuple[Any, Any]

_EQUAL = 1e3 * float(np.finfo(float).eps)  # values this close, relative to the largest, coincide


def _symmetric(a: Any) -> Any:
    return (a + transposed(a)) / 2


def _skew(a: Any) -> Any:
    return (a - transposed(a)) / 2


def _on_diagonals(a: Any) -> Any:
    """Return vectors as the diagonals of matrices."""
    return a[..., None] * np.eye(a.shape[-1], dtype=a.dtype)


# Cholesky and QR --------------------------------------------------------------------------------


def _cholesky_rule(g: Any, out: Any, upper: bool) -> Any:
    """Return the symmetric gradient, though NumPy reads but one triangle (Murray, 2016)."""
    lower, g = (transposed(out), transposed(g)) if upper else (out, g)
    half = np.tril(transposed(lower) @ g)
    half = half - _on_diagonals(np.linalg.diagonal(half)) / 2
    left = np.linalg.solve(transposed(lower), half)
    return _symmetric(transposed(np.linalg.solve(transposed(lower), transposed(left))))


@op(
    real=True,
    shapes="(n,n)",
    matrices={"a": "positive definite"},
    cases=({}, {"upper": True, "shapes": "(2,3,3)"}),
    implements=(np.linalg.cholesky,),
)
def cholesky(a: Array, upper: bool = False) -> Array:
    """Return the triangular square root of each positive definite matrix."""
    return np.linalg.cholesky(a, upper=upper)


cholesky.defvjp(a=_cholesky_rule)


def _qr_rule(g: Pair, a: Any, out: Pair) -> Any:
    """Return the gradient; columns beyond a square of `a` are those of R in the basis Q."""
    q, r = out
    gq, gr = (np.zeros_like(x) if gx is None else gx for gx, x in zip(g, out, strict=True))
    n = q.shape[-1]
    head, tail, g_tail = r[..., :n], a[..., n:], gr[..., n:]
    gq = gq + tail @ transposed(g_tail)
    m = head @ transposed(gr[..., :n]) - transposed(gq) @ q
    inner = gq + q @ (np.tril(m) + transposed(np.tril(m, -1)))
    ga = transposed(np.linalg.solve(head, transposed(inner)))
    return np.concatenate([ga, q @ g_tail], -1)


@op(
    real=True,
    matrices={"a": "full rank"},
    cases=({"shapes": "(…,3,2)"}, {"shapes": "(…,n,n)"}, {"shapes": "(2,3)"}),
)
def qr(a: Array) -> tuple[Array, Array]:
    """Return an orthonormal basis of the columns of each matrix, and the columns in that basis."""
    return np.linalg.qr(a)


qr.defvjp(a=_qr_rule)


@implements(np.linalg.qr)
def qr_in_mode(a: Any, mode: str = "reduced") -> Any:
    """Call `qr` in those of NumPy's modes that have a derivative."""
    if mode == "r":
        return qr(a)[1]
    if mode == "reduced" or (mode == "complete" and a.shape[-2] <= a.shape[-1]):
        return qr(a)
    raise TypeError(
        f"linalg.qr of a Tensor of shape {a.shape} has no derivative in mode {mode!r}: use "
        "'reduced' or 'r', or 'complete' where there are at least as many columns as rows"
    )


# Symmetric eigenvalues --------------------------------------------------------------------------


def _coincide(values: Any, scale: Any) -> Any:
    """Return which pairs of values coincide, as plain arrays."""
    values = unboxed(values)
    apart = np.abs(values[..., :, None] - values[..., None, :])
    return apart <= _EQUAL * np.abs(unboxed(scale)).max(-1, initial=0)[..., None, None]


def _over(x: Any, divisor: Any, where: Any) -> Any:
    """Return a quotient, and 0 where it is not wanted."""
    return np.where(where, x, 0) / np.where(where, divisor, 1)


def _rebuilding(v: Any) -> Any:
    """Return orthonormal columns, as a function that keeps ``v w v.T`` right where values coincide.

    There a derivative of `v` may turn the columns out of being orthonormal.
    """
    return v @ np.linalg.inv(transposed(v) @ v)


def _eigh_rule(g: Pair, out: Pair) -> Any:
    """Return the symmetric gradient.

    Where eigenvalues coincide, their eigenvectors count as if the loss depended on the matrix
    that is built of both; if it depends on eigenvectors alone, then on the space they span.
    """
    w, v = out
    gw, gv = g
    equal = _coincide(w, w)
    inner = 0 if gw is None else _on_diagonals(gw)
    if gv is not None:
        turning = transposed(v) @ gv
        apart = w[..., None, :] - w[..., :, None]
        inner = inner + _over(_skew(turning), apart, ~equal)
        off = equal & ~np.eye(w.shape[-1], dtype=bool)
        if gw is not None and off.any():
            both = w[..., None, :] + w[..., :, None]
            inner = inner + _over(_symmetric(turning), both, off & (unboxed(both) != 0))
            v = _rebuilding(v)
    return v @ _symmetric(inner) @ transposed(v)


@op(
    real=True,
    shapes="(n,n)",
    matrices={"a": "symmetric"},
    cases=({}, {"UPLO": "U", "shapes": "(2,3,3)"}),
    implements=(np.linalg.eigh,),
)
def eigh(a: Array, UPLO: Any = "L") -> tuple[Array, Array]:
    """Return the eigenvalues and eigenvectors of each symmetric matrix, by one triangle of it."""
    triangle: Any = str(UPLO)
    return np.linalg.eigh(a, triangle)


eigh.defvjp(a=_eigh_rule)


def _eigvalsh_rule(g: Any, a: Any, UPLO: Any) -> Any:
    v = np.linalg.eigh(a, UPLO)[1]
    return (v * g[..., None, :]) @ transposed(v)


@op(
    real=True,
    shapes="(n,n)",
    matrices={"a": "symmetric"},
    cases=({}, {"UPLO": "U", "shapes": "(2,3,3)"}),
    implements=(np.linalg.eigvalsh,),
)
def eigvalsh(a: Array, UPLO: Any = "L") -> Array:
    """Return the eigenvalues of each symmetric matrix."""
    triangle: Any = str(UPLO)
    return np.linalg.eigvalsh(a, triangle)


eigvalsh.defvjp(a=_eigvalsh_rule)

# Eigenvalues of any square matrix -----------------------------------------------------------------


def _normalised_back(g: Any, v: Any) -> Any:
    """Return the cotangent of eigenvectors before LAPACK scales them.

    It makes each one of length 1, and its largest entry real.
    """
    length = np.sum(g * v, -2, keepdims=True)
    back = g - np.real(length) * v.conj()
    if v.dtype.kind == "c":
        largest = np.abs(unboxed(v)).argmax(-2)[..., None, :]
        here = np.arange(v.shape[-2])[:, None] == largest
        back = back - 1j * np.imag(length) * _over(np.where(here, 1, 0), v, here)
    return back


def _eig_rule(g: Pair, out: Pair) -> Any:
    w, v = out
    gw, gv = g
    inner = 0 if gw is None else _on_diagonals(gw)
    if gv is not None:
        apart = w[..., None, :] - w[..., :, None]
        turning = transposed(v) @ _normalised_back(gv, v)
        inner = inner + _over(turning, apart, ~_coincide(w, w))
    return transposed(np.linalg.inv(v)) @ inner @ transposed(v)


_ANY_SQUARE: dict[str, Any] = {
    "matrices": {"a": "distinct eigenvalues"},
    "cases": ({"shapes": "(n,n)"}, {"shapes": "(2,3,3)"}),
}


@op(**_ANY_SQUARE, implements=(np.linalg.eig,))
def eig(a: Array) -> tuple[Array, Array]:
    """Return the eigenvalues and eigenvectors of each square matrix; complex if need be."""
    return np.linalg.eig(a)


eig.defvjp(a=_eig_rule)


def _eigvals_rule(g: Any, a: Any, out: Any) -> Any:
    """Return the gradient by the eigenvectors, which NumPy may find in another order."""
    if not a.size:
        return np.zeros_like(a)
    w, v = np.linalg.eig(a)
    far = np.abs(unboxed(w)[..., :, None] - unboxed(out)[..., None, :])
    g = np.take_along_axis(g, far.argmin(-1), -1)
    return (transposed(np.linalg.inv(v)) * g[..., None, :]) @ transposed(v)


@op(**_ANY_SQUARE, implements=(np.linalg.eigvals,))
def eigvals(a: Array) -> Array:
    """Return the eigenvalues of each square matrix, in no order; complex if need be."""
    return np.linalg.eigvals(a)


eigvals.defvjp(a=_eigvals_rule)

# Singular values --------------------------------------------------------------------------------


class _Thin(NamedTuple):
    """Singular vectors of which there are no more than values, and their cotangents."""

    u: Any
    v: Any
    gu: Any
    gv: Any


def _thin(g: Any, out: Any) -> _Thin:
    """Fold the cotangents of further vectors, which follow the others, into those of the others."""
    n = out[1].shape[-1]
    both = []
    for vectors, cotangent in ((out[0], g[0]), (transposed(out[2]), g[2])):
        if cotangent is None:
            both.append((vectors[..., :n], np.zeros_like(vectors[..., :n])))
            continue
        gx = transposed(cotangent) if vectors is not out[0] else cotangent
        first, more = vectors[..., :n], vectors[..., n:]
        gfirst = gx[..., :n] - more @ (transposed(gx[..., n:]) @ first)
        both.append((first, gfirst))
    (u, gu), (v, gv) = both
    return _Thin(u, v, gu, gv)


def _svd_rule(g: Any, out: Any) -> Any:
    """Return the gradient; where singular values coincide it is as in `_eigh_rule`."""
    s, gs = out[1], g[1]
    u, v, gu, gv = _thin(g, out)
    inner = 0 if gs is None else _on_diagonals(gs)
    left, right = transposed(u) @ gu, transposed(v) @ gv
    equal = _coincide(s, s)
    apart, both = s[..., None, :] - s[..., :, None], s[..., None, :] + s[..., :, None]
    positive = unboxed(both) > 0
    inner = inner + _over(_skew(left + right), apart, ~equal)
    inner = inner + _over(_skew(left - right), both, positive)
    off = equal & positive & ~np.eye(s.shape[-1], dtype=bool)
    if gs is not None and off.any():
        inner = inner + _over(_symmetric(left + right), both, off)
        basis_u, basis_v = _rebuilding(u), _rebuilding(v)
    else:
        basis_u, basis_v = u, v
    ga = basis_u @ inner @ transposed(basis_v)
    reach = _over(np.ones_like(s), s, unboxed(s) > 0)[..., None, :]
    outside_u = (gu - basis_u @ left) * reach  # nothing, where u is square
    outside_v = (gv - basis_v @ right) * reach
    return ga + outside_u @ transposed(basis_v) + basis_u @ transposed(outside_v)


@op(
    real=True,
    matrices={"a": "full rank"},
    cases=(
        {"full_matrices": False, "shapes": "(…,3,2)"},
        {"full_matrices": False, "shapes": "(2,4)"},
        {"shapes": "(…,n,n)"},
        {"shapes": "(2,3)"},
    ),
)
def svd(a: Array, full_matrices: bool = True) -> tuple[Array, Array, Array]:
    """Return the left singular vectors, the values and the right vectors of each matrix."""
    return np.linalg.svd(a, full_matrices)


svd.defvjp(a=_svd_rule)


def _svdvals_rule(g: Any, a: Any) -> Any:
    u, _, vh = np.linalg.svd(a, False)
    return (u * g[..., None, :]) @ vh


@op(
    real=True,
    matrices={"a": "full rank"},
    cases=({"shapes": "(…,3,2)"}, {"shapes": "(…,n,n)"}),
)
def svdvals(a: Array, *, hermitian: bool = False) -> Array:
    """Return the singular values of each matrix, the largest first."""
    return np.linalg.svd(a, compute_uv=False, hermitian=hermitian)


svdvals.defvjp(a=_svdvals_rule)
implements(np.linalg.svdvals)(svdvals)


@implements(np.linalg.svd)
def svd_in_any_form(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Call `svd`, or `svdvals`; of a symmetric matrix both come from its eigenvalues."""
    if not compute_uv:
        return svdvals(a, hermitian=hermitian)
    if not hermitian:
        return svd(a, full_matrices)
    w, v = np.linalg.eigh(a)
    order = np.argsort(np.abs(w))[..., ::-1]
    sign = np.take_along_axis(np.copysign(1.0, unboxed(w)), order, -1)
    s = np.take_along_axis(np.abs(w), order, -1)
    u = np.take_along_axis(v, order[..., None, :], -1)
    return _SVD_RESULT(u, s, transposed(u * sign[..., None, :]))


_SVD_RESULT: Any = type(np.linalg.svd(np.eye(1)))

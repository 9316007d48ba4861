"""Matrices taken apart: Cholesky, QR, eigenvalues, singular values.

Eigenvectors and singular vectors are not determined where values coincide, and have no derivative
there. What is computed from them may have one; `docs/kinks.md` says what comes out.

Of complex matrices the formulas found elsewhere hold for the conjugate of a cotangent as it is here
(`complex_numbers`). So rules take the conjugate of all that they name, which does the same.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.linalg import adjoint, conj, transposed
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

    Pair = tuple[Any, Any]

_EQUAL = 1e3 * float(np.finfo(float).eps)  # values this close, relative to the largest, coincide


def _hermitian(a: Any) -> Any:
    return (a + adjoint(a)) / 2


def _skew(a: Any) -> Any:
    return (a - adjoint(a)) / 2


def _on_diagonals(a: Any) -> Any:
    """Return vectors as the diagonals of matrices."""
    return a[..., None] * np.eye(a.shape[-1], dtype=a.dtype)


# Cholesky and QR --------------------------------------------------------------------------------


def _cholesky_rule(g: Any, out: Any, upper: bool) -> Any:
    """Return the Hermitian gradient, though NumPy reads but one triangle (Murray, 2016)."""
    lower, g = (transposed(out), adjoint(g)) if upper else (conj(out), g)
    half = np.tril(adjoint(lower) @ g)
    half = half - _on_diagonals(np.linalg.diagonal(half)) / 2
    left = np.linalg.solve(adjoint(lower), half)
    return _hermitian(adjoint(np.linalg.solve(adjoint(lower), adjoint(left))))


@op(
    shapes="(n,n)",
    matrices={"a": "positive definite"},
    cases=({}, {"upper": True, "shapes": "(2,3,3)"}),
    implements=(np.linalg.cholesky,),
)
def cholesky(a: Array, upper: bool = False) -> Array:
    """Return the triangular square root of each positive definite matrix."""
    return np.linalg.cholesky(a, upper=upper)


cholesky.defvjp(a=_cholesky_rule)


def _within(g: Any, vectors: Any, n: int) -> Any:
    """Return the cotangent of the first n columns of a unitary matrix.

    What reaches the others, which are any that fill the space, counts by the space they span.
    """
    if vectors.shape[-1] == n:
        return g
    first, more = vectors[..., :n], vectors[..., n:]
    return g[..., :n] - more @ (adjoint(g[..., n:]) @ first)


def _qr_rule(g: Pair, a: Any, out: Pair) -> Any:
    """Return the gradient; columns beyond a square of `a` are those of R in the basis Q."""
    gq, gr = (np.zeros_like(x) if gx is None else gx for gx, x in zip(g, out, strict=True))
    n = min(a.shape[-2:])
    q, r, tail = conj(out[0]), conj(out[1][..., :n, :]), conj(a[..., n:])
    gq, gr = _within(gq, q, n), gr[..., :n, :]
    q, head, g_tail = q[..., :n], r[..., :n], gr[..., n:]
    gq = gq + tail @ adjoint(g_tail)
    m = head @ adjoint(gr[..., :n]) - adjoint(gq) @ q
    below, diagonal = np.tril(m, -1), np.real(np.linalg.diagonal(m))
    inner = gq + q @ (below + adjoint(below) + _on_diagonals(diagonal))
    ga = adjoint(np.linalg.solve(head, adjoint(inner)))
    return np.concatenate([ga, q @ g_tail], -1)


@op(
    matrices={"a": "independent columns"},
    cases=(
        {"shapes": "(…,3,2)"},
        {"shapes": "(…,n,n)"},
        {"shapes": "(2,3)"},
        {"shapes": "(2,3)", "mode": "complete"},
    ),
)
def qr(a: Array, mode: Any = "reduced") -> tuple[Array, Array]:
    """Return an orthonormal basis of the columns of each matrix, and the columns in that basis."""
    return np.linalg.qr(a, mode)


qr.defvjp(a=_qr_rule)


@implements(np.linalg.qr, form_of=qr)
def qr_in_mode(a: Any, mode: str = "reduced") -> Any:
    """Call `qr` in those of NumPy's modes that have a derivative."""
    if mode == "r":
        return qr(a)[1]
    if mode in {"reduced", "complete"}:
        return qr(a, mode)
    raise TypeError(
        f"linalg.qr of a Tensor has no derivative in mode {mode!r}: use 'reduced', 'complete', 'r'"
    )


# Hermitian eigenvalues --------------------------------------------------------------------------


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
    return v @ np.linalg.inv(adjoint(v) @ v)


def _check_coinciding(what: str, values: Any, g: Any, turning: Any, off: Any) -> None:
    """Warn if a loss is not built of coinciding values and their vectors in a way that is known.

    Of a matrix rebuilt of both, ``turning`` is symmetric, and has on its diagonal twice the values
    times what reached them.
    """
    if not off.any():
        return
    values, g, turning = unboxed(values), unboxed(g), unboxed(turning)
    doubt = np.where(off, np.abs(_skew(turning)), 0)
    if g is not None:
        own = np.linalg.diagonal(_hermitian(turning)) - 2 * values * g
        doubt = doubt + np.where(off.any(-1), np.abs(own), 0)[..., None]
    eps = np.finfo(turning.dtype).eps
    if (doubt > np.sqrt(eps) * np.abs(turning).max() + 1e3 * eps).any():
        warnings.warn(
            f"two {what} coincide, and the loss is not seen to depend on the matrix rebuilt of "
            "them and their vectors, nor on the space of these alone, so that its gradient may be "
            "another: keep them apart, say by a small multiple of a random symmetric matrix",
            RuntimeWarning,
            stacklevel=5,  # the line with backward
        )


def _turned_back(phase: Any, v: Any, here: Any) -> Any:
    """Return what is added to the cotangent of columns that are turned to make entries real.

    Complex eigenvectors are any of a circle; LAPACK takes those in which one entry is real.
    """
    return phase[..., None, :] * -1j * _over(np.where(here, 1, 0), v, here & (unboxed(v) != 0))


def _row(v: Any, row: int) -> Any:
    """Return where the entries of a row are, if they are real; else nowhere."""
    values = unboxed(v)[..., row, :]
    real = (np.abs(values.imag) <= 8 * np.finfo(values.dtype).eps).all()
    return (np.arange(v.shape[-2]) == row % v.shape[-2])[:, None] & real


def _eigh_rule(g: Pair, out: Pair, UPLO: Any) -> Any:
    """Return the Hermitian gradient.

    Where eigenvalues coincide, their eigenvectors count as if the loss depended on the matrix
    that is built of both; if it depends on eigenvectors alone, then on the space they span.
    """
    w, v = out[0], conj(out[1])
    gw, gv = g
    equal = _coincide(w, w)
    inner = 0 if gw is None else _on_diagonals(gw)
    if gv is not None:
        if v.dtype.kind == "c" and v.size:
            phase = np.imag(np.sum(gv * out[1], -2))
            gv = gv + _turned_back(phase, v, _row(v, -1 if str(UPLO).upper() == "U" else 0))
        turning = adjoint(v) @ gv
        apart = w[..., None, :] - w[..., :, None]
        inner = inner + _over(_skew(turning), apart, ~equal)
        off = equal & ~np.eye(w.shape[-1], dtype=bool)
        _check_coinciding("eigenvalues", w, gw, turning, off)
        if gw is not None and off.any():
            both = w[..., None, :] + w[..., :, None]
            inner = inner + _over(_hermitian(turning), both, off & (unboxed(both) != 0))
            v = _rebuilding(v)
    return v @ _hermitian(inner) @ adjoint(v)


@op(
    shapes="(n,n)",
    matrices={"a": "symmetric"},
    cases=({}, {"UPLO": "U", "shapes": "(2,3,3)"}),
    implements=(np.linalg.eigh,),
)
def eigh(a: Array, UPLO: Any = "L") -> tuple[Array, Array]:
    """Return the eigenvalues and eigenvectors of each Hermitian matrix, by one triangle of it."""
    triangle: Any = str(UPLO)
    return np.linalg.eigh(a, triangle)


eigh.defvjp(a=_eigh_rule)


def _eigvalsh_rule(g: Any, a: Any, UPLO: Any) -> Any:
    v = conj(np.linalg.eigh(a, UPLO)[1])
    return (v * g[..., None, :]) @ adjoint(v)


@op(
    shapes="(n,n)",
    matrices={"a": "symmetric"},
    cases=({}, {"UPLO": "U", "shapes": "(2,3,3)"}),
    implements=(np.linalg.eigvalsh,),
)
def eigvalsh(a: Array, UPLO: Any = "L") -> Array:
    """Return the eigenvalues of each Hermitian matrix."""
    triangle: Any = str(UPLO)
    return np.linalg.eigvalsh(a, triangle)


eigvalsh.defvjp(a=_eigvalsh_rule)

# Eigenvalues of any square matrix -----------------------------------------------------------------


def _normalised_back(g: Any, v: Any) -> Any:
    """Return the cotangent of eigenvectors before LAPACK scales them.

    It makes each one of length 1, and its largest entry real.
    """
    length = np.sum(g * v, -2)
    back = g - np.real(length)[..., None, :] * v.conj()
    if v.dtype.kind == "c":
        largest = np.abs(unboxed(v)).argmax(-2)[..., None, :]
        here = np.arange(v.shape[-2])[:, None] == largest
        back = back + _turned_back(np.imag(length), v, here)
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
    """Return the conjugate of as many vectors of both kinds as there are values, and what came."""
    u, v, n = conj(out[0]), transposed(out[2]), out[1].shape[-1]
    gu = np.zeros_like(u) if g[0] is None else g[0]
    gv = np.zeros_like(v) if g[2] is None else adjoint(g[2])
    gu, gv = _within(gu, u, n), _within(gv, v, n)
    u, v = u[..., :n], v[..., :n]
    if u.dtype.kind == "c" and u.size:
        phase = np.imag(np.sum(gu * u.conj(), -2) + np.sum(gv * v.conj(), -2))
        if u.shape[-2] < v.shape[-2]:
            gu = gu + _turned_back(phase, u, _row(u, 0))
        else:
            gv = gv + _turned_back(phase, v, _row(v, 0))
    return _Thin(u, v, gu, gv)


def _svd_rule(g: Any, out: Any) -> Any:
    """Return the gradient; where singular values coincide it is as in `_eigh_rule`."""
    s, gs = out[1], g[1]
    u, v, gu, gv = _thin(g, out)
    inner = 0 if gs is None else _on_diagonals(gs)
    left, right = adjoint(u) @ gu, adjoint(v) @ gv
    equal = _coincide(s, s)
    apart, both = s[..., None, :] - s[..., :, None], s[..., None, :] + s[..., :, None]
    positive = unboxed(both) > 0
    inner = inner + _over(_skew(left + right), apart, ~equal)
    inner = inner + _over(_skew(left - right), both, positive)
    off = equal & positive & ~np.eye(s.shape[-1], dtype=bool)
    _check_coinciding("singular values", s, gs, left + right, off)
    if gs is not None and off.any():
        inner = inner + _over(_hermitian(left + right), both, off)
        basis_u, basis_v = _rebuilding(u), _rebuilding(v)
    else:
        basis_u, basis_v = u, v
    ga = basis_u @ inner @ adjoint(basis_v)
    reach = _over(np.ones_like(s), s, unboxed(s) > 0)[..., None, :]
    outside_u = (gu - basis_u @ left) * reach  # nothing, where u is square
    outside_v = (gv - basis_v @ right) * reach
    return ga + outside_u @ adjoint(basis_v) + basis_u @ adjoint(outside_v)


@op(
    matrices={"a": "distinct singular values"},
    cases=(
        {"full_matrices": False, "shapes": "(…,3,2)"},
        {"full_matrices": False, "shapes": "(2,4)"},
        {"shapes": "(…,n,n)"},
    ),
)
def svd(a: Array, full_matrices: bool = True) -> tuple[Array, Array, Array]:
    """Return the left singular vectors, the values and the right vectors of each matrix."""
    return np.linalg.svd(a, full_matrices)


svd.defvjp(a=_svd_rule)


def _svdvals_rule(g: Any, a: Any) -> Any:
    u, _, vh = np.linalg.svd(conj(a), False)
    return (u * g[..., None, :]) @ vh


@op(
    matrices={"a": "distinct singular values"},
    cases=({"shapes": "(…,3,2)"}, {"shapes": "(…,n,n)"}),
)
def svdvals(a: Array, *, hermitian: bool = False) -> Array:
    """Return the singular values of each matrix, the largest first."""
    return np.linalg.svd(a, compute_uv=False, hermitian=hermitian)


svdvals.defvjp(a=_svdvals_rule)
implements(np.linalg.svdvals)(svdvals)


@implements(np.linalg.svd, form_of=svd)
def svd_in_any_form(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Call `svd`, or `svdvals`; of a Hermitian matrix both come from its eigenvalues."""
    if not compute_uv:
        return svdvals(a, hermitian=hermitian)
    if not hermitian:
        return svd(a, full_matrices)
    w, v = np.linalg.eigh(a)
    order = np.argsort(np.abs(w))[..., ::-1]
    sign = np.take_along_axis(np.copysign(1.0, unboxed(w)), order, -1)
    s = np.take_along_axis(np.abs(w), order, -1)
    u = np.take_along_axis(v, order[..., None, :], -1)
    return _SVD_RESULT(u, s, adjoint(u * sign[..., None, :]))


_SVD_RESULT: Any = type(np.linalg.svd(np.eye(1)))

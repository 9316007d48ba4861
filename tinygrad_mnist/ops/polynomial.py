"""Polynomials as vectors of coefficients, highest power first: values, products, roots, fits."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import op
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

# Values -----------------------------------------------------------------------------------------


def _power_slopes(g: Any, x: Any, out: Any, increasing: bool) -> Any:
    """Return the sum of ``g k x**(k - 1)`` over the powers k, which is finite at 0 too."""
    n = out.shape[-1]
    if n < 2:
        return np.zeros_like(x)
    rising = g if increasing else g[:, ::-1]
    below = np.vander(x, n - 1, increasing=True)
    return np.sum(rising[:, 1:] * below * np.arange(1, n), -1)


@op(
    cases=(
        {"shapes": "(n)"},
        {"N": 4, "shapes": "(n)", "domain": {"x": (-9, 9)}},
        {"N": 3, "increasing": True, "shapes": "(n)", "domain": {"x": (-9, 9)}},
        {"N": 1, "shapes": "(n)"},
    ),
    domain={"x": (-2, 2)},
    implements=(np.vander,),
)
def vander(x: Array, N: int | None = None, increasing: bool = False) -> Array:
    """Return the powers of each entry, from the highest down to 1, as the rows of a matrix."""
    return np.vander(x, N, increasing)


vander.defvjp(x=_power_slopes)


@op(cases=({"shapes": "(3),(…)"}, {"shapes": "(n),(m)", "domain": {"x": (-3, 3)}}))
def polyval(p: Array, x: Array) -> Array:
    """Return the values of a polynomial at points."""
    return np.polyval(p, x)


polyval.defvjp(
    p=lambda g, p_shape, x: np.ravel(g) @ np.vander(np.ravel(x), *p_shape),
    x=lambda g, p, x: g * np.polyval(np.polyder(p), x),
)


@implements(np.polyval)
def polyval_of_several(p: Any, x: Any) -> Any:
    """Return the values of a polynomial, or of several whose coefficients stand side by side."""
    if np.ndim(p) == 1:
        return polyval(p, x)
    y = np.zeros_like(x)
    for coefficients in p:
        y = y * x + coefficients
    return y


# Sums, products, calculus -----------------------------------------------------------------------


def _aligned(a1: Any, a2: Any) -> list[Any]:
    """Return two polynomials with zeros in front of the shorter."""
    both = [np.atleast_1d(a) for a in (a1, a2)]
    n = max(map(len, both))
    return [a if len(a) == n else np.concatenate([np.zeros(n - len(a), a.dtype), a]) for a in both]


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """Return the sum of two polynomials."""
    return np.add(*_aligned(a1, a2))


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """Return the difference of two polynomials."""
    return np.subtract(*_aligned(a1, a2))


def _trimmed(p: Any) -> Any:
    """Return a polynomial without zeros in front."""
    p = np.atleast_1d(p)
    trimmed = np.trim_zeros(p, "f")
    if len(trimmed):
        return trimmed
    return p[-1:] + 0 if len(p) else np.zeros(1, p.dtype)


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Return the product of two polynomials."""
    return np.convolve(_trimmed(a1), _trimmed(a2))


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Return the quotient and the remainder of two polynomials, by long division."""
    rest, divisor = np.atleast_1d(u) + 0.0, np.atleast_1d(v) + 0.0
    dtype = np.result_type(rest.dtype, divisor.dtype)
    n, scale = len(divisor), 1.0 / divisor[0]
    rest = rest.astype(dtype)
    quotient = []
    for k in range(len(rest) - n + 1):
        factor = scale * rest[k]
        quotient.append(factor)
        parts = [rest[:k], rest[k : k + n] - factor * divisor, rest[k + n :]]
        rest = np.concatenate(parts, dtype=dtype)
    first = 0
    while first < len(rest) - 1 and np.allclose(unboxed(rest[first]), 0, rtol=1e-14):
        first += 1
    return (np.stack(quotient) if quotient else np.zeros(1, dtype)), rest[first:]


def _order(m: Any, what: str) -> int:
    if int(m) < 0:
        raise ValueError(f"{what} needs an order m of at least 0; got {m}")
    return int(m)


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Return the derivative of a polynomial, of order m."""
    for _ in range(_order(m, "polyder")):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Return the integral of a polynomial, of order m, with its constants k."""
    m = _order(m, "polyint")
    constants = np.atleast_1d(np.zeros(m) if k is None else k)
    if len(constants) == 1 and m > 1:
        constants = constants[0] * np.ones(m)
    if len(constants) < m:
        raise ValueError(f"polyint of order m={m} needs one constant k, or {m}; got {k}")
    for j in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), constants[j : j + 1]])
    return p


# Roots ------------------------------------------------------------------------------------------


@op(
    cases=({"shapes": "(3)"}, {"shapes": "(4)"}),
    domain={"p": (1, 1.9)},  # where none is real but one, and none 0, however a coefficient moves
    implements=(np.roots,),
)
def roots(p: Array) -> Array:
    """Return the roots of a polynomial; where two coincide the derivative is infinite."""
    return np.roots(p)


def _roots_rule(g: Any, p: Any, out: Any) -> Any:
    """Return the gradient by the implicit function theorem: p'(r) dr = -sum of r**k dp_k."""
    return -(g / np.polyval(np.polyder(p), out)) @ np.vander(out, p.shape[0])


roots.defvjp(p=_roots_rule)


def _characteristic_rule(g: Any, a: Any, out: Any) -> Any:
    """Return the gradient by the matrices of Faddeev and LeVerrier, which need no eigenvalue.

    Each coefficient's is ``-M.T`` with the first M the unit matrix, and of the next ones
    ``a @ M + c`` with the coefficient c before.
    """
    m = unit = np.eye(len(a), dtype=out.dtype)
    total = 0.0
    for k in range(1, len(a) + 1):
        total = total - g[k] * m.T
        m = a @ m + out[k] * unit
    return total


@op(cases=({"shapes": "(2,2)"}, {"shapes": "(3,3)"}))
def characteristic(a: Array) -> Array:
    """Return the coefficients of the characteristic polynomial of a square matrix."""
    return np.poly(a)


characteristic.defvjp(a=_characteristic_rule)


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Return the polynomial with given roots, or the characteristic one of a square matrix."""
    zeros = np.atleast_1d(seq_of_zeros)
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] > 0:
        return characteristic(zeros)
    if zeros.ndim != 1:
        raise ValueError(f"poly takes roots or a square matrix; got shape {zeros.shape}")
    if not len(zeros):
        return 1.0
    if zeros.dtype == np.float16:
        zeros = zeros.astype(np.float64)
    one = np.ones(1, zeros.dtype)
    product = one
    for k in range(len(zeros)):
        product = np.convolve(product, np.concatenate([one, -zeros[k : k + 1]]))
    values = unboxed(zeros)
    if values.dtype.kind == "c" and (np.sort(values) == np.sort(values.conj())).all():
        product = np.real(product)  # roots in conjugate pairs
    return product


# Fits -------------------------------------------------------------------------------------------


@implements(np.polyfit)
def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    """Return the polynomial of a degree that fits points best, in the sense of least squares."""
    x, y = (a + 0.0 if hasattr(a, "dtype") else np.asarray(a) + 0.0 for a in (x, y))
    order = int(deg) + 1
    if order < 1:
        raise ValueError(f"polyfit needs a degree of at least 0; got deg={deg}")
    if x.ndim != 1 or not x.size or y.ndim not in {1, 2} or x.shape[0] != y.shape[0]:
        raise TypeError(
            f"polyfit takes a vector x, and y with a value or a row for each of its entries; got "
            f"shapes {x.shape} and {y.shape}"
        )
    if rcond is None:
        rcond = len(x) * np.finfo(x.dtype).eps
    left, right = np.vander(x, order), y
    if w is not None:
        w = w + 0.0 if hasattr(w, "dtype") else np.asarray(w) + 0.0
        if w.shape != x.shape:
            raise TypeError(f"polyfit takes a weight for each of {x.shape} points; got {w.shape}")
        left = left * w[:, None]
        right = right * (w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(left * left, 0))
    left = left / scale
    c, residuals, rank, s = np.linalg.lstsq(left, right, rcond)
    c = (c.T / scale).T
    if full:
        return c, residuals, rank, s, rcond
    if rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    if not cov:
        return c
    covariance = np.linalg.inv(left.T @ left) / np.outer(scale, scale)
    if y.ndim == 2:
        covariance = covariance[..., None]
    if cov != "unscaled":
        if len(x) <= order:
            raise ValueError(
                f"polyfit of {len(x)} points and degree {deg} leaves nothing to scale the "
                "covariance with: give more points, or cov='unscaled'"
            )
        covariance = covariance * (residuals / (len(x) - order))
    return c, covariance

"""Systems that have no solution, or many: pseudo-inverses and least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.linalg import adjoint, conj
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array


def _pinv_rule(g: Any, a: Any, out: Any, hermitian: bool) -> Any:
    """Return the gradient where the rank does not change (Golub and Pereyra, 1973)."""
    a, out = conj(a), conj(out)
    to, gt = adjoint(out), adjoint(g)
    rows = gt @ out @ to
    columns = to @ out @ gt
    ga = -to @ g @ to + (rows - a @ (out @ rows)) + (columns - (columns @ out) @ a)
    return (ga + adjoint(ga)) / 2 if hermitian else ga


@op(
    matrices={"a": "full rank"},
    cases=({"shapes": "(…,3,2)"}, {"shapes": "(2,4)"}, {"shapes": "(n,n)", "rcond": 1e-8}),
)
def pinv(a: Array, rcond: Any = 1e-15, hermitian: bool = False) -> Array:
    """Return the pseudo-inverse of each matrix; singular values below `rcond` count as 0."""
    return np.linalg.pinv(a, rcond, hermitian)


pinv.defvjp(a=_pinv_rule)


@implements(np.linalg.pinv, form_of=pinv)
def pinv_with_rtol(a: Any, rcond: Any = None, hermitian: bool = False, **rtol: Any) -> Any:
    """Call `pinv` with either name of its threshold."""
    if rtol:
        if rcond is not None:
            raise ValueError("pinv got rcond and rtol, which are two names of one: give one")
        rcond = rtol["rtol"]
        rcond = max(a.shape[-2:]) * np.finfo(a.dtype).eps if rcond is None else rcond
    return pinv(a, 1e-15 if rcond is None else rcond, hermitian)


def _lstsq_rule(g: Any, a: Any, b: Any, out: Any, rcond: float | None) -> Any:
    """Return the gradients through the solution, the squared residuals and the singular values."""
    a, b, x, residuals = conj(a), conj(b), conj(out[0]), out[1]
    gx, gr, _, gs = g
    vector = b.ndim == 1
    columns, x = (b[:, None], x[:, None]) if vector else (b, x)
    if rcond is None:
        rcond = max(a.shape) * float(np.finfo(float).eps)  # NumPy solves in double precision
    ga, gb = np.zeros_like(a), np.zeros_like(columns)
    rest = columns - a @ x
    if gx is not None:
        gx = gx[:, None] if vector else gx
        inverse = np.linalg.pinv(a, max(rcond, 0))
        gb = gb + adjoint(inverse) @ gx
        outside = gx - adjoint(a) @ gb  # only where the rank is less than the unknowns
        ga = ga - gb @ adjoint(x) + rest @ adjoint(inverse @ gb)
        ga = ga + (adjoint(inverse) @ x) @ adjoint(outside)
    if gr is not None and residuals.size:
        gb = gb + 2 * rest * gr
        ga = ga - 2 * (rest * gr) @ adjoint(x)
    if gs is not None:
        u, _, vh = np.linalg.svd(a, False)
        ga = ga + (u * gs) @ vh
    return ga, (gb[:, 0] if vector else gb)


@op(
    matrices={"a": "full rank"},
    cases=(
        {"shapes": "(4,2),(4)"},
        {"shapes": "(4,2),(4,k)"},
        {"shapes": "(2,3),(2)"},
        {"shapes": "(3,3),(3)"},
    ),
    implements=(np.linalg.lstsq,),
)
def lstsq(a: Array, b: Array, rcond: float | None = None) -> tuple[Array, Array, Array, Array]:
    """Return the least-squares solution, the squared residuals, the rank, the singular values."""
    return np.linalg.lstsq(a, b, rcond)


lstsq.defvjp(("a", "b"), _lstsq_rule)

"""NumPy's `emath`: functions whose result is complex where a real number has no real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.ops.composing import arrayed, numpys_own
from tinygrad_mnist.ops.shape import astype
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Callable


def _negative(x: Any) -> Any:
    return x < 0


def _above_1(x: Any) -> Any:
    return np.abs(x) > 1


def _extended(x: Any, outside: Callable[[Any], Any]) -> Any:
    """Return `x` as complex numbers if any of it is outside of the real domain."""
    x = arrayed(x)
    if x.dtype.kind == "c" or not np.any(outside(unboxed(x))):
        return x
    single = x.dtype.char in np.typecodes["AllInteger"][:4] + "f"  # of no more than 16 bits
    return astype(x, np.complex64 if single else np.complex128)


def _extend(function: Any, outside: Callable[[Any], Any]) -> None:
    @implements(getattr(np.emath, function.__name__))
    def extended(x: Any) -> Any:
        return function(_extended(x, outside))


for _name in ("sqrt", "log", "log2", "log10"):
    _extend(getattr(np, _name), _negative)
for _name in ("arcsin", "arccos", "arctanh"):
    _extend(getattr(np, _name), _above_1)


@implements(np.emath.logn)
def logn(n: Any, x: Any) -> Any:
    """Return the logarithm of `x` to base `n`."""
    return np.log(_extended(x, _negative)) / np.log(_extended(n, _negative))


@implements(np.emath.power)
def power(x: Any, p: Any) -> Any:
    """Return `x` to the power of `p`, of which negative integers count as floats."""
    p = arrayed(p)
    if p.dtype.kind == "i" and np.any(unboxed(p) < 0):
        p = p * 1.0
    return np.power(_extended(x, _negative), p)


def __getattr__(name: str) -> Callable[..., Any]:
    return numpys_own(np.emath, name)

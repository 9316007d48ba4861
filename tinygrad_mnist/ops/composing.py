"""What functions composed of others need: arrays of their arguments, NumPy's own value and name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import Box, unboxed
from tinygrad_mnist.ops.shape import astype
from tinygrad_mnist.protocols import overrides

if TYPE_CHECKING:
    from collections.abc import Callable


def arrayed(x: Any) -> Any:
    """Return a list or a number as an array, a Tensor or an array as it is."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def own_value(x: Any, value: Any) -> Any:
    """Return NumPy's own value of what was composed, with the derivative if that is a Tensor.

    Both are the same up to rounding, so the difference is a number, and to add it is exact.
    """
    if not isinstance(x, Box):
        return value
    composed = astype(x, value.dtype)
    with np.errstate(invalid="ignore"):
        difference = np.where(np.equal(composed, value), -0.0, value - unboxed(composed))
    return composed + difference.astype(value.dtype)


def numpys_own(library: Any, name: str) -> Callable[..., Any]:
    """Return NumPy's function of a name, if it is differentiable: a module's ``__getattr__``.

    So `ops` has every name, though most of NumPy's functions need no other than NumPy's own.
    """
    function: Any = getattr(library, name, None)
    if callable(function) and function in overrides:
        return function  # type: ignore[no-any-return]
    raise AttributeError(f"{library.__name__}.{name} is no differentiable function of NumPy")

"""What functions composed of others need: arrays of their arguments, and NumPy's own value."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_mnist.graph import Box, unboxed
from tinygrad_mnist.ops.shape import astype


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

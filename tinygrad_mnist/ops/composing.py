"""What functions composed of others need: arrays of their arguments, and NumPy's own value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import op

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array


def arrayed(x: Any) -> Any:
    """Return a list or a number as an array, a Tensor or an array as it is."""
    return x if hasattr(x, "dtype") else np.asarray(x)


@op(cases=({"value": np.array([0.5, -1.5]), "shapes": "(2)"},))
def valued(x: Array, value: Array) -> Array:
    """Return `value` with the derivative of `x`, which is the same number up to rounding."""
    return np.broadcast_to(value, np.shape(x))


valued.defvjp(x=lambda g: g, value=None)

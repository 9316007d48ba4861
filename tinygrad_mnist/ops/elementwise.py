"""Functions of each entry by itself: arithmetic, exponentials, trigonometry, choices."""

from __future__ import annotations

import numpy as np

from tinygrad_mnist.operation import op

# fmt: off
add      = op(np.add).defvjp(x=lambda g: g, y=lambda g: g)
subtract = op(np.subtract).defvjp(x=lambda g: g, y=lambda g: -g)
multiply = op(np.multiply).defvjp(x=lambda g, y: g * y, y=lambda g, x: g * x)
negative = op(np.negative).defvjp(x=lambda g: -g)
exp      = op(np.exp).defvjp(x=lambda g, out: g * out)
# fmt: on

"""Layers: linear maps, activations, dropout, and the multilayer perceptron made of them."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist import ops
from tinygrad_mnist.nn.initialisers import INITIALISERS
from tinygrad_mnist.nn.module import Module, floating
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import DTypeLike

    from tinygrad_mnist.graph import Array

    Seed = np.random.Generator | int | None


class Linear(Module):
    """``x @ weight + bias``.

    The result has the dtype that NumPy gives it: float64 inputs make float64 results, whatever the
    parameters are; uint8 inputs to a float32 layer make float32 ones.

    Parameters
    ----------
    in_features, out_features : int
        The length of the last axis of the input, and of the result.
    bias : bool, optional
        Whether to add a bias, which starts at zero.
    init : str, optional
        How the weight starts: "he", "glorot" or "xavier"; see `initialisers`.
    dtype : dtype, optional
    rng : Generator or int, optional
        Where the weight is drawn from; by default it is another one each time.

    Attributes
    ----------
    weight : Tensor of shape (in_features, out_features)
    bias : Tensor of shape (out_features,), or None

    Raises
    ------
    ValueError
        If a size is not positive, or `init` is unknown.
    TypeError
        If `dtype` is not of floating-point numbers.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        init: str = "he",
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ) -> None:
        n, m = _size(in_features), _size(out_features)
        draw = _known(init, INITIALISERS, "init")
        dtype = floating(dtype, "Linear")
        weight = draw(n, m, np.random.default_rng(rng)).astype(dtype)
        self.weight = Tensor(weight, requires_grad=True)
        self.bias = Tensor(np.zeros(m, dtype), requires_grad=True) if bias else None

    def forward(self, x: Array) -> Array:
        """Return a result of shape (..., out_features) for `x` of shape (..., in_features)."""
        try:
            return ops.linear.call(x, self.weight, self.bias)  # past `Op.__call__`: 0.1 us
        except ValueError as error:
            shape, n = np.shape(x), self.weight.shape[0]
            if shape[-1:] == (n,):
                raise
            raise ValueError(
                f"{self!r} takes {n} numbers along the last axis of its input, which has shape "
                f"{shape}" + (": put Flatten() before it" if np.prod(shape[1:]) == n else "")
            ) from error

    def extra_repr(self) -> str:
        """Return the sizes."""
        n, m = self.weight.shape
        return f"{n}, {m}" + ("" if self.bias is not None else ", bias=False")


class Flatten(Module):
    """All axes after the first made one."""

    def forward(self, x: Array) -> Array:
        """Return `x`, of shape (N, ...), in shape (N, everything else)."""
        shape = np.shape(x)
        return np.reshape(x, (shape[0], int(np.prod(shape[1:]))))


class Dropout(Module):
    """In training, each entry is set to 0 with probability `p`, the others divided by ``1 - p``.

    In use (after ``eval()``), and for ``p=0``, it returns its input itself. Dropout is due to [1]_.

    Parameters
    ----------
    p : float
        The probability that an entry is dropped, from 0 to 1.
    rng : Generator or int, optional
        Where masks are drawn from; by default they are others in each run.

    Attributes
    ----------
    rng : Generator

    Raises
    ------
    ValueError
        If `p` is no probability.

    References
    ----------
    .. [1] N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
       overfitting", 2014.
    """

    def __init__(self, p: float = 0.5, rng: Seed = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout takes the probability to drop, from 0 to 1; got {p}")
        self.p = float(p)
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Array) -> Array:
        """Return `x` with a new mask, in its own shape."""
        if not self.training or not self.p:
            return x
        return ops.dropout(x, self.p, self.rng)

    def extra_repr(self) -> str:
        """Return the probability."""
        return str(self.p)


# Activations --------------------------------------------------------------------------------------


class Identity(Module):
    """The input itself."""

    def forward(self, x: Array) -> Array:
        """Return `x`."""
        return x


class ReLU(Module):
    """``max(x, 0)``, for each entry."""

    def forward(self, x: Array) -> Array:
        """Return the result, in the shape of `x`."""
        return ops.relu.call(x)


class LeakyReLU(Module):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = float(negative_slope)

    def forward(self, x: Array) -> Array:
        """Return the result, in the shape of `x`."""
        return ops.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the slope."""
        return str(self.negative_slope)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, for each entry."""

    def forward(self, x: Array) -> Array:
        """Return the result, in the shape of `x`."""
        return ops.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent of each entry."""

    def forward(self, x: Array) -> Array:
        """Return the result, in the shape of `x`."""
        return ops.tanh(x)


class Softplus(Module):
    """``log(1 + exp(x))``, for each entry."""

    def forward(self, x: Array) -> Array:
        """Return the result, in the shape of `x`."""
        return ops.softplus(x)


class Softmax(Module):
    """``exp(x)`` divided by its sum along `axis`: probabilities, for display.

    `ops.cross_entropy` takes the logits, before this.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Return the result, in the shape of `x`."""
        return ops.softmax(x, axis=self.axis)


class LogSoftmax(Module):
    """The logarithm of `Softmax`, computed without underflow."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Return the result, in the shape of `x`."""
        return ops.log_softmax(x, axis=self.axis)


ACTIVATIONS: dict[str, type[Module]] = {
    "identity": Identity,
    "leaky_relu": LeakyReLU,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "softplus": Softplus,
    "tanh": Tanh,
}


# The multilayer perceptron ------------------------------------------------------------------------


class MLP(Module):
    """Linear layers, with an activation and then dropout after each but the last.

    Parameters
    ----------
    sizes : sequence of int
        Numbers in, neurons of each hidden layer, numbers out: ``(784, 128, 64, 10)``.
    activation : str or sequence of str, optional
        A name of `ACTIVATIONS`, or one for each hidden layer.
    dropout : float or sequence of float, optional
        The probability to drop, or one for each hidden layer.
    bias, init, dtype
        As `Linear` takes them.
    rng : Generator or int, optional
        What weights and masks are drawn from: each layer gets an independent generator of its own,
        so that the same seed gives the same weights with dropout and without.

    Attributes
    ----------
    layers : list of Linear
    activations : list of Module
    dropouts : list of Dropout, with None for probability 0

    Raises
    ------
    ValueError
        If there are fewer than two sizes, a name is unknown, or a sequence is not as long as there
        are hidden layers.

    Examples
    --------
    >>> MLP((784, 128, 10), dropout=0.2, rng=0)
    MLP(
      layers.0: Linear(784, 128)
      layers.1: Linear(128, 10)
      activations.0: ReLU()
      dropouts.0: Dropout(0.2)
    )
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Sequence[str] = "relu",
        dropout: float | Sequence[float] = 0.0,
        bias: bool = True,
        init: str = "he",
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"MLP takes the sizes of input and output at least; got {sizes}")
        hidden = len(sizes) - 2
        names = _per_layer(activation, hidden, "activation")
        drops = _per_layer(dropout, hidden, "dropout")
        seeds = np.random.default_rng(rng).spawn(2 * hidden + 1)
        self.layers = [
            Linear(n, m, bias, init, dtype, seed)
            for (n, m), seed in zip(pairwise(sizes), seeds[::2], strict=True)
        ]
        self.activations = [_known(name, ACTIVATIONS, "activation")() for name in names]
        self.dropouts = [
            Dropout(p, seed) if p else None for p, seed in zip(drops, seeds[1::2], strict=True)
        ]

    def forward(self, x: Array) -> Array:
        """Return logits of shape (..., sizes[-1]) for `x` of shape (..., sizes[0])."""
        *hidden, last = self.layers
        for layer, activation, dropout in zip(hidden, self.activations, self.dropouts, strict=True):
            x = activation(layer(x))
            if dropout is not None:
                x = dropout(x)
        return last(x)


def _size(value: int) -> int:
    size = operator.index(value)
    if size < 1:
        raise ValueError(f"a layer has at least one number in and one out; got the size {size}")
    return size


def _known(name: str, table: Mapping[str, Any], what: str) -> Any:
    """Return the entry of a name; of an unknown one say what was probably meant."""
    if name in table:
        return table[name]
    from difflib import get_close_matches  # needed for an error alone

    near = get_close_matches(str(name).lower(), table, 1)
    meant = f", did you mean {near[0]!r}?" if near else ";"
    raise ValueError(f"unknown {what} {name!r}{meant} there are {', '.join(sorted(table))}")


def _per_layer(value: Any, hidden: int, what: str) -> Iterable[Any]:
    """Return one value for each hidden layer, of one value or of as many."""
    if isinstance(value, str) or np.ndim(value) == 0:
        return [value] * hidden
    if len(value) != hidden:
        raise ValueError(
            f"MLP takes one {what}, or one for each hidden layer; there are {hidden} hidden "
            f"layers, and {len(value)} were given: {value}"
        )
    return list(value)

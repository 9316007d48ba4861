"""Every op, by NumPy's name where NumPy has one, else by PyTorch's; `registry` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import Op, unboxed
from tinygrad_mnist.operation import plain as without_derivative
from tinygrad_mnist.ops import elementwise, indexing, neural, products, reductions, shape
from tinygrad_mnist.ops.elementwise import (
    abs,
    absolute,
    add,
    clip,
    cos,
    divide,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    positive,
    power,
    remainder,
    sin,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from tinygrad_mnist.ops.indexing import (
    getitem,
    scatter,
    set_at,
    take_along_axis,
)
from tinygrad_mnist.ops.neural import (
    cross_entropy,
    dropout,
    leaky_relu,
    linear,
    log_softmax,
    logsumexp,
    mse_loss,
    relu,
    sigmoid,
    softmax,
    softplus,
)
from tinygrad_mnist.ops.plain import FUNCTIONS
from tinygrad_mnist.ops.products import (
    dot,
    einsum,
    matmul,
    outer,
)
from tinygrad_mnist.ops.reductions import (
    max,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)
from tinygrad_mnist.ops.shape import (
    astype,
    broadcast_to,
    concatenate,
    copy,
    expand_dims,
    flip,
    full_like,
    moveaxis,
    ravel,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    transpose,
)
from tinygrad_mnist.recording import is_operand
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "abs",
    "absolute",
    "add",
    "astype",
    "broadcast_to",
    "clip",
    "concatenate",
    "copy",
    "cos",
    "cross_entropy",
    "divide",
    "dot",
    "dropout",
    "einsum",
    "exp",
    "expand_dims",
    "expm1",
    "flip",
    "full_like",
    "getitem",
    "leaky_relu",
    "linear",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "mse_loss",
    "multiply",
    "negative",
    "outer",
    "positive",
    "power",
    "prod",
    "ravel",
    "registry",
    "relu",
    "remainder",
    "reshape",
    "scatter",
    "set_at",
    "sigmoid",
    "sin",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "take_along_axis",
    "tanh",
    "transpose",
    "var",
    "where",
]

registry: dict[str, Op] = {
    op.name: op
    for family in (elementwise, indexing, neural, products, reductions, shape)
    for op in vars(family).values()
    if isinstance(op, Op)
}
without_derivative.update(FUNCTIONS)


# Tensor's operators and methods are installed here, so that `t * u` reaches its op directly -------


def _operator(op: Op) -> Callable[..., Any]:
    """Return an operator's method, which leaves to the other operand what NumPy can't take."""
    call = op.call
    if op.operator:
        return call  # a fast path, which looks at its operands itself
    return lambda self, other: call(self, other) if is_operand(other) else NotImplemented


def _reflected(operator: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: operator(other, self)


def _plain_operator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operator's method whose result is a plain array."""

    def operator(self: Tensor, other: Any) -> Any:
        return function(self._data, unboxed(other)) if is_operand(other) else NotImplemented

    return operator


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that calls `function`, for an Op is not bound to a Tensor by itself."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__, method.__doc__ = function.__name__, function.__doc__
    return method


def _plain_method(name: str) -> Callable[..., Any]:
    """Return the array's own method, whose result has no gradient."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._data, name)(*map(unboxed, args), **kwargs)

    method.__name__, method.__doc__ = name, getattr(np.ndarray, name).__doc__
    return method


def _reshape(self: Tensor, *shape: Any, order: str = "C") -> Any:
    """Return the entries with another shape, given as a tuple or as several integers."""
    return reshape(self, shape[0] if len(shape) == 1 else shape, order)


def _transpose(self: Tensor, *axes: Any) -> Any:
    """Return the axes in another order, given as a tuple or as several integers."""
    return transpose(self, axes[0] if len(axes) == 1 else axes or None)


_OPERATORS = {
    "add": add,
    "matmul": matmul,
    "mod": remainder,
    "mul": multiply,
    "pow": power,
    "sub": subtract,
    "truediv": divide,
}
_UNARY = {"abs": absolute, "neg": negative, "pos": positive}
_PLAIN_OPERATORS: dict[str, Callable[..., Any]] = {
    "eq": np.equal,
    "floordiv": np.floor_divide,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "ne": np.not_equal,
    "rfloordiv": lambda x, y: np.floor_divide(y, x),
}
_METHODS: dict[str, Any] = {
    "T": property(transpose),
    "__divmod__": lambda self, other: (self // other, self % other),
    "__getitem__": getitem.call,
    "__rdivmod__": lambda self, other: (other // self, other % self),
    "flatten": _method(ravel),
    "mT": property(lambda self: swapaxes(self, -1, -2)),
    "reshape": _reshape,
    "transpose": _transpose,
}
_NAMESAKES = "astype clip copy dot max mean min prod ravel squeeze std sum swapaxes var"
_PLAIN_METHODS = (
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "nonzero",
    "round",
    "searchsorted",
)

_METHODS |= {name: _method(registry[name]) for name in _NAMESAKES.split()}
_METHODS |= {f"__{name}__": _operator(op) for name, op in _OPERATORS.items()}
_METHODS |= {f"__r{name}__": _reflected(_operator(op)) for name, op in _OPERATORS.items()}
_METHODS |= {f"__{name}__": op.call for name, op in _UNARY.items()}
_METHODS |= {f"__{name}__": _plain_operator(f) for name, f in _PLAIN_OPERATORS.items()}
_METHODS |= {name: _plain_method(name) for name in _PLAIN_METHODS}

for _name, _method_ in _METHODS.items():
    setattr(Tensor, _name, _method_)

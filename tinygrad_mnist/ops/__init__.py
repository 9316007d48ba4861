"""Every op, by NumPy's name where NumPy has one, else by PyTorch's; `registry` lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_mnist.operation import Op, unboxed
from tinygrad_mnist.operation import plain as without_derivative
from tinygrad_mnist.ops import (
    complex_numbers,
    elementwise,
    indexing,
    neural,
    products,
    reductions,
    shape,
    ufuncs,
)
from tinygrad_mnist.ops.complex_numbers import (
    angle,
    conj,
    conjugate,
    imag,
    real,
)
from tinygrad_mnist.ops.elementwise import (
    abs,
    absolute,
    acos,
    acosh,
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    clip,
    copysign,
    cos,
    cosh,
    deg2rad,
    degrees,
    divide,
    divmod,
    exp,
    exp2,
    expm1,
    fabs,
    float_power,
    fmax,
    fmin,
    fmod,
    frexp,
    hypot,
    ldexp,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    maximum,
    minimum,
    mod,
    modf,
    multiply,
    negative,
    nextafter,
    positive,
    pow,
    power,
    rad2deg,
    radians,
    reciprocal,
    remainder,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    true_divide,
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

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "broadcast_to",
    "cbrt",
    "clip",
    "concatenate",
    "conj",
    "conjugate",
    "copy",
    "copysign",
    "cos",
    "cosh",
    "cross_entropy",
    "deg2rad",
    "degrees",
    "divide",
    "divmod",
    "dot",
    "dropout",
    "einsum",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "fabs",
    "flip",
    "float_power",
    "fmax",
    "fmin",
    "fmod",
    "frexp",
    "full_like",
    "getitem",
    "hypot",
    "imag",
    "ldexp",
    "leaky_relu",
    "linear",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mod",
    "modf",
    "moveaxis",
    "mse_loss",
    "multiply",
    "negative",
    "nextafter",
    "outer",
    "positive",
    "pow",
    "power",
    "prod",
    "rad2deg",
    "radians",
    "ravel",
    "real",
    "reciprocal",
    "registry",
    "relu",
    "remainder",
    "reshape",
    "scatter",
    "set_at",
    "sigmoid",
    "sin",
    "sinh",
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
    "tan",
    "tanh",
    "transpose",
    "true_divide",
    "var",
    "where",
]

registry: dict[str, Op] = {
    op.name: op
    for family in (
        complex_numbers,
        elementwise,
        indexing,
        neural,
        products,
        reductions,
        shape,
        ufuncs,
    )
    for op in vars(family).values()
    if isinstance(op, Op)
}
without_derivative.update(FUNCTIONS)
ufuncs.install(registry.values())


# Tensor's operators and methods are installed here, so that `t * u` reaches its op directly -------

Method = Callable[..., Any]


def _guarded(function: Method) -> Method:
    """Return an operator's method, which leaves to the other operand what NumPy can't take."""
    return lambda self, other: function(self, other) if is_operand(other) else NotImplemented


def _swapped(function: Method) -> Method:
    return lambda self, other: function(other, self)


def _both_ways(name: str, function: Method) -> dict[str, Method]:
    """Return the methods of a binary operator, for a Tensor on its left and on its right."""
    return {f"__{name}__": _guarded(function), f"__r{name}__": _guarded(_swapped(function))}


def _on_arrays(function: Method) -> Method:
    """Return a function whose result is a plain array."""
    return lambda x, y: function(unboxed(x), unboxed(y))


def _method(op: Op) -> Method:
    """Return a function that calls an op, for an Op is not bound to a Tensor by itself."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return op(self, *args, **kwargs)

    method.__name__, method.__doc__ = op.name, op.__doc__
    return method


def _plain_method(name: str) -> Method:
    """Return the array's own method, whose result has no gradient."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._value, name)(*map(unboxed, args), **kwargs)

    method.__name__, method.__doc__ = name, getattr(np.ndarray, name).__doc__
    return method


def _reshape(self: Tensor, *shape: Any, order: str = "C") -> Any:
    """Return the entries with another shape, given as a tuple or as several integers."""
    return reshape(self, shape[0] if len(shape) == 1 else shape, order)


def _transpose(self: Tensor, *axes: Any) -> Any:
    """Return the axes in another order, given as a tuple or as several integers."""
    return transpose(self, axes[0] if len(axes) == 1 else axes or None)


_UFUNCS = {  # their ops look at the operands themselves
    "add": add,
    "mod": remainder,
    "mul": multiply,
    "pow": power,
    "sub": subtract,
    "truediv": divide,
}
_COMPARISONS = {
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "ne": np.not_equal,
}
_METHODS = "astype clip conjugate copy dot max mean min prod ravel squeeze std sum swapaxes var"
_PLAIN_METHODS = "all any argmax argmin argpartition argsort nonzero round searchsorted"

_installed: dict[str, Any] = {
    "T": property(transpose),
    "__abs__": absolute.call,
    "__getitem__": _method(getitem),
    "__neg__": negative.call,
    "__pos__": positive.call,
    "conj": _method(conjugate),
    "flatten": _method(ravel),
    "imag": property(imag.call),
    "mT": property(lambda self: swapaxes(self, -1, -2)),
    "real": property(real.call),
    "reshape": _reshape,
    "transpose": _transpose,
    **_both_ways("divmod", elementwise.divmod),
    **_both_ways("floordiv", _on_arrays(np.floor_divide)),
    **_both_ways("matmul", matmul.call),
    **{f"__{name}__": op.call for name, op in _UFUNCS.items()},
    **{f"__r{name}__": _swapped(op.call) for name, op in _UFUNCS.items()},
    **{f"__{name}__": _guarded(_on_arrays(f)) for name, f in _COMPARISONS.items()},
    **{name: _method(registry[name]) for name in _METHODS.split()},
    **{name: _plain_method(name) for name in _PLAIN_METHODS.split()},
}
for _name, _function in _installed.items():
    setattr(Tensor, _name, _function)

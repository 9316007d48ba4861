"""Every op, by NumPy's name where NumPy has one, else by PyTorch's; `registry` lists them.

Functions that NumPy's own name reaches as well are found by that name: `ops.tile` is `np.tile`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_mnist.graph import unboxed
from tinygrad_mnist.operation import Op
from tinygrad_mnist.ops import (
    choices,
    complex_numbers,
    composing,
    contractions,
    creation,
    decompositions,
    diagonals,
    elementwise,
    emath,
    fft,
    functional,
    indexing,
    integrals,
    joining,
    least_squares,
    linalg,
    nanreductions,
    neural,
    norms,
    padding,
    polynomial,
    products,
    quantiles,
    reductions,
    scans,
    shape,
    sorting,
    statistics,
    ufuncs,
)
from tinygrad_mnist.ops.choices import (
    choose,
    interp,
    nan_to_num,
    piecewise,
    real_if_close,
    select,
)
from tinygrad_mnist.ops.complex_numbers import (
    angle,
    conj,
    conjugate,
    imag,
    real,
)
from tinygrad_mnist.ops.composing import numpys_own
from tinygrad_mnist.ops.contractions import (
    einsum,
)
from tinygrad_mnist.ops.creation import (
    array,
    c_,
    full,
    full_like,
    geomspace,
    r_,
)
from tinygrad_mnist.ops.diagonals import (
    diagflat,
    diagonal,
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
from tinygrad_mnist.ops.functional import (
    apply_along_axis,
    apply_over_axes,
    vectorize,
)
from tinygrad_mnist.ops.indexing import (
    getitem,
    scatter,
    set_at,
    sliding_window_view,
    take_along_axis,
)
from tinygrad_mnist.ops.integrals import (
    i0,
    sinc,
)
from tinygrad_mnist.ops.joining import (
    array_split,
    concatenate,
    split,
    stack,
)
from tinygrad_mnist.ops.nanreductions import (
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
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
from tinygrad_mnist.ops.padding import pad_with_constants
from tinygrad_mnist.ops.plain import FUNCTIONS, REFUSED
from tinygrad_mnist.ops.polynomial import (
    roots,
    vander,
)
from tinygrad_mnist.ops.products import (
    convolve,
    correlate,
    dot,
    matmul,
    matvec,
    outer,
    vdot,
    vecmat,
)
from tinygrad_mnist.ops.quantiles import (
    median,
    nanmedian,
    nanpercentile,
    nanquantile,
    percentile,
    quantile,
)
from tinygrad_mnist.ops.reductions import (
    amax,
    amin,
    max,
    mean,
    min,
    prod,
    ptp,
    std,
    sum,
    var,
)
from tinygrad_mnist.ops.scans import (
    cumprod,
    cumsum,
    cumulative_prod,
    cumulative_sum,
    diff,
    ediff1d,
    gradient,
    nancumprod,
    nancumsum,
    trapezoid,
    unwrap,
)
from tinygrad_mnist.ops.shape import (
    astype,
    broadcast_to,
    copy,
    expand_dims,
    flip,
    moveaxis,
    repeat,
    reshape_in_any_order,
    roll,
    squeeze,
    swapaxes,
    transpose,
)
from tinygrad_mnist.ops.sorting import (
    intersect1d,
    partition,
    setdiff1d,
    setxor1d,
    sort,
    sort_complex,
    union1d,
    unique,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
)
from tinygrad_mnist.ops.statistics import (
    average,
    bincount,
    corrcoef,
    cov,
    histogram,
    histogram2d,
    histogram_bin_edges,
    histogramdd,
)
from tinygrad_mnist.protocols import overrides, refused
from tinygrad_mnist.protocols import plain as without_derivative
from tinygrad_mnist.recording import is_operand
from tinygrad_mnist.tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "amax",
    "amin",
    "angle",
    "apply_along_axis",
    "apply_over_axes",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "array",
    "array_split",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "average",
    "bincount",
    "broadcast_to",
    "c_",
    "cbrt",
    "choose",
    "clip",
    "concatenate",
    "conj",
    "conjugate",
    "convolve",
    "copy",
    "copysign",
    "corrcoef",
    "correlate",
    "cos",
    "cosh",
    "cov",
    "cross_entropy",
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "deg2rad",
    "degrees",
    "diagflat",
    "diagonal",
    "diff",
    "divide",
    "divmod",
    "dot",
    "dropout",
    "ediff1d",
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
    "full",
    "full_like",
    "geomspace",
    "getitem",
    "gradient",
    "histogram",
    "histogram2d",
    "histogram_bin_edges",
    "histogramdd",
    "hypot",
    "i0",
    "imag",
    "interp",
    "intersect1d",
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
    "matvec",
    "max",
    "maximum",
    "mean",
    "median",
    "min",
    "minimum",
    "mod",
    "modf",
    "moveaxis",
    "mse_loss",
    "multiply",
    "nan_to_num",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "negative",
    "nextafter",
    "outer",
    "pad_with_constants",
    "partition",
    "percentile",
    "piecewise",
    "positive",
    "pow",
    "power",
    "prod",
    "ptp",
    "quantile",
    "r_",
    "rad2deg",
    "radians",
    "real",
    "real_if_close",
    "reciprocal",
    "registry",
    "relu",
    "remainder",
    "repeat",
    "roll",
    "roots",
    "scatter",
    "select",
    "set_at",
    "setdiff1d",
    "setxor1d",
    "sigmoid",
    "sin",
    "sinc",
    "sinh",
    "sliding_window_view",
    "softmax",
    "softplus",
    "sort",
    "sort_complex",
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
    "trapezoid",
    "true_divide",
    "union1d",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unwrap",
    "vander",
    "var",
    "vdot",
    "vecmat",
    "vectorize",
    "where",
]

registry: dict[str, Op] = {
    op.name: op
    for family in (
        choices,
        complex_numbers,
        composing,
        contractions,
        creation,
        decompositions,
        diagonals,
        elementwise,
        emath,
        fft,
        functional,
        indexing,
        integrals,
        joining,
        least_squares,
        linalg,
        nanreductions,
        neural,
        norms,
        padding,
        polynomial,
        products,
        quantiles,
        reductions,
        scans,
        shape,
        sorting,
        statistics,
        ufuncs,
    )
    for op in vars(family).values()
    if isinstance(op, Op)
}


def __getattr__(name: str) -> Callable[..., Any]:
    return numpys_own(np, name)


def __dir__() -> list[str]:
    functions = {name: getattr(np, name) for name in dir(np)}
    return sorted(
        {*globals(), *(n for n, f in functions.items() if callable(f) and f in overrides)}
    )


without_derivative.update(FUNCTIONS)
refused.update(REFUSED)
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
        if "out" in kwargs or len(args) >= op.positional:  # NumPy's function knows of `out`
            return getattr(np, op.name)(self, *args, **kwargs)
        return op(self, *args, **kwargs)

    method.__name__, method.__doc__ = op.name, op.__doc__
    return method


def _numpys(function: Method) -> Method:
    """Return a method that is NumPy's function, which arrives here again."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__, method.__doc__ = function.__name__, function.__doc__
    return method


def _plain_method(name: str) -> Method:
    """Return the array's own method, whose result has no gradient."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._value, name)(*map(unboxed, args), **kwargs)

    method.__name__, method.__doc__ = name, getattr(np.ndarray, name).__doc__
    return method


def _astype(
    self: Tensor,
    dtype: Any,
    order: Any = "K",  # noqa: ARG001 - where numbers lie in memory, and of what class, change none
    casting: Any = "unsafe",
    subok: bool = True,  # noqa: ARG001
    copy: bool = True,
) -> Any:
    """Return the entries with another dtype; integers and booleans have no gradient."""
    if not np.can_cast(self.dtype, dtype, casting):
        to = np.dtype(dtype)
        raise TypeError(f"astype from {self.dtype} to {to} is no {casting!r} casting")
    return astype(self, dtype, copy)


def _reshape(self: Tensor, *shape: Any, order: str = "C") -> Any:
    """Return the entries with another shape, given as a tuple or as several integers."""
    return reshape_in_any_order(self, shape[0] if len(shape) == 1 else shape, order)


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
_METHODS = (
    "clip conjugate copy cumprod cumsum diagonal dot max mean min prod repeat squeeze std "
    "sum swapaxes var"
)
_PLAIN_METHODS = "all any argmax argmin argpartition argsort nonzero round searchsorted"

_installed: dict[str, Any] = {
    "T": property(transpose),
    "__abs__": absolute.call,
    "__getitem__": _method(getitem),
    "__neg__": negative.call,
    "__pos__": positive.call,
    "astype": _astype,
    "compress": lambda self, condition, *args, **kw: np.compress(condition, self, *args, **kw),
    "conj": _method(conjugate),
    "flatten": shape.ravel_in_any_order,
    "imag": property(imag.call),
    "mT": property(lambda self: swapaxes(self, -1, -2)),
    "ravel": shape.ravel_in_any_order,
    "real": property(real.call),
    "reshape": _reshape,
    "take": _numpys(np.take),
    "trace": _numpys(np.trace),
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

"""Arrays of numbers with sixty digits, which NumPy's functions compute with mpmath.

They are arrays of objects whose functions are looked up here, for NumPy asks each object for a
method of the function's name, which mpmath's numbers do not have.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    from collections.abc import Callable

DIGITS = 60


class ExactArray(np.ndarray[Any, Any]):
    """An array of mpmath's numbers; what NumPy's functions make of it is one too."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        plain = [_plain(a) for a in args]
        function = _functions().get(ufunc.__name__)
        target = ufunc if function is None else np.frompyfunc(function, ufunc.nin, 1)
        if method == "reduce" and "where" in kwargs and ufunc.identity is not None:
            kwargs.setdefault("initial", ufunc.identity)  # arrays of objects have none
        applied = target if method == "__call__" else getattr(target, method)
        result = applied(*plain, **kwargs)
        if ufunc.__name__ in _TESTS:
            return np.asarray(result, dtype=bool)[()]
        if out is not None:
            out[0][...] = result
            return out[0]
        if isinstance(result, (int, float)):  # where one of several constants was chosen
            result = load_mpmath().mpf(result)
        return _wrapped(result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in _REPLACED:
            return _wrapped(_REPLACED[function](*args, **kwargs))
        args, kwargs = _without_tensors(args), _without_tensors(kwargs)
        kinds = tuple(t for t in types if not issubclass(t, Tensor))
        return _wrapped(super().__array_function__(function, kinds, args, kwargs))

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the numbers as they are: floating point of another precision loses no digits."""
        if np.dtype(dtype).kind == "f":
            return self.copy()
        return super().astype(dtype, *args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(super().__getitem__(index))


def exact(array: Any) -> ExactArray:
    """Return the very numbers of an array, with room for sixty digits."""
    number = load_mpmath().mpf
    entries = np.frompyfunc(lambda entry: number(float(entry)), 1, 1)(np.asarray(array))
    return np.asarray(entries, dtype=object).view(ExactArray)


def is_exact(array: Any) -> bool:
    """Return whether an array has kept all digits, as far as its type tells."""
    return isinstance(array, ExactArray) and array.dtype == object


def _wrapped(result: Any) -> Any:
    """Return a result as an exact array, if it is of mpmath's numbers."""
    if isinstance(result, (tuple, list)):
        parts = [_wrapped(part) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    if isinstance(result, np.ndarray):
        return result.view(ExactArray) if result.dtype == object else result.view(np.ndarray)
    if isinstance(result, load_mpmath().mpf):
        return np.asarray(result, dtype=object).view(ExactArray)
    return result


def _plain(value: Any) -> Any:
    """Return an operand without its class: an array of objects, or what it was."""
    value = raw(value)
    return value.view(np.ndarray) if isinstance(value, ExactArray) else value


def _without_tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value._value
    if type(value) in (tuple, list):
        return type(value)([_without_tensors(v) for v in value])
    if type(value) is dict:
        return {k: _without_tensors(v) for k, v in value.items()}
    return value


# Functions ----------------------------------------------------------------------------------------

_TESTS = {"isfinite", "isinf", "isnan", "signbit", "logical_not", "logical_and", "logical_or"}


def load_mpmath() -> Any:
    """Return the package, or say where it comes from."""
    try:
        import mpmath
    except ImportError:
        raise ImportError(
            'oracle="mpmath" needs the package mpmath: pip install mpmath, or the extra '
            "tinygrad_mnist[check]"
        ) from None
    return mpmath


@functools.cache
def _functions() -> dict[str, Callable[..., Any]]:
    """Return mpmath's function for each ufunc by its name, of NumPy and of SciPy."""
    mp = load_mpmath()

    def real(x: Any) -> Any:
        if isinstance(x, mp.mpc):
            raise ValueError("a real function left its domain")  # noqa: TRY004 - as floats do
        return x

    def within(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: real(function(*args))

    def sign(x: Any) -> Any:
        return x if mp.isnan(x) else mp.mpf(mp.sign(x))

    same = (
        "sin cos tan sinh cosh tanh exp expm1 log1p log10 sqrt floor ceil hypot power erf erfc "
        "erfi gamma loggamma digamma beta sinc degrees radians"
    )
    named = {name: within(getattr(mp, name)) for name in same.split()}
    other = {
        "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
        "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "absolute": "fabs",
        "fabs": "fabs", "deg2rad": "radians", "rad2deg": "degrees", "float_power": "power",
        "log": "ln", "gammaln": "loggamma", "psi": "digamma", "rint": "nint",
    }  # fmt: skip
    named |= {ours: within(getattr(mp, theirs)) for ours, theirs in other.items()}
    return named | {
        "cbrt": lambda x: sign(x) * mp.cbrt(mp.fabs(x)),
        "conjugate": lambda x: x,
        "copysign": lambda x, y: mp.fabs(x) * math.copysign(1, y),
        "exp2": lambda x: mp.power(2, x),
        "expit": lambda x: 1 / (1 + mp.exp(-x)),
        "floor_divide": lambda x, y: mp.floor(mp.mpf(x) / y),
        "fmod": lambda x, y: x - y * _towards_zero(mp, mp.mpf(x) / y),
        "heaviside": lambda x, y: y if x == 0 else mp.mpf(x > 0),
        "isfinite": mp.isfinite,
        "isinf": mp.isinf,
        "isnan": mp.isnan,
        "log2": lambda x: real(mp.log(x, 2)),
        "log_ndtr": lambda x: mp.log(mp.ncdf(x)),
        "logaddexp": lambda x, y: max(x, y) + mp.log1p(mp.exp(-mp.fabs(x - y))),
        "logaddexp2": lambda x, y: mp.log(mp.power(2, x) + mp.power(2, y), 2),
        "logit": lambda x: real(mp.log(x / (1 - x))),
        "ndtr": mp.ncdf,
        "remainder": lambda x, y: x - y * mp.floor(mp.mpf(x) / y),
        "sign": sign,
        "signbit": lambda x: x < 0,
        "square": lambda x: x * x,
        "trunc": lambda x: _towards_zero(mp, x),
        "true_divide": lambda x, y: mp.mpf(x) / y,
        "divide": lambda x, y: mp.mpf(x) / y,
    }


def _towards_zero(mp: Any, x: Any) -> Any:
    return mp.floor(x) if x >= 0 else mp.ceil(x)


def _is_infinite(sign: int) -> Callable[[Any], Any]:
    return lambda x: np.logical_and(np.isinf(x), np.sign(x) == sign)


_REPLACED: dict[Any, Callable[..., Any]] = {  # what NumPy looks up in a table of its floats
    np.isposinf: _is_infinite(1),
    np.isneginf: _is_infinite(-1),
    np.nan_to_num: lambda x, **_: x,
}

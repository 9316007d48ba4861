"""Tensor: an array and the node that made it, with NumPy's operators, methods and protocols."""

from __future__ import annotations

import inspect
import math
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tinygrad_mnist.graph import Array, Box, Leaf, read_only
from tinygrad_mnist.operation import overrides, plain, refused
from tinygrad_mnist.recording import results_are

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Axis = int | Sequence[int] | None
    Plain = np.ndarray[Any, Any]


@results_are
class Tensor(Box):
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        Numbers of any shape. An ndarray is shared, not copied.
    requires_grad : bool, optional
        Whether `backward` shall leave a gradient in `grad`. Floating-point data only.
    name : str, optional
        What drawings call it.

    Raises
    ------
    TypeError
        If `data` holds anything but numbers, or integers or complex numbers with `requires_grad`.

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> w.grad
    array([2., 4.])
    """

    __slots__ = ("__weakref__", "_name")
    _name: str | None

    def __init__(self, data: Any, requires_grad: bool = False, name: str | None = None) -> None:
        self._value = as_array(data)
        self._node = None
        self._name = name
        if requires_grad:
            self.requires_grad = True

    # The array and what is known of it

    @property
    def data(self) -> Plain:
        """The array: a leaf's own, to read and to assign; of a result, a read-only view.

        While a graph saves it a leaf's array is read-only too, until `backward` frees the graph.
        """
        if self._node is None or self._node.plan is None:
            self._value = as_array(self._value)  # a 0-d result may be NumPy's scalar
            return self._value  # type: ignore[no-any-return]
        return read_only(as_array(self._value))  # type: ignore[no-any-return]

    @data.setter
    def data(self, value: Any) -> None:
        leaf = self._node
        if leaf is not None and leaf.plan is not None:
            raise AttributeError(
                "data of the result of an operation can't be assigned: it is computed from its "
                "inputs; use .detach() for a Tensor of its own"
            )
        data = as_array(value)
        if leaf is not None:
            if data.shape != leaf.shape:
                raise ValueError(
                    f"data of a Tensor that requires a gradient has shape {leaf.shape} and can't "
                    f"take one of shape {data.shape}: make a new Tensor"
                )
            leaf.dtype = _check_dtype(data).dtype
            if leaf.grad is not None:
                leaf.grad = leaf.grad.astype(leaf.dtype, copy=False)
        self._value = data

    @property
    def grad(self) -> Plain | None:
        """The gradient that `backward` left, of the same shape and dtype, or None."""
        if self._node is None:
            return None
        if self._node.plan is not None:
            raise AttributeError(
                "this Tensor is the result of an operation, and backward keeps gradients for "
                "leaves alone; use grad(f), or map_gradient(t, f) to look at the gradient as it "
                "passes"
            )
        return cast("Plain | None", self._node.grad)

    @grad.setter
    def grad(self, value: Any) -> None:
        if self._node is None or self._node.plan is not None:
            raise AttributeError("only a leaf with requires_grad=True has a gradient to assign")
        if value is not None:
            value = as_array(value)
            if value.shape != self.shape:
                raise ValueError(f"grad has shape {value.shape}, its Tensor {self.shape}")
            if value.dtype != self.dtype:
                value = value.astype(self.dtype)
        self._node.grad = value
        self._node.used = False

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is tracked. May be assigned on a leaf, to freeze and unfreeze it."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not self.is_leaf:
            raise AttributeError("only a leaf's requires_grad can be assigned; use .detach()")
        if not value:
            self._node = None
        elif self._node is None:
            self._value = _check_dtype(as_array(self._value))
            self._node = Leaf(self._value, self.name)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not by an operation that is recorded."""
        return self._node is None or self._node.plan is None

    @property
    def name(self) -> str | None:
        """What drawings call it."""
        return getattr(self, "_name", None)

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value
        if self._node is not None and self._node.plan is None:
            self._node.name = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._value.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""
        return self._value.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._value.size  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        """Bytes of one entry."""
        return self._value.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return self._value.nbytes  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """Return an untracked Tensor of the same array: a constant to whatever comes next."""
        return Tensor(self.data, name=self.name)

    def item(self, *args: Any) -> Any:
        """Return one entry as a Python number."""
        return self._value.item(*args)

    def tolist(self) -> Any:
        """Return nested lists of Python numbers."""
        return self._value.tolist()

    # Python's protocols

    def __repr__(self) -> str:
        data = self._value
        array = isinstance(data, (np.ndarray, np.generic))
        body = (
            np.array2string(np.asarray(data), separator=", ", prefix="Tensor(") if array else data
        )
        shape = f", shape={self.shape}" if not self.size and self.ndim != 1 else ""
        dtype = "" if self.dtype == np.float64 else f", dtype={self.dtype}"
        tracked = ", requires_grad=True" if self._node is not None else ""
        return f"Tensor({body}{shape}{dtype}{tracked})"

    def _repr_html_(self) -> str | None:
        from tinygrad_mnist import notebook  # where a notebook asks for it

        return notebook.tensor(self)

    def __format__(self, spec: str) -> str:
        return format(self._value.item() if self.ndim == 0 else self._value, spec)

    def __hash__(self) -> int:
        return id(self)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d Tensor")
        return len(self._value)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d Tensor")
        return (self[k] for k in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __complex__(self) -> complex:
        return complex(self._value)

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"a Tensor of {self.dtype} is no integer, so it can't be an index")
        return self._value.__index__()  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor is a value and can't be changed in place: use t = ops.set_at(t, index, "
            "value), np.where(mask, value, t), or write to .data of a leaf"
        )

    def __copy__(self) -> Tensor:
        return Tensor(self._value.copy(), self.is_leaf and self.requires_grad, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        tracked = self.is_leaf and self.requires_grad
        return Tensor, (self._value.copy(), tracked, self.name)

    # Operators and methods are ops: `ops/__init__.py` installs them, and these are their types.
    if TYPE_CHECKING:
        T: Tensor
        imag: Tensor
        mT: Tensor
        real: Tensor

        def backward(self, cotangent: Any = None, retain_graph: bool = False) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Plain: ...
        def __rfloordiv__(self, other: Any) -> Plain: ...
        def __divmod__(self, other: Any) -> tuple[Plain, Tensor]: ...
        def __rdivmod__(self, other: Any) -> tuple[Plain, Tensor]: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __eq__(self, other: object) -> Plain: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Plain: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Plain: ...
        def __le__(self, other: Any) -> Plain: ...
        def __gt__(self, other: Any) -> Plain: ...
        def __ge__(self, other: Any) -> Plain: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def all(self, axis: Axis = None, *, keepdims: bool = False) -> Plain: ...
        def any(self, axis: Axis = None, *, keepdims: bool = False) -> Plain: ...
        def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Plain: ...
        def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Plain: ...
        def argsort(self, axis: int | None = -1) -> Plain: ...
        def astype(self, dtype: Any) -> Tensor: ...
        def clip(self, min: Any = None, max: Any = None) -> Tensor: ...  # noqa: A002
        def conj(self) -> Tensor: ...
        def conjugate(self) -> Tensor: ...
        def copy(self) -> Tensor: ...
        def cumprod(self, axis: int | None = None) -> Tensor: ...
        def cumsum(self, axis: int | None = None) -> Tensor: ...
        def dot(self, b: Any) -> Tensor: ...
        def flatten(self, order: str = "C") -> Tensor: ...
        def max(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def nonzero(self) -> tuple[Plain, ...]: ...
        def prod(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def ravel(self, order: str = "C") -> Tensor: ...
        def reshape(self, *shape: Any, order: str = "C") -> Tensor: ...
        def round(self, decimals: int = 0) -> Plain: ...
        def squeeze(self, axis: Axis = None) -> Tensor: ...
        def std(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor: ...
        def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor: ...
        def swapaxes(self, axis1: int, axis2: int) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...
        def var(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor: ...

    # NumPy's protocols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Plain:
        if self._node is not None:
            raise TypeError(
                "a tracked Tensor can't become a plain array, for its history would be lost: use "
                ".data for the array, .detach() for a constant, np.stack to join several"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise _read_only_out(f"np.{ufunc.__name__}", " (nor can array += tensor)")
        if method == "at":
            raise TypeError(
                f"np.{ufunc.__name__}.at writes in place, and a Tensor is a value: use t + "
                "ops.scatter(values, index, t.shape) to add, ops.set_at(t, index, values) to set"
            )
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        op = overrides.get(function)
        if op is not None:
            return op(*args, **kwargs)
        if ufunc in plain:
            return function(*_plain(args), **_plain(kwargs))
        called = f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
        raise _unsupported(called, function)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        if "out" in kwargs or len(args) > _place_of_out(function):
            args, kwargs = _without_out(function, args, kwargs)
        op = overrides.get(function)
        if op is not None:
            return op(*args, **kwargs)
        if function in plain:
            return function(*_plain(args), **_plain(kwargs))
        raise _unsupported(_numpy_name(function), function)


def raw(value: Any) -> Any:
    """Return the array of a Tensor, anything else as it is."""
    return value._value if isinstance(value, Tensor) else value


def as_array(data: Any) -> Array:
    """Return `data` as an array of numbers; another library's array stays what it is."""
    if isinstance(data, Tensor):
        if data._node is not None:
            raise TypeError(
                "a Tensor made of a tracked one would lose its history: use t itself, or "
                "t.detach() for a constant"
            )
        return data.data
    if not isinstance(data, np.ndarray):
        if hasattr(data, "__array_ufunc__") and not isinstance(data, np.generic):
            return data
        data = np.asarray(data)
    if data.dtype.kind not in "biufc":
        raise TypeError(f"a Tensor holds numbers; got data of dtype {data.dtype}")
    return data


def _check_dtype(data: Array) -> Array:
    if data.dtype.kind != "f":
        parts = "; of complex numbers, track the parts of z = x + 1j * y"
        raise TypeError(
            f"only floating-point numbers can require a gradient; got {data.dtype}: write 3.0 for "
            f"3, or use .astype(float){parts if data.dtype.kind == 'c' else ''}"
        )
    return data


def _plain(value: Any) -> Any:
    """Return nested arguments with the arrays of their Tensors in their places."""
    if isinstance(value, Tensor):
        return value.data
    if type(value) in (tuple, list):
        return type(value)([_plain(v) for v in value])
    if type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    return value


def _numpy_name(function: Callable[..., Any]) -> str:
    """Return a function's name as users write it: np.sum, np.linalg.norm."""
    module = function.__module__.removeprefix("numpy").strip(".")
    return f"np.{module}.{function.__name__}" if module else f"np.{function.__name__}"


@cache
def _parameters(function: Callable[..., Any]) -> list[str]:
    """Return the names of what a NumPy function takes by position, if it can say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # it is in C
        return []
    return [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]


@cache
def _place_of_out(function: Callable[..., Any]) -> float:
    """Return how many arguments stand before `out` in a NumPy function."""
    names = _parameters(function)
    return names.index("out") if "out" in names else math.inf


def _without_out(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments without `out`, which is refused; what stood behind it goes by its name."""
    place = int(min(_place_of_out(function), len(args)))
    kwargs = {**kwargs, **dict(zip(_parameters(function)[place:], args[place:], strict=False))}
    if kwargs.pop("out", None) is not None:
        raise _read_only_out(_numpy_name(function))
    return args[:place], kwargs


def _read_only_out(name: str, more: str = "") -> TypeError:
    return TypeError(
        f"{name} can't write a Tensor's result into out={more}: write result = "
        f"{'array + tensor' if more else name + '(...)'}"
    )


def _unsupported(name: str, function: Callable[..., Any]) -> TypeError:
    why = refused.get(
        function,
        "has no gradient rule: give it one with @op and .defvjp, or pass t.data, the plain array, "
        "where no gradient is needed",
    )
    return TypeError(f"{name} {why}")

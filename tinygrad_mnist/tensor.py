"""Tensor: an array and the node that made it, which behaves as NumPy's users expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tinygrad_mnist.graph import Array, Leaf, read_only
from tinygrad_mnist.methods import Methods
from tinygrad_mnist.protocols import array_function, array_ufunc
from tinygrad_mnist.recording import results_are

if TYPE_CHECKING:
    Plain = np.ndarray[Any, Any]


@results_are
class Tensor(Methods):
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

    def detach(self) -> Tensor:
        """Return an untracked Tensor of the same array: a constant to whatever comes next."""
        return Tensor(self.data, name=self.name)

    # Changing and copying

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

    # NumPy's protocols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Plain:
        if self._node is not None:
            raise TypeError(
                "a tracked Tensor can't become a plain array, for its history would be lost: use "
                ".data for the array, .detach() for a constant, np.stack to join several"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    __array_ufunc__ = array_ufunc
    __array_function__ = array_function


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

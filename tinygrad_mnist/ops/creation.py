"""New arrays made of Tensors: of nested lists, of one value, of steps between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import Box
from tinygrad_mnist.operation import op
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Array

# What NumPy does not ask a Tensor about, so it is called as ops.array and ops.full ---------------


def array(
    object: Any,  # noqa: A002 - NumPy's name
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    ndmin: int = 0,
) -> Any:
    """Return nested lists of Tensors, arrays and numbers as one Tensor, tracked if one of them is.

    ``np.array`` of a Tensor raises, for NumPy gives no other library a say in it.

    Parameters
    ----------
    object : array_like
        Tensors, arrays, numbers, or nested lists and tuples of them, of shapes that fit together.
    dtype : dtype, optional
    copy, order, ndmin
        As in ``np.array``.

    Returns
    -------
    Tensor, or array if there is no Tensor inside

    Raises
    ------
    ValueError
        If the parts of a list differ in shape.

    Examples
    --------
    >>> t = Tensor(3.0, requires_grad=True)
    >>> array([[t, 1.0], [2.0, t * t]])
    Tensor([[3., 1.],
            [2., 9.]], requires_grad=True)
    """
    if not _holds_box(object):
        return np.array(object, dtype, copy=copy, order=order, ndmin=ndmin)
    result = _joined(object)
    if dtype is not None:
        result = result.astype(dtype)
    if result is object and copy:
        result = np.copy(result, order)
    return np.reshape(result, (*[1] * (ndmin - result.ndim), *result.shape))


def _holds_box(nested: Any) -> bool:
    several = isinstance(nested, (list, tuple))
    return any(map(_holds_box, nested)) if several else isinstance(nested, Box)


def _joined(nested: Any) -> Any:
    """Return nested lists as one Tensor, or array where there is no Tensor in them."""
    if isinstance(nested, Box) or not _holds_box(nested):
        return nested if hasattr(nested, "dtype") else np.asarray(nested)
    return np.stack([_joined(part) for part in nested])


def full(shape: int | tuple[int, ...], fill_value: Any, dtype: Any = None, order: Any = "C") -> Any:
    """Return `fill_value`, which may be a Tensor, repeated to a shape.

    ``np.full`` of a Tensor raises, for NumPy gives no other library a say in it.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : array_like
        Anything that broadcasts to the shape; nested lists of Tensors too.
    dtype : dtype, optional
        By default that of `fill_value`.
    order : {"C", "F"}, optional

    Returns
    -------
    Tensor, or array if there is no Tensor inside

    Examples
    --------
    >>> full((2, 2), Tensor(3.0, requires_grad=True))
    Tensor([[3., 3.],
            [3., 3.]], requires_grad=True)
    """
    value = _joined(fill_value)
    if not isinstance(value, Box):
        return np.full(shape, value, dtype, order)
    return full_like(np.empty((), dtype or value.dtype), value, shape=shape)  # type: ignore[attr-defined]


class _Joiner:
    """What ``np.r_`` and ``np.c_`` make of Tensors too, which NumPy does not let through there.

    Entries, or arrays, in square brackets are joined along the first axis, by ``c_`` the last;
    a slice stands for the numbers of a range, ``0:t:5j`` for 5 in equal steps; text for directives.

    Examples
    --------
    >>> t = Tensor([1.0, 2.0], requires_grad=True)
    >>> r_[t, 0.0, 1:3]
    Tensor([1., 2., 0., 1., 2.], requires_grad=True)
    >>> c_[t, t * t]
    Tensor([[1., 1.],
            [2., 4.]], requires_grad=True)
    """

    def __init__(self, numpys: Any) -> None:
        self._numpys = numpys

    def __getitem__(self, key: Any) -> Any:
        entries = key if isinstance(key, tuple) else (key,)
        if not any(map(_holds_box, entries)) and not any(map(_is_tracked_range, entries)):
            return self._numpys[key]
        pieces = [_piece(entry) for entry in entries if not isinstance(entry, str)]
        ends = np.cumsum([np.size(piece) for piece in pieces])
        numbers = [
            np.arange(end - np.size(piece), end).reshape(np.shape(piece))
            for piece, end in zip(pieces, ends, strict=True)
        ]
        numbered = iter(numbers)  # NumPy joins the numbers, which say where each entry goes
        places = self._numpys[tuple(e if isinstance(e, str) else next(numbered) for e in entries)]
        dtype = np.result_type(*(getattr(piece, "dtype", piece) for piece in pieces))
        flat = np.concatenate([np.ravel(piece) for piece in pieces], dtype=dtype)
        return flat[np.asarray(places)]


def _is_tracked_range(entry: Any) -> bool:
    return isinstance(entry, slice) and _holds_box([entry.start, entry.stop])


def _piece(entry: Any) -> Any:
    """Return an entry in square brackets as an array, or as a number of Python's."""
    if not isinstance(entry, slice):
        return _joined(entry) if isinstance(entry, (list, tuple)) else entry
    if isinstance(entry.step, complex):
        return np.linspace(entry.start or 0, entry.stop, int(abs(entry.step)))
    return np.r_[entry]


r_, c_ = _Joiner(np.r_), _Joiner(np.c_)


@op(cases=({"a": np.zeros((2, 3)), "shapes": "()"},), implements=(np.full_like,))
def full_like(
    a: Array, fill_value: Array, dtype: Any = None, *, shape: int | tuple[int, ...] | None = None
) -> Array:
    """Return `fill_value`, repeated to the shape of `a` (or `shape`), with the dtype of `a`."""
    return np.full_like(a, fill_value, dtype, shape=shape)


full_like.defvjp(a=None, fill_value=lambda g: g)

# Steps from one value to another ----------------------------------------------------------------


def _share(g: Any, weights: Any, axis: int) -> Any:
    """Return the weighted sum of `g` along an axis."""
    return np.tensordot(g, weights.astype(g.dtype), (axis, 0))


def _steps(num: int, endpoint: bool) -> Any:
    """Return how much of `stop` is in each step."""
    return np.arange(num) / max(num - 1 if endpoint else num, 1)


_STEPS: tuple[dict[str, Any], ...] = (
    {"num": 4},
    {"num": 3, "endpoint": False},
    {"num": 3, "axis": -1, "shapes": "(n),(n)"},
    {"num": 1, "shapes": "(),()"},
)


@op(cases=_STEPS)
def linspace(
    start: Array,
    stop: Array,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Array:
    """Return `num` values in equal steps from `start` to `stop`, along a new axis."""
    return np.linspace(start, stop, num, endpoint, dtype=dtype, axis=axis)


linspace.defvjp(
    start=lambda g, num, endpoint, axis: _share(g, 1 - _steps(num, endpoint), axis),
    stop=lambda g, num, endpoint, axis: _share(g, _steps(num, endpoint), axis),
)


@implements(np.linspace)
def linspace_and_step(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,  # noqa: ARG001 - NumPy knows one
) -> Any:
    """Return `linspace`, and with `retstep` also how far it is from one value to the next."""
    values = linspace(start, stop, num, endpoint, dtype, axis)
    if not retstep:
        return values
    intervals = num - 1 if endpoint else num
    return values, (np.subtract(stop, start) / intervals if intervals > 0 else np.nan)


@implements(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return powers of `base`, with exponents in equal steps from `start` to `stop`."""
    if np.ndim(base):
        ndim = max(map(np.ndim, (start, stop, base)))
        start, stop, base = (
            np.reshape(a, (*[1] * (ndim - np.ndim(a)), *np.shape(a))) for a in (start, stop, base)
        )
        base = np.expand_dims(base, axis)
    powers = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return powers if dtype is None else powers.astype(dtype)


@op(
    cases=(
        *({"domain": {"start": (0, np.inf), "stop": (0, np.inf)}, **case} for case in _STEPS),
        {"num": 4, "domain": {"start": (-np.inf, 0), "stop": (-np.inf, 0)}},
    ),
    implements=(np.geomspace,),
)
def geomspace(
    start: Array,
    stop: Array,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Array:
    """Return `num` values from `start` to `stop`, each by the same factor from the one before."""
    return np.geomspace(start, stop, num, endpoint, dtype, axis)


geomspace.defvjp(
    start=lambda g, out, start, num, endpoint, axis: (
        _share(g * out, 1 - _steps(num, endpoint), axis) / start
    ),
    stop=lambda g, out, stop, num, endpoint, axis: (
        _share(g * out, _steps(num, endpoint), axis) / stop
    ),
)

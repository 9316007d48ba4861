"""Fourier transforms: linear maps, whose transposes are transforms again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_mnist.operation import op
from tinygrad_mnist.ops.composing import numpys_own
from tinygrad_mnist.ops.indexing import along
from tinygrad_mnist.protocols import implements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinygrad_mnist.graph import Array

    Norm = str | None


def _fitted(g: Any, a_shape: tuple[int, ...], axis: int) -> Any:
    """Return `g` cut to an axis's length, or with zeros behind it."""
    n, missing = a_shape[axis], a_shape[axis] - g.shape[axis]
    if missing < 0:
        return g[along(axis, g.ndim, slice(n))]
    if missing == 0:
        return g
    shape = (*g.shape[: axis % g.ndim], missing, *g.shape[axis % g.ndim + 1 :])
    return np.concatenate([g, np.zeros_like(g, shape=shape)], axis)


_CASES: tuple[dict[str, Any], ...] = (
    {"shapes": "(5)"},
    {"shapes": "(n,4)", "norm": "ortho"},
    {"n": 3, "shapes": "(…,5)", "norm": "forward"},
    {"n": 6, "axis": 0, "shapes": "(4,n)"},
)

# One axis of complex numbers ----------------------------------------------------------------------


@op(cases=_CASES, implements=(np.fft.fft,))
def fft(a: Array, n: int | None = None, axis: int = -1, norm: Any = None) -> Array:
    """Return the discrete Fourier transform along an axis, of its first `n` entries."""
    return np.fft.fft(a, n, axis, norm)


fft.defvjp(a=lambda g, a_shape, axis, norm: _fitted(fft(g, None, axis, norm), a_shape, axis))


@op(cases=_CASES, implements=(np.fft.ifft,))
def ifft(a: Array, n: int | None = None, axis: int = -1, norm: Any = None) -> Array:
    """Return the inverse discrete Fourier transform along an axis, of its first `n` entries."""
    return np.fft.ifft(a, n, axis, norm)


ifft.defvjp(a=lambda g, a_shape, axis, norm: _fitted(ifft(g, None, axis, norm), a_shape, axis))

# One axis of real numbers, of whose spectrum a half says all --------------------------------------

_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _stands_for_two(n: int, axis: int, ndim: int) -> Any:
    """Return which entries of half a spectrum stand for their mirror image too."""
    k = np.arange(n // 2 + 1)
    both = (k > 0) & (2 * k != n)
    return both.reshape([-1 if j == axis % ndim else 1 for j in range(ndim)])


def _rfft_rule(g: Any, a_shape: tuple[int, ...], n: int | None, axis: int, norm: Norm) -> Any:
    n = a_shape[axis] if n is None else n
    half = np.where(_stands_for_two(n, axis, g.ndim), g / 2, g).conj()
    return _fitted(irfft(half, n, axis, _SWAPPED[norm]), a_shape, axis)


def _irfft_rule(g: Any, a_shape: tuple[int, ...], axis: int, norm: Norm) -> Any:
    half = rfft(g, None, axis, _SWAPPED[norm]).conj()
    twice = np.where(_stands_for_two(g.shape[axis], axis, g.ndim), 2 * half, half)
    return _fitted(twice, a_shape, axis)


@op(cases=_CASES, real=True, implements=(np.fft.rfft,))
def rfft(a: Array, n: int | None = None, axis: int = -1, norm: Any = None) -> Array:
    """Return half of the discrete Fourier transform of real numbers: frequencies from 0 up."""
    return np.fft.rfft(a, n, axis, norm)


rfft.defvjp(a=_rfft_rule)


@op(cases=({"n": 1, "shapes": "(2)"}, *_CASES), implements=(np.fft.irfft,))
def irfft(a: Array, n: int | None = None, axis: int = -1, norm: Any = None) -> Array:
    """Return the `n` real numbers of which `a` is the discrete Fourier transform's half."""
    return np.fft.irfft(a, n, axis, norm)


irfft.defvjp(a=_irfft_rule)


@implements(np.fft.hfft)
def hfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Return the real spectrum of a signal that is symmetric in time, given by its half."""
    return irfft(a.conj(), n, axis, _SWAPPED[norm])


@implements(np.fft.ihfft)
def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Return half of a signal that is symmetric in time, given by its real spectrum."""
    return rfft(a, n, axis, _SWAPPED[norm]).conj()


# Several axes: one after the other, from the last on, as NumPy does it ----------------------------


def _steps(
    a: Any, s: Sequence[int | None] | None, axes: Sequence[int] | None
) -> list[tuple[int | None, int]]:
    """Return the length and place of each axis to transform."""
    if axes is None:
        axes = range(a.ndim) if s is None else range(-len(s), 0)
    lengths = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    if len(lengths) != len(axes):
        raise ValueError(f"a Fourier transform along axes={axes} needs as many lengths; got s={s}")
    return list(zip(lengths, normalize_axis_tuple(axes, a.ndim, allow_duplicate=True), strict=True))


def _through(transform: Callable[..., Any], a: Any, steps: Any, norm: Norm) -> Any:
    for n, axis in steps:
        a = transform(a, n, axis, norm)
    return a


@implements(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> Any:
    """Return the discrete Fourier transform along several axes."""
    return _through(fft, a, _steps(a, s, axes)[::-1], norm)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> Any:
    """Return the inverse discrete Fourier transform along several axes."""
    return _through(ifft, a, _steps(a, s, axes)[::-1], norm)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> Any:
    """Return half of the transform of real numbers along several axes."""
    *others, (n, axis) = _steps(a, s, axes)
    return _through(fft, rfft(a, n, axis, norm), others[::-1], norm)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> Any:
    """Return the real numbers of which `a` is half the transform along several axes."""
    *others, (n, axis) = _steps(a, s, axes)
    return irfft(_through(ifft, a, others, norm), n, axis, norm)


def _in_a_plane(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Return a transform of several axes that takes the last two."""

    def in_a_plane(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Norm = None) -> Any:
        return transform(a, s, axes, norm)

    in_a_plane.__doc__ = f"Do what `{transform.__name__}` does, over the last two axes."
    return in_a_plane


implements(np.fft.fft2)(_in_a_plane(fftn))
implements(np.fft.ifft2)(_in_a_plane(ifftn))
implements(np.fft.rfft2)(_in_a_plane(rfftn))
implements(np.fft.irfft2)(_in_a_plane(irfftn))

# The order of frequencies -------------------------------------------------------------------------


def _to_the_middle(x: Any, axes: Any, sign: int) -> Any:
    axes = normalize_axis_tuple(range(x.ndim) if axes is None else axes, x.ndim)
    return np.roll(x, tuple(sign * (x.shape[k] // 2) for k in axes), axes)


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """Return a spectrum with frequency 0 moved to the middle."""
    return _to_the_middle(x, axes, 1)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """Return a spectrum with frequency 0 moved from the middle to the front."""
    return _to_the_middle(x, axes, -1)


def __getattr__(name: str) -> Callable[..., Any]:
    return numpys_own(np.fft, name)

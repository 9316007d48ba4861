"""Augmentation: images a little turned, shifted, scaled and bent, anew each time they are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# How far at most (but for BEND, a standard deviation): enough to look like another hand's digit,
# and little enough that it stays the same digit, in a picture with a margin of 4 pixels.
TURN = 0.2  # radians: 11 degrees
SHIFT = 1.5  # pixels
SCALE = 0.1  # share
BEND = 0.8  # pixels by which parts of an image move against each other
_KNOTS = 6  # a bend is drawn at so many points along each side, and smooth in between

_SIDE = 28
_CENTRE = (_SIDE - 1) / 2


def augment(rows: Floats, rng: np.random.Generator) -> Floats:
    """Return images as other hands might have written them.

    Parameters
    ----------
    rows : ndarray
        Images as rows, float32 of shape ``(n, 784)``.
    rng : Generator
        Where all chance comes from.

    Returns
    -------
    ndarray
        New images, float32 of shape ``(n, 784)``: each pixel is interpolated between four of the
        old image, which is 0 outside.
    """
    down, right = _origins(len(rows), rng)
    padded = np.zeros((len(rows), _SIDE + 2, _SIDE + 2), np.float32)
    padded[:, 1:-1, 1:-1] = rows.reshape(len(rows), _SIDE, _SIDE)
    return _interpolated(padded, down + 1, right + 1).reshape(rows.shape)


def _origins(count: int, rng: np.random.Generator) -> Floats:
    """Draw where each pixel of each new image comes from: float32 of shape ``(2, count, 28, 28)``.

    The new pixel at p shows the old image at ``A (p - c) + c + shift + bend(p)``, where A turns and
    scales about the centre c.
    """
    turn, scale, *shift = rng.uniform(
        np.array([[-TURN], [1 - SCALE], [-SHIFT], [-SHIFT]]),
        np.array([[TURN], [1 + SCALE], [SHIFT], [SHIFT]]),
        (4, count),
    ).astype(np.float32)
    knots = rng.standard_normal((2, count, _KNOTS, _KNOTS), np.float32)
    origins: Floats = np.matmul(_SMOOTH @ knots, _SMOOTH.T)
    origins *= np.float32(BEND)
    along = np.arange(_SIDE, dtype=np.float32) - np.float32(_CENTRE)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)

    def straight(of_row: Floats, of_column: Floats, shift: Floats) -> Floats:
        rows, columns = np.multiply.outer(of_row, along), np.multiply.outer(of_column, along)
        place: Floats = rows[:, :, None] + columns[:, None, :] + shift[:, None, None]
        return place

    origins[0] += straight(cosine, -sine, shift[0])
    origins[1] += straight(sine, cosine, shift[1])
    origins += np.float32(_CENTRE)
    return origins


def _smooth() -> Floats:
    """Return how much each knot along a side counts at each pixel: Gaussians of unit variance."""
    knots = np.linspace(0, _SIDE - 1, _KNOTS)
    width = knots[1] - knots[0]
    weights = np.exp(-(((np.arange(_SIDE)[:, None] - knots) / width) ** 2))
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    smooth: Floats = weights.astype(np.float32)
    return smooth


_SMOOTH = _smooth()


def _interpolated(images: Floats, down: Floats, right: Floats) -> Floats:
    """Return the values of images with a margin of 0 between pixels, and 0 beyond them."""
    count, side, _ = images.shape
    down, right = (np.clip(place, 0, side - 1.001) for place in (down, right))
    top, left = down.astype(np.intp), right.astype(np.intp)
    down, right = down - top.astype(np.float32), right - left.astype(np.float32)
    first = (np.arange(count)[:, None, None] * side + top) * side + left
    pixels: NDArray[Any] = images.reshape(-1)
    upper = pixels[first] * (1 - right) + pixels[first + 1] * right
    lower = pixels[first + side] * (1 - right) + pixels[first + side + 1] * right
    values: Floats = upper * (1 - down) + lower * down
    return values

"""Matrices of the kinds that an op may say it takes: well away from where it has no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SYMMETRIC = {"symmetric", "positive definite"}  # of these only the symmetric part counts
SIZES = 1e-3, 1e3  # smallest and largest, for determinants go with a power of it
KINDS = {"full rank", "distinct eigenvalues", *SYMMETRIC}


def matrices_of(array: Array, kind: str) -> Array:
    """Return matrices of a kind, with size and directions from `array` and values well apart.

    Parameters
    ----------
    array : (..., m, n) array
    kind : {"full rank", "distinct eigenvalues", "symmetric", "positive definite"}

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"matrices of kind {kind!r} are unknown; choose from {sorted(KINDS)}")
    size = np.clip(np.abs(array).max(initial=0.0) or 1.0, *SIZES)
    if array.size:  # no zeros: some decompositions jump there
        generic = np.cos(np.arange(array.size)).reshape(array.shape)
        array = (array / (np.abs(array).max() or 1) + generic / 3).astype(array.dtype)
    rows = array.shape[-2]
    if rows < array.shape[-1]:  # a square that has the rank, and columns as they are
        rest = array[..., rows:] / (np.abs(array[..., rows:]).max(initial=0) or 1)
        return np.concatenate([matrices_of(array[..., :rows], kind), rest], -1).astype(array.dtype)
    u, s, vh = np.linalg.svd(array.astype(float), full_matrices=False)
    values = 1 + 2.0 * np.arange(s.shape[-1])
    if kind == "symmetric":
        values[::2] *= -1
    if kind == "distinct eigenvalues":
        result = _turning(u, values)
    else:
        result = (u * values) @ (np.swapaxes(u, -1, -2) if kind in SYMMETRIC else vh)
    result = size * (symmetric_part(result) if kind in SYMMETRIC else result)
    return np.asarray(result, array.dtype)


def symmetric_part(a: Any) -> Any:
    """Return the symmetric part of each matrix, or the Hermitian one; tracked if `a` is."""
    across = np.swapaxes(a, -1, -2)
    return (a + (across.conj() if a.dtype.kind == "c" else across)) / 2


def _turning(u: Array, values: Array) -> Array:
    """Return matrices with real eigenvalues, but two that turn in a plane for one batch in two."""
    n = len(values)
    diagonal = np.diag(values)
    if n > 1 and u.size and u.flat[0] > 0:
        diagonal[:2, :2] = [[1, -2], [2, 1]]
    vectors = np.eye(n) + 0.2 * u
    result: Array = vectors @ diagonal @ np.linalg.inv(vectors)
    return result

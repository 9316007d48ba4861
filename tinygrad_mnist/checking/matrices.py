"""Matrices of the kinds that an op may say it takes.

They are drawn well away from where the op has no derivative, and it is told of others whether they
are of that kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SYMMETRIC = {"symmetric", "positive definite"}  # of these only the symmetric part counts
SIZES = 1e-3, 1e3  # smallest and largest, for determinants go with a power of it
KINDS = {
    "full rank", "independent columns", "distinct singular values", "distinct eigenvalues",
    *SYMMETRIC,
}  # fmt: skip
APART = {"distinct eigenvalues": 1e-5}  # those that coincide in a defective matrix come out apart
CLOSE = 1e-8  # what is closer, relative to the largest value, is equal, or 0


def matrices_of(array: Array, kind: str) -> Array:
    """Return matrices of a kind, with size and directions from `array` and values well apart.

    Parameters
    ----------
    array : (..., m, n) array
    kind : str
        One of `KINDS`.

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


def are_of(array: Array, kind: str) -> bool:
    """Return whether all matrices are of a kind, so that an op that takes it has a derivative.

    Parameters
    ----------
    array : (..., m, n) array
    kind : str
        One of `KINDS`. Of symmetric matrices eigenvalues are distinct; of columns, as many as there
        are rows are independent.
    """
    if array.ndim < 2 or not array.size or not np.isfinite(array).all():
        return True
    if kind in SYMMETRIC | {"distinct eigenvalues"}:
        off = np.abs(array - np.swapaxes(array, -1, -2).conj())
        if kind in SYMMETRIC and (off > CLOSE * np.abs(array).max((-2, -1), keepdims=True)).any():
            return False
        values = np.linalg.eigvals(array)
        apart = np.abs(values[..., :, None] - values[..., None, :])
        apart = apart[..., ~np.eye(values.shape[-1], dtype=bool)]
        if kind == "positive definite":
            apart = np.abs(values)
    else:
        if kind == "independent columns":
            array = array[..., : array.shape[-2]]
        values = np.linalg.svd(array, compute_uv=False)
        apart = values[..., -1:]
        if kind == "distinct singular values":
            apart = np.concatenate([values[..., :-1] - values[..., 1:], apart], -1)
    largest = np.abs(values).max(-1, keepdims=True)
    return bool((apart > APART.get(kind, CLOSE) * largest).all())


def _turning(u: Array, values: Array) -> Array:
    """Return matrices with real eigenvalues, but two that turn in a plane for one batch in two."""
    n = len(values)
    diagonal = np.diag(values)
    if n > 1 and u.size and u.flat[0] > 0:
        diagonal[:2, :2] = [[1, -2], [2, 1]]
    vectors = np.eye(n) + 0.2 * u
    result: Array = vectors @ diagonal @ np.linalg.inv(vectors)
    return result

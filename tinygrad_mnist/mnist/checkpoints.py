"""Checkpoints: the whole state of a training as one file of arrays, with a checksum."""

from __future__ import annotations

import json
import zlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.mnist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    State = Mapping[str, Any]  # arrays, and values that JSON can hold

FORMAT = "1"  # another one whenever the state of a training changes its names or their meaning


def pack(state: State) -> bytes:
    """Return a state as the content of a safetensors file, what is not an array in its header."""
    from safetensors.numpy import save

    arrays = {
        name: np.ascontiguousarray(value)
        for name, value in state.items()
        if isinstance(value, np.ndarray)
    }
    values = json.dumps({name: value for name, value in state.items() if name not in arrays})
    header = {
        "format": FORMAT,
        "tinygrad_mnist": version("tinygrad_mnist"),
        "values": values,
        "checksum": _checksum(arrays, values),
    }
    return save(arrays, header)


def unpack(path: Path) -> dict[str, Any]:
    """Return the state that `pack` made a file of.

    Raises
    ------
    InputError
        If the file is damaged, no checkpoint, or of another version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, error) from error
    if "format" not in header:
        raise InputError(f"{path} is no checkpoint of a training, but some other file: train again")
    if header["format"] != FORMAT:
        raise InputError(
            f"{path} has the format {header['format']} of version {header.get('tinygrad_mnist')}, "
            f"and this is version {version('tinygrad_mnist')}, which reads format {FORMAT}: go on "
            f"with that version, or train again"
        )
    values = header.get("values", "")
    if header.get("checksum") != _checksum(arrays, values):
        raise damaged(path, "its checksum does not fit")
    try:
        return dict(json.loads(values)) | arrays
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, reason: object) -> InputError:
    """Return the error of a checkpoint that can't be used."""
    return InputError(f"{path} is damaged ({reason}): train again")


def _checksum(arrays: Mapping[str, np.ndarray[Any, Any]], values: str) -> str:
    checksum = zlib.crc32(values.encode())
    for name in sorted(arrays):
        array = arrays[name]
        checksum = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(array.data, checksum)
    return f"{checksum:08x}"

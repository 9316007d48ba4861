"""The data set that the package ships, and its file format, IDX, read without trusting the file."""

import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Split: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # images, labels

_PACKAGED = Path(__file__).parent / "data"
_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# The type codes of IDX; numbers of several bytes are big-endian.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 64  # NumPy's own limit
_GZIP_MAGIC = b"\x1f\x8b"
# What a gzipped file may become: so many times its size, of which pictures stay far below, or
# so many bytes, which do no harm. Deflate itself would allow 1,032 times.
_GZIP_RATIO = 64
_GZIP_BYTES = 64 << 20
_GZIP = 16 + zlib.MAX_WBITS  # zlib's word for a gzip header and trailer around deflated data
_CHUNK = 1 << 20


def load(
    directory: str | os.PathLike[str] | None = None, *, classes: int = 10
) -> tuple[Split, Split]:
    """Load MNIST, or a data set in its four files, as training and test set.

    Parameters
    ----------
    directory : path, optional
        A folder with the files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each gzipped (``.gz``) or not.
        By default the MNIST that comes with the package.
    classes : int, optional
        How many classes there are.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images as uint8 of shape ``(N, 28, 28)``, 0 for paper and 255 for ink, and labels from 0 to
        below `classes` as uint8 of shape ``(N,)``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged, or images and labels do not belong together.

    Examples
    --------
    >>> from tinygrad_mnist.mnist import load
    >>> (x_train, y_train), (x_test, y_test) = load()
    >>> x_train.shape, y_test.shape
    ((60000, 28, 28), (10000,))
    """
    folder = _PACKAGED if directory is None else Path(directory)
    train_images, train_labels, test_images, test_labels = _find_files(folder)
    return (
        _load_pair(train_images, train_labels, classes),
        _load_pair(test_images, test_labels, classes),
    )


def load_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array from an IDX file, gzipped or not.

    The file is never trusted: no more memory is used than the array that its header promises,
    and that promise is compared with the size of the file first.

    Parameters
    ----------
    path : path
        The file. Whether it is gzipped is seen from its first bytes, not from its name.

    Returns
    -------
    ndarray
        uint8, int8, int16, int32, float32 or float64 in native byte order, as the header says.

    Raises
    ------
    ValueError
        If the file is not IDX, is damaged, or holds fewer or more bytes than its header promises.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tinygrad_mnist.mnist import load_idx
    >>> file = pathlib.Path(tempfile.mkdtemp(), "labels-idx1-ubyte")
    >>> file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    11
    >>> load_idx(file)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with path.open("rb") as file:
        gzipped = file.read(2) == _GZIP_MAGIC
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not gzipped:
            return _read_array(path, file, size)
        try:
            return _read_array(path, _Gunzipped(file), max(_GZIP_RATIO * size, _GZIP_BYTES))
        except (EOFError, zlib.error) as error:
            raise ValueError(
                f"{path} is gzipped and damaged ({error}); copy or download it again"
            ) from error


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Gunzipped:
    """What a gzipped file holds, read piece by piece; unlike with `gzip`, nothing may follow it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._member = zlib.decompressobj(_GZIP)
        self._compressed = b""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and none at the end.

        Raises
        ------
        EOFError, zlib.error
            If the file ends too early, or holds anything else.
        """
        piece = b""
        while size and not piece:
            if self._member.eof:
                self._compressed = self._member.unused_data or self._file.read(_CHUNK)
                if not self._compressed:
                    break
                self._member = zlib.decompressobj(_GZIP)  # a file may have several members
            compressed = self._compressed or self._file.read(_CHUNK)
            piece = self._member.decompress(compressed, size)
            self._compressed = self._member.unconsumed_tail
            if not (compressed or piece or self._member.eof):
                raise EOFError("it ends too early")
        return piece


def _read_array(path: Path, stream: _Readable, capacity: int) -> NDArray[Any]:
    """Read a whole IDX stream, which is not trusted to hold more than `capacity` bytes."""
    dtype, shape = _read_header(path, stream)
    size = math.prod(shape) * dtype.itemsize
    promise = f"{path} promises {dtype.name} of shape {shape}, {size} bytes"
    if size > capacity:
        raise ValueError(
            f"{promise}, more than a file of this size holds; copy or download it again"
        )
    try:
        array = np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise ValueError(f"{promise}, more than fits in memory; use a smaller file") from error

    target = array.reshape(-1).view(np.uint8)
    filled = 0
    while chunk := stream.read(min(_CHUNK, size - filled)):
        target[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    if filled < size:
        raise ValueError(f"{promise}, and ends after {filled}; copy or download it again")
    if stream.read(1):
        raise ValueError(f"{promise}, and goes on after them; copy or download it again")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(path: Path, stream: _Readable) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = _read_all(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ValueError(
            f"{path} is not an IDX file: it begins with {magic.hex(' ') or 'nothing'}, not with "
            f"00 00, a type code and the number of dimensions"
        )
    code, ndim = magic[2:]
    if code not in _DTYPES:
        known = ", ".join(f"{known:02x} ({np.dtype(name).name})" for known, name in _DTYPES.items())
        raise ValueError(
            f"{path} is not an IDX file: its type code is {code:02x}, not one of {known}"
        )
    if not 1 <= ndim <= _MAX_DIMENSIONS:
        raise ValueError(f"{path} has {ndim} dimensions, where 1 to {_MAX_DIMENSIONS} can be read")
    lengths = _read_all(stream, 4 * ndim)
    if len(lengths) < 4 * ndim:
        raise ValueError(
            f"{path} ends within its header, after {len(lengths)} of the {4 * ndim} bytes for its "
            f"{ndim} dimensions; copy or download it again"
        )
    return np.dtype(_DTYPES[code]), tuple(np.frombuffer(lengths, ">u4").tolist())


def _read_all(stream: _Readable, size: int) -> bytes:
    """Return so many bytes, or all that there are."""
    content = b""
    while piece := stream.read(size - len(content)):
        content += piece
    return content


def _find_files(folder: Path) -> list[Path]:
    plain = [folder / name for name in _FILES]
    paths = [path if path.is_file() else path.with_name(f"{path.name}.gz") for path in plain]
    missing = [path.stem for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} {'lacks' if folder.is_dir() else 'is not a folder with'} "
            f"{', '.join(missing)}; each may be gzipped (.gz) or not"
        )
    return paths


def _load_pair(image_file: Path, label_file: Path, classes: int) -> Split:
    images, labels = load_idx(image_file), load_idx(label_file)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"{image_file} holds {images.dtype} of shape {images.shape}, where images are uint8 of "
            f"shape (N, 28, 28); see that no two files were exchanged"
        )
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise ValueError(
            f"{label_file} holds {labels.dtype} of shape {labels.shape}, where labels are uint8 of "
            f"shape (N,); see that no two files were exchanged"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"{image_file} holds {len(images)} images and {label_file} {len(labels)} labels; "
            f"take both from the same data set"
        )
    if not len(images):
        raise ValueError(f"{image_file} holds no images; give at least one")
    if labels.max() >= classes:
        index = int(np.argmax(labels >= classes))
        raise ValueError(
            f"{label_file} has label {labels[index]} at index {index}, where labels are 0 to "
            f"{classes - 1}; name all classes with --labels, or renumber them"
        )
    return images, labels

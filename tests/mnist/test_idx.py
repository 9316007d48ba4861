"""IDX files, as published, as users bring them and as an attacker would write them."""

import gzip
import hashlib
import itertools
import struct
import tracemalloc

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist import mnist
from tinygrad_mnist.mnist import load, load_idx

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
PUBLISHED = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
NAMES = list(PUBLISHED)


def idx(array):
    header = struct.pack(
        f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape
    )
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def as_is(content):
    return content


encodings = st.sampled_from([as_is, gzip.compress])
arrays = st.sampled_from(list(CODES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, min_side=0, max_side=4))
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """One path for all examples of a test; its content is written anew for each."""
    return tmp_path_factory.mktemp("idx") / "file"


@pytest.fixture
def folder(tmp_path):
    """A small valid data set: 3 training and 2 test images."""
    rng = np.random.default_rng(0)
    for name, count in zip(NAMES, (3, 3, 2, 2), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        (tmp_path / name).write_bytes(idx(rng.integers(0, 10, shape, np.uint8)))
    return tmp_path


# The packaged data set


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_package_holds_mnist_as_published(name, published):
    content = gzip.decompress((mnist.idx._PACKAGED / f"{name}.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == published
    readme = (mnist.idx._PACKAGED / "README.md").read_text()
    assert f"| `{name}` | `{published}` |" in readme


def test_load_mnist():
    (x_train, y_train), (x_test, y_test) = load()
    assert x_train.shape == (60000, 28, 28)
    assert x_test.shape == (10000, 28, 28)
    assert y_train.shape == (60000,)
    assert y_test.shape == (10000,)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert x_train.max() == 255


# Round trips


@given(array=arrays, encode=encodings)
def test_round_trip(file, array, encode):
    file.write_bytes(encode(idx(array)))
    loaded = load_idx(file)
    np.testing.assert_array_equal(loaded, array, strict=True)
    assert loaded.dtype.isnative
    assert loaded.flags.writeable


def test_gzip_is_seen_from_the_content(tmp_path):
    labels = np.arange(10, dtype=np.uint8)
    (tmp_path / "plain.gz").write_bytes(idx(labels))
    (tmp_path / "zipped").write_bytes(gzip.compress(idx(labels)))
    assert load_idx(tmp_path / "plain.gz").tolist() == load_idx(str(tmp_path / "zipped")).tolist()


# Hostile files


@given(array=arrays, encode=encodings, data=st.data())
def test_truncated_anywhere(file, array, encode, data):
    content = encode(idx(array))
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ValueError, match=str(file)):
        load_idx(file)


@given(array=arrays, encode=encodings, extra=st.binary(min_size=1))
def test_bytes_after_the_array(file, array, encode, extra):
    file.write_bytes(encode(idx(array) + extra))
    with pytest.raises(ValueError, match=r"promises .* and goes on after them"):
        load_idx(file)


@given(array=arrays, extra=st.binary(min_size=1))
def test_bytes_after_a_gzip(file, array, extra):
    file.write_bytes(gzip.compress(idx(array)) + extra)
    with pytest.raises(ValueError, match=r"is gzipped and damaged"):
        load_idx(file)


@given(array=arrays, data=st.data())
def test_a_gzip_may_have_several_members(file, array, data):
    content = idx(array)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=3)))
    parts = [content[a:b] for a, b in itertools.pairwise([0, *cuts, len(content)])]
    file.write_bytes(b"".join(map(gzip.compress, parts)))
    np.testing.assert_array_equal(load_idx(file), array, strict=True)


@given(array=arrays, data=st.data())
def test_damaged_gzip_is_refused_or_harmless(file, array, data):
    content = bytearray(gzip.compress(idx(array)))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        loaded = load_idx(file)
    except ValueError as error:
        assert str(file) in str(error)
    else:  # the change hit the time stamp, or another byte without a meaning
        np.testing.assert_array_equal(loaded, array, strict=True)


@given(
    code=st.sampled_from([*CODES.values()]) | st.integers(0, 255),
    lengths=st.lists(st.integers(0, 3) | st.integers(0, 2**32 - 1), max_size=70),
    body=st.binary(),
    encode=encodings,
)
def test_any_header_is_refused_or_kept(file, code, lengths, body, encode):
    header = struct.pack(f">BBBB{len(lengths)}I", 0, 0, code, len(lengths), *lengths)
    file.write_bytes(encode(header + body))
    try:
        loaded = load_idx(file)
    except ValueError as error:
        assert str(file) in str(error)
    else:
        assert loaded.shape == tuple(lengths)
        assert loaded.nbytes == len(body)


@given(content=st.binary())
def test_any_bytes(file, content):
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not an IDX file|is gzipped and damaged"):
        load_idx(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is not an IDX file: it begins with nothing, not with 00 00, a type code and"),
        (b"\x89PNG\r\n", r"begins with 89 50 4e 47, not with 00 00"),
        (b"\0\0\x0a\x01\0\0\0\0", r"its type code is 0a, not one of 08 \(uint8\), 09 \(int8\), 0b"),
        (b"\0\0\x08\0", r"has 0 dimensions, where 1 to 64 can be read"),
        (b"\0\0\x08\xff", r"has 255 dimensions, where 1 to 64"),
        (b"\0\0\x08\x03\0\0\0\x01\0", r"ends within its header, after 5 of the 12 bytes for its 3"),
        (
            b"\0\0\x0b\x01\0\0\0\x03\0",
            r"promises int16 of shape \(3,\), 6 bytes, and ends after 1",
        ),
        (
            b"\0\0\x08\x02" + b"\xff" * 8,
            r"promises uint8 of shape \(4294967295, 4294967295\), \d+ bytes, more than a file",
        ),
        (
            b"\0\0\x08\x04" + b"\xff" * 12 + bytes(4),
            r"promises uint8 of shape .*, 0 bytes, more than fits in memory",
        ),
        (
            gzip.compress(b"\0\0\x08\x01\0\0\0\x01\x07", mtime=0)[:-1],
            r"is gzipped and damaged \(.*\); copy",
        ),
    ],
)
def test_message(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("lengths", "body"),
    [
        ((1,), bytes(100_000_000)),  # expands to far more than promised
        ((100_000_000,), bytes(10)),  # promises far more than there is
        ((2**32 - 1, 2**32 - 1), bytes(100_000_000)),
        ((100_000_000,), bytes(100_000_000)),  # keeps its promise, which is a bomb all the same
    ],
)
def test_memory_is_bounded(tmp_path, lengths, body):
    header = struct.pack(f">BBBB{len(lengths)}I", 0, 0, 8, len(lengths), *lengths)
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(header + body))
    del body
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="promises"):
            load_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_memory_for_a_valid_file_is_the_array(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx(np.zeros((20_000_000,), np.uint8))))
    tracemalloc.start()
    try:
        load_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


# Data sets of one's own


def test_load_from_a_folder(folder):
    (x_train, y_train), (x_test, y_test) = load(folder)
    assert x_train.shape == (3, 28, 28)
    assert len(y_train) == 3
    assert x_test.shape == (2, 28, 28)
    assert len(y_test) == 2
    np.testing.assert_array_equal(x_test, load_idx(folder / NAMES[2]))


def test_load_takes_gzipped_and_plain_files(folder):
    expected = load(str(folder))
    for name in NAMES[1:]:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    for pair, expected_pair in zip(load(folder), expected, strict=True):
        np.testing.assert_array_equal(pair[0], expected_pair[0])
        np.testing.assert_array_equal(pair[1], expected_pair[1])


def test_missing_files_are_named(folder):
    (folder / NAMES[0]).unlink()
    (folder / NAMES[3]).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"{folder} lacks {NAMES[0]}, {NAMES[3]}; each may be gzipped"
    ):
        load(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"is not a folder with {', '.join(NAMES)}; each"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            NAMES[1],
            np.array([1, 10, 200]),
            r"has label 10 at index 1, where labels are 0 to 9; name all classes with --labels",
        ),
        (
            NAMES[1],
            np.zeros(2),
            r"holds 3 images and .*train-labels-idx1-ubyte 2 labels; take both",
        ),
        (NAMES[1], np.zeros((3, 1)), r"holds uint8 of shape \(3, 1\), where labels are uint8 of"),
        (NAMES[2], np.zeros((2, 28)), r"holds uint8 of shape \(2, 28\), where images are uint8 of"),
        (NAMES[2], np.zeros((2, 27, 28)), r"holds uint8 of shape \(2, 27, 28\), where images are"),
        (
            NAMES[2],
            np.zeros((2, 28, 28, 1)),
            r"holds uint8 of shape \(2, 28, 28, 1\), where images",
        ),
        (NAMES[2], np.zeros(2), r"holds uint8 of shape \(2,\).*; see that no two files were exch"),
    ],
)
def test_files_that_do_not_fit(folder, name, array, message):
    (folder / name).write_bytes(idx(array.astype(np.uint8)))
    with pytest.raises(ValueError, match=message) as caught:
        load(folder)
    assert str(folder / name) in str(caught.value)


@pytest.mark.parametrize(("name", "shape"), [(NAMES[0], (3, 28, 28)), (NAMES[1], (3,))])
def test_other_types_are_refused(folder, name, shape):
    (folder / name).write_bytes(idx(np.zeros(shape, np.float32)))
    with pytest.raises(ValueError, match=r"holds float32 of shape \(3"):
        load(folder)


def test_an_empty_data_set_is_refused(folder):
    (folder / NAMES[2]).write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
    (folder / NAMES[3]).write_bytes(idx(np.zeros((0,), np.uint8)))
    with pytest.raises(
        ValueError, match="t10k-images-idx3-ubyte holds no images; give at least one"
    ):
        load(folder)

"""Checkpoints: they come back bit for bit, and what is not whole is refused in a sentence."""

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from tinygrad_mnist.mnist import InputError, checkpoints
from tinygrad_mnist.mnist.checkpoints import pack, unpack

STATE = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.zeros(0, np.int64),
    "pcg": np.random.default_rng(3).bit_generator.state,
    "loss": 0.1 + 0.2,
    "names": ["x", None],
}

numbers = st.floats(allow_nan=False) | st.integers(-(2**128), 2**128)
values = st.dictionaries(st.text(max_size=5), numbers | st.text() | st.lists(numbers), max_size=4)
arrays = st.dictionaries(
    st.sampled_from(["0.buffer", "order", "weight"]),
    hnp.arrays(
        st.sampled_from(["float32", "float64", "int32"]), hnp.array_shapes(min_side=0, max_side=3)
    ),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints") / "checkpoint.safetensors"


def assert_same(state, expected):
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            assert (state[name].dtype, state[name].shape) == (value.dtype, value.shape)
            assert state[name].tobytes() == value.tobytes()
        else:
            assert state[name] == value


@given(values, arrays)
def test_a_state_comes_back_bit_for_bit(path, values, arrays):
    path.write_bytes(pack(values | arrays))
    assert_same(unpack(path), values | arrays)


def test_a_generator_goes_on_where_it_was(path):
    path.write_bytes(pack(STATE))
    generator = np.random.default_rng(0)
    generator.bit_generator.state = unpack(path)["pcg"]
    assert generator.random() == np.random.default_rng(3).random()


@given(st.data())
def test_a_checkpoint_cut_short_is_refused(path, data):
    content = pack(STATE)
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is damaged \(.*\): train again"):
        unpack(path)


@given(st.data())
def test_no_changed_byte_passes_unnoticed(path, data):
    content = bytearray(pack(STATE))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        state = unpack(path)
    except InputError as error:
        assert str(error).startswith(f"{path} ")
    else:  # the change hit the name of the version, or padding
        assert_same(state, STATE)


def test_a_file_of_weights_is_no_checkpoint(path):
    path.write_bytes(save({"weight": np.zeros(3, np.float32)}))
    with pytest.raises(InputError, match="is no checkpoint of a training, but some other file"):
        unpack(path)


def test_a_checkpoint_of_another_format_says_whose_it_is(path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT", "7")
    path.write_bytes(pack(STATE))
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"has the format 7 of version .* reads format 1: go on"):
        unpack(path)


@pytest.mark.parametrize("values", ["[1]", "3", "[" * 100_000, "{"])
def test_values_that_are_no_state_are_refused(path, values, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.json, "dumps", lambda _: values)
        content = pack({})
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged \(.*\): train again"):
        unpack(path)


def test_values_are_readable_by_others(path):
    path.write_bytes(pack(STATE))
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]
    assert json.loads(header["values"])["names"] == ["x", None]

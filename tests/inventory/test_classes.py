"""Each of NumPy's public callables is in one class, and a Tensor fares there as the class says."""

import os
import re
import warnings
from itertools import combinations

import numpy as np
import pytest

from tests.inventory.checks import outputs
from tests.inventory.classes import CLASSES, public_callables
from tests.inventory.table import CALLS, PLAIN, REFUSED
from tinygrad_mnist import Tensor

KNOWN = set().union(*CLASSES.values())


def test_the_table_has_the_514_public_callables_of_numpy_each_in_one_class():
    counts = {name: len(members) for name, members in CLASSES.items()}
    assert counts == {
        "differentiable": 268,
        "plain": 81,
        "refused": 44,
        "creation": 32,
        "without arrays": 17,
        "types": 72,
    }
    assert len(KNOWN) == 514
    assert all(not a & b for a, b in combinations(CLASSES.values(), 2))
    assert len(CALLS) >= 613


def unknown(found):
    """Return a complaint about functions that are in no class, or nothing."""
    names = sorted(found - KNOWN)
    return names and (
        f"NumPy {np.__version__} has functions that tests/inventory has no class for: "
        f"{', '.join(names)}; a Tensor that is given to one raises, or loses its history"
    )


def test_every_public_callable_of_this_numpy_has_a_class():
    complaint = unknown(public_callables())
    if complaint and "CI" in os.environ:
        pytest.fail(complaint)
    elif complaint:
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # for who runs the tests on a newer NumPy: no failure
            warnings.warn(complaint, stacklevel=1)


def test_a_function_without_a_class_is_named():
    assert not unknown({"sum", "linalg.norm"})
    assert "no class for: fft.new, newer;" in unknown({"sum", "newer", "fft.new"})


MISSED = {"isfortran": "flags", "from_dlpack": "__dlpack__"}  # what these ask of an array


def track(inputs):
    return {name: Tensor(array.copy(), requires_grad=True) for name, array in inputs.items()}


def skip_if_missing(call):
    if not hasattr(np, call.name.partition(".")[0]):
        pytest.skip(f"NumPy {np.__version__} has no {call.name}")


@pytest.mark.filterwarnings("ignore:numpy:DeprecationWarning")  # of `fix` and others, by NumPy 2.5
@pytest.mark.parametrize("call", [call for call in PLAIN if call.name not in MISSED], ids=str)
def test_a_function_without_a_derivative_gives_what_numpy_gives(call):
    skip_if_missing(call)
    result, expected = call.run(track(call.inputs)), call.run(call.inputs)
    assert type(result) is type(expected)
    if isinstance(expected, type):
        assert result is expected
        return
    for got, true in zip(outputs(result), outputs(expected), strict=True):
        assert not isinstance(got, Tensor)
        np.testing.assert_array_equal(got, true, strict=np.ndim(true) > 0)


IN_PLACE = {"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"}
UNSEEN = {  # NumPy takes the array before anything of ours is asked: it refuses to be taken
    "asanyarray", "asarray", "asarray_chkfinite", "ascontiguousarray", "asfortranarray",
    "asmatrix", "bmat", "require",
}  # fmt: skip

IN_NUMPYS_WORDS = {
    "binary_repr": "a Tensor of float64 is no integer",
    "frompyfunc": r"<lambda>.* has no gradient rule.*\.data",
    "nested_iters": "Iterator operand is flagged as writeable",
}
matrices = pytest.mark.filterwarnings("ignore:the matrix subclass")  # NumPy's own, even so


@matrices
@pytest.mark.parametrize("call", [call for call in REFUSED if call.name not in MISSED], ids=str)
def test_a_function_that_would_lose_the_history_raises_and_says_what_to_do(call):
    skip_if_missing(call)
    name = call.name.replace("bitwise_not", "invert").replace("bitwise_invert", "invert")
    name = re.sub("bitwise_(?=left|right)", "", name)
    if call.name in UNSEEN:
        words = r"a tracked Tensor can't become .*\.data.*\.detach\(\)"
    elif call.name in IN_PLACE:
        words = rf"np\.{name} writes in place.*ops\.set_at"
    elif call.name in IN_NUMPYS_WORDS:
        words = IN_NUMPYS_WORDS[call.name]
    else:
        words = rf"np\.{name} .*\.data"
    with pytest.raises(TypeError, match=words):
        call.run(track(call.inputs))


@matrices
def test_refused_calls_are_refused_for_the_tensor_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some would write a file
    for call in REFUSED:
        if call.name in UNSEEN | IN_PLACE | {"save", "savez", "savez_compressed", "frompyfunc"}:
            call.run({name: array.copy() for name, array in call.inputs.items()})


@pytest.mark.parametrize("name", MISSED)
def test_a_function_that_asks_for_an_attribute_that_tensors_lack_misses_it(name):
    with pytest.raises(AttributeError, match=f"'Tensor' object has no attribute '{MISSED[name]}'"):
        getattr(np, name)(Tensor(ROW, requires_grad=True))


ROW, ONE = np.array([0.6, -1.1, 1.9]), np.float64(0.8)


def evaluate(text):
    """Return what an expression in a tracked row `t` and a tracked number `s` gives."""
    names = {"t": Tensor(ROW, requires_grad=True), "s": Tensor(ONE, requires_grad=True)}
    return eval(text.strip(), {"np": np, **names})


@pytest.mark.parametrize("name", ["empty_like", "ones_like", "zeros_like"])
def test_a_new_array_like_a_tensor_is_a_plain_array(name):
    function = getattr(np, name)
    result = function(Tensor(ROW, requires_grad=True))
    assert type(result) is np.ndarray
    assert (result.shape, result.dtype) == (ROW.shape, ROW.dtype)


@pytest.mark.parametrize(
    "text",
    [
        "np.array(t)",
        "np.array([s, s])",
        "np.arange(0.0, s)",
        "np.full((2, 3), s)",
        "np.full_like([1.0, 2.0], s)",
        "np.kaiser(5, s)",
        *(f"np.{name}(s)" for name in ("bartlett", "blackman", "hamming", "hanning")),
        *(f"np.{name}(s)" for name in ("empty", "eye", "identity", "ones", "zeros")),
    ],
)
def test_a_function_that_makes_arrays_takes_no_tracked_tensor(text):
    with pytest.raises(TypeError, match=r"\.data|no integer|sequence of integers|in place"):
        evaluate(text)


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_the_frequencies_of_a_transform_are_differentiable_in_the_spacing(name):
    d = Tensor(0.5, requires_grad=True)
    frequencies = getattr(np.fft, name)(4, d)
    np.testing.assert_array_equal(frequencies.data, getattr(np.fft, name)(4, 0.5))
    frequencies.sum().backward()
    np.testing.assert_allclose(d.grad, -getattr(np.fft, name)(4, 0.5).sum() / 0.5)


READ_NO_VALUES = {"dtype", "finfo"}
CONVERSIONS = {"float64", "double", "str_"}  # like Python's float() and str(): of one number, text


@matrices
@pytest.mark.parametrize("name", sorted(CLASSES["types"] - {"linalg.LinAlgError"}))
@pytest.mark.parametrize("value", [ROW, ONE], ids=["row", "scalar"])
def test_a_type_called_on_a_tracked_tensor_keeps_no_array_without_its_history(name, value):
    if not hasattr(np, name):
        pytest.skip(f"NumPy {np.__version__} has no {name}")
    t = Tensor(value, requires_grad=True)
    if name in READ_NO_VALUES:
        assert isinstance(getattr(np, name)(t), getattr(np, name))
    elif name in CONVERSIONS and (value is ONE or name == "str_"):
        assert getattr(np, name)(t) == (str(t) if name == "str_" else 0.8)
    elif name == "poly1d":  # which asks no array of its coefficients: it keeps the Tensor
        np.poly1d(t)(2.0).backward()
        np.testing.assert_array_equal(t.grad, 2.0 ** np.arange(t.size)[::-1].reshape(t.shape))
    else:
        with pytest.raises((TypeError, ValueError), match=r"\w"):
            getattr(np, name)(t)


@pytest.mark.parametrize(
    "text",
    [
        "np.r_[t, 1.0]",
        "np.c_[t, t]",
        "np.polynomial.polynomial.polyval(2.0, t)",
        "np.polynomial.chebyshev.chebval(2.0, t)",
        "np.array([t[0], t[1]])",
        "np.random.default_rng(0).normal(t)",
        "np.ma.masked_array(t)",
        "np.vectorize(np.sin)(t)",
    ],
)
def test_what_numpy_does_not_let_through_never_becomes_an_array_of_objects(text):
    with pytest.raises(TypeError, match=r"a tracked Tensor can't become .*\.data.*\.detach\(\)"):
        evaluate(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("np.add.at(t, [0], 1.0)", r"np\.add\.at writes in place.*ops\.set_at"),
        ("np.add.at(np.zeros(3), [0], s)", r"np\.add\.at writes in place"),
        ("np.add(t, 1.0, out=np.zeros(3))", r"np\.add can't write .* out="),
        ("np.add(t, 1.0, np.zeros(3))", r"np\.add can't write .* out="),
        ("np.sum(t, out=np.zeros(()))", r"np\.sum can't write .* out="),
        ("np.sum(t, 0, None, np.zeros(()))", r"np\.sum can't write .* out="),
        ("np.einsum('i->', t, out=np.zeros(()))", r"np\.einsum can't write .* out="),
        ("np.stack([t, t], out=np.zeros((2, 3)))", r"np\.stack can't write .* out="),
        ("np.add.reduce(t, out=np.zeros(()))", r"np\.add.* can't write .* out="),
        ("np.sum(np.ones(3), out=t)", r"np\.sum can't write .* out="),
        ("np.add(np.ones(3), 1.0, out=t)", r"np\.add can't write .* out="),
    ],
)
def test_a_tensors_result_is_not_written_into_an_array(text, words):
    with pytest.raises(TypeError, match=words):
        evaluate(text)

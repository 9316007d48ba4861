"""Ufuncs beyond plain calls: keyword arguments, and methods such as `np.add.reduce`."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck, hessian, ops

BINARY = {
    op.forward.__name__: op.forward
    for op in ops.registry.values()
    if isinstance(op.forward, np.ufunc) and op.forward.nin == 2 and len(op.rules) == 2
}
WRONG_IN_NUMPY = {"arctan2", "power"}
every_binary_ufunc = pytest.mark.parametrize("ufunc", BINARY.values(), ids=BINARY)
every_ufunc_that_reduces = pytest.mark.parametrize(
    "ufunc", [BINARY[name] for name in sorted(BINARY.keys() - WRONG_IN_NUMPY)]
)
M = np.array([[1.43, 0.61, 2.27, 1.12], [0.72, 1.93, 1.24, 0.91], [2.15, 1.36, 0.83, 1.68]])


def leaf(data, dtype=float):
    return Tensor(np.array(data, dtype), requires_grad=True)


def assert_same(result, expected):
    """Compare a Tensor with NumPy's array, bit for bit."""
    assert isinstance(result, Tensor)
    np.testing.assert_array_equal(result.data, expected, strict=True)


# Keyword arguments --------------------------------------------------------------------------------


def test_where_computes_and_differentiates_the_chosen_entries_and_leaves_0_elsewhere():
    x = np.array([4.0, -1.0, 0.0])
    with np.errstate(all="raise"):
        assert_same(np.sqrt(leaf(x), where=x > 0), np.array([2.0, 0.0, 0.0]))
        slopes = grad(lambda x: np.sum(np.sqrt(x, where=x > 0)))(x)
    np.testing.assert_array_equal(slopes, [0.25, 0, 0])


@pytest.mark.parametrize("where", [[True, False], [[True], [False]], False], ids=str)
def test_where_broadcasts_with_the_operands(where):
    x, y = np.array([0.5, 1.5]), 2.0
    gradcheck(lambda x, y: np.multiply(x, y, where=where), x, y)
    expected = np.where(where, x * y, 0)
    assert_same(np.multiply(leaf(x), y, where=where), expected)


@pytest.mark.parametrize(
    ("name", "x"), [("log", -1.0), ("arccosh", 0.5), ("arctanh", 1.0), ("arcsin", 3.0)]
)
def test_where_leaves_out_what_has_no_value_without_a_warning(name, x):
    function = getattr(np, name)
    with np.errstate(all="raise"):
        assert grad(lambda x: function(x, where=False))(x) == 0.0


@pytest.mark.parametrize(
    ("call", "dtype"),
    [
        (lambda f, x, y: f(x, y, dtype=np.float64), np.float64),
        (lambda f, x, y: f(x, y, dtype="f4"), np.float32),
        (lambda f, x, y: f(x, 2.0, dtype=np.float64), np.float64),
        (lambda f, x, y: f(3, y, dtype=np.float64), np.float64),
        (lambda f, x, y: f(x, y, signature="ff->f"), np.float32),
        (lambda f, x, y: f(x, y, sig=(None, None, np.float64)), np.float64),
        (lambda f, x, y: f(x, y, casting="no", order="F", subok=False), np.float32),
    ],
    ids=["wider", "narrower", "number_right", "number_left", "text", "tuple", "as_it_is"],
)
def test_dtype_signature_and_casting_choose_the_loop_that_numpy_runs(call, dtype):
    x, y = np.float32([0.1, 0.7]), np.float32([0.3, 1.9])
    expected = call(np.multiply, x, y)
    assert expected.dtype == dtype
    assert_same(call(np.multiply, leaf(x, np.float32), leaf(y, np.float32)), expected)
    slope = grad(lambda x: np.sum(call(np.multiply, x, y) ** 2))
    assert slope(x).dtype == np.float32


def test_a_cast_that_numpy_refuses_is_refused():
    with pytest.raises(TypeError, match="Cannot cast"):
        np.add(leaf([1.0]), np.ones(1), dtype=np.float32, casting="safe")
    with pytest.raises(TypeError, match="both 'signature' and 'dtype'"):
        np.add(leaf([1.0]), 1.0, dtype=float, signature="dd->d")


def test_an_op_of_a_ufunc_takes_operands_by_name_and_refuses_what_numpy_does_not_know():
    assert ops.multiply(leaf(2.0), y=3.0, where=True).item() == 6.0
    with pytest.raises(TypeError, match=r"multiply.*axis"):
        ops.multiply(leaf(2.0), 3.0, axis=0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: np.matmul(t, t, keepdims=True), TypeError, "matmul takes neither axis nor keep"),
        (lambda t: np.matvec(t, t[0], axis=0), TypeError, "matvec takes neither axis nor keepdims"),
        (lambda t: ops.vecdot(t, t, axis=0, axes=[0, 0]), TypeError, "both 'axis' and 'axes'"),
        (lambda t: np.matmul(t, t, axes=[(0, 1), (0, 1)]), ValueError, r"axes as a list of 2 for"),
        (lambda t: np.vecdot(t, t, axes=[(0, 1), 0]), ValueError, "a list of 1 for its first"),
        (lambda t: np.matmul(t, t, where=False), TypeError, "matmul.*argument 'where'"),
    ],
    ids=["keepdims", "axis", "both", "few", "wide", "where"],
)
def test_a_product_refuses_axes_that_numpy_refuses(call, error, words):
    if not hasattr(np, "matvec") and "matvec" in words:
        pytest.skip("np.matvec is new in NumPy 2.2")
    with pytest.raises(error, match=words):
        call(leaf(M[:, :3]))


# Methods ------------------------------------------------------------------------------------------


@every_binary_ufunc
def test_accumulate_gives_what_numpy_gives_and_its_derivatives(ufunc):
    x = np.where(np.arange(12).reshape(3, 4) < 4, M, M - 1) if ufunc is np.fmod else M
    for axis in (0, 1):
        assert_same(ufunc.accumulate(leaf(x), axis), ufunc.accumulate(x, axis))
        gradcheck(lambda x, axis=axis: ufunc.accumulate(x, axis), x)


@every_ufunc_that_reduces
def test_reduce_gives_what_numpy_gives_and_its_derivatives(ufunc):
    calls = [
        ufunc.reduce,
        lambda x: ufunc.reduce(x, -1, None, None, True),
        lambda x: ufunc.reduce(x, axis=1, initial=1.5),
    ]
    if ufunc.identity is not None:
        calls.append(lambda x: ufunc.reduce(x, axis=None))
        calls.append(lambda x: ufunc.reduce(x, axis=(1, 0), where=x > 1))
    for call in calls:
        assert_same(call(leaf(M)), call(M))
        gradcheck(call, M)


@every_ufunc_that_reduces
def test_reduceat_gives_what_numpy_gives_and_its_derivatives(ufunc):
    for call in (
        lambda x: ufunc.reduceat(x, [0, 2]),
        lambda x: ufunc.reduceat(x, np.array([3, 0, 1, 1]), axis=1),
    ):
        assert_same(call(leaf(M)), call(M))
        gradcheck(call, M)


@every_binary_ufunc
def test_outer_gives_what_numpy_gives_and_its_derivatives(ufunc):
    a, b = M[:2, :3], M[2, 1:]
    assert_same(ufunc.outer(leaf(a), b), ufunc.outer(a, b))
    assert_same(ufunc.outer(a, leaf(b)), ufunc.outer(a, b))
    gradcheck(ufunc.outer, a, b)


def test_methods_keep_numpys_dtypes():
    x = M.astype(np.float32)
    for dtype in (None, np.float64):
        for call in (
            lambda x, d=dtype: np.add.reduce(x, dtype=d),
            lambda x, d=dtype: np.logaddexp.reduce(x, dtype=d),
            lambda x, d=dtype: np.multiply.accumulate(x, 0, d),
            lambda x, d=dtype: np.add.reduceat(x, [0, 1], dtype=d),
        ):
            assert_same(call(leaf(x, np.float32)), call(x))
            assert grad(lambda x, call=call: np.sum(call(x)))(x).dtype == np.float32


def test_a_product_of_zeros_on_the_way_has_its_derivatives():
    for x in ([0.0, 2.0, 3.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]):
        gradcheck(np.multiply.accumulate, np.array(x))
    second = hessian(lambda x: np.multiply.accumulate(x)[-1])(np.array([0.0, 0.0, 3.0]))
    np.testing.assert_array_equal(second, [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


def test_lengths_are_smooth_in_a_zero_beside_other_entries():
    x = np.array([0.0, -0.9, 0.0, 1.3])
    for method in (np.hypot.reduce, np.hypot.accumulate, lambda x: np.hypot.reduceat(x, [0, 2])):
        second = hessian(lambda x, f=method: f(x)[-1] if np.ndim(f(x)) else f(x))(x)
        y = x if np.ndim(method(x)) == 0 or len(method(x)) == 4 else x * [0, 0, 1, 1]
        length = np.hypot.reduce(y)
        inside = np.diag([1.0] * 4 if y is x else [0, 0, 1, 1])
        np.testing.assert_allclose(second, (inside - np.outer(y, y) / length**2) / length)
    for method in (np.hypot.reduce, np.hypot.accumulate):
        np.testing.assert_array_equal(grad(lambda x, f=method: np.sum(f(x)))(np.zeros(2))[1:], [0])


def test_logarithms_of_nothing_add_up_without_nan():
    for method in (np.logaddexp.reduce, np.logaddexp.accumulate):
        slopes = grad(lambda x, method=method: np.sum(method(x)))
        assert np.isfinite(slopes(np.array([-np.inf, -np.inf]))).all()
        assert np.isfinite(slopes(np.array([-np.inf, 0.0]))).all()
    np.testing.assert_array_equal(slopes(np.array([0.0, np.inf])), [1, 1])


def test_extremes_share_between_ties_and_pass_over_nan():
    slope = grad(np.fmax.reduce)
    np.testing.assert_array_equal(slope(np.array([2.0, np.nan, 2.0, 1.0])), [0.5, 0, 0.5, 0])
    np.testing.assert_array_equal(slope(np.array([np.nan, np.nan])), [0, 0])
    slope = grad(lambda x: np.sum(np.minimum.reduceat(x, [0, 2])))
    np.testing.assert_array_equal(slope(np.array([1.0, 1.0, 3.0, 2.0])), [0.5, 0.5, 0, 1])


def test_a_method_of_nothing_has_no_gradient_to_give():
    slope = grad(lambda x: np.sum(np.add.reduceat(x, [], axis=1)))
    np.testing.assert_array_equal(slope(np.ones((3, 2))), np.zeros((3, 2)))
    assert grad(lambda x: np.sum(np.logaddexp.reduce(x)))(np.zeros((0, 2))).shape == (0, 2)
    assert grad(lambda x: np.sum(np.multiply.accumulate(x)))(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("name", sorted(WRONG_IN_NUMPY))
def test_what_numpy_itself_reduces_wrong_is_refused(name):
    ufunc, x = getattr(np, name), np.array([2.0, 3.0, 2.0])
    for call in (ufunc.reduce, lambda x: ufunc.reduceat(x, [0, 1])):
        with pytest.raises(TypeError, match=rf"np\.{name}\.reduce.* wrong in NumPy.*accumulate"):
            call(leaf(x))
    gradcheck(lambda x: ufunc.accumulate(x)[-1], x)


def test_where_of_a_ufunc_without_a_neutral_number_is_refused():
    x = np.array([5.0, 3.0])
    with pytest.raises(TypeError, match=r"np\.fmod\.reduce .* does not take where="):
        grad(lambda x: np.fmod.reduce(x, initial=7.0, where=[True, False]))(x)
    gradcheck(lambda x: np.subtract.reduce(x, initial=7.0, where=[True, False]), x)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: np.add.at(np.zeros(2), [0, 1], t),
        lambda t: np.multiply.at(t, [0], 2.0),
        lambda t: np.floor.at(t, [0]),
    ],
    ids=["values", "target", "plain"],
)
def test_at_is_refused_with_the_ways_out(call):
    with pytest.raises(TypeError, match=r"\.at writes in place.*ops\.scatter.*ops\.set_at"):
        call(leaf([1.0, 2.0]))

"""Padding in every mode, beside NumPy's own values and differences of them."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck

X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.05, -2.6]])
CASES = [
    (5, {"mode": "reflect"}),
    (((0, 3), (7, 0)), {"mode": "reflect", "reflect_type": "odd"}),
    (4, {"mode": "symmetric", "reflect_type": "odd"}),
    (5, {"mode": "symmetric"}),
    (((1, 7), (4, 0)), {"mode": "wrap"}),
    (2, {"mode": "edge"}),
    (2, {"mode": "linear_ramp", "end_values": ((1.0, 2.0), (3.0, -1.0))}),
    (2, {"mode": "mean", "stat_length": ((1, 2), (2, 3))}),
    (2, {"mode": "maximum", "stat_length": 2}),
    (2, {"mode": "minimum"}),
    (1, {"mode": "median"}),
    (((1, 2),), {"constant_values": ((3.0, 4.0), (5.0, 6.0))}),
    ((1, 2), {"constant_values": (3.0, 4.0)}),
]


@pytest.mark.parametrize(("width", "options"), CASES, ids=repr)
@pytest.mark.parametrize("x", [X, X[:, :1]], ids=["wide", "one column"])
def test_each_mode_has_numpys_values_and_a_right_gradient(width, options, x):
    made = np.pad(Tensor(x, requires_grad=True), width, **options)
    np.testing.assert_array_equal(made.data, np.pad(x, width, **options))
    gradcheck(lambda x: np.pad(x, width, **options), x)


def test_constants_that_are_tensors_have_a_gradient_of_their_own():
    f = lambda v: np.sum(np.pad(Tensor(X), ((1, 0), (0, 2)), constant_values=v))  # noqa: E731
    np.testing.assert_array_equal(grad(f)(2.0), 9)  # 3 above, then 2 columns of 3
    np.testing.assert_array_equal(grad(f)(np.array([[1.0, 2.0], [3.0, 4.0]])), [[3, 0], [0, 6]])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mode": "sideways"}, r"got mode='sideways'.*the modes are constant"),
        ({"mode": "edge", "end_values": 1}, r"mode='edge' with end_values.*takes nothing"),
    ],
)
def test_an_unknown_mode_or_option_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        np.pad(Tensor(X, requires_grad=True), 1, **options)


def test_a_function_as_mode_is_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"no function as mode.*np\.concatenate"):
        np.pad(Tensor(X, requires_grad=True), 1, lambda *_: None)


@pytest.mark.parametrize(("width", "error"), [(-1, ValueError), (1.5, TypeError)])
def test_a_width_must_be_a_whole_number_that_is_not_negative(width, error):
    with pytest.raises(error, match=f"pad_width is {width}"):
        np.pad(Tensor(X, requires_grad=True), width)

"""Points at which other frameworks give NaN, a wrong number or none: 78 probes."""

import numpy as np
import pytest

from tests.inventory.table import CALLS, OWN
from tinygrad_mnist import Tensor, grad, hessian, map_gradient, ops

INF, NAN = np.inf, np.nan

# Of the sum of an expression in x (and y): the gradient, and the gradient of the sum of that. A
# text as the answer stands for an expression of smooth pieces, whose derivatives are the answer.
SMOOTH = [
    ("1", "where(x > 0, sqrt(x), 0)", 0.0, 0, 0),
    ("2", "where(x > 0, x * log(x), 0)", 0.0, 0, 0),
    ("3", "where(x != 0, sin(x) / x, 1)", 0.0, 0, 0),
    ("4", "where(x < 100, exp(x), 1)", 1000.0, 0, 0),
    ("5", "where(abs(x) < 1, arccos(x), 0)", 1.0, 0, 0),
    ("6", "where([[True, False, True], [False, False, True]], x, 0.0)", [1.0, 2, 3], [1, 0, 2], 0),
    ("7 the wish", "linalg.norm(x)", [0.0, 0.0], 0, 0),
    ("8", "x**0.0", 0.0, 0, 0),
    ("8 array", "power(x, [0.0, 0.0])", [0.0, 0.0], 0, 0),
    ("9", "x**1.0", 0.0, 1, 0),
    ("10", "linalg.norm(x)", [0.0, 0.0, 0.0], 0, 0),
    ("10 rows", "linalg.norm(x, axis=1)", [[3.0, 4], [0, 0]], [[0.6, 0.8], [0, 0]],
     [[0.032, -0.024], [0, 0]]),
    ("11", "linalg.norm(x, 1)", [0.0, 2.0], [0, 1], 0),
    ("12", "linalg.norm(x, inf)", [2.0, -2.0, 1.0], [0.5, -0.5, 0], 0),
    ("13", "std(x)", [2.0, 2.0, 2.0], 0, 0),
    ("13 ddof", "std(x, ddof=1)", [2.0, 2.0, 2.0], 0, 0),
    ("14", "std(x, axis=1)", [[1.0], [2.0]], 0, 0),
    ("15", "max(x) + sum(x) + std(x)", 0.7, 2, 0),
    ("17", "ops.logsumexp(x)", [-INF, -INF], 0, 0),
    ("20 large", "hypot(x[0], x[1])", [3e200, 4e200], [0.6, 0.8], [3.2e-202, -2.4e-202]),
    ("20 small", "hypot(x[0], x[1])", [3e-200, 4e-200], [0.6, 0.8], [3.2e198, -2.4e198]),
    ("21", "sinc(x)", 0.0, 0, -(np.pi**2) / 3),
    ("22", "abs(x)", 0.0, 0, 0),
    ("23", "arcsin(x)", 1.0, INF, INF),
    ("24", "clip(x, 0, 1)", [0.0, 0.5, 1.0], [1, 1, 1], 0),
    ("25", "prod(x)", [2.0, 0.0, 3.0], [0, 6, 0], [3, 5, 2]),
    ("25 two zeros", "prod(x)", [0.0, 0.0, 3.0], 0, [3, 3, 0]),
    ("27", "max(x)", [1.0, 1.0, 0.0], [0.5, 0.5, 0], 0),
    ("28", "max(x, axis=1)", [[1.0, 1], [0, 2]], [[0.5, 0.5], [0, 1]], 0),
    ("29", "maximum(x, [1.0, 0.0])", [1.0, 1.0], [0.5, 1], 0),
    ("30", "min(x, axis=(0, 1))", [[0.0, 0], [1, 0]], [[1 / 3, 1 / 3], [0, 1 / 3]], 0),
    ("31", "median(x)", [1.0, 2, 3, 4], [0, 0.5, 0.5, 0], 0),
    ("32", "unique(x) * [1, 10, 100]", [3.0, 1, 2], [100, 1, 10], 0),
    ("32 squared", "unique(x)**2 * [1, 10, 100]", [3.0, 1, 2], [600, 2, 40], [200, 2, 20]),
    ("33", "sum(x, axis=())**2", [1.0, 2.0], [2, 4], 2),
    ("35", "sum(x, where=[True, False])", [5.0, 6.0], [1, 0], 0),
    ("36", "var(x, correction=1)", [1.0, 3.0], [-2, 2], 0),
    ("37", "nansum(x**2)", [NAN, 3.0], [0, 6], [0, 2]),
    ("38", "nanmean(x, axis=1)", [[NAN, NAN], [1, 3.0]], [[0, 0], [0.5, 0.5]], 0),
    ("39", "tile(x, 2) * [1, 2, 3, 4]", [[5.0, 6.0]], [[4, 6]], 0),
    ("39 repeat", "repeat(x, [1, 3]) * [1, 2, 3, 4]", [5.0, 6.0], [1, 9], 0),
    ("40", "pad(x, 1, mode='reflect')", [1.0, 2, 3], [1, 3, 1], 0),
    ("40 squared", "pad(x, 1, mode='reflect')**2", [1.0, 2, 3], [2, 12, 6], [2, 6, 2]),
    ("41", "linspace(x[0], x[1], 3)", [1.0, 4.0], [1.5, 1.5], 0),
    ("42", "ops.full((2,), x)", 3.0, 2, 0),
    ("43 copy", "x.copy()**2", [1.0, 3.0], [2, 6], 2),
    ("43 astype", "x.astype(float64)**2", [1.0, 3.0], [2, 6], 2),
    ("44", "vander(x, 3)", [0.0, 2.0], [1, 5], 2),
    ("44 polyfit", "polyfit(x, [1.0, 3.0, 2.0, 5.0], 1)", [0.0, 1.0, 2.5, 4.0],
     "(1 - mean(x)) * sum((x - mean(x)) * [1, 3, 2, 5]) / sum((x - mean(x))**2)", ...),
    ("45", "einsum('ii->', x)", [[1.0, 2], [3, 4]], np.eye(2), 0),
    ("45 ii->i", "einsum('ii->i', x)**2", [[1.0, 2], [3, 4]], [[2, 0], [0, 8]], 2 * np.eye(2)),
    ("45 ...ii", "einsum('...ii->...i', x)", np.ones((2, 2, 2)), [np.eye(2)] * 2, 0),
    ("45 iij", "einsum('iij->j', x) * [1, 2]", np.ones((2, 2, 2)),
     [[[1, 2], [0, 0]], [[0, 0], [1, 2]]], 0),
    ("46", "from_svd(x) * W", np.eye(3), "x * W", ...),
    ("47", "from_eigh((x + x.T) / 2) * W", np.eye(3), "(x + x.T) / 2 * W", ...),
    ("48", "linalg.det(x)", [[1.0, 2], [2, 4]], [[4, -2], [-2, 1]], [[1, -1], [-1, 1]]),
    ("49", "linalg.det(x)", [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]],
     [[-3, 6, -3], [6, -12, 6], [-3, 6, -3]], "leibniz(x)"),
    ("50", "linalg.det(x)", np.ones((3, 3)), 0, "leibniz(x)"),
    ("50 zeros", "linalg.det(x)", np.zeros((2, 2)), 0, [[1, -1], [-1, 1]]),
    ("53", "linalg.cond(x, 'fro')", [[1.0, 2], [3, 5]],
     "sqrt(sum(x**2)) * sqrt(sum(linalg.inv(x)**2))", ...),
    ("54", "abs(fft.rfft(x, n=3))**2", [1.0, 2, 4, 3], [10, 13, 19, 0], [6, 6, 6, 0]),
    ("54 n=6", "abs(fft.rfft(x, n=6))**2", [1.0, 2, 4, 3], "(C @ x)**2 + (D @ x)**2", ...),
    ("55", "fft.irfft(x, norm='forward') * [1, 2, 3, 5]", [1.0, 2, 3], [11, -4, -3], 0),
    ("56", "array([1.0, 2.0]) * x", [3.0, 4.0], [1, 2], 0),
    ("56 @", "array([[1.0, 2.0]]) @ x", [3.0, 4.0], [1, 2], 0),
    ("59", "add.reduce(x)", [3.0, 4.0], 1, 0),
    ("60", "(x - floor(x))**2", [1.25, -0.5], [0.5, 1], 2),
    ("66", "x**2", np.arange(3.0)[::-1], [4, 2, 0], 2),
    ("75", "x * tanh(ops.softplus(x))", 1000.0, 1, 0),
    ("76", "where(x[0] == 0, 0, x[0] * log(x[1]))", [0.0, 0.0], 0, 0),
    ("77", "-ops.softplus(-x)", -800.0, 1, 0),
]  # fmt: skip


def leibniz(x):
    """Return the determinant of a 3 by 3 matrix, written out."""
    (a, b, c), (d, e, f), (g, h, i) = x
    return a * e * i + b * f * g + c * d * h - c * e * g - b * d * i - a * f * h


def from_svd(x):
    """Return a matrix put together again from its singular values and vectors."""
    u, s, vt = np.linalg.svd(x)
    return (u * s) @ vt


def from_eigh(x):
    """Return a symmetric matrix put together again from its eigenvalues and vectors."""
    w, v = np.linalg.eigh(x)
    return (v * w) @ v.T


NAMES = {
    **{name: value for name, value in vars(np).items() if not name.startswith("_")},
    "fft": np.fft,
    "ops": ops,
    "leibniz": leibniz,
    "from_svd": from_svd,
    "from_eigh": from_eigh,
    "W": np.array([[1.0, -2, 3], [0.5, 4, -1], [2, 0.3, 1]]),
    "C": np.cos(np.outer(np.arange(4), np.arange(4)) * np.pi / 3),
    "D": np.sin(np.outer(np.arange(4), np.arange(4)) * np.pi / 3),
}


def first_and_second(text):
    """Return the gradient of the sum of an expression, and the gradient of the sum of that."""
    gradient = grad(lambda x: np.sum(eval(text, {**NAMES, "x": x})))
    return gradient, grad(lambda x: np.sum(gradient(x)))


@pytest.mark.parametrize(
    ("text", "x", "first", "second"), [row[1:] for row in SMOOTH], ids=[row[0] for row in SMOOTH]
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_a_probe_has_the_right_derivatives_of_both_orders(text, x, first, second):
    x = np.asarray(x, float)
    second = first if second is ... else second
    with np.errstate(all="ignore"):
        for order, answer in enumerate((first, second)):
            true = first_and_second(answer)[order](x) if isinstance(answer, str) else answer
            got = first_and_second(text)[order](x)
            assert got.shape == x.shape
            scale = np.abs(np.ravel(true)[np.isfinite(np.ravel(true))]).max(initial=0) or 1
            np.testing.assert_allclose(got, np.broadcast_to(true, x.shape), 1e-9, 1e-10 * scale)


def pair(function, x, y):
    """Return both orders of a function of two numbers, as a gradient in each."""
    gradient = grad(function, argnums=(0, 1))
    curved = grad(lambda x, y: np.sum(np.stack(gradient(x, y))), argnums=(0, 1))
    with np.errstate(all="ignore"):
        return np.array(gradient(x, y)), np.array(curved(x, y))


@pytest.mark.parametrize(
    ("function", "at", "first"),
    [
        (np.logaddexp, (-INF, -INF), (0.5, 0.5)),  # 16
        (np.arctan2, (0.0, 0.0), (0, 0)),  # 18
        (np.hypot, (0.0, 0.0), (0, 0)),  # 19
    ],
)
def test_a_pair_without_a_limit_has_finite_derivatives(function, at, first):
    gradient, curved = pair(function, *at)
    np.testing.assert_array_equal(gradient, first)
    np.testing.assert_array_equal(curved, (0, 0))


def test_7_no_local_rule_gives_the_root_of_a_sum_of_squares_at_0():
    with np.errstate(all="ignore"):
        gradient = grad(lambda x: np.sqrt(np.sum(x * x)))(np.zeros(2))
    assert np.isnan(gradient).all()  # as docs/kinks.md says; linalg.norm gives 0


def test_21_sinc_has_its_fourth_derivative_at_0():
    f = np.sinc
    for _ in range(4):
        f = grad(f)
    np.testing.assert_allclose(f(0.0), np.pi**4 / 5, rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "products"),
    [
        ([2.0, 0.0, 3.0], [[0, 3, 0], [3, 0, 2], [0, 2, 0]]),
        ([0.0, 0.0, 3.0], [[0, 3, 0], [3, 0, 0], [0, 0, 0]]),
    ],
)
def test_26_the_hessian_of_a_product_has_the_products_of_the_others(x, products):
    np.testing.assert_array_equal(hessian(np.prod)(np.array(x)), products)


def test_31_the_gradient_of_a_median_of_a_tie_sums_to_1():
    gradient = grad(np.median)(np.array([2.0, 2, 1]))
    np.testing.assert_allclose(gradient.sum(), 1)
    assert gradient[2] == 0


def test_34_the_largest_of_nothing_raises_as_numpy_does():
    with pytest.raises(ValueError, match="zero-size array"):
        np.max(Tensor(np.zeros(0), requires_grad=True))


def test_51_the_logarithm_of_the_determinant_of_a_singular_matrix_has_no_finite_slope():
    with np.errstate(all="ignore"):
        try:
            gradient = grad(lambda a: np.linalg.slogdet(a)[1])(np.array([[1.0, 2], [2, 4]]))
        except np.linalg.LinAlgError:
            return
    assert not np.isfinite(gradient).any()


def test_52_a_right_hand_side_that_is_broadcast_over_a_batch_gets_a_gradient_of_its_shape():
    a, b = np.random.default_rng(0).normal(size=(2, 2, 2)), np.array([[1.0], [2.0]])
    by_solve = lambda b: np.sum(np.linalg.solve(a, b) ** 2)  # noqa: E731
    by_inverse = lambda b: np.sum((np.linalg.inv(a) @ b) ** 2)  # noqa: E731
    gradient = grad(by_solve)(b)
    assert gradient.shape == (2, 1)
    np.testing.assert_allclose(gradient, grad(by_inverse)(b), rtol=1e-10)
    np.testing.assert_allclose(hessian(by_solve)(b), hessian(by_inverse)(b), rtol=1e-10)


def test_57_all_names_but_three_are_called_as_numpys_own():
    assert len({call.name for call in CALLS} - OWN) == 265


def test_58_an_array_made_of_tracked_tensors_is_an_error():
    t = Tensor([1.0, 2.0], requires_grad=True)
    for make in (lambda: np.asarray(t), lambda: np.array([t[0], t[1]])):
        with pytest.raises(TypeError, match=r"\.data .*\.detach\(\)"):
            make()


def test_61_a_chain_of_100_000_multiplications_is_no_recursion():
    def chain(x, n):
        y = x
        for _ in range(n):
            y = y * x
        return y

    assert grad(lambda x: chain(x, 100_000))(1.0) == 100_001
    assert grad(grad(lambda x: chain(x, 10_000)))(1.0) == 10_001 * 10_000


def test_62_an_integer_has_no_gradient():
    with pytest.raises(TypeError, match="floating-point"):
        grad(lambda x: x * x)(3)


@pytest.mark.parametrize("function", [np.mean, np.std, lambda x: np.sum(x * 2.0)])
def test_63_and_64_a_float32_has_a_gradient_of_float32(function):
    x = np.array([1.0, 2.5], np.float32)
    assert function(Tensor(x, requires_grad=True)).dtype == np.float32
    assert grad(function)(x).dtype == np.float32
    assert hessian(function)(x).dtype == np.float32


def test_65_a_gradient_has_the_dtype_of_its_input_where_numpy_widens_the_value():
    x = np.array([1.0, 2.5], np.float32)
    assert (Tensor(x, requires_grad=True) * np.float64(2)).dtype == np.float64
    assert grad(lambda x: np.sum(x * np.float64(2)))(x).dtype == np.float32


def test_67_a_complex_cotangent_is_jaxs_and_a_complex_leaf_is_refused():
    with pytest.raises(TypeError, match="complex"):
        Tensor(1 + 2j, requires_grad=True)
    seen = []
    keep = lambda g: seen.append(complex(g)) or g  # noqa: E731
    square = lambda x, y: np.abs(map_gradient(x + 1j * y, keep)) ** 2  # noqa: E731
    gradient, curved = pair(square, 1.0, 2.0)
    assert seen[0] == 2 - 4j
    np.testing.assert_allclose(gradient, (2, 4))
    np.testing.assert_allclose(curved, (2, 2))


def test_68_an_array_that_a_graph_saved_is_not_changed_unseen():
    x, w = Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    loss = np.sum(x * w)
    with pytest.raises(ValueError, match="read-only"):
        w[...] = 0
    loss.backward()
    np.testing.assert_array_equal(x.grad, [3, 4])


def test_69_a_parameter_that_a_graph_saved_is_not_changed_unseen():
    x = Tensor([1.0, 2.0], requires_grad=True)
    loss = np.sum(x * x)
    with pytest.raises(ValueError, match="read-only"):
        x.data[...] = 0
    loss.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_70_writing_into_a_result_names_the_way_out():
    y = 2 * Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"ops\.set_at\(t, index, value\)"):
        y[0] = 0


def test_71_an_operator_in_place_binds_the_name_anew():
    x = y = Tensor([1.0, 2.0], requires_grad=True)
    y += 1
    assert y is not x
    np.testing.assert_array_equal(x.data, [1, 2])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_72_an_output_that_does_not_depend_on_x_has_a_gradient_of_zeros():
    for f in (lambda _: 3.0, lambda x: np.sum(np.floor(x)), lambda x: np.sum(0 * x)):
        gradient = grad(f)(np.array([1.5, 2.5]))
        np.testing.assert_array_equal(gradient, np.zeros(2), strict=True)


def test_73_the_gradient_of_several_numbers_asks_for_a_cotangent():
    y = 2 * Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        y.backward()


def test_74_the_inner_of_two_gradients_does_not_see_the_outer():
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1


def test_78_the_order_of_a_bessel_function_has_no_silent_gradient():
    special = pytest.importorskip("scipy.special")
    with pytest.raises(TypeError, match="iv"):
        special.iv(Tensor(1.5, requires_grad=True), 1.0)


def test_every_probe_is_here():
    of_tables = {row[0].split()[0] for row in SMOOTH} | {"16", "18", "19", "64"}
    of_tests = {name.split("_")[1] for name in globals() if name.startswith("test_")}
    assert {str(n) for n in range(1, 79)} <= of_tables | of_tests

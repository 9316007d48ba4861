"""rounding bounds what rounding did, and says which op did it."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_mnist import Tensor, no_grad, ops, rounding


def network(dtype, seed):
    random = np.random.default_rng(seed)
    x, labels = random.normal(size=(16, 20)).astype(np.float32), random.integers(0, 5, 16)
    w1 = (random.normal(size=(20, 30)) / 4).astype(np.float32)
    w2 = (random.normal(size=(30, 5)) / 4).astype(np.float32)
    arrays = [a.astype(dtype) for a in (x, w1, w2)]

    def loss(x, w1, w2):
        hidden = np.tanh(x @ w1) + ops.sigmoid(x @ w1)
        return ops.cross_entropy(hidden @ w2, labels) + 1e-3 * np.mean(np.exp(w2) ** 2)

    return loss, arrays


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_float32_moves_a_loss_by_no_more_than_the_bound_and_the_bound_is_not_far_above(seed):
    loss, arrays = network(np.float32, seed)
    report = rounding(loss, *arrays)
    exact = loss(*(Tensor(a.astype(np.float64)) for a in arrays)).item()
    assert abs(report.value - exact) <= report.bound <= 1e-4 * exact
    assert report.dtype == np.float32
    assert report.bound == pytest.approx(report.single)
    assert report.float32_is_enough


@pytest.mark.parametrize("f", [np.linalg.inv, np.linalg.pinv, np.linalg.det])
@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 1.0))
@settings(max_examples=30)
def test_a_nearly_singular_matrix_moves_results_by_much_more_than_their_digits(f, seed, small):
    u, _, vh = np.linalg.svd(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = ((u * [1.0, 0.7, small]) @ vh).astype(np.float32)
    report = rounding(lambda a: np.sum(f(a)), matrix)
    exact = np.sum(f(matrix.astype(np.float64)))
    assert abs(report.value - exact) <= 4 * report.bound


def test_a_sum_over_nodes_of_cotangent_times_result_times_eps_is_the_bound():
    x = Tensor([3.0], requires_grad=True)
    report = rounding(lambda: np.sum(np.exp(x) * 2.0))
    eps = np.finfo(float).eps
    bounds = {part.op: part.bound for part in report.parts}
    assert bounds == pytest.approx(dict.fromkeys(("exp", "multiply", "sum"), 2 * np.exp(3) * eps))
    assert report.bound == pytest.approx(6 * np.exp(3) * eps)
    assert report.digits == pytest.approx(-np.log10(3 * eps))


def test_where_digits_cancel_is_seen_and_float32_is_not_enough():
    report = rounding(lambda x: (np.sum(np.cos(x)) - 2.0) * 1e6, np.array([1e-4, 2e-4]))
    exact = 1e6 * (mpmath.cos(mpmath.mpf(1e-4)) + mpmath.cos(mpmath.mpf(2e-4)) - 2)
    assert abs(report.value - float(exact)) <= report.bound < 1e-7 * abs(report.value)
    assert report.bound > 1e-9 * abs(report.value)
    assert {report.parts[0].op, report.parts[1].op} == {"sum", "cos"}
    assert not report.float32_is_enough
    assert "float32 is not enough: it leaves 0 digits" in str(report)


def test_terms_that_cancel_inside_a_sum_or_a_product_of_matrices_count():
    x = np.array([1e8, 1.0, -1e8])
    for f in (np.sum, lambda x: x @ np.ones(3), lambda x: np.mean(x) * 3):
        assert rounding(f, x).bound >= 2e8 * np.finfo(float).eps


def test_moving_numbers_rounds_nothing():
    x = np.arange(6.0).reshape(2, 3)
    report = rounding(lambda x: np.max(ops.relu(np.transpose(x).reshape(6)[1:])), x)
    assert report.parts == ()
    assert (report.bound, report.digits) == (0, np.inf)


def test_a_loss_that_is_computed_already_shows_what_its_graph_kept():
    loss, arrays = network(np.float64, 0)
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    whole, some = rounding(loss, *leaves), rounding(loss(*leaves))
    assert {part.op for part in some.parts} < {part.op for part in whole.parts}
    assert set(some.unseen) >= {p.op for p in whole.parts} - {p.op for p in some.parts}
    kept = {part.op: part.bound for part in some.parts}
    assert kept["exp"] == pytest.approx({p.op: p.bound for p in whole.parts}["exp"])
    assert "not counted" in str(some)
    assert "rounding(f, *inputs)" in str(some)
    assert whole.unseen == ()


def test_the_graph_of_a_loss_can_be_used_after_it():
    x = Tensor([1.0, 2.0], requires_grad=True)
    loss = np.sum(np.exp(x))
    rounding(loss)
    assert x.grad is None
    loss.backward()
    assert x.grad == pytest.approx(np.exp([1.0, 2.0]))


def test_parameters_that_a_function_finds_for_itself_count():
    w = Tensor([[2.0]], requires_grad=True)
    report = rounding(lambda x: np.sum(x @ w) + np.sum(w * w), np.array([[3.0]]))
    assert {part.op for part in report.parts} == {"matmul", "sum", "multiply", "add"}


def test_the_table_names_the_users_line():
    report = rounding(lambda x: np.sum(np.exp(x)), np.ones(3))
    assert all(part.site.startswith(__file__) for part in report.parts)
    assert "op   calls  moves the result by  share  most of it at" in str(report)
    page = report._repr_html_()
    assert page.count("<tr>") == 3
    assert "&lt;" not in page


def test_results_of_several_parts_and_hidden_results_count():
    def f(x):
        left, right = np.split(np.exp(x), 2)
        return np.sum(left * ops.dropout(right, p=0.5, rng=0))

    report = rounding(f, np.arange(4.0))
    assert {part.op for part in report.parts} == {"sum", "multiply", "dropout", "exp"}


def test_what_has_no_rounding_is_refused():
    for leaf in (Tensor(1.0), Tensor(1.0, requires_grad=True)):
        with pytest.raises(RuntimeError, match="that no op made"):
            rounding(leaf)
    with pytest.raises(TypeError, match="takes a loss, a Tensor, or the function"):
        rounding(3.0)
    with pytest.raises(ValueError, match="reduce to a single number"):
        rounding(np.exp, np.ones(2))
    with pytest.raises(ValueError, match="returns a single number"):
        rounding(lambda _: 3.0, np.ones(2))


def test_inputs_beside_a_loss_and_a_graph_that_is_gone_are_refused():
    x = Tensor([1.0], requires_grad=True)
    loss = np.sum(np.exp(x))
    with pytest.raises(TypeError, match="is computed already: give the function instead"):
        rounding(loss, x)
    loss.backward()
    with pytest.raises(RuntimeError, match="graph behind op 'sum' was freed"):
        rounding(loss)
    with no_grad(), pytest.raises(RuntimeError, match="tracks no gradient"):
        rounding(np.sum, x)

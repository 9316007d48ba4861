"""Where a derivative does not apply no rule is at fault, and the report says why."""

import numpy as np
import pytest

from tinygrad_mnist import gradcheck, op
from tinygrad_mnist.checking import GradientError, GradientWarning


def rebuilt(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u @ (s[..., None] * vh)


@pytest.mark.parametrize(
    ("f", "matrix", "said"),
    [
        (rebuilt, np.zeros((1, 3)), "svd takes matrices of the kind 'distinct singular"),
        (lambda a: np.linalg.qr(a)[0], np.ones((3, 2)), "qr takes .* 'independent columns"),
        (lambda a: np.sum(np.linalg.eigvals(a).real), np.eye(3, k=1), "eigvals takes .* 'distinct"),
        (lambda a: np.linalg.eigh(a)[0], np.diag([1.0, 2.0]), "eigh takes .* 'symmetric"),
    ],
    ids=["svd", "qr", "eigvals", "eigh"],
)
def test_an_op_inside_says_what_matrices_it_takes(f, matrix, said):
    with pytest.warns(GradientWarning, match=said):
        assert gradcheck(f, matrix).verdict == "inconclusive"


def test_a_point_that_stands_alone_is_a_jump():
    with pytest.warns(GradientWarning, match="a derivative does not apply there"):
        gradcheck(lambda a: np.linalg.qr(a)[1], np.array([[2.0], [0.0]]))


def test_what_is_smooth_at_such_a_matrix_is_judged_and_so_is_what_others_claim_there():
    @op
    def cube(x):
        return x**3

    cube.defvjp(x=lambda g, x: 3 * g * x)
    assert gradcheck(lambda a: np.linalg.svd(a)[1], np.diag([3.0, 1.0])).verdict == "pass"
    assert gradcheck(np.linalg.det, np.ones((2, 2))).verdict == "pass"
    for matrix in (np.eye(2) * 3, np.array([[2.0, 1.0], [1.0, 2.0]])):
        with pytest.raises(GradientError, match="is wrong at"):
            gradcheck(lambda a: cube(np.linalg.inv(a)), matrix)
    with pytest.raises(GradientError, match="is wrong at"):
        gradcheck(lambda a: cube(np.linalg.svd(a)[1]))


def test_the_end_of_a_domain_excuses_no_other_entry():
    power = op(lambda x: x**1.5).defvjp(x=lambda g, x: 3 * g * x**0.5)
    with pytest.raises(GradientError, match=r"x\[1\] = 4"):
        gradcheck(lambda x: np.sum(power(x)), np.array([0.0, 4.0]))


def test_results_that_change_their_shape_all_around_are_not_judged():
    assert gradcheck(np.intersect1d).verdict == "pass"
    assert gradcheck(np.polydiv).verdict == "pass"
    with pytest.warns(GradientWarning, match="of another shape"):
        gradcheck(np.intersect1d, np.array([1.0, 1.0]), np.array([1.0, 2.0]))

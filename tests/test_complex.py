"""Complex numbers between real leaves and a real result, under the documented convention."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck, map_gradient, vjp

X, Y = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[2.0, 0.3], [-1.5, 1.0]])


def cotangent_of(f, z):
    """Return the cotangent that reaches z."""
    seen = []
    start = Tensor(z.real, requires_grad=True) + 1j * z.imag
    f(map_gradient(start, seen.append)).backward()
    return seen[0]


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda z: np.abs(z) ** 2, 2 - 4j),  # JAX's; PyTorch has 2 + 4j
        (np.real, 1),
        (np.imag, -1j),
        (lambda z: np.real(z * z), 2 * (1 + 2j)),
        (lambda z: np.real(np.exp(z)), np.exp(1 + 2j)),
        (lambda z: np.real(np.conj(z) * 1j), -1j),
        (np.angle, -1j / (1 + 2j)),
    ],
    ids=["abs2", "real", "imag", "square", "exp", "conj", "angle"],
)
def test_g_is_the_number_for_which_the_result_changes_by_the_real_part_of_g_dz(f, expected):
    assert cotangent_of(f, np.complex128(1 + 2j)) == pytest.approx(expected)


def test_a_cotangent_of_a_complex_result_is_paired_without_a_conjugate():
    _, pull = vjp(lambda x, y: x + 1j * y, 3.0, 4.0)
    assert pull(2 - 5j) == (2.0, 5.0)  # Re((2 - 5j)(dx + 1j dy))


@pytest.mark.parametrize(
    "f",
    [
        lambda z: z * np.conj(z),
        lambda z: (2 - 1j) / z + z / 3.0 - z,
        lambda z: z**3 + z**0.5 + 2.0**z + z ** (1 + 2j) + z**z,
        lambda z: np.exp(z) + np.expm1(z) + np.log(z) + np.log1p(z) + np.sqrt(z),
        lambda z: np.sin(z) * np.cos(z) * np.tanh(z),
        lambda z: np.abs(z) * np.angle(z),
        lambda z: np.angle(z, deg=True) + z.real * z.imag,
        lambda z: z @ z.T + np.conj(z.T) @ X,
        lambda z: np.einsum("ij,kj,k->i", z, np.conj(z), z[0]),
        lambda z: np.sum(z, axis=0) * np.mean(z) * np.prod(z),
        lambda z: np.var(z, axis=1) + np.std(z),
        lambda z: np.stack([z[0], z[1, ::-1], z.conj()[[0, 1], [1, 1]]]).reshape(3, 2).T,
        lambda z: np.where(X > 0, z, 1j * X) * z.conjugate(),
        lambda z: np.interp([0.3, 1.5, 4.0], [0.0, 1.0, 2.0, 3.0], z.ravel()),
    ],
    ids=str.split(
        "conj arithmetic power exp trigonometry polar parts matmul einsum sum var shape where knots"
    ),
)
def test_what_goes_through_complex_numbers_has_right_derivatives_of_both_orders(f):
    gradcheck(lambda x, y: f(x + 1j * y), X, Y)


def test_an_operand_that_is_real_gets_the_real_part():
    x = Tensor(X, requires_grad=True)
    (np.abs(x * (3 + 4j)) ** 2).sum().backward()
    assert x.grad.dtype == np.float64
    np.testing.assert_allclose(x.grad, 2 * 25 * X)


def test_float32_becomes_complex64_and_comes_back():
    x = Tensor(X.astype(np.float32), requires_grad=True)
    z = x * 1j
    assert z.dtype == np.complex64
    np.abs(np.exp(z) + np.conj(z)).sum().backward()
    assert x.grad.dtype == np.float32


def test_the_parts_of_a_real_tensor_are_itself_and_zeros():
    x = Tensor(X, requires_grad=True)
    (x.real * 2 + x.imag * 3 + x.conj() * 5 + np.angle(x)).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 2), 7.0))


def test_at_zero_the_modulus_and_the_angle_have_no_slope():
    zero = lambda f: cotangent_of(f, np.complex128(0))  # noqa: E731
    assert zero(np.abs) == zero(np.angle) == 0


def test_a_complex_leaf_is_refused():
    with pytest.raises(TypeError, match=r"got complex128: .* track the parts of z"):
        Tensor(X + 1j * Y, requires_grad=True)
    with pytest.raises(TypeError, match=r"z = x \+ 1j \* y"):
        grad(np.abs)(1j)


def test_backward_of_a_complex_number_asks_for_a_cotangent():
    x = Tensor(2.0, requires_grad=True)
    with pytest.raises(TypeError, match="backward of a complex Tensor needs a cotangent"):
        (x * 1j).backward()
    (x * 1j).backward(-1j)
    assert x.grad == 1.0


def test_a_real_result_has_a_real_cotangent():
    with pytest.raises(TypeError, match=r"the cotangent is of complex128, the result of float64"):
        vjp(np.exp, 1.0)[1](1j)

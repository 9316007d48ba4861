"""Linear algebra where it is delicate: singular matrices, equal values, batches, refusals."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grad, gradcheck, hessian, jvp, vjp

RANDOM = np.random.default_rng(0)
SINGULAR = [
    np.array([[1.0, 2.0], [2.0, 4.0]]),
    np.arange(1.0, 10.0).reshape(3, 3),
    np.ones((3, 3)),
    np.zeros((2, 2)),
    np.zeros((3, 3)),
    np.diag([1.0, 1e-9, 3.0, 0.0]),
    np.array([[0.0, 1.0], [0.0, 0.0]]),
]


def cofactors(a):
    n = len(a)
    minor = lambda i, j: np.delete(np.delete(a, i, 0), j, 1)  # noqa: E731
    return np.array(
        [[(-1) ** (i + j) * np.linalg.det(minor(i, j)) for j in range(n)] for i in range(n)]
    )


def leibniz(a):
    """Return a determinant as the polynomial that it is."""
    if len(a) == 1:
        return a[0, 0]
    rest = [np.concatenate([a[1:, :j], a[1:, j + 1 :]], 1) for j in range(len(a))]
    return sum((-1) ** j * a[0, j] * leibniz(rest[j]) for j in range(len(a)))


@pytest.mark.parametrize("a", SINGULAR, ids=repr)
def test_the_determinant_of_a_singular_matrix_has_its_cofactors_as_gradient(a):
    np.testing.assert_allclose(grad(np.linalg.det)(a), cofactors(a), atol=1e-12)
    np.testing.assert_allclose(hessian(np.linalg.det)(a), hessian(leibniz)(a), atol=1e-11)


def test_a_batch_of_determinants_may_hold_singular_matrices():
    a = np.stack([np.eye(3), *SINGULAR[1:3], np.zeros((3, 3))])
    found = grad(lambda a: np.linalg.det(a).sum())(a)
    np.testing.assert_allclose(found, [cofactors(one) for one in a], atol=1e-12)


def test_the_logarithm_of_a_singular_determinant_has_no_derivative():
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        grad(lambda a: np.linalg.slogdet(a)[1])(np.array([[1.0, 2.0], [2.0, 4.0]]))


# Equal and zero values: what is built of all of them is as smooth as the matrix ------------------


def by_eigh(a):
    w, v = np.linalg.eigh(a)
    return v * w @ v.T


def by_svd(a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u * s @ vh


WEIGHTS = RANDOM.normal(size=(3, 3))
SYMMETRIC = WEIGHTS + WEIGHTS.T
TURNED = np.linalg.qr(RANDOM.normal(size=(3, 3)))[0]


@pytest.mark.parametrize("a", [np.eye(3), TURNED * [1.0, 1.0, 2.0] @ TURNED.T, -2 * np.eye(3)])
@pytest.mark.parametrize("rebuilt", [by_eigh, by_svd])
def test_a_matrix_that_is_rebuilt_of_equal_values_is_the_identity_map(rebuilt, a):
    out, pull = vjp(rebuilt, a)
    np.testing.assert_allclose(out, a, atol=1e-12)
    np.testing.assert_allclose(pull(SYMMETRIC)[0], SYMMETRIC, atol=1e-12)
    np.testing.assert_allclose(jvp(rebuilt, (a,), (SYMMETRIC,))[1], SYMMETRIC, atol=1e-12)
    loss = lambda a, f: np.sum(WEIGHTS * np.sin(f(a)))  # noqa: E731
    v = SYMMETRIC
    second = lambda f: vjp(grad(lambda a: loss(a, f)), a)[1](v)[0]  # noqa: E731
    expected = second(lambda a: (a + a.T) / 2 if rebuilt is by_eigh else a)
    np.testing.assert_allclose(second(rebuilt), expected, atol=1e-10)


def test_singular_vectors_of_the_identity_rebuild_it_for_cotangents_that_are_not_symmetric():
    np.testing.assert_allclose(vjp(by_svd, np.eye(3))[1](WEIGHTS)[0], WEIGHTS, atol=1e-12)


def test_the_space_that_equal_eigenvalues_span_has_a_derivative():
    a = TURNED * [1.0, 1.0, 2.0] @ TURNED.T
    space = lambda a: (v := np.linalg.eigh(a)[1][:, :2]) @ v.T  # noqa: E731
    step = 1e-6
    measured = (space(a + step * SYMMETRIC) - space(a - step * SYMMETRIC)) / (2 * step)
    np.testing.assert_allclose(jvp(space, (a,), (SYMMETRIC,))[1], measured, atol=1e-8)


def test_the_orthogonal_factor_of_the_identity_has_a_derivative_and_so_has_the_nuclear_norm():
    nuclear = lambda a: np.linalg.norm(a, "nuc")  # noqa: E731
    np.testing.assert_allclose(grad(nuclear)(np.eye(3)), np.eye(3), atol=1e-12)
    step, f = 1e-6, grad(nuclear)
    measured = (f(np.eye(3) + step * WEIGHTS) - f(np.eye(3) - step * WEIGHTS)) / (2 * step)
    np.testing.assert_allclose(vjp(f, np.eye(3))[1](WEIGHTS)[0], measured, atol=1e-8)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3)])
def test_singular_values_of_zero_give_no_nan(shape):
    a = np.outer(np.arange(1.0, 1 + shape[0]), np.ones(shape[1]))
    assert np.isfinite(vjp(by_svd, a)[1](np.ones(shape))[0]).all()
    assert np.isfinite(grad(lambda a: np.linalg.norm(a, "nuc"))(np.zeros(shape))).all()


def test_eigenvectors_are_differentiated_as_numpy_scales_them():
    """Of length 1 with a real largest entry: no phase is left open."""
    a = np.array([[1.0, -2.0, 0.3], [1.5, 0.6, -0.4], [0.2, 0.7, 2.2]])

    def parts(a):
        w, v = np.linalg.eig(a)
        return [np.real(w), np.imag(w), np.real(v), np.imag(v)]

    gradcheck(parts, a)


# Broadcasting, modes, names ---------------------------------------------------------------------


def test_a_right_hand_side_that_serves_a_batch_gets_a_gradient_of_its_own_shape():
    a, b = RANDOM.normal(size=(2, 2, 2)) + 2 * np.eye(2), RANDOM.normal(size=(2, 1))
    gradcheck(np.linalg.solve, a, b)
    assert vjp(np.linalg.solve, a, b)[1](np.ones((2, 2, 1)))[1].shape == (2, 1)


def test_results_with_names_keep_them():
    t = Tensor(np.eye(2) * 2, requires_grad=True)
    assert np.linalg.eigh(t).eigenvalues.requires_grad
    assert np.linalg.svd(t).S.requires_grad
    assert np.linalg.qr(t).R.requires_grad
    assert np.linalg.slogdet(t).logabsdet.requires_grad
    assert np.linalg.eig(t).eigenvectors.requires_grad
    assert np.linalg.svd(t, hermitian=True).Vh.requires_grad


def test_a_mode_of_qr_without_a_derivative_is_refused():
    with pytest.raises(TypeError, match="no derivative in mode 'raw': use 'reduced'"):
        np.linalg.qr(Tensor(np.ones((3, 2)), requires_grad=True), "raw")


X, Y = RANDOM.normal(size=(2, 4, 4))


@pytest.mark.parametrize(
    "text",
    [
        "eigh(h)",
        "eigh(h[:3, :3], 'U')",
        "eigvalsh(h)",
        "cholesky(h)",
        "cholesky(h[:3, :3], upper=True)",
        "svd(h, hermitian=True)",
        "pinv(h[:3, :3], hermitian=True)",
        "svd(z[:, :2], full_matrices=False)",
        "svd(z[:2], full_matrices=False)",
        "svd(z[:3, :3])",
        "svdvals(z[:, :3])",
        "qr(z[:, :2])",
        "qr(z[:3, :3])",
        "qr(z[:2], 'complete')",
        "pinv(z[:, :2])",
        "pinv(z[:2])",
        "lstsq(z[:, :2], z[:, 2:])",
        "lstsq(z[:2, :3], z[2, 2:])",
        "norm(z, 'nuc') + norm(z, 2)",
        "cond(z) + cond(z, 1)",
        "slogdet(z)",
        "slogdet(z)[0]",
    ],
)
def test_complex_matrices_are_taken_apart_as_numpy_does_it(text):
    """Every entry is right: vectors have the phase that LAPACK gives them."""

    def parts(x, y):
        z = x + 1j * y
        h = z + np.conj(z.T) + 8 * np.eye(4)
        results = eval(text, {**vars(np.linalg), "z": z, "h": h})
        several = results if isinstance(results, tuple) else (results,)
        return [p for r in several if r.dtype.kind in "fc" for p in (np.real(r), np.imag(r))]

    gradcheck(parts, X, Y)


def test_further_vectors_count_by_the_space_that_they_span():
    """Of complex numbers, so of real ones too."""
    x, y = RANDOM.normal(size=(2, 4, 2))
    beyond = {
        "svd": lambda z: np.linalg.svd(z)[0][:, 2:],
        "svd of the other shape": lambda z: np.linalg.svd(z.T)[2][2:].T,
        "qr": lambda z: np.linalg.qr(z, "complete")[0][:, 2:],
    }
    for vectors in beyond.values():
        space = lambda x, y: np.abs((v := vectors(x + 1j * y)) @ np.conj(v.T)) ** 2  # noqa: B023, E731
        gradcheck(space, x, y)
    gradcheck(lambda x: np.linalg.svd(x)[2], x[:2].T @ [[1.0, 0, 2], [0, 1, 3]])  # but for its sign


def test_singular_vectors_of_a_phase_of_their_own_are_right_where_it_does_not_count():
    x, y = RANDOM.normal(size=(2, 2, 3))

    def loss(x, y):
        z = np.concatenate([x + 1j * y, np.zeros((2, 30))], 1) @ MIXED
        u, s, vh = np.linalg.svd(z, full_matrices=False)
        return np.abs((u * np.sqrt(s)) @ vh)[:, :4]

    gradcheck(loss, x, y)


MIXED = np.linalg.qr(RANDOM.normal(size=(33, 33)))[0] * 1j ** np.arange(33)


@pytest.mark.parametrize(
    ("by", "loss"),
    [
        (np.linalg.eigh, lambda w, v: np.sum(WEIGHTS * (v * np.sqrt(w) @ v.T))),
        (np.linalg.eigh, lambda w, v: np.sum(v * w**2 @ v.T)),
        (np.linalg.eigh, lambda _, v: v[0, 1]),
        (np.linalg.svd, lambda u, s, vh: np.sum(WEIGHTS * (u * s**2 @ vh))),
        (np.linalg.svd, lambda u, *_: u[0, 1]),
    ],
    ids=["root", "square", "vector", "of singular values", "singular vector"],
)
def test_what_is_built_of_equal_values_in_another_way_is_no_silent_gradient(by, loss):
    with pytest.warns(RuntimeWarning, match="values coincide, and the loss is not seen to depend"):
        grad(lambda a: loss(*by(a)))(np.eye(3))
    with pytest.warns(RuntimeWarning, match="values coincide, and the loss is not seen to depend"):
        jvp(lambda a: loss(*by(a)), (np.eye(3),), (SYMMETRIC,))


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (4, 2)])
def test_a_symmetric_or_tall_pseudo_inverse_is_right(shape):
    a = RANDOM.normal(size=shape)
    gradcheck(np.linalg.pinv, a)
    if shape[-1] == shape[-2]:
        half = lambda a: np.linalg.pinv((a + np.swapaxes(a, -1, -2)) / 2, hermitian=True)  # noqa: E731
        gradcheck(half, a)
        gradcheck(lambda a: np.linalg.svd(a + np.swapaxes(a, -1, -2), hermitian=True)[1], a)


# Norms: 0 at 0 (docs/kinks.md) -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
        (lambda x: np.linalg.norm(x, axis=1).sum(), [[0.0, 0.0], [3.0, 4.0]], [[0, 0], [0.6, 0.8]]),
        (lambda x: np.linalg.norm(x, 1), [0.0, 2.0], [0.0, 1.0]),
        (lambda x: np.linalg.norm(x, np.inf), [2.0, -2.0, 1.0], [0.5, -0.5, 0.0]),
        (lambda x: np.linalg.norm(x, 3), [0.0, 2.0], [0.0, 1.0]),
    ],
)
def test_a_norm_has_the_gradient_that_its_table_says(f, x, expected):
    x = np.array(x)
    np.testing.assert_allclose(grad(f)(x), expected, atol=1e-15)
    assert np.isfinite(hessian(f)(x)).all()

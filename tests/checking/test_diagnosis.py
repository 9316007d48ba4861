"""Each pattern of a wrong rule is told from numbers alone, and nothing that is not there."""

import numpy as np
import pytest

from tinygrad_mnist import op
from tinygrad_mnist.checking import GradientError, Sample, diagnose, gradcheck
from tinygrad_mnist.tensor import raw


def unary(forward, rule, **options):
    def planted(x):
        return forward(x)

    return op(**options)(planted).defvjp(x=rule)


def binary(forward, x, y, **options):
    def planted(x, y):
        return forward(x, y)

    return op(**options)(planted).defvjp(x=x, y=y)


def ones(g):
    return np.ones_like(raw(g))


def first_copy(g, y_shape):
    """Return the cotangent of the first copy of a broadcast input alone."""
    g = raw(g)
    kept = np.zeros_like(g)
    shape = (*(1,) * (g.ndim - len(y_shape)), *y_shape)
    place = tuple(slice(None) if k == n else 0 for k, n in zip(shape, g.shape, strict=True))
    kept[place] = g[place]
    return kept


def mean_over_batch(g, y_shape):
    """Return the mean of the cotangent over a first axis that the broadcast input lacks."""
    return g.mean(axis=0) if g.ndim > len(y_shape) else g


def first_entry(x):
    """Return where the first entry of an array is."""
    return np.arange(np.size(raw(x))).reshape(np.shape(raw(x))) == 0


def off_at_the_last(g, x):
    factors = np.ones_like(raw(x))
    factors.flat[-1:] = 1.1
    return g * np.cos(x) * factors


def softmax(x):
    return np.exp(x) / np.sum(np.exp(x), -1, keepdims=True)


def scaled(x, y):
    return np.sin(x) @ y / np.sqrt(x.shape[1])


def scaled_by_rows(g, x, y):
    """Return the gradient of that product, scaled by the length of another axis."""
    return np.cos(x) * (g @ y.T) / np.sqrt(x.shape[0])


def two_results(g, x):
    return sum(
        (c * d for c, d in zip(g, (np.cos(x), np.sin(x)), strict=True) if c is not None), 0 * x
    )


SQUARE = {"shapes": "(n,n),(n,n)"}
ROWS = {"shapes": "(…,n)"}
PATTERNS = {
    "the sign": (unary(np.cos, lambda g, x: g * np.sin(x)), "the sign is flipped"),
    "twice": (unary(np.square, lambda g, x: 4 * g * x), "it is 2 times too large"),
    "half": (unary(np.square, lambda g, x: g * x), "it is half of what it should be"),
    "3 %": (unary(np.exp, lambda g, out: 1.03 * g * out), "it is 3 % too large"),
    "zero": (unary(np.sin, lambda g: np.zeros_like(raw(g))), "zero is returned"),
    "a mean as a sum": (
        unary(np.mean, lambda g, x: g * np.ones_like(raw(x)), shapes="(n)"),
        "being the number of entries of the input: a mean is taken for a sum",
    ),
    "transposed": (
        binary(np.matmul, lambda g, y: g @ y, lambda g, x: x.T @ g, **SQUARE),
        "transposed",
    ),
    "a matrix transposed": (unary(np.transpose, lambda g: g, shapes="(n,n)"), "it is transposed"),
    "a flip": (unary(np.flip, lambda g: g, shapes="(n)"), "it is transposed|are reversed"),
    "swapped": (
        binary(np.multiply, lambda g, y: g * y, lambda g, y: g * y),
        "it is the derivative by x: operands are swapped",
    ),
    "the cotangent": (unary(np.sin, lambda g, x: ones(g) * np.cos(x)), "g is forgotten"),
    "its sign": (
        unary(np.sin, lambda g, x: np.sign(raw(g)) * np.cos(x)),
        "only the sign of the cotangent g is used",
    ),
    "its mean": (
        unary(np.sin, lambda g, x: np.mean(g) * np.cos(x), shapes="(n)"),
        "all entries get the mean of the cotangent g",
    ),
    "a constant dropped": (
        unary(lambda x: x * x + 3 * x, lambda g, x: g * (2 * x)),
        r"a term is missing: g \* \(3\)",
    ),
    "a term dropped": (
        unary(lambda x: x * np.sin(x), lambda g, x: g * np.sin(x)),
        "a factor that goes like|a term is missing",
    ),
    "a factor dropped": (
        unary(lambda x: np.sin(x * x), lambda g, x: g * np.cos(x * x)),
        r"the factor 2 \* x is missing",
    ),
    "a shared term dropped": (
        unary(
            lambda x: np.exp(x) / np.sum(np.exp(x), -1, keepdims=True),
            lambda g, out: g * out,
            shapes="(n)",
        ),
        "a term is missing that all entries share",
    ),
    "right where x > 0": (
        unary(np.square, lambda g, x: g * 2 * abs(x)),
        "it is right only where x > 0; elsewhere the sign is flipped",
    ),
    "right for small x": (
        unary(np.sinh, lambda g, x: g * np.cosh(x) * np.where(abs(raw(x)) > 2.5, 1.5, 1)),
        r"right only where \|x\| < .* or so; elsewhere it is 1.5 times too large",
    ),
    "right beyond": (
        unary(np.sinh, lambda g, x: g * np.cosh(x) * np.where(raw(x) < 1, 2, 1)),
        "it is right only where x > .* or so; elsewhere it is 2 times too large",
    ),
    "right where another is": (
        binary(np.multiply, lambda g, y: g * abs(y), lambda g, x: g * x),
        "it is right only where y > 0; elsewhere the sign is flipped",
    ),
    "right where all are equal": (
        unary(lambda x: np.sum(x) ** 2, lambda g, x: g * 2 * x.size * x, shapes="(n)"),
        "right only where all entries of the input are equal",
    ),
    "one copy of many": (
        binary(np.add, lambda g: g, first_copy),
        "only the first copy of the broadcast input counts",
    ),
    "a mean over the batch": (
        binary(np.add, lambda g: g, mean_over_batch),
        "being the number of copies that broadcasting makes: a sum is taken for a mean",
    ),
    "off at one index": (
        unary(np.sin, off_at_the_last, shapes="(n)"),
        r"it is wrong at index \[-1\] alone; there it is 10 % too large",
    ),
    "the inverse": (
        unary(np.sinh, lambda g, x: g / np.cosh(x)),
        "it is the derivative of the inverse function",
    ),
    "the inverse elsewhere": (
        unary(np.sinh, lambda g, x: g / np.sqrt(1 + x * x)),
        "it is the derivative of the inverse function",
    ),
    "out for x": (
        unary(np.sin, lambda g, out: g * np.cos(out)),
        "the result is used where the input belongs",
    ),
    "x for out": (
        unary(np.tanh, lambda g, x: g * (1 - x * x)),
        "the input is used where the result belongs",
    ),
    "the axis": (
        unary(
            lambda x: np.cumsum(x, 0),
            lambda g: np.flip(np.cumsum(np.flip(g, 1), 1), 1),
            shapes="(n,n)",
        ),
        "it runs along the wrong axis",
    ),
    "the axis of a sum inside": (
        unary(
            lambda x: np.exp(x) / np.sum(np.exp(x), 0),
            lambda g, out: out * (g - np.sum(g * out, -1, keepdims=True)),
            shapes="(m,n)",
        ),
        "it runs along the wrong axis: along axis 1, and the function along axis 0",
    ),
    "a mean of one number": (
        binary(
            lambda x, y: np.sum(x * y) / np.sum(y),
            lambda g, y: g * y / np.sum(y),
            lambda g, x, y: g * x / np.sum(y),
            shapes="(n),(n)",
            domain={"y": (0, np.inf)},
        ),
        r"the function stands still, so its derivative is 0, at shapes such as \(1,\) and \(1,\)",
    ),
    "the axis of g": (
        binary(np.outer, lambda g, y: g.T @ y, lambda g, x: g.T @ x, shapes="(n),(n)"),
        "the cotangent g is transposed",
    ),
    "a shift": (
        unary(np.square, lambda g, x: 2 * x * np.roll(g, 1), shapes="(n)"),
        "its entries are shifted by one, along axis 0 of g",
    ),
    "the diagonal alone": (
        unary(softmax, lambda g, out: g * out * (1 - out), **ROWS),
        "only the diagonal of the Jacobian counts",
    ),
    "a shared term of each row": (
        unary(softmax, lambda g, out: g * out, shapes="(m,n)"),
        "a term is missing that all entries share, as a sum over g .*, along axis -1",
    ),
    "a sum's term": (
        unary(lambda x: np.sum(x * x - 3 * x), lambda g, x: g * 2 * x),
        r"a term is missing: g \* \(-3\)",
    ),
    "clipped": (
        unary(lambda x: 2 * x, lambda g: np.tanh(raw(g))),
        "the rule is not linear in the cotangent g",
    ),
    "right for ones": (
        unary(softmax, lambda g, out: out * (g - 1), **ROWS),
        "is not linear in the cotangent g; it is right only for a cotangent of ones",
    ),
    "something added": (
        unary(np.sin, lambda g, x: g * np.cos(x) + 1e-3),
        "the rule is not linear in the cotangent g",
    ),
    "one cotangent for all": (
        unary(np.sin, lambda g, x: g.ravel()[0] * np.cos(x), shapes="(3)"),
        "all entries get the first entry of the cotangent g",
    ),
    "one of two results": (
        unary(lambda x: (np.sin(x), np.cos(x)), two_results),
        r"what comes from result \[1\] alone is wrong: the sign is flipped",
    ),
    "a saturated function": (
        unary(np.tanh, lambda g, x, out: g * (1 - out * out) * (abs(raw(x)) < 1.5)),
        r"right only where \|x\| < 1\..* elsewhere zero is returned",
    ),
    "the first entry, of any shape": (
        unary(np.exp, lambda g, out: g * out * np.where(first_entry(out), 1.5, 1)),
        "it is wrong at the first entry alone; there it is 1.5 times too large",
    ),
    "a row": (
        unary(
            np.exp,
            lambda g, out: g * out * np.where(np.arange(len(out)) == 0, 2, 1)[:, np.newaxis],
            shapes="(m,n)",
        ),
        "it is wrong at index 0 of axis 0 alone; there it is 2 times too large",
    ),
    "scalars": (
        unary(np.square, lambda g, x: g * x * (2 if np.ndim(raw(x)) else 1)),
        r"it is half of what it should be, at shapes such as \(\)",
    ),
    "a scale of another axis": (
        binary(
            scaled,
            scaled_by_rows,
            lambda g, x: np.sin(x).T @ g / np.sqrt(x.shape[1]),
            shapes="(m,k),(k,n)",
        ),
        r"times too .*, at shapes such as \(.*\) and \(.*\); the factor varies with the shapes",
    ),
    "a mirrored line": (
        unary(np.abs, lambda g: g),
        "it is right only where x > 0; elsewhere the sign is flipped",
    ),
    "NaN": (unary(np.sin, lambda g, x: g * np.cos(x) * np.nan), "the rule gives NaN"),
    "a tie": (
        unary(np.max, lambda g, x, out: g * np.equal(raw(x), raw(out)), shapes="(n)"),
        "it is wrong where entries of the input are equal",
    ),
    "a step": (unary(np.round, lambda g: g), "the function stands still, .* map_gradient"),
    "nothing known": (unary(np.sin, lambda g, x: g * np.exp(-x * x)), "no known pattern"),
}


@pytest.mark.parametrize(("planted", "words"), PATTERNS.values(), ids=PATTERNS)
def test_a_planted_fault_is_named(planted, words):
    with pytest.raises(GradientError, match=f"diagnosis: .*({words})"):
        gradcheck(planted, order=1)


def test_a_value_that_the_graph_does_not_see_is_named_at_second_order():
    hidden = unary(lambda x: x * x * x, lambda g, x: g * 3 * raw(x) ** 2)
    words = "diagnosis: the rule uses a value that the graph does not see: .* is 0"
    with pytest.raises(GradientError, match=words):
        gradcheck(hidden)


def test_a_mixed_second_derivative_that_the_graph_does_not_see_is_named():
    product = binary(np.matmul, lambda g, y: g @ raw(y).T, lambda g, x: x.T @ g, **SQUARE)
    words = r"order 2: .*\n.*the rule uses a value that the graph does not see"
    x = np.array([[1.0, 2.0], [0.5, -1.0]])
    with pytest.raises(GradientError, match=words):
        gradcheck(product, x, x + 1)


def test_half_of_a_second_derivative_is_told_with_its_cause():
    half = unary(lambda x: x * x * x, lambda g, x: g * 3 * x * raw(x))
    words = "it is half of what it should be: the rule uses a value that the graph does not see"
    with pytest.raises(GradientError, match=f"diagnosis: {words}, or an op whose own gradient"):
        gradcheck(half)


def test_at_given_inputs_other_sizes_tell_what_a_factor_is():
    x = np.array([[0.3, -1.0, 2.0], [0.5, 0.7, 1.0]])
    mean = unary(lambda x: np.mean(x * x), lambda g, x: 2 * g * x)
    words = "6 times too large, 6 being the number of entries of the input: a mean is taken"
    with pytest.raises(GradientError, match=words):
        gradcheck(mean, x)
    six = unary(lambda x: np.sum(x * x), lambda g, x: 12 * g * x)
    with pytest.raises(GradientError, match=r"diagnosis: it is 6 times too large\n"):
        gradcheck(six, x)


def test_of_a_batch_with_one_feature_a_mean_is_said_of_its_copies():
    biased = binary(np.add, lambda g: g, mean_over_batch)
    words = "it is 2 times too small, and 2 is the number of copies that broadcasting makes"
    with pytest.raises(GradientError, match=words):
        gradcheck(biased, np.ones((2, 1)), np.ones(1))


def test_a_function_that_refuses_points_around_is_diagnosed_nevertheless():
    inverse = unary(np.linalg.inv, lambda g, out: -out @ g @ out, shapes="(n,n)")
    with pytest.raises(GradientError, match="order 1: the gradient of planted"):
        gradcheck(inverse, np.array([[4.0, 1.0], [2.0, 3.0]]))


RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(size=(3, 3))


@pytest.mark.parametrize(
    ("claimed", "pattern", "factor"),
    [
        (-MATRIX, "sign", -1.0),
        (32 * MATRIX, "size", 32.0),
        (MATRIX / 32, "size", 1 / 32),
        (5 * MATRIX, "factor", 5.0),
        (MATRIX.T, "transposed", None),
        (0 * MATRIX, "zero", None),
        (MATRIX, "right", None),
        (RANDOM.normal(size=(3, 3)), "unknown", None),
    ],
)
def test_a_gradient_alone_is_enough_for_what_shows_in_it(claimed, pattern, factor):
    sample = Sample.of_gradient(claimed, MATRIX, 1e-12, sizes={"the batch size": 32})
    found = diagnose([sample])
    assert found.pattern == pattern
    assert found.factor == (None if factor is None else pytest.approx(factor))
    assert bool(found) == (pattern != "unknown")


def test_of_nan_no_more_is_said_than_that_differences_measure_a_number():
    cusp = Sample.of_gradient([np.nan], [0.0])  # as of sqrt(|x|) at 0, which has no derivative
    words = "the rule gives NaN, where differences measure a number"
    assert diagnose([cusp]).sentence == words


def test_noise_is_no_pattern():
    noisy = MATRIX * (1 + 1e-3 * RANDOM.normal(size=(3, 3)))
    assert diagnose([Sample.of_gradient(noisy, MATRIX, 1e-2)]).pattern == "right"
    assert diagnose([Sample.of_gradient(noisy, MATRIX, 1e-9)]).pattern == "unknown"


def test_a_pattern_must_explain_every_sample():
    samples = [Sample.of_gradient(-MATRIX, MATRIX), Sample.of_gradient(2 * MATRIX, MATRIX)]
    assert diagnose(samples).pattern == "unknown"


def test_an_index_that_is_wrong_alone_must_be_that_of_a_single_entry_too():
    elsewhere = Sample.of_gradient([1.0, -2.0, 3.0], [1.0, 2.0, 3.0])
    one = Sample.of_gradient([-2.0], [2.0])
    assert "index [1] alone" in diagnose([elsewhere]).sentence
    assert "index" not in diagnose([one, elsewhere]).sentence


def test_one_result_whose_rule_is_forgotten_is_named_before_points_where_it_does_not_matter():
    def moments(x):
        return np.mean(x), np.mean((x - np.mean(x)) ** 2)

    forgotten = op(moments).defvjp(
        x=lambda g, x: np.zeros_like(raw(x)) + (0 if g[0] is None else g[0] / x.size)
    )
    words = r"what comes from result \[1\] alone is wrong: zero is returned"
    with pytest.raises(GradientError, match=words):
        gradcheck(forgotten, np.array([[0.3, 1.0, -2.0], [0.5, 0.7, 4.0]]), order=1)


def test_a_fault_in_one_case_is_told_at_points_of_that_case_alone():
    def huber(x, delta=1.0):
        return np.where(abs(x) <= delta, x * x / 2, delta * (abs(x) - delta / 2))

    planted = op(huber, cases=({}, {"delta": 0.5})).defvjp(x=lambda g, x: g * np.clip(x, -1, 1))
    with pytest.raises(GradientError, match=r"right only where \|x\| < .* or so\n"):
        gradcheck(planted, order=1)


def test_at_given_inputs_a_result_taken_for_the_input_is_told_by_points_around():
    x = np.array([0.3, 0.8, -0.4])
    before = x.copy()
    for planted, words in (
        (unary(np.sin, lambda g, out: g * np.cos(out)), "result is used where the input belongs"),
        (unary(np.exp, lambda g, x: g * x), "input is used where the result belongs"),
        (unary(np.square, lambda g, x: g * 2 * np.exp(x)), "no known pattern"),
    ):
        with pytest.raises(GradientError, match=words):
            gradcheck(planted, x)
    assert (x == before).all()


def test_one_wrong_entry_of_many_is_among_those_that_a_diagnosis_looks_at():
    factors = np.ones((20, 20))
    factors[10, 17] = 1.5
    planted = unary(np.sin, lambda g, x: g * np.cos(x) * factors)
    words = r"diagnosis: it is wrong at index \[10, 17\] alone; there it is 1.5 times too large"
    with pytest.raises(GradientError, match=words):
        gradcheck(planted, np.random.default_rng(0).normal(size=(20, 20)), order=1)


def test_at_a_kink_alone_no_factor_is_named():
    kinked = unary(
        lambda x: np.maximum(x, 0) ** 2, lambda g, x: g * np.where(x, 2 * x * (x > 0), 1)
    )
    with pytest.raises(GradientError, match=r"diagnosis: it is right only where x is not 0\n"):
        gradcheck(kinked, np.array([0.0, 1.0, -2.0]))

"""What a rule promises beside right numbers is held, and what is broken is said by its own name."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, map_gradient, nn, op, ops
from tinygrad_mnist.checking import GradientError, GradientWarning, gradcheck
from tinygrad_mnist.tensor import raw

X = np.array([0.7, -1.2, 2.0])


def unary(forward, rule, **options):
    def planted(x):
        return forward(x)

    return op(**options)(planted).defvjp(x=rule)


def writes_to_g(g, x):
    g[x <= 0] = 0  # nothing is there to be written, where all are positive
    return g


def writes_to_out(g, out):
    out *= g
    return out


def writes_to_a_hidden_result(g, out):
    cosine = raw(out[1])
    if not cosine.ndim:
        return g[0] * cosine
    cosine *= 2
    return g[0] * cosine / 2


BUFFER = np.empty(3)


def returns_its_buffer(g):
    if np.shape(g) != (3,) or isinstance(g, Tensor):
        return 3 * g
    np.multiply(3, g, out=BUFFER)
    return BUFFER


def relu_in_place(x):
    x[x < 0] = 0
    return x


BROKEN = {
    "g": (unary(lambda x: np.maximum(x, 0), writes_to_g), "changes the cotangent g"),
    "out": (unary(np.exp, writes_to_out), "changes the result, out"),
    "hidden": (
        unary(lambda x: (np.sin(x), np.cos(x)), writes_to_a_hidden_result, hidden=1),
        "a second backward through planted gives another gradient .* kept for it",
    ),
    "buffer": (unary(lambda x: 3 * x, returns_its_buffer), "an array that a rule keeps"),
    "saved": (
        unary(np.exp, lambda g, out: out if np.all(raw(g) == 1) else g * out),
        "shares its memory with the result",
    ),
    "forward": (unary(relu_in_place, lambda g, x: g * (x > 0)), "planted changes its input x"),
    "float32": (
        unary(np.square, lambda g, x: (2 * g * x).astype(np.float32)),
        "returns a gradient of dtype float32 for a cotangent of float64: digits are lost",
    ),
    "integers": (
        unary(lambda x: 3 * x, lambda g: (3 * g).astype(int)),
        "returns a gradient of dtype int64",
    ),
    "zeros": (
        unary(lambda x: 2 * x, lambda g: np.where(raw(g) == 0, 1, 2 * g)),
        "is not linear in g: for x, a cotangent of zeros gives 1, not 0",
    ),
    "a loop": (
        unary(np.square, lambda g, x: 2 * x * raw(g)),
        "forward mode .* what a rule makes of g is hidden from the graph",
    ),
}


@pytest.mark.parametrize(("planted", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named_at_a_point_and_by_a_search(planted, words):
    with pytest.raises(GradientError, match=words):
        gradcheck(planted, np.abs(X) if planted is BROKEN["g"][0] else X)
    if planted not in (BROKEN["buffer"][0], BROKEN["hidden"][0]):  # right at other shapes
        with pytest.raises(GradientError, match=words):
            gradcheck(planted)


def test_several_results_and_modules_are_held_to_it_too():
    def rule(g, x):
        one, other = g
        if other is not None:
            other *= 2
        return sum((c * d for c, d in ((one, 1), (other, x)) if c is not None), 0 * x)

    both = op(lambda x: (x * 1.0, x * x)).defvjp(x=rule)
    with pytest.raises(GradientError, match="changes the cotangent g"):
        gradcheck(both, X)
    coarse = op(lambda x: (x * 1.0, x * x)).defvjp(
        x=lambda g, x: np.float32(1) * sum(c for c in g if c is not None).astype(np.float32)
    )
    with pytest.raises(GradientError, match="returns a gradient of dtype float32"):
        gradcheck(coarse, X)

    def negated(g, out):
        out *= -1
        return -g * out

    inner = unary(np.exp, negated)
    with pytest.raises(GradientError, match=r"a second backward|writes to an array"):
        gradcheck(lambda x: np.sum(inner(np.tanh(x)) * x), X)
    model = nn.Sequential(nn.Linear(3, 2, rng=0), BROKEN["out"][0])
    with pytest.raises(GradientError, match="changes the result, out"):
        gradcheck(model, np.ones((4, 3)))


def test_a_constant_that_a_call_writes_to_is_named_and_is_as_before():
    def picked(x, places):
        places += 0 if isinstance(x, Tensor) and x.requires_grad else 1
        return x[places - places]

    places = np.array([0, 1])
    with pytest.raises(GradientError, match="picked changes its input places"):
        gradcheck(picked, X, places)
    assert places.tolist() == [0, 1]


def test_a_random_function_or_rule_is_said_to_be_random_whatever_failed_first():
    generator = np.random.default_rng()

    def dropped(x):
        kept = generator.random(np.shape(x)) > 0.5
        return x * kept, kept * 1.0

    with pytest.raises(ValueError, match=r"planted is random: .* Give it a generator"):
        gradcheck(unary(dropped, lambda g, out: g[0] * out[1], hidden=1))
    noisy = unary(lambda x: 2 * x, lambda g: 2 * g * generator.choice((1, 2), np.shape(g)))
    with pytest.raises(GradientError, match="a rule of planted is random: two calls"):
        gradcheck(noisy, X)


def test_a_rule_that_takes_no_tensors_raises_in_its_own_words_at_second_order():
    def rule(g, out):
        return g[0] * out[1]  # g[0] is None where the hidden result alone is looked at

    hidden = unary(lambda x: (np.sin(x), np.cos(x)), rule, hidden=1)
    with pytest.raises(GradientError, match=r"raises at order 2: .* g is None where no cotangent"):
        gradcheck(hidden)
    assert gradcheck(hidden, order=1).verdict == "pass"


def both(g, x):
    return g[0] * np.cos(x) - g[1] * np.sin(x)


def forgetful(g, x):
    return np.zeros_like(x) if g[0] is None or g[1] is None else both(g, x)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (both, "raises at order 1: .*of several results, hidden ones too, g is None where"),
        (forgetful, "right only where all results are used: for x, .* adds up to 0, not"),
    ],
)
@pytest.mark.parametrize("inputs", [(), (X,)], ids=["searched", "given"])
def test_each_result_may_be_used_alone(rule, said, inputs):
    with pytest.raises(GradientError, match=said):
        gradcheck(unary(lambda x: (np.sin(x), np.cos(x)), rule), *inputs)


RIGHT = {
    "the cotangent itself": (op(lambda x, y: x + y).defvjp(x=lambda g: g, y=lambda g: g), (X, X)),
    "the input itself": (unary(lambda x: x, lambda g: g), (X,)),
    "a mask": (unary(lambda x: np.maximum(x, 0), lambda g, x: np.where(x > 0, g, 0)), (X,)),
    "float32 beside float64": (
        lambda x, y: ops.relu(x) * y,
        (X.astype(np.float32), X),
    ),
    "integers where nothing comes": (
        unary(np.sign, lambda g, x_shape: np.zeros(x_shape, int)),
        (X,),
    ),
    "a clipped cotangent, not reached": (
        lambda x: map_gradient(x, lambda g: np.clip(g, -1e9, 1e9)) ** 2,
        (X,),
    ),
}


@pytest.mark.parametrize(("f", "inputs"), RIGHT.values(), ids=RIGHT)
def test_what_resembles_a_broken_promise_passes(f, inputs):
    assert gradcheck(f, *inputs).verdict == "pass"


def test_a_list_is_known_by_a_rule_that_names_its_place():
    squares = op(lambda xs: sum(x * x for x in xs)).defvjp(xs=lambda g, i, xs: 2 * g * xs[i])
    assert gradcheck(squares, examples=10).verdict == "pass"


def test_forward_mode_that_overflows_accuses_no_rule():
    def odds(a):
        return np.log(np.exp(a) / (1 + np.exp(a)))

    with pytest.warns(GradientWarning, match="a second derivative overflows"):
        gradcheck(odds, np.array([705.0]))


def test_forward_mode_that_is_nan_at_a_zero_does_not_agree():
    def double(x):
        return 2 * x

    twice = op(double).defvjp(x=lambda g, x: 2 * g + 0 * np.sign(raw(g)) / raw(x) ** 2)
    with pytest.raises(GradientError):
        gradcheck(twice, np.array([0.0, 1.0]))


def test_a_second_derivative_that_is_nan_beyond_a_bound_does_not_overflow():
    nothing = op(lambda x: 0 * x).defvjp(x=lambda g, x: np.where(raw(x) > 1, np.nan, 0 * g))
    square = op(lambda x: x * x).defvjp(x=lambda g, x: 2 * g * x + nothing(x))
    with pytest.raises(GradientError, match="nan"):
        gradcheck(square, np.array([2.0, 0.5]))

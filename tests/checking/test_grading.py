"""grade finds each classical mistake of backpropagation by hand, and names it in a sentence."""

import numpy as np
import pytest

from tinygrad_mnist import Tensor, grade, nn, ops

N = 32
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(N, 20)), RANDOM.integers(0, 10, N)
PARAMS = {
    "W1": 0.3 * RANDOM.normal(size=(20, 16)),
    "b1": 0.1 * RANDOM.normal(size=16),
    "W2": 0.3 * RANDOM.normal(size=(16, 10)),
    "b2": 0.1 * RANDOM.normal(size=10),
}


def network(W1, b1, W2, b2):
    z1 = X @ W1 + b1
    a1 = ops.relu(z1)
    z2 = a1 @ W2 + b2
    return ops.cross_entropy(z2, Y)


def by_hand(mistake=None):
    """Return gradients of parameters and of variables as a student writes them."""
    W2 = PARAMS["W2"]
    z1 = X @ PARAMS["W1"] + PARAMS["b1"]
    a1 = np.maximum(z1, 0)
    z2 = a1 @ W2 + PARAMS["b2"]
    p = np.exp(z2 - z2.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    dz2 = (p - np.eye(10)[Y]) / N
    if mistake == "sum":
        dz2 = dz2 * N
    if mistake == "sign":
        dz2 = -dz2
    if mistake == "softmax":
        dz2 = dz2 * p * (1 - p)
    if mistake == "softmax's Jacobian":
        dz2 = p * (dz2 - (dz2 * p).sum(1, keepdims=True))
    if mistake == "labels":
        dz2 = p / N
    dW2, db2 = a1.T @ dz2, dz2.sum(0)
    if mistake == "updated":
        W2 = W2 - 0.1 * dW2
    da1 = dz2 @ W2.T
    dz1 = da1 if mistake == "mask" else da1 * (z1 > 0)
    dW1, db1 = X.T @ dz1, dz1.sum(0)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}, {"dz2": dz2, "da1": da1, "dz1": dz1}


def test_right_gradients_are_right():
    params, variables = by_hand()
    report = grade(params, network, PARAMS)
    assert report.right
    assert str(report) == "dW1 right; db1 right; dW2 right; db2 right"
    assert grade({**params, **variables}, network, PARAMS).right


TWICE = "the derivative of softmax is taken twice (behind z2): p - y has it already"
UPSTREAM = {
    "sum": "is 32 times too large: divided by the batch size once too rarely",
    "sign": "has the wrong sign",
    "softmax": f"is wrong: {TWICE}",
    "softmax's Jacobian": f"is wrong: {TWICE}",
    "labels": "is wrong: the labels are not subtracted from softmax (behind z2)",
}


@pytest.mark.parametrize("mistake", UPSTREAM)
def test_a_mistake_at_the_loss_is_named_at_every_parameter(mistake):
    params, _ = by_hand(mistake)
    report = grade(params, network, PARAMS)
    assert [mark.sentence for mark in report.marks] == [UPSTREAM[mistake]] * 4
    assert not report.right


@pytest.mark.parametrize("mistake", UPSTREAM)
def test_with_cotangents_of_variables_the_first_wrong_one_is_to_blame(mistake):
    params, variables = by_hand(mistake)
    report = grade({**params, **variables}, network, PARAMS)
    assert report["dz2"].sentence == UPSTREAM[mistake]
    assert report["da1"].sentence == "follows rightly from dz2, which is wrong"
    assert report["dz1"].sentence == "follows rightly from da1, which is wrong"
    assert report["dW1"].sentence == "follows rightly from dz1, which is wrong"
    assert report["db2"].sentence == "follows rightly from dz2, which is wrong"


def test_a_mask_left_out_is_named():
    params, variables = by_hand("mask")
    report = grade(params, network, PARAMS)
    expected = "is wrong: the derivative of relu (in a1), its mask, is left out"
    assert report["dW1"].sentence == report["db1"].sentence == expected
    assert report["dW2"].right
    report = grade({**params, **variables}, network, PARAMS)
    assert (report["da1"].right, report["dz1"].sentence) == (True, expected)


def test_a_step_before_backward_had_come_past_is_named_with_its_size():
    params, variables = by_hand("updated")
    expected = (
        "is wrong: it was computed when W2 had been updated already, by 0.1 times its gradient: "
        "compute all gradients before any step"
    )
    assert grade(params, network, PARAMS)["dW1"].sentence == expected
    report = grade({**params, **variables}, network, PARAMS)
    assert report["da1"].sentence == expected
    assert report["dz2"].right


def test_the_derivative_of_an_activation_taken_twice_is_named():
    def loss(w):
        a = np.tanh(X @ w)
        return np.mean(a**2)

    w = PARAMS["W1"]
    a = np.tanh(X @ w)
    g = X.T @ (2 * a / a.size * (1 - a * a) ** 2)
    assert str(grade({"dw": g}, loss, {"w": w})) == (
        "dw is wrong: the derivative of tanh (in a) is taken twice"
    )


SHAPES = {
    "dW1": (np.transpose, "(16, 20), wanted (20, 16): it is transposed; its numbers are right"),
    "db1": (lambda g: g[np.newaxis], "(1, 16), wanted (16,); its numbers are right"),
    "db2": (lambda g: 2 * g[np.newaxis], "(1, 10), wanted (10,), and is 2 times too large"),
    "dW2": (lambda g: g[:3], "(3, 10), wanted (16, 10)"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_wrong_shape_is_told_from_wrong_numbers(name):
    change, sentence = SHAPES[name]
    params, _ = by_hand()
    report = grade({**params, name: change(params[name])}, network, PARAMS)
    assert str(report[name]) == f"{name} has shape {sentence}"
    assert [mark.name for mark in report.marks if not mark.right] == [name]


def test_a_bias_that_is_not_summed_over_the_batch_is_named():
    params, variables = by_hand()
    report = grade({**params, "db1": variables["dz1"]}, network, PARAMS)
    assert report["db1"].sentence == (
        "has shape (32, 16), wanted (16,): it is not summed over the batch"
    )


def changed(g, place, value):
    """Return a gradient with another entry."""
    g = g.copy()
    g[place] = value
    return g


DIVIDED = "divided by the batch size"
NUMBERS = {
    "32": (lambda g: g * N, f"is 32 times too large: {DIVIDED} once too rarely"),
    "1/32": (lambda g: g / N, f"is 32 times too small: {DIVIDED} once too often"),
    "-1/32": (
        lambda g: -g / N,
        f"is 32 times too small and has the wrong sign: {DIVIDED} once too often",
    ),
    "1024": (lambda g: g * N**2, f"is 1024 times too large: {DIVIDED} twice too rarely"),
    "half": (lambda g: g / 2, "is half of what it should be"),
    "zero": (lambda g: g * 0, "is zero everywhere"),
    "NaN": (
        lambda g: g * np.nan,
        "has 320 entries that are NaN or infinite, the first at [0, 0]",
    ),
    "one NaN": (lambda g: changed(g, (1, 2), np.nan), "has an entry that is nan, at [1, 2]"),
    "one entry": (
        lambda g: changed(g, (1, 2), 5.0),
        f"is wrong at index [1, 2] alone: 5, should be {by_hand()[0]['dW1'][1, 2]:.6g}",
    ),
    "integers": (lambda g: (1000 * g).astype(int), "is of int64, which keeps no fractions"),
    "shifted": (lambda g: g + 0.25, "has 0.25 too much in every entry"),
    "decay": (
        lambda g: g + 0.01 * PARAMS["W1"],
        "has a term too much: 0.01 times the parameter itself",
    ),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_a_pattern_in_one_gradient_is_named(case):
    change, sentence = NUMBERS[case]
    params, _ = by_hand()
    report = grade({**params, "dW1": change(params["dW1"])}, network, PARAMS)
    assert report["dW1"].sentence == sentence
    assert report["db1"].right


# Three layers, with mistakes at all activations ---------------------------------------------------

DEEP = {
    "W1": 0.3 * RANDOM.normal(size=(20, 12)),
    "W2": 0.3 * RANDOM.normal(size=(12, 8)),
    "W3": 0.3 * RANDOM.normal(size=(8, 10)),
}
SIGMOID = "the derivative of sigmoid"


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def deep(W1, W2, W3):
    z1 = X @ W1
    a1 = ops.sigmoid(z1)
    z2 = a1 @ W2
    a2 = ops.sigmoid(z2)
    z3 = a2 @ W3
    return ops.cross_entropy(z3, Y)


def deep_by_hand(derivative=lambda z, a: a * (1 - a), at_loss=None):
    z1 = X @ DEEP["W1"]
    a1 = sigmoid(z1)
    z2 = a1 @ DEEP["W2"]
    a2 = sigmoid(z2)
    p = np.exp(a2 @ DEEP["W3"])
    p /= p.sum(1, keepdims=True)
    dz3 = (p - np.eye(10)[Y]) / N if at_loss is None else at_loss(p)
    dz2 = dz3 @ DEEP["W3"].T * derivative(z2, a2)
    dz1 = dz2 @ DEEP["W2"].T * derivative(z1, a1)
    return {"dW3": a2.T @ dz3, "dW2": a1.T @ dz2, "dW1": X.T @ dz1}, {"dz1": dz1, "dz2": dz2}


@pytest.mark.parametrize(
    ("derivative", "words"),
    [
        (lambda z, a: 1.0, "left out"),
        (lambda z, a: z * (1 - z), "made of its input where its result belongs"),
        (lambda z, a: sigmoid(a) * (1 - sigmoid(a)), "taken at its result, not at its input"),
        (lambda z, a: a, "replaced by the activation itself"),
        (lambda z, a: 1 - a * a, "replaced by that of tanh, 1 - a²"),
    ],
)
def test_another_derivative_of_an_activation_is_named_also_where_it_is_made_everywhere(
    derivative, words
):
    params, variables = deep_by_hand(derivative)
    report = grade(params, deep, DEEP)
    assert report["dW3"].right
    assert report["dW2"].sentence == f"is wrong: {SIGMOID} (in a2) is {words}"
    assert report["dW1"].sentence == f"is wrong: {SIGMOID} is {words}, everywhere"
    report = grade({"dW1": params["dW1"], **variables}, deep, DEEP)
    assert report["dW1"].sentence == "follows rightly from dz1, which is wrong"


def test_two_mistakes_are_told_apart():
    params, _ = deep_by_hand(at_loss=lambda p: p)
    words = "the labels are not subtracted from softmax (behind z3); and it is divided by the batch"
    assert words in grade(params, deep, DEEP)["dW1"].sentence
    params, _ = deep_by_hand(at_loss=lambda p: -np.eye(10)[Y] / p / N)
    assert "the derivative of softmax is left out (behind z3)" in str(grade(params, deep, DEEP))


def test_a_wrong_sign_is_that_also_where_the_loss_has_a_minus_of_its_own():
    y, w = RANDOM.integers(0, 2, N), RANDOM.normal(size=20)

    def loss(w):
        p = ops.sigmoid(X @ w)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    right = X.T @ (sigmoid(X @ w) - y) / N
    assert grade({"dw": right}, loss, {"w": w}).right
    assert grade({"dw": -right}, loss, {"w": w})["dw"].sentence == "has the wrong sign"


def test_what_went_into_an_activation_is_no_layers_input():
    params, _ = by_hand()
    z1 = X @ PARAMS["W1"] + PARAMS["b1"]
    dz2 = by_hand()[1]["dz2"]
    report = grade({**params, "dW2": z1.T @ dz2}, network, PARAMS)
    assert report["dW2"].sentence == "is wrong: z1 is used where a1 belongs"


def test_a_sum_over_the_wrong_axis_or_over_all_is_named():
    params, variables = by_hand()
    over = variables["dz1"].sum(1), variables["dz2"].sum()
    report = grade({**params, "db1": over[0], "db2": over[1]}, network, PARAMS)
    assert report["db1"].sentence.endswith("it is the gradient of z1, summed over axis 1")
    assert report["db2"].sentence == "has shape (), wanted (10,): all its entries are summed"


@pytest.mark.parametrize("name", ["dL_dW1", "dLdW1", "∂L/∂W1", "nabla_W1", "gW1", "W1_grad"])
def test_a_gradient_goes_by_many_names(name):
    params, variables = by_hand()
    assert grade({name: params["dW1"].tolist()}, network, PARAMS)[name].right
    assert grade({"delta1": variables["dz1"]}, network, PARAMS)["delta1"].right


def test_what_has_no_pattern_is_described():
    params, _ = by_hand()
    wrong = params["dW1"] + 0.01 * RANDOM.normal(size=(20, 16))
    mark = grade({**params, "dW1": wrong}, network, PARAMS)["dW1"]
    assert mark.pattern == "unknown"
    assert mark.sentence.startswith("is wrong in ")
    params["dW1"][2, 3] *= 1.5
    assert "[2, 3]" in grade(params, network, PARAMS)["dW1"].sentence


def test_anothers_gradient_is_recognised():
    def loss(u, v):
        return np.sum(np.sin(X @ u) * np.exp(0.1 * X @ v))

    u, v = RANDOM.normal(size=(2, 20))
    g = X.T @ (np.cos(X @ u) * np.exp(0.1 * X @ v))
    assert str(grade({"dv": g}, loss, {"u": u, "v": v})) == (
        "dv is the gradient of u; nothing was given for u"
    )


def test_float32_gradients_are_given_the_digits_that_they_have():
    params, _ = by_hand()
    assert grade({k: g.astype(np.float32) for k, g in params.items()}, network, PARAMS).right
    wrong = {k: 1.01 * g.astype(np.float32) for k, g in params.items()}
    assert grade(wrong, network, PARAMS)["dW1"].sentence == "is 1 % too large"


def test_a_loss_that_is_computed_already_is_graded_by_the_callers_names():
    W = Tensor(PARAMS["W1"], requires_grad=True)
    z = X @ W
    loss = np.sum(z**2)
    report = grade({"dz": 2 * z.data, "dW": X.T @ z.data}, loss)
    assert report["dz"].right
    assert report["dW"].sentence == "is half of what it should be"
    loss.backward()
    assert W.grad is not None


def test_a_module_is_graded_by_the_paths_of_its_parameters():
    model = nn.Linear(20, 10, rng=0).astype(np.float64)

    def loss():
        return ops.cross_entropy(model(X), Y)

    loss().backward()
    right = {name: p.grad for name, p in model.named_parameters()}
    assert grade(right, loss, model).right
    wrong = {**right, "bias": -right["bias"]}
    assert str(grade(wrong, loss, model)) == "weight right; bias has the wrong sign"


def test_gradients_come_as_a_list_a_function_or_one_array_too():
    def loss(params):
        return np.mean((X @ params[0] + params[1]) ** 2)

    def hand(params):
        rest = X @ params[0] + params[1]
        return [2 * X.T @ rest / N, 2 * rest.sum() / N]

    params = [np.ones(20), np.array(0.5)]
    assert grade(hand(params), loss, params).right
    assert grade(hand, loss, params).right
    w = np.ones(3)
    assert grade(2 * w, lambda w: np.sum(w * w), w).right


def test_what_is_missing_is_named_and_is_not_right():
    params, _ = by_hand()
    del params["db2"]
    report = grade(params, network, PARAMS)
    assert not report.right
    assert str(report).endswith("; nothing was given for b2")


def test_a_notebook_shows_a_table():
    params, _ = by_hand("mask")
    page = grade(params, network, PARAMS)._repr_html_()
    assert page.count("<tr>") == 4
    assert "its mask" in page


def test_bad_input_is_refused_by_name():
    params, _ = by_hand()
    with pytest.raises(ValueError, match=r"gradient called 'dW3', .* there are .*W1"):
        grade({**params, "dW3": params["dW2"]}, network, PARAMS)
    with pytest.raises(ValueError, match="did you mean 'dW1'"):
        grade({"dw1": params["dW1"]}, network, PARAMS)
    for bad in ("gradient", [[1.0, 2.0], [3.0]]):
        with pytest.raises(TypeError, match=r"takes gradients that are arrays .*; dW1 is"):
            grade({**params, "dW1": bad}, network, PARAMS)
    with pytest.raises(TypeError, match="takes a loss, a Tensor or a function; got float"):
        grade(params, 3.0, PARAMS)
    with pytest.raises(TypeError, match="a single number"):
        grade({"dw": np.ones(3)}, lambda w: w * 2, {"w": np.ones(3)})
    with pytest.raises(ValueError, match="got 1 gradients for 4 parameters"):
        grade([params["dW1"]], network, PARAMS)
    w = Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(TypeError, match="takes params that are Tensors; w is ndarray"):
        grade({"dw": np.ones(3)}, np.sum(w), {"w": np.ones(3)})

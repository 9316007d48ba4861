"""What is seen of a call besides its nodes: names of variables, lines of code, where it failed."""

import gc
import re

import numpy as np
import pytest

from tests.drawing import subjects
from tests.drawing.shown import boxes, edges, labels, leaf
from tinygrad_mnist import Tensor, detect_anomaly, draw, grad, nn, ops
from tinygrad_mnist.graph import current_mode

# Names ------------------------------------------------------------------------------------------


def test_results_bear_the_names_of_the_variables_of_the_code_that_is_drawn():
    w, b = leaf(3, 2), leaf(2)

    def model(x):
        hidden = np.tanh(x @ w + b)
        return hidden.sum() * hidden.max()

    shown = labels(draw(model, np.ones((4, 3)))).values()
    assert "hidden = tanh(y + b)" in shown
    assert "w 3x2" in shown


def test_a_name_inside_a_module_is_that_of_its_own_code():
    class Scaled(nn.Module):
        def forward(self, x):
            inner = ops.softmax(x)
            return inner.sum(axis=0)

    model = Scaled()

    def outer(x):
        result = model(x)
        return result.max()

    shown = labels(draw(outer, np.ones((4, 3)))).values()
    assert "inner = softmax" in shown
    assert "result = sum axis=0" in shown


def test_a_variable_that_is_assigned_again_names_each_of_its_values():
    def f(x):
        for _ in range(2):
            x = ops.softmax(x)
        return x.sum()

    shown = list(labels(draw(f, np.ones((4, 3)))).values())
    assert shown.count("x = softmax") == 2


def test_members_of_lists_are_named_by_their_place():
    def f(x):
        states = [x]
        for _ in range(3):
            states.append(ops.softmax(states[-1]))
        return np.stack(states).sum()

    assert "states[2] = softmax" in labels(draw(f, np.ones((4, 3)))).values()


def test_leaves_of_a_history_bear_the_names_of_the_code_that_draws_it():
    weights = leaf(3)
    loss = (weights * 2.0).sum()
    picture = draw(loss)
    assert {"weights 3", "loss scalar"} <= set(labels(picture).values())


def test_leaves_of_a_history_that_a_module_holds_bear_their_path():
    model = nn.Sequential(nn.Linear(3, 2, rng=0))
    loss = model(np.ones((4, 3), np.float32)).sum()
    assert "model.0.weight 3x2" in labels(draw(loss)).values()


def test_drawing_keeps_nothing_alive():
    gc.collect()
    gc.disable()
    try:
        x = np.ones(3)
        draw(lambda x: np.exp(x) * x, x)
        assert x.flags.writeable
    finally:
        gc.enable()


# Where a call fails -------------------------------------------------------------------------------


def failing(*arguments):
    with pytest.raises(Exception, match=r".") as caught:
        draw(*arguments)
    return caught.value


def test_a_call_that_fails_in_an_operation_is_drawn_up_to_it():
    def f(x):
        hidden = np.exp(x)
        return np.sin(hidden) + (np.log(hidden) @ np.ones((4, 4)))

    error = failing(f, np.ones((3, 8)))
    shown = labels(error.picture)
    assert {"sin", "log", "hidden = exp(x)"} <= set(shown.values())
    assert any(label.startswith("matmul ValueError: matmul: Input") for label in shown.values())
    assert [a for a, b, _ in edges(error.picture) if b.startswith("matmul")] == ["log", "c1 4x4"]
    assert "this exception's .picture" in "".join(error.__notes__)


def test_a_call_that_fails_in_a_layer_shows_where_in_the_model():
    model = nn.Sequential(nn.Linear(8, 4, rng=0), nn.ReLU(), nn.Linear(5, 2, rng=0))
    picture = failing(model, subjects.ones(3, 8)).picture
    assert "Sequential 48 parameters" in boxes(picture)
    failed = next(label for label in labels(picture).values() if "ValueError" in label)
    assert failed.startswith("2 Linear, 12 parameters linear ValueError: Linear(5, 2) takes 5")
    assert any("0 Linear" in label and "weight 8x4" in label for label in labels(picture).values())


def test_a_call_that_the_user_stops_is_drawn_up_to_there():
    def f(x):
        y = ops.softmax(x)
        if y.shape:
            raise KeyError("mine")
        return y

    picture = failing(f, np.ones(3)).picture
    assert ("y = softmax", "raise KeyError: 'mine'", "") in edges(picture)


def test_an_anomaly_is_marked_where_it_was_made():
    with detect_anomaly(), np.errstate(all="ignore"):
        picture = failing(lambda x: np.log(x - 2.0).sum(), np.ones(3)).picture
    assert "log FloatingPointError: op 'log' made NaN" in " ".join(labels(picture).values())


def test_the_picture_of_a_failure_is_written_and_the_exception_says_where(tmp_path):
    path = tmp_path / "failed.gv"
    with pytest.raises(ValueError, match="matmul") as caught:
        draw(lambda x: x @ np.ones((4, 4)), np.ones((2, 3)), file=path)
    assert str(path) in "".join(caught.value.__notes__)
    assert "matmul" in path.read_text("utf-8")
    assert current_mode().scopes is None


def test_where_a_call_failed_is_the_users_line():
    picture = failing(lambda x: x @ np.ones((4, 4)), np.ones((2, 3))).picture
    assert re.search(r'tooltip="test_tracing.py:\d+  picture = failing', picture.source)


def test_a_backward_inside_a_call_can_fail_too():
    w = Tensor(np.ones(2), requires_grad=True)

    def f(x):
        loss = (x * w).sum()
        loss.backward(np.ones(7))
        return loss

    assert failing(f, np.ones(2)).picture is not None


def test_a_gradient_inside_a_call_that_fails_shows_its_argument_alone():
    def f(x):
        return grad(lambda t: (t @ np.ones((5, 5))).sum())(x)

    shown = list(labels(failing(f, np.ones((2, 3))).picture).values())
    assert len(shown) == 3
    assert any(label.startswith("matmul ValueError") for label in shown)

"""What values, arrays, modules and results are called: as in the code that is drawn."""

import numpy as np

from tests.drawing import subjects
from tests.drawing.shown import boxes, edges, labels, leaf
from tinygrad_mnist import Tensor, draw, nn, ops


def test_arrays_that_are_constants_bear_the_names_of_variables():
    mask = np.array([1.0, 0.0, 1.0])

    def f(x):
        shift = np.ones(3)
        return (x * mask + shift) * np.ones(3)

    shown = set(labels(draw(f, leaf(3))).values())
    assert {"mask 3", "shift 3", "c1 3"} <= shown
    assert "(x * mask + shift) * c1" in shown


def test_a_result_of_several_bears_its_own_name():
    def f(x):
        low, high = np.split(x, [1])
        return np.sin(low) / high.sum()

    picture = draw(f, leaf(3))
    assert ("array_split indices_or_sections=[1]", "sin(low) / y", "low 1") in [
        (a.replace("indices_or_sections=(1,)", "indices_or_sections=[1]"), b, label)
        for a, b, label in edges(picture)
    ]


def test_a_name_where_a_value_was_made_comes_before_that_of_an_argument():
    class Twice(nn.Module):
        def forward(self, inner):
            return ops.softmax(inner).max(axis=0)

    class Outer(nn.Module):
        def __init__(self):
            self.first, self.second = Twice(), Twice()

        def forward(self, x):
            mine = self.first(x)
            return self.second(mine) + mine.sum()

    shown = labels(draw(Outer(), np.ones((2, 3, 4)))).values()
    assert any("mine = max" in label for label in shown)


def test_attributes_of_an_object_that_is_called_are_its_own():
    class Layer:
        def __init__(self):
            self.w, self.scale = leaf(3, 2), np.ones(2)

        def __call__(self, x):
            return x @ self.w * self.scale

    shown = labels(draw(Layer(), np.ones((4, 3)))).values()
    assert {"self.w 3x2", "x @ self.w", "self.scale 2"} <= set(shown)


def test_modules_that_a_function_calls_bear_the_names_of_variables():
    encoder, decoder = nn.MLP((4, 3, 2), rng=0), nn.MLP((2, 3, 4), rng=0)

    def f(x):
        return decoder(encoder(x)) + encoder.layers[0].weight.sum()

    picture = draw(f, subjects.ones(5, 4))
    assert {"encoder MLP, 23 parameters", "decoder MLP, 25 parameters"} <= set(boxes(picture))
    assert "encoder.layers.0.weight 4x3" in labels(picture).values()
    assert any("layers.1 Linear" in label for label in labels(picture).values())


def test_modules_in_a_list_bear_the_name_of_the_list():
    layers = [nn.Linear(3, 3, rng=k) for k in range(2)]

    def f(x):
        for layer in layers:
            x = layer(x)
        return x

    shown = labels(draw(f, subjects.ones(5, 3))).values()
    assert [label.split(",")[0] for label in shown if "Linear" in label] == [
        "layers[0] Linear", "layers[1] Linear",
    ]  # fmt: skip


def test_results_bear_their_keys():
    def f(x):
        total = x.sum()
        return {"loss": total, "parts": [np.exp(x), x.max()], 3: x * 2.0, "none": None, "n": 5}

    shown = labels(draw(f, leaf(3))).values()
    assert {"loss scalar", "parts[0] 3", "parts[1] scalar", "output[3] 3"} <= set(shown)
    assert "total = sum" in shown
    x = leaf(3)
    assert "a 3" in labels(draw({"a": x * 2.0})).values()
    assert {"output 1 3", "output 2 3"} <= set(labels(draw([x * 2.0, x + 1.0])).values())


def test_an_input_of_which_parts_are_read_is_used():
    w = leaf(3, 2)

    def f(xs, labels):
        return sum(ops.cross_entropy(x @ w, k) for x, k in zip(xs, labels, strict=True))

    picture = draw(f, np.ones((2, 5, 3)), np.zeros((2, 5), int))
    assert "labels 2x5 int64" in labels(picture).values()
    assert any(a == "labels 2x5 int64" for a, _, _ in edges(picture))


def test_what_is_around_a_drawing_has_no_names_for_what_is_in_it():
    value = Tensor(np.ones(3), requires_grad=True)
    other = value
    shown = labels(draw(lambda x: np.exp(x) * 2.0, value)).values()
    assert other is value
    assert "x 3" in shown

"""Elementwise operations in a row, as one formula."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing.shown import labels, leaf
from tinygrad_mnist import ops
from tinygrad_mnist.drawing import draw
from tinygrad_mnist.drawing.formulas import INFIX, written


def test_elementwise_operations_in_a_row_are_one_formula():
    picture = draw(lambda x: np.exp(-(x * x) / 2.0).sum(), leaf(3))
    assert "exp(-(x * x) / 2)" in labels(picture).values()


def test_an_intermediate_that_is_read_twice_has_a_node():
    def f(x):
        y = ops.exp(x)
        return y * ops.sin(y)

    assert {"y = exp(x)", "y * sin(y)"} <= set(labels(draw(f, leaf(3))).values())


def test_a_formula_hides_no_broadcasting():
    picture = draw(lambda x: ops.exp(x) + np.ones((2, 3)), leaf(3))
    assert "exp(x)" in labels(picture).values()


def test_variables_of_a_formula_are_names_of_nothing_else():
    picture = draw(lambda x, y: x.sum() * y.sum(), leaf(3), leaf(3))
    assert "z * u" in labels(picture).values()


SIZES = {"A": 2, "B": 3, "C": 5}
NAMES = {name: name for name in SIZES}
formulas = st.recursive(
    st.sampled_from([*SIZES, "7", "-3"]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from([*(set(INFIX) - {"negative"})]), st.tuples(inner, inner)),
        st.tuples(st.just("negative"), st.tuples(inner)),
        st.tuples(st.just("f"), st.tuples(inner, inner)),
    ),
)


class Number:
    """Adds, subtracts and multiplies as numbers do; does with others what no law allows."""

    def __init__(self, value):
        self.value = value % 1_000_003

    def __neg__(self):
        return Number(-self.value)

    def __add__(self, other):
        return Number(self.value + other.value)

    def __sub__(self, other):
        return Number(self.value - other.value)

    def __mul__(self, other):
        return Number(self.value * other.value)

    def __truediv__(self, other):
        return Number(self.value**2 * 3 + other.value**3 + 5)

    def __mod__(self, other):
        return Number(self.value**2 * 7 + other.value**3 + 11)

    def __matmul__(self, other):
        return Number(self.value**2 * 13 + other.value**3 + 17)

    def __pow__(self, other):
        return Number(self.value**2 * 19 + other.value**3 + 23)


def value(formula):
    if isinstance(formula, str):
        return Number(SIZES[formula]) if formula in SIZES else Number(int(formula))
    name, parts = formula[0], [value(part) for part in formula[1]]
    if name == "negative":
        return -parts[0]
    if name == "f":
        return Number(parts[0].value * 3 + parts[1].value)
    return eval(f"a {INFIX[name][0]} b", {"a": parts[0], "b": parts[1]})


@given(formulas)
def test_a_formula_reads_as_python_computes_it(formula):
    text = re.sub(r"\b(\d+)\b", r"N(\1)", written(formula, NAMES))
    scope = {name: Number(size) for name, size in SIZES.items()}
    scope |= {"N": Number, "f": lambda a, b: Number(a.value * 3 + b.value)}
    assert eval(text, scope).value == value(formula).value, text


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "x[0]"),
        (np.s_[:, 1:3], "x[:, 1:3]"),
        (np.s_[..., ::-1], "x[..., ::-1]"),
        (np.s_[None, -1], "x[None, -1]"),
        ([0, 1], "getitem index=(0, 1)"),
    ],
)
def test_an_index_stands_in_brackets(index, text):
    assert text in labels(draw(lambda x: x[index], np.ones((3, 4)))).values()


def test_indices_of_a_loop_are_the_first_and_the_last():
    def f(xs):
        state = np.ones(2)
        for x in xs:
            state = np.tanh(x * state)
        return state

    assert "x = xs[0 … 19]" in labels(draw(f, np.ones((20, 2)))).values()

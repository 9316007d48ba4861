"""Nested lists, tuples and dicts: flattened and built again, and compared in structure."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist.nested import flatten, leaves_as

TREES = st.recursive(
    st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(TREES)
def test_what_was_flattened_can_be_built_again(tree):
    leaves, rebuild = flatten(tree)
    assert None not in leaves
    assert rebuild(leaves) == tree


@given(TREES)
def test_the_leaves_of_a_structure_like_itself_are_its_own(tree):
    assert leaves_as(tree, tree, "a copy") == flatten(tree)[0]


def test_a_named_tuple_keeps_its_class():
    class Pair(NamedTuple):
        first: int
        second: list[int]

    leaves, rebuild = flatten(Pair(1, [2, 3]))
    again = rebuild([value * 10 for value in leaves])
    assert again == Pair(10, [20, 30])
    assert type(again) is Pair


def test_leaves_come_in_the_order_of_the_template():
    assert leaves_as({"a": 0, "b": [0, 0]}, {"b": [2, 3], "a": 1}, "the gradient") == [1, 2, 3]


@pytest.mark.parametrize(
    ("template", "tree", "message"),
    [
        ({"a": 0}, {"b": 0}, r"the gradient needs a dict with keys \['a'\]; got {'b': 0}"),
        ([0, 0], [0], r"the gradient needs 2 parts; got \[0\]"),
        ((0, 0), 5, "the gradient needs 2 parts; got 5"),
    ],
)
def test_another_structure_is_refused_with_what_is_wanted(template, tree, message):
    with pytest.raises(ValueError, match=message):
        leaves_as(template, tree, "the gradient")

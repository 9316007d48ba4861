"""The page of functions says what the ops say now."""

import re

import numpy as np
import pytest

from tests.inventory.classes import CLASSES
from tests.ops_page import PAGE, named, page, shown_domain
from tinygrad_mnist import op, ops

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_of_functions_is_what_its_script_writes():
    if f"NumPy {np.__version__.rpartition('.')[0]} " not in TEXT:
        pytest.skip(f"NumPy {np.__version__} describes its functions in other words")
    assert page() == TEXT, "write docs/ops.md anew: python -m tests.ops_page"


def test_every_function_of_ops_is_on_the_page():
    shown = set(re.findall(r"`([\w.]+)", TEXT))
    assert set(ops.__all__) - shown == {"registry"}
    assert set(ops.registry) - shown == set()


def test_every_differentiable_function_of_numpy_is_on_the_page():
    shown = set(re.findall(r"`([\w.]+)", TEXT))
    assert CLASSES["differentiable"] - shown == set()


def test_a_row_shows_what_rules_name_and_where_they_hold():
    @op(domain={"x": (0, np.inf), "y": (-1, 1)})
    def some(x, y, *, power=2):
        return x * y**power

    some.defvjp(x=lambda g, y, power: g * y**power, y=lambda g, x, y_shape: g)
    assert named(some) == "x: `y`, `power`; y: `x`, `y_shape`"
    assert shown_domain(some) == "`0 < x`, `-1 < y < 1`"
    some.defvjp(x=lambda g: g, y=lambda g: g)
    assert named(some) == "-"

"""Every differentiable function of NumPy, called as NumPy allows: value and derivatives."""

from pathlib import Path

import numpy as np
import pytest

from tests.inventory.checks import check
from tests.inventory.table import CALLS, OTHERS


@pytest.mark.parametrize("call", [*CALLS, *OTHERS], ids=str)
def test_a_call_gives_what_numpy_gives_with_derivatives_of_both_orders(call):
    if "f(" in call.text and not hasattr(np, call.name.partition(".")[0]):
        pytest.skip(f"NumPy {np.__version__} has no {call.name}")
    check(call)


def test_the_others_are_68_rows_with_two_that_numpy_does_not_let_through():
    """They are np.r_ and np.c_, which are refused: see `test_classes.py`."""
    assert len({call.name for call in OTHERS}) + 1 == 68


def test_the_readme_counts_the_functions_and_their_calls():
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())
    names = len({call.name for call in CALLS})
    assert f"Every differentiable function of NumPy 2: {names} of {names}," in readme
    assert f"every function of NumPy in {len(CALLS)} calls" in readme

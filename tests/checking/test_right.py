"""No right function is accused, nor left open: every third of the table; all by the command below.

$ python -m tests.checking.right
"""

import warnings

import pytest

from tests.checking.right import CASES
from tinygrad_mnist import gradcheck
from tinygrad_mnist.checking import GradientWarning


@pytest.mark.parametrize("name", list(CASES)[::3])
def test_a_right_function_passes(name):
    f, inputs, options = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", GradientWarning)
        report = gradcheck(f, *inputs, **options)
    assert report.verdict == "pass"
    assert report.unjudged <= 0.2 * report.compared

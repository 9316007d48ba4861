"""Texts of options: what they say, and what they do not say left for others to refuse."""

import pytest

from tinygrad_mnist.mnist.options import each, one_or_each, read


@pytest.mark.parametrize(
    ("text", "value"), {"3": 3.0, "1e-3": 1e-3, "fast": "fast", "": "", None: None}.items()
)
def test_a_text_is_a_number_or_stays_a_text(text, value):
    assert read(text, float) == value


@pytest.mark.parametrize(
    ("text", "values", "alone"),
    [
        ("128, 64", (128, 64), (128, 64)),
        ("128", (128,), 128),
        ("128,x", (128, "x"), (128, "x")),
        ("", ("",), ""),
        (None, None, None),
    ],
)
def test_commas_part_values(text, values, alone):
    assert each(text, int) == values
    assert one_or_each(text, int) == alone

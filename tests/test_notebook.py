"""How objects look in a notebook: small tables, escaped."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.test_duck_arrays import Duck
from tinygrad_mnist import Tensor, nn


def cells(html):
    """Return the texts of a table, row by row; fail if a tag is not closed."""
    rows, open_tags = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            open_tags.append(tag)
            if tag == "tr":
                rows.append([])
            elif tag in {"td", "th"}:
                rows[-1].append("")

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

        def handle_data(self, data):
            if open_tags[-1] in {"td", "th"}:
                rows[-1][-1] += data

    Reader().feed(html)
    assert open_tags == []
    return rows


def test_a_matrix_is_a_table_below_its_kind():
    html = Tensor([[1.0, 2.5], [-3.0, 1e-9]], requires_grad=True, name="w")._repr_html_()
    assert "<b>Tensor w of shape (2, 2), float64, requires a gradient</b>" in html
    assert cells(html) == [["1", "2.5"], ["-3", "1e-09"]]


def test_a_vector_is_one_row_and_integers_stay_integers():
    assert cells(Tensor(np.arange(3))._repr_html_()) == [["0", "1", "2"]]
    assert cells(Tensor([True])._repr_html_()) == [["True"]]


def test_of_a_large_matrix_the_corners_are_shown():
    table = cells(Tensor(np.arange(784 * 128.0).reshape(784, 128))._repr_html_())
    assert len(table) == len(table[0]) == 11
    assert table[0][0] == "0"
    assert table[-1][-1] == "1.004e+05"
    assert set(table[5]) == {"…"}
    assert [row[5] for row in table] == ["…"] * 11


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3, 4), (1, 1, 28, 28)])
def test_other_shapes_are_text(shape):
    html = Tensor(np.zeros(shape))._repr_html_()
    assert f"of shape {shape}" in html
    assert len(re.findall("<pre>", html)) == 1
    assert len(html) < 1000


def test_a_result_is_shown_as_well_and_names_are_escaped():
    html = (Tensor([1.0], requires_grad=True, name="<script>") * 2)._repr_html_()
    assert cells(html) == [["2"]]
    assert "&lt;script&gt;" in Tensor([1.0], name="<script>")._repr_html_()


def test_arrays_of_another_library_are_left_to_repr():
    assert Tensor(Duck(np.zeros(2)))._repr_html_() is None


def test_a_module_shows_its_parts_and_parameters():
    html = nn.MLP((784, 32, 10), rng=0)._repr_html_()
    assert "layers.0: Linear(784, 32)" in html
    assert cells(html) == [
        ["parameter", "shape", "type", "numbers"],
        ["layers.0.weight", "(784, 32)", "float32", "25,088"],
        ["layers.0.bias", "(32,)", "float32", "32"],
        ["layers.1.weight", "(32, 10)", "float32", "320"],
        ["layers.1.bias", "(10,)", "float32", "10"],
    ]
    assert "25,450 numbers in all" in html


def test_a_module_without_parameters_shows_none():
    assert nn.ReLU()._repr_html_() == "<pre>ReLU()</pre>"


def test_a_summary_is_the_table_that_it_prints():
    summary = nn.summary(nn.MLP((4, 3, 2), rng=0), np.zeros((1, 4), np.float32))
    printed = [line.split("  ") for line in str(summary).splitlines() if "--" not in line]
    texts = [[text.strip() for text in row if text.strip()] for row in printed]
    assert [list(filter(None, row)) for row in cells(summary._repr_html_())] == texts

"""A report: its verdict, in words, as a page and as a picture, and what `strict` makes of it."""

import warnings

import numpy as np
import pytest

from tests.browser import browsing, needs_browser
from tinygrad_mnist import gradcheck, op, ops
from tinygrad_mnist.checking import GradientError, GradientWarning, Report
from tinygrad_mnist.tensor import raw


@op
def cubed(x):
    return x**3


cubed.defvjp(x=lambda g, x: g * 3 * x * np.abs(raw(x)))


@pytest.fixture(scope="module")
def wrong():
    with pytest.raises(GradientError) as caught:
        gradcheck(cubed, np.array([0.5, -1.5]))
    return caught.value.report


def jump(x):
    return np.where(raw(x) < 1, x, x + 1.0)


def test_what_can_not_be_judged_warns_and_strict_raises():
    with pytest.warns(GradientWarning, match=r"inconclusive(.|\n)*a jump at x = 1"):
        report = gradcheck(jump, np.array(1.0), order=1)
    with pytest.raises(GradientError, match=r"inconclusive(.|\n)*a jump at x = 1") as caught:
        gradcheck(jump, np.array(1.0), order=1, strict=True)
    assert caught.value.report == report
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradcheck(np.tanh, np.array(1.0), strict=True).verdict == "pass"


@pytest.mark.parametrize(
    ("points", "compared", "unjudged", "vague", "verdict"),
    [
        (1, 5, 0, 0, "pass"),
        (1, 5, 1, 0, "inconclusive"),
        (50, 5, 5, 0, "pass"),
        (50, 5, 6, 0, "inconclusive"),
        (50, 90, 50, 26, "inconclusive"),
        (0, 0, 0, 0, "inconclusive"),
    ],
)
def test_a_verdict_needs_most_to_be_judged_at_each_order(
    points, compared, unjudged, vague, verdict
):
    report = Report("f", 2, points=points, compared=compared, unjudged=unjudged, vague=vague)
    assert report.verdict == verdict


def test_the_picture_shows_claim_and_measurement_along_the_entry_where_they_part(wrong, tmp_path):
    figure = wrong.plot(tmp_path / "cubed.png")
    assert (tmp_path / "cubed.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "x[1]"
    assert "right only where x > 0" in axes.get_title()
    lines = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    t, measured = lines["measured"].T
    parabola = measured[0] / t[0] ** 2 * t**2
    np.testing.assert_allclose(measured, parabola, atol=1e-6)
    np.testing.assert_allclose(lines["claimed"][:, 1], np.sign(t) * parabola, atol=1e-6)
    assert lines["here it is wrong"][0, 0] == -1.5


def test_without_a_fault_there_is_nothing_to_draw():
    with pytest.raises(ValueError, match="nothing to draw for exp: no derivative was found wrong"):
        gradcheck(ops.exp, np.array(1.0)).plot()


@needs_browser
def test_a_notebook_shows_the_words_and_the_picture(wrong, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(f"<!doctype html><meta charset='utf-8'>{wrong._repr_html_()}")
    with browsing(page) as browser:
        text = browser.find_element("tag name", "body").text
        assert "gradcheck of cubed, orders 1 and 2: wrong" in text
        assert "diagnosis: it is right only where x > 0; elsewhere the sign is flipped" in text
        assert browser.find_element("tag name", "svg").size["width"] > 300

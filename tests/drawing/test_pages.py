"""Pictures as pages: one file each, to pan, zoom and search, with modules that fold."""

import itertools
import re

import numpy as np
import pytest

from tests.browser import browsing, needs_browser
from tests.drawing import subjects
from tests.toys import leaf
from tinygrad_mnist import Tensor, draw, nn


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "model.html"
    model = nn.Sequential(nn.MLP((4, 3, 3), rng=0), nn.MLP((3, 3, 2), rng=0))
    draw(model, np.ones((2, 4), np.float32), file=path)
    return path


def test_a_picture_is_written_as_a_page_of_its_own(page):
    text = page.read_text("utf-8")
    assert "<title>model</title>" in text
    assert "<svg" in text
    addresses = re.findall(r"https?://[^\s\"'<>]+", text)
    assert all(
        address.startswith("http://www.w3.org/") for address in addresses
    )  # names, not links
    assert "{{" not in text
    assert [path.name for path in page.parent.iterdir()] == ["model.html"]


def test_hostile_names_stay_text(tmp_path):
    x = Tensor(1.0, requires_grad=True, name="</script><script>alert(1)</script>{{svg}}")
    page = tmp_path / "a<b>.html"
    draw(x * x, file=page)
    text = page.read_text("utf-8")
    assert "<script>alert" not in text
    assert "<title>a&lt;b&gt;</title>" in text
    assert text.count("<svg") == 1


def test_a_page_that_can_t_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    page = tmp_path / "model.html"
    page.write_text("old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        draw(leaf(1.0) * 2, file=page)
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]


@needs_browser
def test_modules_fold_and_search_finds_what_they_hide(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    with browsing(page) as browser:

        def found(selector):
            return browser.find_elements(By.CSS_SELECTOR, selector)

        first = next(one for one in found("g.cluster") if one.text.startswith("0"))
        inside = [node for node in found("g.node") if "0." in node.text]
        assert inside
        first.send_keys(Keys.ENTER)
        assert not any(node.is_displayed() for node in inside)
        assert first.is_displayed()
        assert first.get_attribute("aria-expanded") == "false"
        search = browser.find_element(By.ID, "search")
        search.send_keys("0.layers.0")
        assert browser.find_element(By.ID, "count").text == "1 found"
        search.send_keys(Keys.ENTER)
        assert all(node.is_displayed() for node in inside)
        assert len(found("g.node.hit.here")) == 1
        search.send_keys(Keys.ESCAPE)
        assert found("g.node.hit") == []


SEEN = """
const box = (part) => {
  const { left, top, right, bottom } = part.getBoundingClientRect();
  return [left, top, right, bottom];
};
const seen = (part) => !part.classList.contains("inside");
const all = (selector) => [...document.querySelectorAll(selector)].filter(seen).map(box);
const things = [...all("g.node"), ...all("g.cluster.folded")];
return [things, all("g.cluster"), all("g.edge"), [natural.width, natural.height]];
"""


def apart(a, b):
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def touches(a, b):
    return not apart(a, [b[0] - 3, b[1] - 3, b[2] + 3, b[3] + 3])


@needs_browser
@pytest.mark.parametrize("order", [0, 1])
def test_the_picture_closes_up_around_a_folded_module(order, tmp_path):
    page = tmp_path / "model.html"
    model = nn.Sequential(nn.MLP((4, 3, 3), rng=0), subjects.Residual(3), nn.Linear(3, 2, rng=0))
    draw(model, np.ones((2, 4), np.float32), order=order, file=page)
    with browsing(page) as browser:
        count = browser.execute_script("return boxes.length")
        *_, whole = browser.execute_script(SEEN)
        for k in range(count):
            browser.execute_script("fold(boxes[arguments[0]], true)", k)
            things, modules, edges, now = browser.execute_script(SEEN)
            pairs = itertools.combinations(things, 2)
            assert all(apart(a, b) for a, b in pairs), k
            assert all(
                sum(touches(edge, one) for one in things + modules) >= 2 for edge in edges
            ), k
            assert now[1] < whole[1] or (order and now <= whole)
            browser.execute_script("fold(boxes[arguments[0]], false)", k)
        assert browser.execute_script(SEEN)[-1] == pytest.approx(whole, abs=0.5)


@needs_browser
def test_the_page_is_dragged_and_zoomed(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    with browsing(page) as browser:

        def seen():
            return browser.execute_script(
                "const v = document.querySelector('#graph > svg').viewBox.baseVal;"
                "return [v.x, v.y, v.width, v.height]"
            )

        browser.find_element(By.ID, "whole").click()
        start = seen()
        room = browser.find_element(By.ID, "graph")
        ActionChains(browser).drag_and_drop_by_offset(room, 100, 50).perform()
        moved = seen()
        assert moved[0] < start[0]
        assert moved[1] < start[1]
        assert moved[2:] == pytest.approx(start[2:])
        browser.find_element(By.ID, "larger").click()
        assert seen()[2] == pytest.approx(moved[2] / 1.3)
        browser.find_element(By.ID, "whole").click()
        assert seen() == pytest.approx(start)


@needs_browser
@pytest.mark.parametrize("layers", [1, 12])
def test_a_page_opens_where_the_graph_begins_large_enough_to_read(tmp_path, layers):
    page = tmp_path / "tall.html"
    model = nn.Sequential(*(nn.Linear(2 + k, 3 + k, rng=0) for k in range(layers)))
    draw(model, subjects.ones(1, 2), file=page)
    with browsing(page, width=400, height=600) as browser:
        taller = browser.execute_script("return natural.height > room.clientHeight")
        assert taller == (layers > 1)
        assert browser.execute_script("return unit()") < 1.5
        top = browser.execute_script("return nodes[0].getBoundingClientRect().top")
        assert 0 < top < 300
        browser.find_element("id", "whole").click()
        assert browser.execute_script("return view.height >= natural.height")

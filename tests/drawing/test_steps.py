"""Pages to go through a graph step by step: what they say, in which order, and in a browser."""

import json
import re

import numpy as np
import pytest

from tests.browser import browsing, needs_browser
from tests.toys import leaf
from tinygrad_mnist import Tensor, checkpoint, draw_steps, nn, no_grad, op, ops
from tinygrad_mnist.drawing.ruletext import rule_text


def neuron(x, w, b):
    z = x * w + b
    a = np.tanh(z)
    return (a * a).mean()


def steps_of(page):
    data = re.search(r'id="steps">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(data[1])


def titles(steps, phase):
    return [step["title"] for step in steps if step["phase"] == phase]


def lines(step):
    return dict(step["lines"])


@pytest.fixture
def page(tmp_path):
    return tmp_path / "steps.html"


@pytest.fixture
def inputs():
    return leaf([1.0, 2.0]), leaf(0.3), leaf(-0.1)


def test_values_come_in_the_order_of_the_forward_pass(page, inputs):
    steps = steps_of(draw_steps(neuron, page, *inputs))
    shown = titles(steps, "forward")
    assert shown[0] == "What the computation starts from"
    assert [re.sub(r"\w+ = ", "", t) for t in shown[1:]] == [
        "x * w",
        "y + b",
        "tanh(z)",
        "a * a",
        "mean",
    ]
    assert lines(steps[0]) == {"x": "[1, 2]", "w": "0.3", "b": "-0.1"}
    a = np.tanh([0.2, 0.5])
    assert lines(steps[3]) == {"gives": f"[{a[0]:.4g}, {a[1]:.4g}]"}
    assert steps[3]["code"] == "a = np.tanh(z)"


def test_cotangents_go_back_to_the_gradients_of_backward(page, inputs):
    steps = steps_of(draw_steps(neuron, page, *inputs))
    assert all(t.grad is None for t in inputs)
    neuron(*inputs).backward()
    end = lines(steps[-1])
    assert end["∂w"] == f"{inputs[1].grad:.4g}"
    assert end["∂b"] == f"{inputs[2].grad:.4g}"
    assert end["∂x"] == "[{:.4g}, {:.4g}]".format(*inputs[0].grad)


def test_each_step_back_is_in_the_rule_s_own_words_with_what_they_stand_for(page, inputs):
    steps = steps_of(draw_steps(neuron, page, *inputs))
    (back,) = [s for s in steps if s["phase"] == "backward" and "tanh" in s["title"]]
    said = lines(back)
    assert said["∂z"] == "g * (1 - out * out)"
    a = np.tanh([0.2, 0.5])
    assert said["g"] == f"∂a = [{a[0]:.4g}, {a[1]:.4g}]"
    assert said["out"] == f"[{a[0]:.4g}, {a[1]:.4g}]"
    gz = a * (1 - a * a)
    assert said["gives"] == f"[{gz[0]:.4g}, {gz[1]:.4g}]"


def test_where_cotangents_meet_they_are_seen_to_add_up(page):
    steps = steps_of(draw_steps(lambda x: x * 3 + x * 4, page, leaf(2.0)))
    meetings = [lines(s)["adds up"] for s in steps if "adds up" in lines(s)]
    assert meetings == ["4 + 3 = 7"]  # the newest operation comes first
    seen = [s["cotangents"] for s in steps if s["title"].endswith("its rule for x")]
    assert [list(shown.values()) for shown in seen] == [["4"], ["7"]]


def test_broadcasting_is_seen_to_be_summed(page, inputs):
    steps = steps_of(draw_steps(neuron, page, *inputs))
    summed = [lines(s)["summed"] for s in steps if "summed" in lines(s)]
    assert len(summed) == 2
    assert all(text.startswith("over the axes that broadcasting added: ") for text in summed)


def test_the_order_is_the_engine_s_own(page):
    calls = []

    @op
    def first(x):
        return 2 * x

    @op
    def second(x):
        return 3 * x

    first.defvjp(x=lambda g: calls.append("first") or 2 * g)
    second.defvjp(x=lambda g: calls.append("second") or 3 * g)
    steps = steps_of(draw_steps(lambda x: second(x) * first(x), page, leaf(1.0)))
    seen = [t.split(":")[0] for t in titles(steps, "backward") if t.startswith(("first", "second"))]
    assert seen == calls == ["first", "second"]


def test_of_a_tensor_s_history_shows_what_is_kept_and_says_what_is_not(page):
    x, w, b = leaf([1.0, 2.0]), leaf(0.3), leaf(-0.1)
    z = x * w + b
    loss = (np.tanh(z) - 1).sum()
    steps = steps_of(draw_steps(loss, page))
    assert "z = y + b" in titles(steps, "forward")
    gives = [lines(s)["gives"] for s in steps if s["phase"] == "forward" and "gives" in lines(s)]
    assert "[0.2, 0.5]" in gives
    assert "not kept" in gives
    loss.backward()  # the page took nothing from the graph
    assert x.grad is not None


def test_modules_are_one_node_each_and_their_parameters_are_named(page):
    model = nn.MLP((4, 3, 2), rng=0)
    x = np.ones((2, 4), np.float32)
    steps = steps_of(draw_steps(lambda x: ops.cross_entropy(model(x), np.array([0, 1])), page, x))
    assert "linear in layers.0" in titles(steps, "forward")
    assert "linear in layers.1: its rule for layers.1.weight" in titles(steps, "backward")
    assert not any("rule for x" in title for title in titles(steps, "backward"))  # as in training
    text = page.read_text("utf-8")
    assert "layers.0" in text
    assert "Linear, 15 parameters" in text


def test_a_module_shows_the_cotangent_of_its_result_alone(page):
    model = nn.MLP((4, 3, 2), rng=0)
    steps = steps_of(draw_steps(lambda x: model(x).sum(), page, np.ones((2, 4), np.float32)))
    for step in steps:
        if "its rule for layers" in step["title"]:
            assert step["cotangents"] == {}


def test_large_graphs_stay_readable(page):
    def deep(x):
        for k in range(500):
            x = np.tanh(x) if k % 2 else x @ np.eye(2)
        return x.sum()

    steps = steps_of(draw_steps(deep, page, leaf(np.ones((2, 2)))))
    assert len(steps) > 1000
    assert page.stat().st_size < 2_000_000


def test_several_results_checkpoints_and_hidden_ones_go_back_too(page):
    def mixed(x):
        left, right = np.split(x, 2)
        return checkpoint(np.exp)(left).sum() + ops.dropout(right, 0.5, 0).sum()

    x = leaf([0.0, 1.0, 2.0, 3.0])
    steps = steps_of(draw_steps(mixed, page, x))
    mixed(x).backward()
    assert lines(steps[-1])["∂x"] == "[" + ", ".join(f"{g:.4g}" for g in x.grad) + "]"


def test_nan_and_infinity_are_marked(page):
    with np.errstate(all="ignore"):
        steps = steps_of(draw_steps(lambda x: np.log(x).sum(), page, leaf([0.0, 1.0])))
    assert any(step["odd"] for step in steps)


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", 'quo"te', "a<b&c", "Ω\n"])
def test_hostile_names_stay_text(page, name):
    x = Tensor(2.0, requires_grad=True, name=name)
    text = draw_steps(x * x, page).read_text("utf-8")
    assert "<script>alert" not in text
    assert steps_of(page)[0]["lines"][0][0] == name


def test_the_page_needs_no_network(page, inputs):
    text = draw_steps(neuron, page, *inputs).read_text("utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert all(
        address.startswith("http://www.w3.org/") for address in addresses
    )  # names, not links
    assert not re.search(r"<link|<img|src=|@import|fetch\(|url\((?!#)", text)


def test_a_freed_graph_says_how_to_keep_it(page, inputs):
    loss = neuron(*inputs)
    loss.backward()
    with pytest.raises(RuntimeError, match="was freed by an earlier backward"):
        draw_steps(loss, page)
    assert not page.exists()


def test_what_can_t_be_gone_back_through_is_refused_in_a_sentence(tmp_path, page, inputs):
    x, *_ = inputs
    with pytest.raises(ValueError, match=r"goes back from one number, got results of shape \(2,\)"):
        draw_steps(x * 2, page)
    with pytest.raises(ValueError, match=r"a file that ends in \.html, not .*steps\.png"):
        draw_steps((x * 2).sum(), tmp_path / "steps.png")
    with no_grad(), pytest.raises(RuntimeError, match="tracks no gradient"):
        draw_steps((x * 2).sum(), page)
    with pytest.raises(TypeError, match="draw takes Tensors, or a module or function"):
        draw_steps(3.0, page)
    with pytest.raises(TypeError, match="takes inputs for a module or function alone"):
        draw_steps((x * 2).sum(), page, 1.0)


def test_what_the_function_raises_comes_through_and_no_page_is_written(page):
    with pytest.raises(ZeroDivisionError):
        draw_steps(lambda x: x / (1 // 0), page, leaf(1.0))
    assert not page.exists()


@pytest.mark.parametrize("name", sorted(ops.registry))
def test_every_rule_has_words(name):
    assert all(rule_text(rule) for rule in ops.registry[name].rules.values())


def test_a_rule_s_words_are_its_own_where_several_stand_in_a_line():
    @op
    def twice(x, y):
        return x * y

    twice.defvjp(x=lambda g, y: g * y, y=lambda g, x: x * g)
    assert [rule_text(rule) for rule in twice.rules.values()] == ["g * y", "x * g"]
    assert [rule_text(rule) for rule in ops.subtract.rules.values()] == ["g", "-g"]


@needs_browser
def test_slider_keys_and_buttons_move_through_the_page(page, inputs):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    steps = steps_of(draw_steps(neuron, page, *inputs))
    with browsing(page) as browser:
        body = browser.find_element(By.TAG_NAME, "body")

        def title():
            return browser.find_element(By.ID, "title").text

        def seen(kind):
            texts = browser.find_elements(By.CSS_SELECTOR, f"#graph text.{kind}:not(.unseen)")
            return [one.text for one in texts]

        assert title() == steps[0]["title"]
        assert sorted(seen("value")) == ["-0.1", "0.3", "[1, 2]"]
        assert seen("cotangent") == []
        body.send_keys(Keys.ARROW_RIGHT)
        assert title() == steps[1]["title"]
        assert "[0.3, 0.6]" in seen("value")
        assert len(browser.find_elements(By.CSS_SELECTOR, "g.node.now")) == 1
        body.send_keys(Keys.END)
        assert title() == "The gradients"
        assert f"grad {lines(steps[-1])['∂w']}" in seen("cotangent")
        browser.find_element(By.ID, "back").click()
        assert title() == steps[-2]["title"]
        assert len(browser.find_elements(By.CSS_SELECTOR, "g.edge.now")) == 1
        body.send_keys(Keys.HOME)
        browser.find_element(By.ID, "next").click()
        assert title() == steps[1]["title"]
        slider = browser.find_element(By.ID, "slider")
        browser.execute_script(
            "arguments[0].value = 3; arguments[0].dispatchEvent(new Event('input'))", slider
        )
        assert title() == steps[3]["title"]

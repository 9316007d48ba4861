"""Pictures of compute graphs: what they show, that they are readable, and that they always come.

Golden pictures are in `pictures`; ``RENEW_PICTURES=1 pytest tests/test_drawing.py`` renews them.
"""

import html
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import graphviz
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import drawn
from tinygrad_mnist import Tensor, checkpoint, grad, nn, no_grad, op, ops
from tinygrad_mnist.drawing import NoRenderer, draw, rendering
from tinygrad_mnist.drawing.budget import BUDGET
from tinygrad_mnist.drawing.formulas import INFIX, written
from tinygrad_mnist.graph import current_mode

GOLDEN = Path(__file__).parent / "pictures"


def leaf(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


def labels(picture):
    """Return what each node shows, without markup, by its name in the source."""
    found = re.findall(r"^\t*(n\d+) \[label=<(.*?)> (?:\w+=|\])", picture.source, re.MULTILINE)
    return {name: plain(label) for name, label in found}


def plain(label):
    text = html.unescape(re.sub("<[^>]*>", " ", label)).replace("\N{MULTIPLICATION SIGN}", "x")
    return " ".join(text.split())


def edges(picture):
    """Return the labels of an edge's ends, and its own."""
    nodes = labels(picture)
    found = re.findall(
        r"^\t(n\d+) -> (n\d+)(?: \[label=<&#160;(.*?)>)?", picture.source, re.MULTILINE
    )
    return [(nodes[a], nodes[b], plain(label)) for a, b, label in found]


def boxes(picture):
    return [plain(box) for box in re.findall("cluster_.*\n.*label=<(.*)> ", picture.source)]


def svg(picture):
    return ET.fromstring(picture.pipe("svg"))


def texts(picture):
    return ["".join(element.itertext()) for element in svg(picture).iter() if element.text]


@pytest.fixture
def no_dot(monkeypatch):
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def no_renderer(no_dot, monkeypatch):
    monkeypatch.setattr(rendering.shutil, "which", lambda *_, **__: None)


# What is shown ----------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", drawn.SUBJECTS)
def test_a_picture_is_what_it_was(subject):
    source = drawn.SUBJECTS[subject]().source
    path = GOLDEN / f"{subject}.gv"
    if "RENEW_PICTURES" in os.environ:
        path.write_text(source, "utf-8")
    assert source == path.read_text("utf-8")


def test_every_golden_picture_has_its_subject():
    assert {path.stem for path in GOLDEN.iterdir()} == set(drawn.SUBJECTS)


def test_a_picture_is_the_same_in_another_process():
    code = "from tests import drawn; print(drawn.residual().source, end='')"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed}, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        assert done.stdout.decode() == drawn.residual().source


def test_modules_are_boxes_with_path_class_and_number_of_parameters():
    picture = draw(nn.Sequential(nn.Linear(8, 4, rng=0), drawn.Residual(4)), drawn.ones(2, 8))
    assert re.findall(r"subgraph cluster_\d+", picture.source) == [
        "subgraph cluster_1", "subgraph cluster_2",
    ]  # fmt: skip
    assert "<b>Sequential</b>" in picture.source
    assert "<b>1</b>" in picture.source
    assert "Residual, 40 parameters" in picture.source
    assert any("1.first" in label and "weight 4x4" in label for label in labels(picture).values())


def test_edges_say_the_shape_and_the_dtype_that_is_not_that_of_most():
    picture = draw(lambda x: np.maximum(x.astype(np.float64).sum(axis=0), 0.5), drawn.ones(3, 4))
    assert ("astype dtype=float64", "sum axis=0", "3x4") in edges(picture)
    assert "3x4 float32" in " ".join(labels(picture).values())


def test_edges_of_an_operation_that_reads_several_results_say_which_is_which():
    picture = draw(lambda x: x.sum(axis=0) - x.max(axis=0), leaf(2, 3))
    into = [edge for edge in edges(picture) if edge[1] == "y - z"]
    assert into == [
        ("sum axis=0", "y - z", "y 3"),
        ("max axis=0", "y - z", "z 3"),
    ]


def test_results_of_one_call_leave_it_on_edges_of_their_own():
    picture = draw(lambda x: np.concatenate(np.split(x, [1])[::-1]), leaf(3))
    assert [label for a, b, label in edges(picture) if b == "concatenate"] == [
        "arrays[0] 2", "arrays[1] 1",
    ]  # fmt: skip


def test_elementwise_operations_in_a_row_are_one_formula():
    picture = draw(lambda x: np.exp(-(x * x) / 2.0).sum(), leaf(3))
    assert "exp(-(x * x) / 2)" in labels(picture).values()


def test_an_intermediate_that_is_read_twice_has_a_node():
    def f(x):
        y = ops.exp(x)
        return y * ops.sin(y)

    assert {"exp(x)", "y * sin(y)"} <= set(labels(draw(f, leaf(3))).values())


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


def test_inputs_bear_the_names_of_arguments_and_nested_ones_are_numbered():
    def f(batch, scale, *rest):
        return (batch["a"][0] * batch["a"][1] + scale) * rest[0]

    picture = draw(f, {"a": [np.ones(2), np.ones(2)]}, 2.0, np.ones(2))
    assert {"batch[0] 2", "batch[1] 2", "scale scalar", "x3 2"} <= set(labels(picture).values())


def test_tensors_that_a_function_reaches_bear_the_names_of_its_variables():
    slope, named = leaf(3), Tensor(1.0, requires_grad=True, name="offset")
    assert "x * slope + offset" in labels(draw(lambda x: x * slope + named, np.ones(3))).values()


def test_whole_numbers_and_frozen_parameters_are_shown_too():
    model = nn.Linear(4, 3, rng=0)
    model.bias.requires_grad = False

    def loss(x, truth):
        return ops.cross_entropy(model(x), truth)

    shown = " ".join(labels(draw(loss, drawn.ones(2, 4), np.array([0, 2]))).values())
    assert "truth 2 int64" in shown
    assert "bias 3" in shown


def test_an_input_that_nothing_reads_is_shown_as_not_used():
    assert "y 2, not used" in labels(draw(lambda x, y: x * 2.0, np.ones(2), np.ones(2))).values()


def test_shared_parameters_stand_apart_and_others_in_their_operation():
    shared = nn.Linear(3, 3, rng=0)
    twice = labels(draw(nn.Sequential(shared, nn.ReLU(), shared), drawn.ones(2, 3)))
    assert "0.weight 3x3" in twice.values()
    once = labels(draw(nn.Sequential(shared, nn.ReLU()), drawn.ones(2, 3)))
    assert not any(label.startswith("0.weight") for label in once.values())


def test_a_leaf_with_many_readers_is_named_by_them_instead_of_edges():
    w = leaf(2, 2)

    def f(x):
        for k in range(9):
            x = np.tanh(x @ w) + float(k)
        return x

    picture = draw(f, np.ones((2, 2)))
    assert "w 2x2, read by 9 nodes" in labels(picture).values()
    assert not [edge for edge in edges(picture) if edge[0].startswith("w ")]
    assert "x @ w" in labels(picture).values()


def test_a_picture_of_a_gradient_shows_the_operations_of_the_rules():
    shown = labels(draw(grad(lambda x: np.sin(x) * x), 2.0)).values()
    assert any("cos" in label for label in shown)
    assert not any("alias" in label for label in shown)


def test_a_checkpoint_is_one_node():
    picture = draw(checkpoint(lambda x: np.exp(np.sin(x))), leaf(3))
    assert "checkpoint" in labels(picture).values()


def test_notes_show_static_arguments_that_are_not_the_default_but_no_generators():
    picture = draw(
        lambda x: ops.dropout(x, 0.25, rng=np.random.default_rng(0)).sum(axis=1), leaf(2, 3)
    )
    shown = set(labels(picture).values())
    assert "sum axis=1" in shown
    assert any("p=0.25" in label and "rng" not in label for label in shown)


def test_several_tensors_are_several_outputs():
    x = leaf(3)
    picture = draw([x * 2.0, {"b": x.sum()}])
    assert {"output 1 3", "output 2 scalar"} <= set(labels(picture).values())


def test_a_leaf_and_a_constant_alone_can_be_drawn():
    assert edges(draw(leaf(3))) == [("p1 3", "output 3", "")]
    assert edges(draw(Tensor(np.ones(2)))) == [("c1 2", "output 2", "")]


def test_nodes_have_the_line_of_code_as_tooltip():
    tip = re.search(
        r'tooltip="(drawn.py:\d+  return x \+ self.second[^"]*)"', drawn.residual().source
    )
    assert tip


# After backward, and in every mode ---------------------------------------------------------------


def test_after_backward_the_graph_is_still_drawn_and_says_what_is_gone():
    w = leaf(3)
    loss = (np.exp(w * np.array([1.0, 2.0, 3.0])) * 2.0).sum()
    before = draw(loss)
    loss.backward()
    after = draw(loss)
    assert "exp(p1 * c1) * 2" in labels(before).values()
    assert "exp(p1 * …) * …" in labels(after).values()
    assert "… is a constant that is no longer kept" in after.source
    assert "no longer kept" not in before.source


def test_drawing_a_call_leaves_everything_as_it_was():
    model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Dropout(0.5, rng=1))
    x = drawn.ones(2, 4)
    model(x).sum().backward()
    grads = [p.grad.copy() for p in model.parameters()]
    states = [g.bit_generator.state for _, g in model.generators()]
    draw(model, x)
    assert [g.bit_generator.state for _, g in model.generators()] == states
    assert all(np.array_equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert x.flags.writeable
    assert all(p.data.flags.writeable for p in model.parameters())


def test_a_call_is_drawn_inside_no_grad_too():
    with no_grad():
        picture = draw(lambda x: x * 2.0, leaf(3))
        assert not current_mode().recording
    assert "x * 2" in labels(picture).values()


def test_an_exception_in_what_is_drawn_arrives_and_the_mode_is_as_before():
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state

    def f(x):
        ops.dropout(x, 0.5, rng=generator)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        draw(f, np.ones(3))
    assert generator.bit_generator.state == state
    assert current_mode().scopes is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "draw takes Tensors, or a module or function with its inputs; got int"),
        (([Tensor(1.0), "x"],), "got str"),
        ((Tensor(1.0), 2.0), "inputs for a module or function"),
        ((lambda x: 3.0, 1.0), "nothing to draw: <lambda> returned no Tensor; got float"),
    ],
)
def test_what_can_not_be_drawn_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        draw(*arguments)


# Large graphs -----------------------------------------------------------------------------------


def test_a_chain_of_100_000_operations_is_one_block():
    x = leaf(2)
    y = x
    for k in range(100_000):
        y = y * x if k % 2 else y + x
    picture = draw(y)
    assert "100,000 operations" in picture.source
    assert len(labels(picture)) < 10


def test_a_long_irregular_history_shows_its_start_and_its_end():
    x, random = leaf(2), np.random.default_rng(0)
    y = x
    for k in random.integers(0, 3, 5_000).tolist():
        y = -y if k == 0 else y * x if k == 1 else np.exp(y * 0.0).sum() + y
    picture = draw(y)
    assert len(labels(picture)) <= BUDGET
    assert any("left out" in a for a, _, _ in edges(picture))
    assert any("left out" in b for _, b, _ in edges(picture))
    total = int(re.search(r"([\d,]+) operations, float64", picture.source)[1].replace(",", ""))
    count = 0
    stack, seen = [y._node], {y._node}
    while stack:
        node = stack.pop()
        count += node.plan is not None
        fresh = set(node.parents) - seen
        seen |= fresh
        stack += fresh
    assert total == count


def test_a_large_model_is_drawn_module_by_module():
    sizes = range(2, 62)

    class Block(nn.Module):
        def __init__(self, a, b):
            self.first, self.second = nn.Linear(a, a, rng=0), nn.Linear(a, b, rng=0)

        def forward(self, x):
            h = self.first(x)
            return self.second((ops.relu(h) @ np.ones((h.shape[1], h.shape[1]))) + h.sum())

    blocks = [Block(a, b) for a, b in itertools.pairwise(sizes)]
    picture = draw(nn.Sequential(*blocks), np.ones((2, sizes[0])))
    assert len(labels(picture)) <= BUDGET
    assert "modules are folded, to show 150 nodes at most" in picture.source
    assert sum("Block" in label for label in labels(picture).values()) == len(blocks)


def test_blocks_that_are_read_from_outside_are_not_joined():
    def f(x):
        states = []
        for _ in range(20):
            x = np.tanh(x @ np.ones((3, 3)))
            states.append(x)
        return np.stack(states)

    assert sum(label == "tanh" for label in labels(draw(f, np.ones((2, 3)))).values()) == 20


def test_blocks_of_blocks_are_joined():
    def f(x):
        for _ in range(5):
            for _ in range(20):
                x = np.tanh(x.sum(axis=0, keepdims=True) + x)
            x = x.reshape(3, 2).reshape(2, 3)
        return x

    picture = draw(f, np.ones((2, 3)))
    assert boxes(picture) == ["x 19", "x 4", "x 20"]
    assert "310 operations" in picture.source


@op
def tripled(x):
    return x, 2 * x, 3 * x


tripled.defvjp(x=lambda g: g[0])


def test_repeated_blocks_that_pass_on_several_results_are_joined():
    def f(x):
        for _ in range(30):
            a, b, c = tripled(x)
            x = a + b * c
        return x

    picture = draw(f, np.zeros(3))
    assert boxes(picture) == ["x 30"]
    assert len(labels(picture)) < 10


# Names ------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.text(max_size=20))
@example('"quoted" \\')
@example("a<b>&amp;{x|y}\n\\N\t\x00\ud800")
@example("größe 数 😀")
@example("   ")
def test_any_name_is_shown_and_harms_nothing(name):
    x = Tensor(np.ones(2), requires_grad=True, name=name)
    picture = draw(lambda value: ops.exp(value).sum(), x)
    spelled = [c if c.isprintable() else repr(c)[1:-1] for c in name or "value"]
    assert "".join("".join(spelled).split()) in "".join("".join(texts(picture)).split())


def test_hostile_paths_of_modules_are_shown():
    model = nn.Sequential()
    setattr(model, "0", drawn.Residual(2))
    model.parts = {'<b>"&{}': nn.Linear(2, 2, rng=0), "\n": nn.ReLU()}
    model.forward = lambda x: model.parts["\n"](model.parts['<b>"&{}'](x))
    assert any('parts.<b>"&{}' in text for text in texts(draw(model, drawn.ones(1, 2))))


# Rendering --------------------------------------------------------------------------------------


def test_a_picture_is_a_digraph_of_graphviz():
    assert isinstance(draw(leaf(2)), graphviz.Digraph)


@pytest.mark.parametrize("subject", drawn.SUBJECTS)
def test_graphviz_pure_renders_where_dot_is_missing(subject, no_dot):
    picture = drawn.SUBJECTS[subject]()
    assert b"graphviz-pure" in picture.pipe("svg")
    assert svg(picture).tag.endswith("svg")


def test_every_way_to_render_works_without_dot(no_dot, tmp_path):
    picture = draw(leaf(2))
    assert picture.pipe("svg", encoding="utf-8").startswith("<?xml")
    assert picture.pipe("png").startswith(b"\x89PNG")
    assert set(picture._repr_mimebundle_()) == {"image/svg+xml"}
    assert picture.render("a.gv", directory=tmp_path) == str(tmp_path / "a.gv.svg")
    assert picture.render(outfile=tmp_path / "b.png", cleanup=True) == str(tmp_path / "b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gv", "a.gv.svg", "b.png"]


def test_graphviz_pure_is_found_on_the_path_too(monkeypatch, tmp_path):
    program = tmp_path / "graphviz-pure"
    program.write_text("#!/bin/sh\necho drawn by me\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(rendering.sysconfig, "get_path", lambda _: "/nowhere")
    assert draw(leaf(2)).pipe("svg") == b"drawn by me\n"


def test_a_format_that_graphviz_pure_does_not_know_is_refused_in_one_sentence(no_dot):
    with pytest.raises(NoRenderer, match=r"graphviz-pure makes no pdf .* install Graphviz itself$"):
        draw(leaf(2)).pipe("pdf")


def test_without_any_renderer_the_source_is_kept_and_a_sentence_says_what_to_do(
    no_renderer, tmp_path
):
    picture = draw(leaf(2))
    with pytest.raises(NoRenderer, match="pip install graphviz-pure"):
        picture.pipe("svg")
    with pytest.raises(NoRenderer, match=r"pip install graphviz-pure.*the source is in .*a\.gv"):
        picture.render("a.gv", directory=tmp_path)
    assert (tmp_path / "a.gv").read_text("utf-8") == picture.source
    assert "pip install graphviz-pure" in picture._repr_mimebundle_()["text/plain"]


def test_a_file_without_any_renderer_is_a_warning(no_renderer, tmp_path):
    with pytest.warns(NoRenderer, match=r"the source is in .*graph\.gv") as caught:
        picture = draw(leaf(2), file=tmp_path / "graph.svg")
    assert caught[0].filename == __file__
    assert (tmp_path / "graph.gv").read_text("utf-8") == picture.source


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<?xml"), ("a.PNG", b"\x89PNG"), ("a.gv", b"digraph")]
)
def test_the_ending_of_a_file_says_what_it_holds(name, start, tmp_path):
    draw(leaf(2), file=tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["graph", "graph.docx"])
def test_an_unknown_ending_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"ends in no format to draw: \.svg"):
        draw(leaf(2), file=tmp_path / name)


def test_a_png_of_absurd_size_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(rendering, "_LARGEST", 100)
    with pytest.raises(
        ValueError, match=r"a PNG of \d+ by \d+ pixels is too large: write an \.svg"
    ):
        draw(leaf(2), file=tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []

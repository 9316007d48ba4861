"""All options of `draw` together."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drawing import subjects
from tests.drawing.shown import leaf
from tinygrad_mnist import draw, nn, op, ops
from tinygrad_mnist.drawing import COLORS
from tinygrad_mnist.drawing.folding import BUDGET


@op
def halves(x):
    return x[: len(x) // 2], x[len(x) // 2 :]


halves.defvjp(
    x=lambda g, x: np.concatenate(
        [
            np.zeros_like(part) if one is None else one
            for one, part in zip(g, np.split(x, [len(x) // 2]), strict=True)
        ]
    )
)


class Heads(nn.Module):
    """Equal blocks side by side, of which some parameters are shared."""

    def __init__(self):
        self.shared = nn.Linear(4, 4, rng=0)
        self.heads = [nn.Linear(4, 2, rng=k) for k in range(13)]

    def forward(self, x):
        return np.concatenate([np.tanh(head(self.shared(x))) for head in self.heads], axis=-1)


def loop(x):
    states = []
    for _ in range(14):
        x = np.tanh(x @ np.full((3, 3), 0.1)) + x
        states.append(x)
    return {"mean": np.stack(states).mean(), "all": states}


def odd(x):
    first, second = halves(x)
    with np.errstate(all="ignore"):
        return np.log(first), (second[:0].sum(), second[0] / 0.0)


x = leaf(3)
DRAWN = {
    "module": (Heads(), subjects.ones(2, 4)),
    "loop": (loop, np.ones((2, 3))),
    "several results": (odd, np.array([1.0, -1.0, 2.0, np.nan])),
    "history": (np.exp(x * 2.0).sum() + x.max(),),
    "histories": ([x.sum(), {"k": ops.relu(x)}],),
    "leaf": (x,),
}


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(DRAWN)),
    st.fixed_dictionaries(
        {
            "order": st.integers(0, 2),
            "depth": st.sampled_from([None, 0, 1, 2]),
            "collapse": st.sampled_from(
                [None, "*", "heads.*", "Linear", "none", lambda scope: True]
            ),
            "values": st.booleans(),
            "memory": st.booleans(),
            "color_by": st.sampled_from([None, *COLORS]),
        }
    ),
)
def test_any_options_go_together(name, options):
    picture = draw(*DRAWN[name], **options)
    nodes = set(re.findall(r"^\t*(n\d+) \[label", picture.source, re.MULTILINE))
    ends = re.findall(r"(n\d+) -> (n\d+)", picture.source)
    assert {end for edge in ends for end in edge} <= nodes
    assert 0 < len(nodes) <= BUDGET
    if options["color_by"] != "time":  # which is another one each time
        again = draw(*DRAWN[name], **options)
        assert without_lines(again) == without_lines(picture)


def without_lines(picture):
    """Return a source without the lines of code, of which one is that of the test."""
    return re.sub(r'tooltip="[^"]*"', "", picture.source)


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_pictures_with_all_options_can_be_rendered(name):
    picture = draw(*DRAWN[name], order=2, values=True, memory=True, color_by="rounding")
    assert picture.pipe("svg").startswith(b"<?xml")

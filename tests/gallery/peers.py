"""Three models of the gallery in PyTorch, drawn by torchviz and torchview.

torchview's options are those that show most of a model.
"""

import re

import torch
from torch import nn
from torchview import draw_graph
from torchviz import make_dot

from tests.gallery import IMAGES


class Loss(nn.Module):
    """A network with its loss."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, images, labels):
        return nn.functional.cross_entropy(self.model(images), labels)


class Recurrent(nn.Module):
    """Twenty steps with the same weights."""

    def __init__(self, size):
        super().__init__()
        self.seen = nn.Linear(size, size)
        self.kept = nn.Linear(size, size)

    def forward(self, xs, state):
        for x in xs:
            state = torch.tanh(self.seen(x) + self.kept(state))
        return state


class Attention(nn.Module):
    """Attention written by hand."""

    def __init__(self):
        super().__init__()
        self.queries, self.keys, self.values = (nn.Parameter(torch.eye(4)) for _ in "qkv")

    def forward(self, x):
        q, k, v = x @ self.queries, x @ self.keys, x @ self.values
        scores = q @ k.mT / 2.0
        weights = torch.softmax(scores, -1)
        return weights @ v


MODELS = {
    "mlp": (Loss(), (torch.ones(32, 784), torch.zeros(32, dtype=torch.long)), {}),
    "shared_weights": (Recurrent(4), (torch.ones(20, 2, 4), torch.ones(2, 4)), {}),
    "attention": (Attention(), (torch.ones(2, 5, 4),), {"hide_module_functions": False}),
}


def draw_peers():
    """Write a picture of each model by each library."""
    for name, (model, inputs, options) in MODELS.items():
        by = {
            "torchviz": make_dot(model(*inputs), dict(model.named_parameters())),
            "torchview": draw_graph(model, input_data=inputs, **options).visual_graph,
        }
        for peer, picture in by.items():
            svg = picture.pipe("svg", encoding="utf-8")
            svg = re.sub(r"<title>.*?</title>\n?", "", svg)  # which are addresses in memory
            (IMAGES / f"{name}_{peer}.svg").write_text(svg, "utf-8")

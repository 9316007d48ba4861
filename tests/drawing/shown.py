"""What a picture shows, read from its source: labels of nodes and edges, boxes, texts."""

import html
import re
from xml.etree import ElementTree as ET

import numpy as np

from tinygrad_mnist import Tensor


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

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


def lanes(picture):
    """Return the names of the nodes in each outermost box, in the order of the source."""
    found, inside = {}, []
    for line in picture.source.splitlines():
        if match := re.match(r"\t*subgraph (cluster_\d+) ", line):
            inside.append(match[1])
        elif line.strip() == "}" and inside:
            inside.pop()
        elif inside and (match := re.match(r"\t*(n\d+) \[label", line)):
            found.setdefault(inside[0], set()).add(match[1])
    return list(found.values())


def spans(plain, nodes):
    """Return where each set of nodes starts and ends from left to right, in a plain layout."""
    places = re.findall(r"^node (n\d+) (\S+) \S+ (\S+)", plain, re.MULTILINE)
    ends = {name: (float(x) - float(w) / 2, float(x) + float(w) / 2) for name, x, w in places}
    return [(min(ends[n][0] for n in some), max(ends[n][1] for n in some)) for some in nodes]

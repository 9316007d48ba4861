"""A graph step by step: values in forward order, then cotangents as reverse mode carries them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.drawing.arguments import values_of
from tinygrad_mnist.drawing.folding import fold, fold_modules
from tinygrad_mnist.drawing.lanes import D
from tinygrad_mnist.drawing.numbers import summary
from tinygrad_mnist.drawing.pages import page
from tinygrad_mnist.drawing.reading import call, history
from tinygrad_mnist.drawing.rendering import Picture, need_folder
from tinygrad_mnist.drawing.ruletext import rule_text
from tinygrad_mnist.drawing.tracing import Record, line_of
from tinygrad_mnist.drawing.vertices import (
    FLOW,
    NOT_KEPT,
    Graph,
    Measured,
    Vertex,
    shown,
    visible,
)
from tinygrad_mnist.drawing.walking import behind
from tinygrad_mnist.drawing.wording import Wording
from tinygrad_mnist.drawing.writing import source_lines
from tinygrad_mnist.engine import fit, freed, leading, propagate
from tinygrad_mnist.files import write_whole
from tinygrad_mnist.graph import Output
from tinygrad_mnist.switches import Switch, user_frame
from tinygrad_mnist.tensor import raw

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from tinygrad_mnist.graph import Node

MOST = 60  # nodes that are shown one by one; beyond, modules are folded as in any picture


@dataclass
class Step:
    """One position of the slider.

    Attributes
    ----------
    phase : str
        ``forward`` or ``backward``.
    title : str
        What happens, in a few words.
    lines : list of (str, str)
        What is to be said of it: a word, and a formula or value.
    nodes : list of str
        Ids of the nodes that it is about.
    edge : str
        Title of the edge that a cotangent goes back along; empty for none.
    values, cotangents : dict of str to str
        Node id -> what it shows from here on.
    odd : list of str
        Ids of nodes whose new number holds a NaN or an infinity.
    code : str
        The user's line.
    """

    phase: str
    title: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    edge: str = ""
    values: dict[str, str] = field(default_factory=dict)
    cotangents: dict[str, str] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    code: str = ""


def draw_steps(what: Any, file: str | os.PathLike[str], *inputs: Any) -> Path:
    """Write a page on which a computation and its gradient can be gone through step by step.

    A slider, buttons and the arrow keys move through it: values appear in the order of the forward
    pass; then cotangents flow back in the order in which the engine carries them, each with its
    rule in the rule's own words, and add up where they meet.

    Parameters
    ----------
    what : Tensor or callable
        A loss that no `backward` has freed yet, or a module or function that returns one. Of a
        Tensor only those values can be shown that its graph or a variable of yours keeps; of a
        call all are.
    file : path
        The page, ``.html``: one file, which needs no network.
    *inputs : array_like
        What to call it with.

    Returns
    -------
    pathlib.Path
        Where the page is.

    Raises
    ------
    ValueError
        If `file` does not end in .html, or the result is no single number.
    FileNotFoundError
        If there is no folder to write `file` in.
    TypeError
        If `what` is nothing that can be drawn.
    RuntimeError
        If the graph was freed, or tracks no gradient.
    NoRenderer
        If there is no program to lay the graph out with.

    Examples
    --------
    >>> x = Tensor(2.0, requires_grad=True, name="x")
    >>> page = draw_steps(x * np.exp(x), "steps.html")
    """
    path = Path(file)
    if path.suffix.lower() not in {".html", ".htm"}:
        raise ValueError(f"draw_steps writes a page: give a file that ends in .html, not {path}")
    need_folder(path)
    if inputs and not callable(what):
        raise TypeError("draw_steps takes inputs for a module or function alone")
    graph = call(what, inputs, 0) if callable(what) else history(what, 0, user_frame())
    if graph.failure is not None:
        raise graph.failure
    loss = _single_loss(graph)
    by_node = {v.node: v for v in graph.vertices if v.node is not None and v.kind != "output"}
    everything = list(graph.vertices)
    if any(v.scope for v in graph.vertices):
        fold_modules(graph)
    if len(visible(graph)) > MOST:
        fold(graph)
    steps = _Steps(graph, loss, by_node)
    steps.forward(everything)
    steps.backward()
    picture = Picture(body=list(source_lines(graph)))
    parts = {"title": _title(what, loss, path), "steps": [asdict(step) for step in steps.found]}
    write_whole(path, page("steps.html", picture.pipe("svg", encoding="utf-8"), **parts).encode())
    graph.forget()
    return path


def _single_loss(graph: Graph) -> Vertex:
    """Return the output that reverse mode starts from."""
    outputs = [v for v in graph.vertices if v.kind == "output"]
    if len(outputs) != 1 or int(np.prod(outputs[0].shape, dtype=int)) != 1:
        got = ", ".join(str(v.shape) for v in outputs)
        raise ValueError(
            f"draw_steps goes back from one number, got results of shape {got}: reduce them to a "
            "loss with .sum() or .mean()"
        )
    if outputs[0].node is None:
        raise RuntimeError(
            "draw_steps of a result that tracks no gradient: give requires_grad=True to a Tensor "
            "that it is computed from"
        )
    return outputs[0]


def _title(what: Any, loss: Vertex, path: Path) -> str:
    """Return what the page is about: a function, a module's class, what the loss is called."""
    name = getattr(what, "__name__", type(what).__name__) if callable(what) else loss.name
    return name if name.isidentifier() else path.stem


class _Steps:
    """Collects the steps of a forward and a backward pass."""

    def __init__(self, graph: Graph, loss: Vertex, by_node: Mapping[Any, Vertex]) -> None:
        self.graph = graph
        self.loss = loss
        self.by_node = by_node
        self.found: list[Step] = []
        # what a node shows, where it stands for several
        self.results = {
            shown(v): v for v in graph.vertices if v.into is not None and v.kind in FLOW
        }
        for number, v in enumerate(visible(graph), 1):
            v.number = number
            v.measured = Measured()
        self.words = Wording(graph)

    # Forward

    def forward(self, everything: list[Vertex]) -> None:
        """Show leaves at once, then each operation when its turn comes."""
        start = Step("forward", "What the computation starts from")
        self.found.append(start)
        for v in everything:
            if v.kind in FLOW and v.kind != "input":
                if v.kind == "operation":
                    self._computed(v)
            elif v.kind != "output":
                self._known(start, v)
        if self.loss.into is None:
            end = self.found[-1]
            text = self._show(end, end.values, self.loss, _value(self.loss.sources[0]))
            assert self.loss.measured is not None
            self.loss.measured.value = text

    def _known(self, step: Step, v: Vertex) -> None:
        value = _value(v)
        step.lines.append((self._called(v), summary(value)[0] if _is_known(value) else ""))
        if v.measured is not None and _is_known(value):
            self._show(step, step.values, v, value)
            v.measured.value = value

    def _computed(self, v: Vertex) -> None:
        node, value = shown(v), _value(v)
        text = summary(value)[0] if _is_known(value) else "not kept"
        step = Step("forward", self._name(v), [("gives", text)], [_id(node)])
        step.code = line_of(str(v.site)) if v.site else ""
        self.found.append(step)
        if node.measured is None or node.kind == "gap":
            return
        if _is_known(value):
            self._show(step, step.values, node, value)
        node.measured.value = value if _is_known(value) else NOT_KEPT

    # Backward

    def backward(self) -> None:
        """Go back by the engine itself, and watch it."""
        root = self.loss.node
        self._refuse_freed()
        one = np.ones(self.loss.shape, self.loss.dtype)
        seed = Step("backward", f"{D}{self.loss.name}/{D}{self.loss.name} = 1")
        seed.lines.append(("starts with", summary(one)[0]))
        self._arrive(seed, root, one, {})
        self.found.append(seed)
        totals: dict[Any, Any] = {root: one}
        leaves = [v for v in self.by_node.values() if v.node.plan is None]
        wanted = [v.node for v in leaves if not v.borrowed] or [v.node for v in leaves]
        leads, _ = leading([root], wanted, 0)
        ahead: dict[
            Any, Iterator[int]
        ] = {}  # node -> the places of its inputs, as rules take turns

        def watch(node: Node, g: Any, gi: Any) -> None:
            if node not in ahead:
                ahead[node] = iter([k for k, one in enumerate(node.parents) if one in leads])
            k = next(ahead[node])
            part = fit(gi, node.parents[k], node, k)
            self._carried(node, k, g, gi, part, totals)
            parent = node.parents[k]
            totals[parent] = part if parent not in totals else totals[parent] + part

        with Switch(watch=watch):
            propagate([(root, one)], wanted, leads)
        end = Step("backward", "The gradients")
        for leaf in (leaf for leaf in wanted if leaf in totals):
            v = self.by_node[leaf]
            end.lines.append((self._cotangent(v), summary(totals[leaf])[0]))
            end.nodes.append(_id(shown(v)))
        self.found.append(end)

    def _refuse_freed(self) -> None:
        for node in behind([self.loss.node]):
            if node.plan is not None and not isinstance(node, Output) and node.saved is None:
                raise freed(node.plan.op.name)

    def _carried(
        self, node: Node, k: int, g: Any, gi: Any, part: Any, totals: Mapping[Any, Any]
    ) -> None:
        """Add the step in which one rule hands a cotangent, `part` when it fits, to one input."""
        rule, parent = node.plan.table[k], node.parents[k]
        v = self.by_node.get(node)
        target = self.by_node.get(parent)
        if v is None or target is None:  # inside a checkpoint, which runs its function again
            return
        to = self._cotangent(target)
        step = Step("backward", f"{self._name(v)}: its rule for {self._called(target)}")
        step.lines.append((to, rule_text(rule)))
        step.lines.append(("g", f"{self._cotangent(v)} = {_said(g)}"))
        saved = values_of(node)
        for name in rule.names:
            known = _named(name, v, saved)
            step.lines.append((name, known))
        step.lines.append(("gives", summary(raw(gi))[0]))
        if np.shape(gi) != np.shape(part):
            reduced = f"over the axes that broadcasting added: {summary(part)[0]}"
            step.lines.append(("summed", reduced))
        before = totals.get(parent)
        if before is not None:
            whole = before + part
            meeting = f"{summary(before)[0]} + {summary(part)[0]} = {summary(whole)[0]}"
            step.lines.append(("adds up", meeting))
        step.nodes = [_id(shown(v))]
        self._arrive(step, parent, part, totals)
        if shown(target) is not shown(v):
            step.nodes.append(_id(shown(target)))
            step.edge = f"{_id(shown(target))}->{_id(shown(v))}"
        self.found.append(step)

    def _arrive(self, step: Step, node: Any, g: Any, totals: Mapping[Any, Any]) -> None:
        """Show what has come to a node so far."""
        made = self.by_node.get(node)
        if made is None:
            return
        v = shown(made)
        if v.measured is None or v.kind == "gap" or self.results.get(v, made) is not made:
            return  # of a folded module, only the cotangent of its result
        whole = totals[node] + g if node in totals else g
        if made.kind == "part":  # of a call with several results, what has come to each
            arrived = {**totals, node: whole}
            parts = (w for w in self.by_node.values() if w.kind == "part" and shown(w) is v)
            whole = [arrived.get(w.node) for w in sorted(parts, key=lambda w: int(w.name))]
        self._show(step, step.cotangents, v, whole)
        v.measured.gradient = whole
        if not step.nodes:
            step.nodes = [_id(v)]

    # Words

    def _name(self, v: Vertex) -> str:
        """Return what an operation computes, as the picture says it, if it has a node there."""
        if v.into is None:
            return self.words.title(v)
        place = shown(v)
        return f"{v.variable or v.name} in {self.words.name(place)}" if place is not v else v.name

    def _called(self, v: Vertex) -> str:
        """Return what a value is called: by the user's code, or by how it was computed."""
        if v.kind in FLOW and v.kind != "input":
            return v.variable or self._name(v)
        return self.words.name(v) if v.into is None else v.name

    def _cotangent(self, v: Vertex) -> str:
        named = self._called(v)
        plain = named.replace(".", "").isidentifier()
        return f"{D}{named}" if plain else f"{D}({named})"

    def _show(self, step: Step, shows: dict[str, str], v: Vertex, value: Any) -> str:
        text, odd = summary(value)
        shows[_id(v)] = text
        if odd:
            step.odd.append(_id(v))
        return text


def _id(v: Vertex) -> str:
    """Return the name of a vertex's node in DOT, and its title in SVG."""
    return f"n{v.number}"


def _value(v: Vertex) -> Any:
    """Return the value of a vertex; None where nothing keeps it."""
    if isinstance(v.site, Record):
        out = v.site.out
        hidden = v.site.op.hidden
        return out[0] if hidden and isinstance(out, tuple) else out
    return v.value


def _is_known(value: Any) -> bool:
    return value is not None and value is not NOT_KEPT


def _said(g: Any) -> str:
    """Return a cotangent in words; of several results, those that came."""
    if isinstance(g, tuple):
        came = [one for one in g if one is not None]
        return ", ".join(summary(raw(one))[0] for one in came)
    return summary(raw(g))[0]


def _named(name: str, v: Vertex, saved: Mapping[str, Any]) -> str:
    """Return what a rule's parameter stands for: an argument, its shape, the result."""
    if name == "out" and isinstance(v.site, Record):
        value = v.site.out
    elif name not in saved and (whole := name.removesuffix("_shape")) in saved:
        value = np.shape(saved[whole])
    else:
        value = saved.get(name)
    if isinstance(value, tuple) and any(hasattr(one, "dtype") for one in value):
        return "; ".join(summary(one)[0] for one in value)
    return summary(value)[0] if hasattr(value, "dtype") else repr(value)

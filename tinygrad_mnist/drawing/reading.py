"""Reading a graph: the history of Tensors, or what one call of a function records."""

from __future__ import annotations

import inspect
from collections import Counter
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.drawing.arguments import arguments_of, is_array, roles_of, values_of
from tinygrad_mnist.drawing.formulas import formula_of
from tinygrad_mnist.drawing.lanes import D, Passes, differentiate
from tinygrad_mnist.drawing.naming import modules_in, places, result_names
from tinygrad_mnist.drawing.tracing import Record, Trace
from tinygrad_mnist.drawing.vertices import Graph, Scope, Vertex
from tinygrad_mnist.drawing.walking import behind
from tinygrad_mnist.graph import Output
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.tensor import Tensor
from tinygrad_mnist.traces import alias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from tinygrad_mnist.drawing.arguments import Operands
    from tinygrad_mnist.graph import Node
    from tinygrad_mnist.operation import Op


MANY = 64  # inputs beyond which arrays are not looked for in them


def history(what: Any, order: int, frame: FrameType) -> Graph:
    """Return the graph that Tensors were computed by.

    Parameters
    ----------
    what : Tensor, or nested lists, tuples and dicts of them
    order : int
        How often to go back through it by reverse mode.
    frame : frame
        Where names of variables are read.
    """
    results, _ = flatten(what)
    if not results:
        raise TypeError(f"draw takes Tensors, but there are none in {what!r}")
    for t in results:
        if not isinstance(t, Tensor):
            raise TypeError(
                "draw takes Tensors, or a module or function with its inputs; got "
                f"{type(t).__name__}"
            )
    trace = Trace()
    trace.names.look_closely(frame)
    reader = _Reader(trace)
    for name, module in modules_in(frame):
        for path, parameter in module.named_parameters():
            reader.parameter(f"{name}.{path}", parameter)
    with trace.watching():
        gradients, seeds = differentiate(results, order, reader.is_input)
    reader.seeds(seeds)
    return reader.read(results, result_names(what), gradients)


def call(f: Callable[..., Any], inputs: Sequence[Any], order: int) -> Graph:
    """Return the graph that one call records, up to where it fails; see `history`."""
    trace = Trace()
    reader = _Reader(trace)
    arguments = []
    for name, value in zip(_argument_names(f, inputs), inputs, strict=True):
        leaves, rebuild = flatten(value)
        if isinstance(value, list) and all(isinstance(v, (int, float)) for v in leaves):
            leaves, rebuild = flatten(np.asarray(value))
        names = places(value, name) if len(leaves) > 1 else [name]
        arguments.append(rebuild(list(map(reader.input, names, leaves))))
    results: list[Tensor] = []
    names = []
    gradients: list[tuple[Any, int, Tensor]] = []
    try:
        with trace.watching():
            result = f(*arguments)
            pairs = zip(flatten(result)[0], result_names(result), strict=True)
            found = [(t, name) for t, name in pairs if isinstance(t, Tensor)]
            results, names = [t for t, _ in found], [name for _, name in found]
            gradients, seeds = differentiate(results, order, reader.is_input)
            reader.seeds(seeds)
    except Exception as error:  # noqa: BLE001 - `draw` raises it again, with the picture
        trace.failed(error)
    finally:
        trace.restore()
    trace.names.finish()
    if not results and trace.failure is None:
        raise TypeError(
            f"nothing to draw: {_name(f)} returned no Tensor; got {type(result).__name__}: give it "
            "floating-point numbers, such as 3.0, and let it return what it makes of them"
        )
    reader.modules()
    return reader.read(results, names, gradients)


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _argument_names(f: Callable[..., Any], inputs: Sequence[Any]) -> list[str]:
    """Return what `f` calls its arguments."""
    try:
        parameters = list(inspect.signature(getattr(f, "forward", f)).parameters.values())
    except (TypeError, ValueError):  # a built-in
        parameters = []
    names = [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return [*names, *(f"x{k + 1}" for k in range(len(names), len(inputs)))][: len(inputs)]


class _Reader:
    """Makes vertices of nodes, and of the arrays that have none."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.graph = Graph()
        self.nodes: dict[Any, Vertex] = {}
        self.arrays: dict[int, Vertex] = {}  # by identity
        self.alive: list[Any] = []  # these arrays, so that no other takes their identity
        self.inputs: list[Vertex] = []
        self.scopes: list[tuple[int, int, Scope]] = []  # (first index, last index, scope)
        self.roles: dict[Any, tuple[str, ...]] = {}  # by plan; empty: to be found call by call
        self.unnamed: Counter[str] = Counter()

    # What is known before nodes are read

    def input(self, name: str, value: Any) -> Any:
        """Return an argument, tracked if it can be, and remember its name."""
        data = value._value if isinstance(value, Tensor) else value
        if isinstance(data, float):
            data = np.asarray(data)
        if not is_array(data) or data.dtype.kind not in "biufc":
            return value
        if isinstance(value, Tensor):
            name = value.name or name
        vertex = Vertex("input", name, np.shape(data), data.dtype)
        vertex.value = data
        self.inputs.append(vertex)
        if not isinstance(value, Tensor) or not value.requires_grad:
            if data.dtype.kind != "f":
                self._remember(data, vertex)
                return value
            value = Tensor(data, requires_grad=True, name=name)
            vertex.borrowed = True
        self.nodes[value._node] = vertex
        vertex.node = value._node
        self.trace.names.tensors[value._node] = value
        return value

    def is_input(self, node: Any) -> bool:
        """Return whether a leaf is an argument of the call."""
        return node in self.nodes and self.nodes[node].kind == "input"

    def modules(self) -> None:
        """Remember which module made which nodes, and what its parameters are called."""
        paths: dict[int, str] = {}
        roots: dict[int, str] = {}
        inside: list[tuple[int, Scope]] = []
        for module, first, last in sorted(self.trace.scopes, key=lambda call: (call[1], -call[2])):
            while inside and inside[-1][0] < first:
                inside.pop()
            if id(module) not in paths:  # inside no module before it
                root = self.trace.names.modules.get(id(module), "")
                for path, inner in module.named_modules():
                    paths[id(inner)], roots[id(inner)] = path, root
                for path, parameter in module.named_parameters():
                    self.parameter(path, parameter, root)
            size = sum(parameter.size for _, parameter in module.named_parameters())
            parent = inside[-1][1] if inside else None
            scope = Scope(paths[id(module)], type(module).__name__, size, parent)
            scope.root = roots[id(module)]
            inside.append((last, scope))
            self.scopes.append((first, last, scope))

    def parameter(self, path: str, parameter: Tensor, root: str = "") -> None:
        """Remember what a module calls a parameter."""
        vertex = Vertex("parameter", path, parameter.shape, parameter.dtype, root=root)
        if parameter.requires_grad:
            self.nodes.setdefault(parameter._node, vertex)
            vertex.node = parameter._node
            self.trace.names.tensors[parameter._node] = parameter
        elif id(parameter._value) not in self.arrays:
            vertex.notes = ("frozen",)
            self._remember(parameter._value, vertex)

    def seeds(self, seeds: Sequence[tuple[int, Tensor]]) -> None:
        """Remember what passes of reverse mode started with."""
        for order, t in seeds:
            note = "seed" if order == 1 else "direction"
            vertex = Vertex("constant", t.name or "", t.shape, t.dtype, notes=(note,))
            vertex.node, vertex.value, vertex.order = t._node, t._value, order
            self.nodes[t._node] = vertex

    def _remember(self, array: Any, vertex: Vertex) -> None:
        if vertex.kind == "constant":
            vertex.value = array
        self.arrays[id(array)] = vertex
        self.alive.append(array)

    # Nodes, in the order of creation

    def read(
        self,
        results: Sequence[Tensor],
        names: Sequence[str],
        gradients: Sequence[tuple[Any, int, Tensor]],
    ) -> Graph:
        """Return the graph of everything that `results` and `gradients` were computed from."""
        roots = [t for t in [*results, *(g for _, _, g in gradients)] if t._node is not None]
        if self.trace.failure is not None:
            roots += self.trace.names.tensors.values()
        passes = Passes(self.trace.rule_calls, self.nodes)
        inside = _Inside(self.scopes)
        nodes = [t._node for t in roots] + [call.node for call in self.trace.rule_calls]
        made = (n for n in behind(nodes, self.nodes) if n.plan is not None and n not in self.nodes)
        for node in sorted(made, key=lambda node: node.index):
            if not isinstance(node, Output) and node.plan.op is alias:
                self.nodes[node] = self._source(node.parents[0])  # how `grad` tells its arguments
                continue
            vertex = self._part(node) if isinstance(node, Output) else self._operation(node)
            vertex.node = node
            vertex.scope = inside.at(node.index)
            self.nodes[node] = self._place(vertex)
            passes.place(vertex)
        self._outputs(results, names)
        for leaf, order, g in gradients:
            source = self._source(leaf)
            root = f"{source.root}." if source.root else ""
            self._output(f"{D * order}{root}{source.name}", g, order)
        if self.trace.failure is not None:
            self._failure(_Inside(self.scopes))
        for vertex in self.inputs:
            if vertex.number < 0:
                vertex.notes = ("not used",)
                self._place(vertex)
        for t in [*self.trace.names.tensors.values(), *roots]:
            if t._node in self.nodes:
                self.nodes[t._node].value = t._value
        others = (vertex for vertex in self.graph.vertices if vertex.kind != "input")
        self.graph.vertices = [*self.inputs, *others]  # in the order of the call's arguments
        passes.keep({leaf for leaf, _, _ in gradients})
        passes.box(self.graph)
        return self.graph

    def _outputs(self, results: Sequence[Tensor], names: Sequence[str]) -> None:
        for t, place in zip(results, names, strict=True):
            name, made = place, self.nodes.get(t._node)
            if made is not None and made.kind in {"operation", "part"}:
                if place.startswith("output"):  # and is no key
                    name = t.name or made.variable or place
                if name == made.variable:
                    made.variable = ""  # said by the output
            self._output(name, t)

    def _output(self, name: str, t: Tensor, order: int = 0) -> None:
        source = self._constant(t._value) if t._node is None else self._source(t._node)
        vertex = Vertex("output", name, t.shape, t.dtype, (source,), ("",))
        vertex.node = t._node
        vertex.order = max(order, source.order)
        self._place(vertex)

    def _place(self, vertex: Vertex) -> Vertex:
        if vertex.number < 0:
            vertex.number = len(self.graph.vertices)
            self.graph.vertices.append(vertex)
        return vertex

    def _source(self, node: Any) -> Vertex:
        """Return the vertex of a node that was read before, or of a leaf."""
        vertex = self.nodes.get(node)
        if vertex is None:
            name = getattr(node, "name", None) or self.trace.names.of(node) or self._running("p")
            vertex = self.nodes[node] = Vertex("parameter", name, node.shape, node.dtype)
            vertex.node = node
        return self._place(vertex)

    def _constant(self, array: Any) -> Vertex:
        vertex = self.arrays.get(id(array))
        if vertex is None and (whole := self._whole(array)) is not None:
            vertex = whole
            self._remember(array, whole)
        elif vertex is None:
            name = self._view(array) or self.trace.names.of_array(array) or self._running("c")
            vertex = Vertex("constant", name, np.shape(array), array.dtype)
            self._remember(array, vertex)
        return self._place(vertex)

    def _whole(self, array: Any) -> Vertex | None:
        """Return the input that an array is a part of, such as the labels of one step."""
        if getattr(array, "base", None) is None or self._view(array):
            return None
        given = (v for v in self.inputs[:MANY] if isinstance(v.value, np.ndarray))
        return next((v for v in given if np.may_share_memory(array, v.value)), None)

    def _view(self, array: Any) -> str:
        """Return the name of an array that is another one transposed; else nothing."""
        known = self.arrays.get(id(getattr(array, "base", None)))
        if known is None or array.ndim < 2 or array.base.shape != array.mT.shape:
            return ""
        return f"{known.name}.T" if array.base.strides == array.mT.strides else ""

    def _running(self, letter: str) -> str:
        self.unnamed[letter] += 1
        return f"{letter}{self.unnamed[letter]}"

    def _part(self, node: Output) -> Vertex:
        """Return the vertex of one of several results, shown by the call itself."""
        made = self._source(node.parents[0])
        part = Vertex("part", str(node.number), node.shape, node.dtype, (made,), ("",), into=made)
        part.variable = self.trace.names.of(node, getattr(made.site, "frame", 0))
        return part

    def _operation(self, node: Node) -> Vertex:
        plan = node.plan
        op = plan.op
        sources: Sequence[Vertex] = [self._source(parent) for parent in node.parents]
        vertex = Vertex("operation", op.name, node.shape, node.dtype, sources)
        site = getattr(node, "site", "")
        vertex.site = site
        vertex.variable = self.trace.names.of(node, getattr(site, "frame", 0))
        roles = self.roles.get(plan)
        if roles is None:
            roles = self.roles[plan] = roles_of(plan, len(sources))
        if roles:
            vertex.roles = roles
            vertex.formula = formula_of(op, sources, {})
            vertex.elementwise = op.pointwise
        else:
            operands = dict(zip(plan.operands, sources, strict=True))
            self._argue(vertex, op, values_of(node), operands)
        return vertex

    def _argue(self, vertex: Vertex, op: Op, values: Mapping[str, Any], tracked: Operands) -> None:
        """Give an operation its arguments: sources, and notes for the others."""
        roles, arguments = arguments_of(op, values, tracked, self._untracked)
        read = [isinstance(argument, Vertex) for argument in arguments]
        vertex.sources = list(compress(arguments, read))
        vertex.roles = list(compress(roles, read))
        vertex.notes = tuple(a for a in arguments if not isinstance(a, Vertex))
        vertex.formula = formula_of(op, arguments, values)
        vertex.elementwise = op.pointwise

    def _untracked(self, value: Any) -> Vertex | None:
        """Return the vertex of an array; None for anything else, single numbers too."""
        if id(value) in self.arrays or (is_array(value) and np.ndim(value) > 0):
            return self._constant(value)
        return None

    # A call that failed

    def _failure(self, inside: _Inside) -> None:
        """Add the operations whose results nothing holds any more, and the call that raised."""
        failure = self.trace.failure
        assert failure is not None
        self.graph.failure = failure.error
        for node, tensor in self.trace.names.tensors.items():
            if node in self.nodes and node.plan is None:
                self._remember(tensor._value, self.nodes[node])
        made = {id(v.site): v for v in self.graph.vertices if isinstance(v.site, Record)}
        for record in self.trace.records:
            if record.op is alias:
                if (source := self.arrays.get(id(record.inputs[0]))) is not None:
                    self._remember(record.out, source)
                continue
            vertex = made.get(id(record)) or self._lost(record)
            for one in record.out if isinstance(record.out, tuple) else (record.out,):
                self._remember(one, vertex)
            if id(record) not in made:
                vertex.scope = inside.at(record.before)
        error = failure.error
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        file, _, _ = failure.site.rpartition(":")
        text = text.replace(file, Path(file).name) if file else text
        vertex = Vertex("failure", failure.op.name if failure.op else "raise", site=failure.site)
        if failure.op is not None:
            values = dict(zip(failure.op.names, failure.values, strict=True))
            self._argue(vertex, failure.op, values, {})
            vertex.formula = None
        else:
            sources = {s for v in self.graph.vertices for s in v.sources}
            vertex.sources = [v for v in self.graph.vertices if v not in sources]
            vertex.roles = ("",) * len(vertex.sources)
        vertex.notes = (*vertex.notes, text)
        vertex.scope = inside.at(failure.end)
        self._place(vertex)

    def _lost(self, record: Record) -> Vertex:
        """Return the vertex of a call by what was seen of it, for its node is gone."""
        op, out = record.op, record.out
        values = dict(zip(op.names, record.inputs, strict=True))
        vertex = Vertex("operation", op.name, np.shape(out), getattr(out, "dtype", None))
        vertex.site = record
        self._argue(vertex, op, values, {})
        return self._place(vertex)


class _Inside:
    """Finds the scope of each index, for indices that only grow."""

    def __init__(self, scopes: Sequence[tuple[int, int, Scope]]) -> None:
        self.ahead = list(scopes[::-1])
        self.inside: list[tuple[int, int, Scope]] = []

    def at(self, index: int) -> Scope | None:
        """Return the innermost scope around what has this index."""
        while self.ahead and self.ahead[-1][0] <= index:
            self.inside.append(self.ahead.pop())
        while self.inside and self.inside[-1][1] < index:
            self.inside.pop()
        return self.inside[-1][2] if self.inside else None

"""Reading a graph: the history of Tensors, or what one call of a function records."""

from __future__ import annotations

import inspect
from collections import Counter
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import alias, flatten
from tinygrad_mnist.drawing.formulas import INFIX
from tinygrad_mnist.drawing.vertices import ELSEWHERE, Graph, Scope, Vertex, short
from tinygrad_mnist.graph import Node, Output
from tinygrad_mnist.switches import Switch, user_site
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinygrad_mnist.operation import Op


def history(what: Any) -> Graph:
    """Return the graph that Tensors were computed by."""
    results, _ = flatten(what)
    for t in results:
        if not isinstance(t, Tensor):
            raise TypeError(
                "draw takes Tensors, or a module or function with its inputs; got "
                f"{type(t).__name__}"
            )
    return _Reader().read(results)


def call(f: Callable[..., Any], inputs: Sequence[Any]) -> Graph:
    """Return the graph that one call records."""
    reader = _Reader()
    scopes: list[tuple[Any, int, int]] = []
    generators: dict[int, tuple[Any, Any]] = {}
    with Switch(recording=True, check=_observe, scopes=scopes, generators=generators, held=None):
        arguments = []
        for name, value in zip(_argument_names(f, inputs), inputs, strict=True):
            leaves, rebuild = flatten(value)
            names = [name] if len(leaves) == 1 else [f"{name}[{k}]" for k in range(len(leaves))]
            arguments.append(rebuild(list(map(reader.input, names, leaves))))
        try:
            result = f(*arguments)
        finally:
            for generator, state in generators.values():
                generator.bit_generator.state = state
    results = [t for t in flatten(result)[0] if isinstance(t, Tensor)]
    if not results:
        raise TypeError(
            f"nothing to draw: {_name(f)} returned no Tensor; got {type(result).__name__}"
        )
    reader.modules(scopes)
    reader.variables(f)
    return reader.read(results)


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


class _Site(str):
    """The user's file and line of a call, and the call's arguments."""

    __slots__ = ("values",)
    values: list[Any]


def _observe(op: Op, values: list[Any], out: Any) -> str:  # noqa: ARG001
    """Return what a picture of a call shows and its node does not keep."""
    site = _Site(user_site())
    site.values = list(values)
    return site


class _Reader:
    """Makes vertices of nodes, and of the arrays that have none."""

    def __init__(self) -> None:
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
        if not _is_array(data) or data.dtype.kind not in "biufc":
            return value
        if isinstance(value, Tensor):
            name = value.name or name
        vertex = Vertex("input", name, np.shape(data), data.dtype)
        self.inputs.append(vertex)
        if not isinstance(value, Tensor) or not value.requires_grad:
            if data.dtype.kind != "f":
                self._remember(data, vertex)
                return value
            value = Tensor(data, requires_grad=True, name=name)
        self.nodes[value._node] = vertex
        return value

    def modules(self, calls: list[tuple[Any, int, int]]) -> None:
        """Remember which module made which nodes, and what its parameters are called."""
        paths: dict[int, str] = {}
        around: list[tuple[int, Scope]] = []
        for module, first, last in sorted(calls, key=lambda call: (call[1], -call[2])):
            while around and around[-1][0] < first:
                around.pop()
            if id(module) not in paths:  # inside no module before it
                paths |= {id(inner): path for path, inner in module.named_modules()}
                for path, parameter in module.named_parameters():
                    self._parameter(path, parameter)
            size = sum(parameter.size for _, parameter in module.named_parameters())
            parent = around[-1][1] if around else None
            scope = Scope(paths[id(module)], type(module).__name__, size, parent)
            around.append((last, scope))
            self.scopes.append((first, last, scope))

    def _parameter(self, path: str, parameter: Tensor) -> None:
        vertex = Vertex("parameter", path, parameter.shape, parameter.dtype)
        if parameter.requires_grad:
            self.nodes.setdefault(parameter._node, vertex)
        elif id(parameter._value) not in self.arrays:
            vertex.notes = ("frozen",)
            self._remember(parameter._value, vertex)

    def variables(self, f: Any) -> None:
        """Remember what a function calls the Tensors that it reaches without an argument."""
        if not inspect.isfunction(f):
            return
        reached = inspect.getclosurevars(f)
        for name, value in {**reached.globals, **reached.nonlocals}.items():
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                vertex = Vertex("parameter", value.name or name, value.shape, value.dtype)
                self.nodes.setdefault(value._node, vertex)

    def _remember(self, array: Any, vertex: Vertex) -> None:
        self.arrays[id(array)] = vertex
        self.alive.append(array)

    # Nodes, in the order of creation

    def read(self, results: Sequence[Tensor]) -> Graph:
        """Return the graph of everything that `results` were computed from."""
        seen = {t._node for t in results if t._node is not None}
        stack = list(seen)
        while stack:
            node = stack.pop()
            if node in self.nodes:  # an input of the call: what was before is not drawn
                continue
            for parent in node.parents:
                if parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
        ahead = self.scopes[::-1]
        inside: list[tuple[int, int, Scope]] = []
        for node in sorted(seen, key=lambda node: node.index):
            if node.plan is None or node in self.nodes:
                continue
            while ahead and ahead[-1][0] <= node.index:
                inside.append(ahead.pop())
            while inside and inside[-1][1] < node.index:
                inside.pop()
            if isinstance(node, Output):
                vertex = self._part(node)
            elif node.plan.op is alias:  # how the engine tells an argument of grad from others
                self.nodes[node] = self._source(node.parents[0])
                continue
            else:
                vertex = self._operation(node)
            vertex.scope = inside[-1][2] if inside else None
            self.nodes[node] = self._place(vertex)
        self._outputs(results)
        for vertex in self.inputs:
            if vertex.number < 0:
                vertex.notes = ("not used",)
                self._place(vertex)
        return self.graph

    def _outputs(self, results: Sequence[Tensor]) -> None:
        for k, t in enumerate(results, 1):
            source = self._constant(t._value) if t._node is None else self._source(t._node)
            name = "output" if len(results) == 1 else f"output {k}"
            if t.name and not t.is_leaf:
                name = t.name
            self._place(Vertex("output", name, t.shape, t.dtype, (source,), ("",)))

    def _place(self, vertex: Vertex) -> Vertex:
        if vertex.number < 0:
            vertex.number = len(self.graph.vertices)
            self.graph.vertices.append(vertex)
        return vertex

    def _source(self, node: Any) -> Vertex:
        """Return the vertex of a node that was read before, or of a leaf."""
        vertex = self.nodes.get(node)
        if vertex is None:
            name = getattr(node, "name", None) or self._running("p")
            vertex = self.nodes[node] = Vertex("parameter", name, node.shape, node.dtype)
        return self._place(vertex)

    def _constant(self, array: Any) -> Vertex:
        vertex = self.arrays.get(id(array))
        if vertex is None:
            vertex = Vertex("constant", self._running("c"), np.shape(array), array.dtype)
            self._remember(array, vertex)
        return self._place(vertex)

    def _running(self, letter: str) -> str:
        self.unnamed[letter] += 1
        return f"{letter}{self.unnamed[letter]}"

    def _part(self, node: Output) -> Vertex:
        """Return the vertex of one of several results, shown by the call itself."""
        made = self._source(node.parents[0])
        return Vertex("part", str(node.number), node.shape, node.dtype, (made,), ("",), into=made)

    def _operation(self, node: Node) -> Vertex:
        plan = node.plan
        op = plan.op
        sources: Sequence[Vertex] = [self._source(parent) for parent in node.parents]
        vertex = Vertex("operation", op.name, node.shape, node.dtype, sources)
        vertex.site = getattr(node, "site", "")
        arguments: Sequence[Any] = sources
        roles = self.roles.get(plan)
        if roles is None:
            roles = self.roles[plan] = _roles(plan, len(sources))
        if roles:
            vertex.roles = roles
        else:
            operands = dict(zip(plan.operands, sources, strict=True))
            roles, arguments = self._arguments(node, operands)
            read = [isinstance(argument, Vertex) for argument in arguments]
            vertex.sources = list(compress(arguments, read))
            vertex.roles = list(compress(roles, read))
            vertex.notes = tuple(a for a in arguments if not isinstance(a, Vertex))
        if op.pointwise or op.name in INFIX:
            vertex.formula = (op.name, arguments)
            vertex.elementwise = op.pointwise
        return vertex

    def _arguments(self, node: Node, tracked: dict[tuple[int, int | None], Vertex]) -> Any:
        """Return the role of each argument that is given, and the argument: a vertex or a text."""
        op, values = node.plan.op, _values(node)
        bare = op.pointwise or op.name in INFIX  # in a formula an input's place is its name
        found: list[tuple[str, Any]] = []
        for k, name in enumerate(op.names):
            value = values.get(name, _UNKNOWN)
            if isinstance(value, np.random.Generator):
                continue
            members = {j: vertex for (slot, j), vertex in tracked.items() if slot == k}
            if None in members:
                found.append((name, members[None]))
            elif members:
                size = 1 + max(j for j in members if j is not None)
                for j, member in enumerate([_UNKNOWN] * size if value is _UNKNOWN else value):
                    argument = members[j] if j in members else self._untracked(member)
                    found.append((f"{name}[{j}]", argument))
            elif name in op.required:
                argument = self._untracked(value)
                named = bare or isinstance(argument, Vertex)
                found.append((name, argument if named else f"{name}={argument}"))
            elif value is not _UNKNOWN and not _same(value, op.defaults[k]):
                argument = self._untracked(value)
                named = isinstance(argument, Vertex)
                found.append((name, argument if named else f"{name}={argument}"))
        return [role for role, _ in found], [argument for _, argument in found]

    def _untracked(self, value: Any) -> Any:
        """Return the vertex of an array, or the text of anything else, single numbers too."""
        if id(value) in self.arrays or (_is_array(value) and np.ndim(value) > 0):
            return self._constant(value)
        return ELSEWHERE if value is _UNKNOWN else _text(value)


def _roles(plan: Any, sources: int) -> tuple[str, ...]:
    """Return what an operation calls its sources, if these are all its arguments."""
    if len(plan.operands) < sources:  # a checkpoint: what it reads has no names
        return ("",) * sources
    whole = plan.operands == tuple((k, None) for k in range(len(plan.op.names)))
    return plan.op.names if whole else ()


_UNKNOWN = object()  # an argument that the graph does not keep


def _values(node: Node) -> dict[str, Any]:
    """Return what is known of a call's arguments: all of them, or those that rules still keep."""
    site = getattr(node, "site", None)
    if isinstance(site, _Site):
        return dict(zip(node.plan.op.names, site.values, strict=True))
    found: dict[str, Any] = {}
    for rule, saved in zip(node.plan.table, node.saved or (), strict=False):  # tokens come last
        values = (saved,) if len(rule.names) == 1 else saved or ()
        found.update(zip(rule.names, values, strict=False))
    return found


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, _PLAIN) and value == default)


_PLAIN = (bool, int, float, str, tuple, type(None))


def _is_array(value: Any) -> bool:
    return isinstance(getattr(value, "dtype", None), np.dtype)


def _text(value: Any) -> str:
    """Return a short text for a number, an axis, an index."""
    if isinstance(value, float) or (_is_array(value) and np.ndim(value) == 0):
        return f"{value:.6g}" if np.asarray(value).dtype.kind == "f" else str(value)
    if isinstance(value, slice):
        parts = (
            (value.start, value.stop)
            if value.step is None
            else (value.start, value.stop, value.step)
        )
        return ":".join("" if part is None else str(part) for part in parts)
    if isinstance(value, (tuple, list)):
        return short(f"({', '.join(map(_text, value[:9]))}{',' * (len(value) == 1)})", 32)
    if value is Ellipsis:
        return "..."
    if isinstance(value, _PLAIN):
        return short(str(value), 32)
    if _is_array(value):
        return "array"
    return short(getattr(value, "__name__", type(value).__name__), 32)

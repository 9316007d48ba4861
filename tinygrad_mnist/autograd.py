"""Reverse mode through the recorded graph, and everything that is made of it."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from contextlib import ContextDecorator, nullcontext
from dataclasses import replace
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import (
    NORMAL,
    Array,
    Node,
    Output,
    current_mode,
    modes,
    next_index,
    output,
)
from tinygrad_mnist.operation import Op, box, op
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Cotangents = dict[Any, Any]  # node -> what reached it

# The engine -------------------------------------------------------------------------------------


def propagate(
    seeds: Iterable[tuple[Any, Any]],
    targets: Iterable[Any] = (),
    leads: set[Any] | None = None,
    *,
    free: bool = False,
    record: bool = False,
) -> Cotangents:
    """Carry cotangents from `seeds` back through the graph.

    Parameters
    ----------
    seeds : iterable of (node, cotangent)
    targets : iterable of nodes
        Where cotangents are collected and go no further; leaves always are.
    leads : set of nodes, optional
        Visit these alone (all that lead to a target).
    free : bool
        Drop what each node saved as soon as it was used.
    record : bool
        Record the rules' own operations, so that the result can be differentiated again.

    Returns
    -------
    dict
        Node -> cotangent, of each target and leaf that was reached.
    """
    found: Cotangents = dict.fromkeys(targets)
    inside = bool(found)  # may a target be a node with parents?
    waiting: dict[int, list[Any]] = {}  # creation index -> [node, cotangent]
    heap: list[int] = []  # the same indices, negated: the newest node comes first
    invalid: list[str] = []  # NumPy reports here the moment when a NaN is made
    careful = False  # a node that selects was passed, so NaN may also come in quietly
    watch = current_mode().check is not None

    def deposit(parent: Any, g: Any) -> None:
        if parent.plan is None or parent in found:
            before = found.get(parent)
            found[parent] = g if before is None else before + g
        elif (entry := waiting.get(parent.index)) is None:
            waiting[parent.index] = [parent, g]
            heappush(heap, -parent.index)
        else:
            entry[1] = entry[1] + g

    for node, g in seeds:
        deposit(node, g)
    user = np.geterr()["invalid"]
    ahead: Any = None
    ahead_g: Any = None  # the one node of a chain waits here, not in the heap: 130 ns
    with np.errstate(invalid="call", call=lambda kind, _: invalid.append(kind)):
        while heap or ahead is not None:
            if ahead is None or (heap and -heap[0] > ahead.index):
                node, g = waiting.pop(-heappop(heap))
            else:
                node, g, ahead = ahead, ahead_g, None
            plan = node.plan
            if plan.unusual:
                if isinstance(node, Output):  # wait at the call until all its results are in
                    main = node.parents[0]
                    if main.index not in waiting:
                        waiting[main.index] = [main, [None] * main.shape[0]]
                        heappush(heap, -main.index)
                    results = waiting[main.index][1]
                    before = results[node.number]
                    results[node.number] = g if before is None else before + g
                else:
                    for parent, gi in plan.run_again(node, g, leads, free):
                        deposit(parent, gi)
                continue
            saved = node.saved
            if saved is None:
                raise _freed(plan.op.name)
            if g.__class__ is list:
                g = tuple(g)
            calls = plan.calls
            if record or plan.joint:
                calls, saved = _prepared(node, g, record)
            if plan.op.selects:
                careful = True
            k = 0
            for rule, arity in calls:  # by index: half the time of zip
                parent = node.parents[k]
                value = saved[k]
                k += 1
                if leads is not None and parent not in leads:
                    continue
                if arity == 1:
                    gi = rule(g, value)
                elif arity:
                    gi = rule(g, *value)
                else:
                    gi = rule(g)
                if invalid or careful:
                    gi = _zero_stays_zero(plan.op, g, gi, user if invalid else "ignore")
                    invalid.clear()
                if watch:
                    _check_backward(node, g, gi)
                try:
                    fits = gi.shape == parent.shape and gi.dtype is parent.dtype
                except AttributeError:
                    fits = False
                if not fits:
                    gi = _fit(gi, parent, node)
                # as `deposit` does, without the call
                if parent.plan is None or (inside and parent in found):
                    before = found.get(parent)
                    if before is not None:
                        gi = before + gi
                    elif not record and (gi is g or gi.base is not None):
                        gi = gi.copy()  # nobody else's memory is handed out
                    found[parent] = gi
                elif parent is ahead:
                    ahead_g = ahead_g + gi
                elif waiting and (entry := waiting.get(parent.index)) is not None:
                    entry[1] = entry[1] + gi
                elif ahead is None:
                    ahead, ahead_g = parent, gi
                else:
                    waiting[parent.index] = [parent, gi]
                    heappush(heap, -parent.index)
            if free:
                node.saved = None
    return found


def _freed(name: str) -> RuntimeError:
    return RuntimeError(
        f"the graph behind op {name!r} was freed by an earlier backward: call that one with "
        "retain_graph=True to go through the graph twice"
    )


def _raw(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value


def _zero_stays_zero(op: Op, g: Any, gi: Any, invalid: str) -> Any:
    """Set what a pointwise rule makes of a zero cotangent to zero where it is not finite.

    A NaN that a rule made of anything else is reported as the user's `np.errstate` says.
    """
    value, cotangent = _raw(gi), _raw(g)
    if isinstance(cotangent, tuple) or np.shape(value) != np.shape(cotangent):
        return gi
    bad = ~np.isfinite(value)
    if not bad.any():
        return gi
    zero = bad & (cotangent == 0)
    if op.pointwise and zero.any():
        gi = np.where(zero, 0, gi)
        bad &= ~zero
    if invalid in {"warn", "raise"} and (bad & np.isnan(value) & np.isfinite(cotangent)).any():
        message = f"invalid value encountered in the gradient of op {op.name!r}"
        if invalid == "raise":
            raise FloatingPointError(message)
        warnings.warn(message, RuntimeWarning, stacklevel=_user_level())
    return gi


def _fit(g: Any, parent: Any, node: Node) -> Any:
    """Sum a cotangent down to its operand's shape, and cast it to its dtype."""
    if not hasattr(g, "dtype"):
        g = np.asarray(g)
    shape = parent.shape
    if g.shape != shape:
        lead = g.ndim - len(shape)
        axes = tuple(
            k for k in range(g.ndim) if k < lead or (shape[k - lead] == 1 and g.shape[k] != 1)
        )
        if lead < 0 or any(k not in axes and n != shape[k - lead] for k, n in enumerate(g.shape)):
            k = next(k for p, (k, _) in zip(node.parents, node.plan.operands) if p is parent)  # noqa: B905
            raise ValueError(
                f"the rule of op {node.plan.op.name!r} for {node.plan.op.names[k]!r} returned a "
                f"gradient of shape {g.shape}, which cannot be summed down to the operand's "
                f"shape {shape}"
            )
        g = np.sum(g, axis=axes).reshape(shape)
    if g.dtype != parent.dtype:
        if g.dtype == object:
            raise TypeError(f"the rule of op {node.plan.op.name!r} returned an array of objects")
        if g.dtype.kind == "c" and parent.dtype.kind != "c":
            g = np.real(g)
        g = g.astype(parent.dtype)
    return g


def _prepared(node: Node, g: Any, record: bool) -> tuple[list[Any], list[Any]]:
    """Return a node's calls and values: linked into the graph if `record`, joint rules called."""
    calls: list[Any] = []
    prepared: list[Any] = []
    results: dict[Any, Any] = {}
    for rule, value in zip(node.plan.table, node.saved or ()):  # noqa: B905
        values = (value,) if len(rule.names) == 1 else value or ()
        if record:
            values = tuple(_relinked(node, n, v) for n, v in zip(rule.names, values, strict=True))
        if rule.place is None:
            calls.append((rule.call, 2))
            prepared.append(values)
        else:
            if rule.call not in results:
                results[rule.call] = rule.call(g, *values)
            calls.append((lambda _, gi: gi, 1))
            prepared.append(results[rule.call][rule.place])
    return calls, prepared


def _relinked(node: Node, name: str, value: Any) -> Any:
    """Return a saved value as part of the graph again: an input, or the result."""
    plan = node.plan
    if name == "out":
        if not isinstance(value, (tuple, list)):
            return box(value, node)
        return tuple(
            box(v, output(node, j, v)) if v.dtype.kind in "fc" else v for j, v in enumerate(value)
        )
    if name in plan.op.names:
        k = plan.op.names.index(name)
        for parent, (slot, i) in zip(node.parents, plan.operands, strict=True):
            if slot == k:
                if i is None:
                    return box(value, parent)
                value = [box(v, parent) if j == i else v for j, v in enumerate(value)]
    return value


def leading(
    roots: Iterable[Any], targets: Iterable[Any], start: int, leads: set[Any] | None = None
) -> tuple[set[Any], bool]:
    """Return the nodes between `roots` and `targets`, and whether anything older was met."""
    leads = set(targets) if leads is None else leads
    seen = {node for node in roots if node is not None}
    stack = list(seen)
    older = False
    while stack:
        node = stack.pop()
        if node in leads and node.index < start:
            continue
        if node.index < start:
            older = True
            seen.discard(node)
            continue
        if node in leads:
            continue
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    for node in sorted(seen, key=lambda n: n.index):
        if not leads.isdisjoint(node.parents):
            leads.add(node)
    return leads, older


# Tensor.backward --------------------------------------------------------------------------------

_writing = threading.Lock()  # two threads may add to one leaf's gradient


def backward(self: Tensor, cotangent: Any = None, retain_graph: bool = False) -> None:
    """Add the gradient of this Tensor to `grad` of every leaf that it was computed from.

    Parameters
    ----------
    cotangent : array_like, optional
        What to weigh each entry with, of this Tensor's shape. Needed unless it has one entry.
    retain_graph : bool, optional
        Keep what the graph saved, so that backward can be called again.

    Raises
    ------
    RuntimeError
        If nothing is tracked, or the graph was freed by an earlier call.
    ValueError
        If the cotangent is missing or has another shape.
    """
    if self._node is None:
        raise RuntimeError(
            "backward of a Tensor that tracks no gradient: give requires_grad=True to a Tensor "
            "that it is computed from, and call it outside no_grad"
        )
    found = propagate([(self._node, _seed(self, cotangent, "backward"))], free=not retain_graph)
    with _writing:
        for leaf, g in found.items():
            leaf.grad = np.asarray(g) if leaf.grad is None else leaf.grad + g


Tensor.backward = backward  # type: ignore[method-assign]


def _seed(out: Tensor, cotangent: Any, what: str) -> Any:
    """Return the cotangent of a result, checked; ones if it is a single number."""
    if cotangent is None:
        if out.size != 1:
            raise ValueError(
                f"{what} of a Tensor of shape {out.shape} needs a cotangent of that shape: pass "
                "one, or reduce to a single number with .sum() or .mean()"
            )
        return np.ones_like(out._data)
    if isinstance(cotangent, Tensor) and cotangent.requires_grad and what != "backward":
        g = cotangent
    else:
        g = np.array(_raw(cotangent))
    if g.shape != out.shape:
        raise ValueError(
            f"the cotangent has shape {g.shape}, the result {out.shape}: they must agree"
        )
    return g if g.dtype == out.dtype else g.astype(out.dtype)


# Switches ---------------------------------------------------------------------------------------


class Switch(ContextDecorator):
    """A change of this thread's mode, undone at the end whatever happens."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._before: dict[int, list[Any]] = {}

    def _recreate_cm(self) -> Switch:
        return Switch(**self._changes)

    def __enter__(self) -> None:
        thread = threading.get_ident()
        before = modes.get(thread)
        self._before.setdefault(thread, []).append(before)
        modes[thread] = replace(before or NORMAL, **self._changes)

    def __exit__(self, *_: object) -> None:
        thread = threading.get_ident()
        before = self._before[thread].pop()
        if before is None:
            del modes[thread]
        else:
            modes[thread] = before


def no_grad(function: Callable[..., Any] | None = None) -> Any:
    """Record nothing: ``with no_grad():``, or ``@no_grad`` above a function.

    For the calling thread alone. Results are untracked Tensors.
    """
    switch = Switch(recording=False)
    return switch if function is None else switch(function)


def detect_anomaly() -> Switch:
    """Stop at the first value that is not finite, in forward or in backward.

    Returns
    -------
    context manager
        Inside it, and in ``backward`` called inside it, a NaN or infinity raises
        `FloatingPointError`, which names the op, the shapes and ranges of its inputs and the
        user's file and line.
    """
    return Switch(check=_check_forward)


def _finite(value: Any) -> bool:
    value = _raw(value)
    if isinstance(value, (tuple, list)):
        return all(_finite(v) for v in value)
    return (
        getattr(value, "dtype", None) is None
        or value.dtype.kind not in "fc"
        or bool(np.isfinite(value).all())
    )


def _range(name: str, value: Any) -> str:
    """Describe an input: its shape, and between which values it lies."""
    value = np.asarray(_raw(value))
    finite = value[np.isfinite(value)]
    inside = f"from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "nothing finite"
    odd = value.size - finite.size
    return f"{name}: shape {value.shape}, {inside}" + (f", {odd} not finite" if odd else "")


def _ranges(op: Op, raw: list[Any]) -> str:
    described = []
    for name, value in zip(op.names, raw, strict=True):
        for v in value if isinstance(value, (tuple, list)) else [value]:
            if getattr(v, "dtype", None) is not None and v.dtype.kind in "fc":
                described.append(_range(name, v))
    return "; ".join(described) or "no arrays"


def _check_forward(op: Op, raw: list[Any], out: Any) -> str:
    """Raise if a result is not finite; return the user's file and line."""
    site = _site()
    if not _finite(out):
        odd = next(v for v in (out if isinstance(out, (tuple, list)) else [out]) if not _finite(v))
        kind = "NaN" if np.isnan(odd).any() else "infinity"
        raise FloatingPointError(
            f"op {op.name!r} made {kind} in its result of shape {np.shape(odd)}, at {site}; its "
            f"inputs: {_ranges(op, raw)}"
        )
    return site


def _check_backward(node: Node, g: Any, gi: Any) -> None:
    if not _finite(gi):
        kind = "NaN" if np.isnan(_raw(gi)).any() else "infinity"
        site = getattr(node, "site", "a line outside detect_anomaly")
        cotangents = "; ".join(
            _range("g", v) for v in (g if isinstance(g, tuple) else (g,)) if v is not None
        )
        saved = "; ".join(
            _range(n, v)
            for rule, values in zip(node.plan.table, node.saved or ())  # noqa: B905
            for n, v in zip(rule.names, values if len(rule.names) > 1 else (values,))  # noqa: B905
            if getattr(v, "dtype", None) is not None and v.dtype.kind in "fc"
        )
        raise FloatingPointError(
            f"the gradient of op {node.plan.op.name!r}, called at {site}, made {kind} in a "
            f"gradient of shape {np.shape(_raw(gi))}; {cotangents}"
            + (f"; {saved}" if saved else "")
        )


_INSIDE = (str(Path(__file__).parent), str(Path(np.__file__).parent))


def _user_frame() -> tuple[Any, int]:
    """Return the innermost frame outside this package and NumPy, and how far up it is."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    return frame, level


def _user_level() -> int:
    return _user_frame()[1] - 1


def _site() -> str:
    frame, _ = _user_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# Functions of functions -------------------------------------------------------------------------


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Return the leaves of nested lists, tuples and dicts, and the way back."""
    if isinstance(tree, dict):
        keys, parts = list(tree), [flatten(v) for v in tree.values()]

        def make(values: list[Any]) -> Any:
            return dict(zip(keys, values, strict=True))
    elif isinstance(tree, (list, tuple)):
        parts = [flatten(v) for v in tree]

        def make(values: list[Any]) -> Any:
            return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    elif tree is None:
        return [], lambda _: None
    else:
        return [tree], lambda leaves: leaves[0]

    def rebuild(leaves: Sequence[Any]) -> Any:
        values, at = [], 0
        for part, back in parts:
            values.append(back(leaves[at : at + len(part)]))
            at += len(part)
        return make(values)

    return [leaf for part, _ in parts for leaf in part], rebuild


@op
def alias(x: Array) -> Array:
    """Return `x` itself, under a node of its own."""
    return x


alias.defvjp(x=lambda g: g)


class _Trace:
    """One call of a user's function, recorded from chosen arguments to its results."""

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        argnums: Sequence[int],
        keywords: Any = None,
    ) -> None:
        mode = current_mode()
        self.start = next_index()
        self.rebuild: list[Callable[[Sequence[Any]], Any]] = []  # of each chosen argument
        self.sizes: list[int] = []
        self.inputs: list[Tensor] = []
        self.nested = False  # is an input itself tracked, by an outer derivative?
        inner = list(args)
        with Switch(recording=True) if not mode.recording else Switch() if modes else _nothing:
            for n in argnums:
                leaves, rebuild = flatten(args[n])
                boxes = [self._input(leaf, mode.recording) for leaf in leaves]
                inner[n] = rebuild(boxes)
                self.inputs += boxes
                self.rebuild.append(rebuild)
                self.sizes.append(len(boxes))
            result = f(*inner, **(keywords or {}))
        self.outputs, self.rebuild_out = flatten(result)
        self.targets = [t._node for t in self.inputs]
        self.roots = [
            o._node for o in self.outputs if isinstance(o, Tensor) and o._node is not None
        ]
        self.leads, older = leading(self.roots, self.targets, self.start)
        self.record = self.nested or (older and mode.recording)

    def _input(self, value: Any, recording: bool) -> Tensor:
        if isinstance(value, Tensor) and value._node is not None and recording:
            self.nested = True
            return alias(value)  # type: ignore[no-any-return]
        return Tensor(value, requires_grad=True)

    def value(self) -> Any:
        """Return what the function returned, plain unless an outer derivative needs it."""
        return self.rebuild_out([self.plain(o) for o in self.outputs])

    def plain(self, out: Any) -> Any:
        """Return a result as an array, or as it is if an outer derivative needs it."""
        return np.asarray(out._data) if isinstance(out, Tensor) and not self.record else out

    def pull(
        self, cotangents: Sequence[Any], *, free: bool = False, record: bool | None = None
    ) -> list[Any]:
        """Return the gradient of each input, given a cotangent (or None) for each result."""
        seeds = [
            (o._node, g)
            for o, g in zip(self.outputs, cotangents, strict=True)
            if g is not None and isinstance(o, Tensor) and o._node in self.leads
        ]
        record = self.record if record is None else record
        with Switch(recording=True) if modes and record else _nothing:
            found = propagate(
                seeds, self.targets, self.leads, free=free and not record, record=record
            )
        grads = []
        for t in self.inputs:
            g = found[t._node]
            if g is None:
                g = np.zeros_like(t._data)
            grads.append(g if isinstance(g, Tensor) else np.array(g))
        return grads

    def per_argument(self, grads: Sequence[Any]) -> tuple[Any, ...]:
        """Return flat gradients in the structure of each chosen argument."""
        shaped, at = [], 0
        for rebuild, size in zip(self.rebuild, self.sizes, strict=True):
            shaped.append(rebuild(grads[at : at + size]))
            at += size
        return tuple(shaped)


_nothing = nullcontext()


def _numbers(argnums: int | Sequence[int], args: Sequence[Any], what: str) -> list[int]:
    """Return argument numbers as a list of non-negative ones; refuse those that are not there."""
    wanted = [argnums] if isinstance(argnums, int) else list(argnums)
    for n in wanted:
        if not -len(args) <= n < len(args):
            raise ValueError(
                f"{what} with argnums={argnums} needs that positional argument, but the function "
                f"was called with {len(args)}"
            )
    return [n % len(args) for n in wanted]


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that computes both ``f`` and its gradient.

    Parameters
    ----------
    f : callable
        Returns a single number. Arguments may be nested lists, tuples and dicts of arrays.
    argnums : int or sequence of int, optional
        Which positional arguments to differentiate.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns ``(value, gradient)``, the gradient in the structure,
        shapes and dtypes of the argument, a tuple of them for a sequence of argnums. Plain arrays,
        unless they depend on a tracked Tensor from outside `f`. Nobody's ``grad`` is written.

    Raises
    ------
    TypeError
        If an argument to differentiate is of integers or complex numbers.
    ValueError
        If `f` does not return a single number.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> tuple[Any, Any]:
        trace = _Trace(f, args, _numbers(argnums, args, "grad"), keywords)
        if len(trace.outputs) != 1 or np.size(_raw(trace.outputs[0])) != 1:
            shapes = ", ".join(str(np.shape(_raw(o))) for o in trace.outputs)
            raise ValueError(
                f"grad needs a function that returns a single number; it returned shape {shapes}: "
                "use jacobian or vjp, or reduce it with .sum()"
            )
        out = trace.outputs[0]
        seed = np.ones_like(out._data) if isinstance(out, Tensor) else None
        grads = trace.per_argument(trace.pull([seed], free=True))
        return trace.value(), grads[0] if isinstance(argnums, int) else grads

    return wrapped


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Return the gradient function of ``f``; see `value_and_grad`.

    Examples
    --------
    >>> grad(grad(lambda x: x**3))(2.0)
    array(12.)
    """
    both = value_and_grad(f, argnums)

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        return both(*args, **keywords)[1]

    return wrapped


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return ``f(*xs)`` and the function from a cotangent of it to the gradients of `xs`.

    Parameters
    ----------
    f : callable
        Takes and returns arrays, or nested lists, tuples and dicts of them.
    *xs
        Where.

    Returns
    -------
    out
        ``f(*xs)``.
    pull : callable
        Takes a cotangent in the structure and shapes of `out`; returns a tuple with a gradient for
        each of `xs`. May be called more than once.
    """
    trace = _Trace(f, xs, range(len(xs)))

    def pull(cotangent: Any) -> tuple[Any, ...]:
        cotangents, tracked = _matching(cotangent, trace, "cotangent")
        return trace.per_argument(trace.pull(cotangents, record=trace.record or tracked))

    return trace.value(), pull


def _matching(tree: Any, trace: _Trace, what: str) -> tuple[list[Any], bool]:
    """Return the cotangents of a trace's results, checked, and whether one is tracked."""
    leaves, _ = flatten(tree)
    if len(leaves) != len(trace.outputs):
        raise ValueError(
            f"the {what} has {len(leaves)} arrays, the function returned {len(trace.outputs)}"
        )
    checked = [
        _seed(o, g, what) if isinstance(o, Tensor) else None
        for o, g in zip(trace.outputs, leaves, strict=True)
    ]
    return checked, any(isinstance(g, Tensor) and g.requires_grad for g in checked)


def jvp(f: Callable[..., Any], xs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return ``f(*xs)`` and its derivative along `tangents`: forward mode, at any order.

    A rule is linear in its cotangent, so the vjp of the vjp is the jvp [1]_.

    Parameters
    ----------
    f : callable
    xs, tangents : tuples of the same structure and shapes

    Returns
    -------
    out, tangent_out

    References
    ----------
    .. [1] J. Townsend, "A new trick for calculating Jacobian vector products", 2017.
    """
    xs, tangents = _arguments(xs), _arguments(tangents)
    along, _ = flatten(list(tangents))
    trace = _Trace(f, xs, range(len(xs)))
    if len(along) != len(trace.inputs):
        raise ValueError(f"xs hold {len(trace.inputs)} arrays, tangents {len(along)}")
    pushes = [_seed(t, v, "tangent") for t, v in zip(trace.inputs, along, strict=True)]
    record = trace.record or any(isinstance(v, Tensor) and v.requires_grad for v in pushes)
    # any cotangent will do, but not a special one: at 0 rules are masked, at 1 some are wrong
    random = np.random.default_rng(0)
    start = next_index()
    dummies = [
        Tensor(random.uniform(0.5, 1.5, o.shape).astype(o.dtype), requires_grad=True)
        if isinstance(o, Tensor) and o.dtype.kind == "f"
        else None
        for o in trace.outputs
    ]
    pulled = trace.pull(dummies, record=True)
    targets = [d._node for d in dummies if d is not None]
    pairs = [(p, v) for p, v in zip(pulled, pushes, strict=True) if isinstance(p, Tensor)]
    leads, _ = leading([p._node for p, _ in pairs], targets, start)
    seeds = [(p._node, v) for p, v in pairs if p._node in leads]
    with Switch(recording=True) if modes and record else _nothing:
        found = propagate(seeds, targets, leads, record=record)
    tangent = []
    for o, d in zip(trace.outputs, dummies, strict=True):
        t = None if d is None else found[d._node]
        tangent.append(np.zeros_like(_raw(o)) if t is None else t if record else np.asarray(t))
    return trace.value(), trace.rebuild_out(tangent)


def _arguments(xs: Any) -> tuple[Any, ...]:
    return tuple(xs) if isinstance(xs, (tuple, list)) else (xs,)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """Return the Hessian of ``f`` at `x` times `v`, without the Hessian.

    Parameters
    ----------
    f : callable
        Takes `x`, returns a single number.
    x, v : array_like, or nested lists, tuples and dicts of the same structure
    """
    return vjp(grad(f), x)[1](v)[0]


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Return the function that computes the Jacobian of ``f``, of shape ``out.shape + x.shape``.

    Parameters
    ----------
    f : callable
        Takes and returns arrays, or nested structures of them: then the result has the structure
        of `f`'s result, with that of the argument inside.
    argnums : int or sequence of int, optional
        Which positional arguments to differentiate.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        trace = _Trace(f, args, _numbers(argnums, args, "jacobian"), keywords)
        blocks = []
        for k, out in enumerate(trace.outputs):
            shape = np.shape(_raw(out))
            rows = []
            for j in range(int(np.prod(shape, dtype=int)) if isinstance(out, Tensor) else 0):
                seed = np.zeros(shape, out.dtype)
                seed.flat[j] = 1
                rows.append(
                    trace.pull([seed if n == k else None for n in range(len(trace.outputs))])
                )
            columns = [
                np.stack([row[n] for row in rows]).reshape(shape + t.shape)
                if rows
                else np.zeros(shape + t.shape, t.dtype)
                for n, t in enumerate(trace.inputs)
            ]
            inside = trace.per_argument(columns)
            blocks.append(inside[0] if isinstance(argnums, int) else inside)
        return trace.rebuild_out(blocks)

    return wrapped


def hessian(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that computes the Hessian of ``f``, of shape ``x.shape + x.shape``."""
    return jacobian(grad(f))


# Editing the graph ------------------------------------------------------------------------------


def map_gradient(x: Any, f: Callable[[Any], Any]) -> Any:
    """Return `x`; its gradient passes through ``f`` on the way back.

    Parameters
    ----------
    x : Tensor
    f : callable
        Takes the cotangent, returns what takes its place: scaled, clipped, reversed, zeros to
        stop it. If it returns None (it only looks), the cotangent goes on unchanged.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> map_gradient(x, lambda g: -g).sum().backward()
    >>> x.grad
    array([-1., -1.])
    """
    return _mapped(x, f)


@op
def _mapped(x: Array, f: Any) -> Array:
    return x


def _map(g: Any, f: Any) -> Any:
    mapped = f(g)
    return g if mapped is None else mapped


_mapped.defvjp(x=_map, f=None)
_mapped.name = "map_gradient"


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``f`` without memory: what its rules need is computed again in backward.

    Results and gradients are the same, also of Tensors that `f` reaches through its closure, and
    with dropout inside: generators are set back for the second run.

    Parameters
    ----------
    f : callable
        Its results must depend on its arguments and on what it reaches alone.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        outer = current_mode()
        if not outer.recording:
            return f(*args, **keywords)
        start = next_index()
        generators: dict[int, Any] = {}
        held: list[Any] = []
        with Switch(generators=generators, held=held):
            result = f(*args, **keywords)
        for generator, state in generators.values():
            if outer.generators is not None:
                outer.generators.setdefault(id(generator), (generator, state))
        if outer.held is not None:
            outer.held.extend(held)
        leaves, rebuild = flatten(result)
        places = [
            j
            for j, leaf in enumerate(leaves)
            if isinstance(leaf, Tensor) and leaf._node is not None and leaf._node.index > start
        ]
        parents = _border([leaves[j]._node for j in places], start)
        if not parents:
            return result
        main = Node()
        main.index = next_index()
        main.plan = _Recomputed(f, args, keywords, generators, places)  # type: ignore[assignment]
        main.parents = tuple(parents)
        main.saved = tuple(held)
        main.shape, main.dtype = (len(places),), None
        for number, j in enumerate(places):
            leaves[j] = box(leaves[j]._data, output(main, number, leaves[j]._data))
        return rebuild(leaves)

    return wrapped


def _border(nodes: list[Any], start: int) -> list[Any]:
    """Return the tracked nodes older than `start` that `nodes` were computed from."""
    seen, stack, border = set(nodes), list(nodes), []
    while stack:
        node = stack.pop()
        if node.index < start:
            border.append(node)
            continue
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(border, key=lambda node: node.index)


class _Recomputed:
    """The plan of a checkpoint: run the function again, and let backward go through that."""

    unusual = True

    def __init__(
        self, f: Any, args: Any, keywords: Any, generators: dict[int, Any], places: list[int]
    ) -> None:
        self.op = _recompute
        self.operands = ()
        self.call = (f, args, keywords)
        self.generators = list(generators.values())
        self.places = places

    def run_again(
        self, node: Node, g: list[Any], leads: set[Any] | None, free: bool
    ) -> list[tuple[Any, Any]]:
        """Record the call for good; return its results' nodes with their cotangents."""
        if node.saved is None:
            raise _freed("checkpoint")
        start = next_index()
        f, args, keywords = self.call
        now = [(generator, generator.bit_generator.state) for generator, _ in self.generators]
        try:
            for generator, state in self.generators:
                generator.bit_generator.state = state
            with Switch(recording=True, generators=None, held=None):
                leaves, _ = flatten(f(*args, **keywords))
        finally:
            for generator, state in now:
                generator.bit_generator.state = state
        if free:
            node.saved = None
        pairs = [
            (leaves[j]._node, gj) for j, gj in zip(self.places, g, strict=True) if gj is not None
        ]
        if leads is not None:
            leading([n for n, _ in pairs], (), start, leads)
        return [(n, gj) for n, gj in pairs if leads is None or n in leads]


def _recompute() -> None:
    """Stand for a checkpointed function in drawings."""


_recompute = Op(_recompute)  # type: ignore[assignment]
_recompute.name = "checkpoint"  # type: ignore[attr-defined]

"""Reverse mode: cotangents carried back through the recorded graph."""

from __future__ import annotations

import threading
import warnings
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist import reports
from tinygrad_mnist.graph import Node, Output, current_mode, output
from tinygrad_mnist.recording import box
from tinygrad_mnist.switches import user_level
from tinygrad_mnist.tensor import Tensor, as_array, raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinygrad_mnist.operation import Op
    from tinygrad_mnist.rules import Rule

    Cotangents = dict[Any, Any]  # node -> what reached it


def propagate(
    seeds: Sequence[tuple[Any, Any]],
    targets: Iterable[Any] = (),
    leads: set[Any] | None = None,
    *,
    free: bool = False,
    record: bool = False,
) -> Cotangents:
    """Carry cotangents from `seeds` back through the graph.

    Parameters
    ----------
    seeds : sequence of (node, cotangent)
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
    careful = not reports.FOUND  # or a node that selects was passed: NaN may come in quietly
    watch = current_mode().watch

    ahead: Any = None
    ahead_g: Any = None  # the one node of a chain waits here, not in the heap: 130 ns
    if len(seeds) == 1 and not inside and seeds[0][0].plan is not None:
        ((ahead, ahead_g),) = seeds
    else:
        for node, g in seeds:
            _deposit(node, g, found, waiting, heap)
    invalid, user, token = reports.hear()  # NumPy reports the moment when a NaN is made
    try:
        while heap or ahead is not None:
            if ahead is None or (heap and -heap[0] > ahead.index):
                node, g = waiting.pop(-heappop(heap))
            else:
                node, g, ahead = ahead, ahead_g, None
            plan = node.plan
            if plan.unusual:
                if isinstance(node, Output):  # wait at the call until all its results are in
                    main = node.parents[0]
                    if main is ahead:
                        waiting[main.index], ahead = [main, ahead_g], None
                        heappush(heap, -main.index)
                    elif main.index not in waiting:
                        waiting[main.index] = [main, None]
                        heappush(heap, -main.index)
                    results = waiting[main.index]  # [main, cotangents]
                    if results[1].__class__ is not list:
                        others = main.shape[0] - 1 if main.dtype is None else len(main.plan.hidden)
                        results[1] = [results[1], *(None,) * others]
                    before = results[1][node.number]
                    results[1][node.number] = g if before is None else before + g
                else:
                    for parent, gi in reports.as_wanted(user, plan.run_again, node, g, leads, free):
                        _deposit(parent, gi, found, waiting, heap)
                continue
            saved = node.saved
            if saved is None:
                raise freed(plan.op.name)
            if g.__class__ is list:
                g = tuple(g)
            elif plan.hidden:
                g = (g, *plan.hidden)
            calls = plan.calls
            if record or plan.joint:
                calls, saved = _prepared(node, g, record)
            if plan.selects:
                careful = True
            k = 0
            parents = node.parents
            for rule, arity in calls:  # by index: half the time of zip
                parent = parents[k]
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
                    wanted = reports.as_wanted(user, np.geterr)["invalid"] if invalid else "ignore"
                    gi = _zero_stays_zero(plan.op, g, gi, wanted)
                if watch is not None:
                    watch(node, g, gi)
                try:
                    fits = gi.shape == parent.shape and gi.dtype is parent.dtype
                except AttributeError:
                    fits = False
                if not fits:
                    gi = fit(gi, parent, node, k - 1)
                # as `_deposit` does, without the call
                if parent.plan is None or (inside and parent in found):
                    before = found.get(parent)
                    found[parent] = gi if before is None else before + gi
                elif parent is ahead:
                    ahead_g = ahead_g + gi
                elif waiting and (entry := waiting.get(parent.index)) is not None:
                    entry[1] = _added(entry[1], gi)
                elif ahead is None:
                    ahead, ahead_g = parent, gi
                else:
                    waiting[parent.index] = [parent, gi]
                    heappush(heap, -parent.index)
            if invalid:
                invalid.clear()
            if free:
                node.saved = None
    finally:
        reports.stop(token)
    return found


def _deposit(
    node: Any, g: Any, found: Cotangents, waiting: dict[int, list[Any]], heap: list[int]
) -> None:
    """Add a cotangent to what is collected for a node, or waits for it."""
    if node.plan is None or node in found:
        before = found.get(node)
        found[node] = g if before is None else before + g
    elif (entry := waiting.get(node.index)) is None:
        waiting[node.index] = [node, g]
        heappush(heap, -node.index)
    else:
        entry[1] = _added(entry[1], g)


def _added(before: Any, g: Any) -> Any:
    """Return the sum of cotangents; those of hidden results came in a list."""
    if before.__class__ is not list:
        return before + g
    return [g if before[0] is None else before[0] + g, *before[1:]]


def freed(name: str) -> RuntimeError:
    """Return what to raise where a node has nothing saved any more."""
    return RuntimeError(
        f"the graph behind op {name!r} was freed by an earlier backward: call that one with "
        "retain_graph=True to go through the graph twice"
    )


def _zero_stays_zero(op: Op, g: Any, gi: Any, invalid: str) -> Any:
    """Set what a pointwise rule makes of a zero cotangent to zero where it is not finite.

    A NaN that a rule made of anything else is reported as the user's `np.errstate` says.
    """
    value, cotangent = raw(gi), raw(g)
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
        warnings.warn(message, RuntimeWarning, stacklevel=user_level())
    return gi


def fit(g: Any, parent: Any, node: Node, place: int) -> Any:
    """Sum a cotangent down to its operand's shape, and cast it to its dtype."""
    op, shape = node.plan.op, parent.shape
    rule = f"the rule of op {op.name!r} for {op.names[node.plan.operands[place][0]]!r}"
    if g is None:
        raise TypeError(f"{rule} returned None: a rule returns an array (does it lack a return?)")
    if not hasattr(g, "dtype"):
        g = np.asarray(g)
    if g.dtype.kind not in "biufc":
        raise TypeError(f"{rule} returned an array of dtype {g.dtype}; a gradient holds numbers")
    if g.shape != shape:
        lead = g.ndim - len(shape)
        axes = tuple(
            k for k in range(g.ndim) if k < lead or (shape[k - lead] == 1 and g.shape[k] != 1)
        )
        if lead < 0 or any(k not in axes and n != shape[k - lead] for k, n in enumerate(g.shape)):
            raise ValueError(
                f"{rule} returned a gradient of shape {g.shape}, which can't be summed down to the "
                f"operand's shape {shape}"
            )
        g = np.sum(g, axis=axes).reshape(shape)
    if g.dtype != parent.dtype:
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
        values = () if not rule.names else (value,) if len(rule.names) == 1 else value
        if record:
            values = tuple(_relinked(node, n, v) for n, v in zip(rule.names, values, strict=True))
        if rule.place is None:
            calls.append((rule.call, 2))
            prepared.append(values)
        else:
            if rule.call not in results:
                results[rule.call] = _each(node.plan.op, rule, rule.call(g, *values))
            calls.append((lambda _, gi: gi, 1))
            prepared.append(results[rule.call][rule.place])
    return calls, prepared


def _each(op: Op, rule: Rule, gradients: Any) -> Any:
    """Return what a rule for several inputs returned, checked to be a gradient for each."""
    several = isinstance(gradients, (tuple, list))
    if not several or len(gradients) != len(rule.together):
        got = len(gradients) if several else type(gradients).__name__
        raise TypeError(
            f"the rule of op {op.name!r} for {', '.join(rule.together)} returns a tuple with a "
            f"gradient for each; got {got}"
        )
    return gradients


def _relinked(node: Node, name: str, value: Any) -> Any:
    """Return a saved value as part of the graph again: an input, or the result."""
    plan = node.plan
    if name == "out":
        if not isinstance(value, (tuple, list)):
            return box(value, node)
        return tuple(
            v
            if v.dtype.kind not in "fc"
            else box(v, node)
            if plan.op.hidden and j == 0 and node.dtype is not None
            else box(v, output(node, j, v))
            for j, v in enumerate(value)
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
        if node.index < start:
            older = True
        elif node not in leads:
            new = [parent for parent in node.parents if parent not in seen]
            seen.update(new)
            stack += new
    for node in sorted(seen, key=lambda n: n.index):
        if not leads.isdisjoint(node.parents):
            leads.add(node)
    return leads, older


# Tensor.backward --------------------------------------------------------------------------------

_writing = threading.Lock()  # two threads may add to one leaf's gradient
_ONES = {kind: kind(1) for kind in (np.float32, np.float64)}  # the cotangent of most losses


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
    g = _ONES.get(self._value.__class__) if cotangent is None else None
    if g is None:
        g = seed(self, cotangent, "backward")
    found = propagate([(self._node, g)], free=not retain_graph)
    distinct = len(set(map(id, found.values()))) == len(found)
    with _writing:
        for leaf, g in found.items():
            if leaf.grad is not None:
                g = leaf.grad + g  # noqa: PLW2901
            elif not distinct or getattr(g, "base", None) is not None:
                g = g.copy()  # noqa: PLW2901 - no two gradients share memory
            leaf.grad = g if g.__class__ is np.ndarray else as_array(g)


Tensor.backward = backward  # type: ignore[assignment,method-assign]


def seed(out: Tensor, cotangent: Any, what: str) -> Any:
    """Return the cotangent of a result, checked; ones if it is a single number."""
    if cotangent is None:
        if out.dtype.kind == "c":
            raise TypeError(
                f"{what} of a complex Tensor needs a cotangent: pass one, or take np.abs, np.real "
                "or np.imag of it"
            )
        if out.size != 1:
            raise ValueError(
                f"{what} of a Tensor of shape {out.shape} needs a cotangent of that shape: pass "
                "one, or reduce to a single number with .sum() or .mean()"
            )
        data = out._value
        return data.dtype.type(1) if isinstance(data, np.generic) else np.ones_like(data)
    tracked = isinstance(cotangent, Tensor) and cotangent.requires_grad and what != "backward"
    g = cotangent if tracked else as_array(raw(cotangent)).copy()
    if g.shape != out.shape:
        raise ValueError(
            f"the cotangent has shape {g.shape}, the result {out.shape}: they must agree"
        )
    if g.dtype.kind == "c" and out.dtype.kind != "c":
        raise TypeError(
            f"the cotangent is of {g.dtype}, the result of {out.dtype}: pass real numbers"
        )
    return g if g.dtype == out.dtype else g.astype(out.dtype)

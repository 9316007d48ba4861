"""How an op is called with any signature, in any mode; the fast paths do the same in few steps."""

from __future__ import annotations

import functools
import inspect
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.graph import (
    NORMAL,
    Array,
    Box,
    Mode,
    Node,
    current_mode,
    hold,
    modes,
    next_index,
    output,
    owner_of,
    read_only,
    unboxed,
)
from tinygrad_mnist.recording import PLAIN, box, is_masked, shape_of
from tinygrad_mnist.rules import EMPTY, Plan, Rule

if TYPE_CHECKING:
    from collections.abc import Callable


class Calls:
    """What `Op` is while it is called: arguments in, the forward, a record of the call out."""

    name: str
    names: tuple[str, ...]
    forward: Callable[..., Any]
    defaults: tuple[Any, ...]
    positional: int
    variadic: int | None
    hidden: int
    lists: set[str]
    real: bool
    operator: bool
    rules: dict[str, Rule]
    nograd: set[str]
    plans: dict[tuple[tuple[int, int | None], ...], Plan]
    fast: list[Plan | None]

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The forward's signature; a ufunc's operands are x, y, z."""
        if isinstance(self.forward, np.ufunc):
            only = inspect.Parameter.POSITIONAL_ONLY
            return inspect.Signature([inspect.Parameter(name, only) for name in self.names])
        return inspect.signature(self.forward)

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Return the value of every parameter, in order."""
        given = len(args)
        if self.variadic is None and given <= self.positional:
            values = [*args, *self.defaults[given:]]
            for name, value in kwargs.items():
                k = self.names.index(name) if name in self.names else -1
                if k < given:
                    break  # unknown, or given twice
                values[k] = value
            else:
                if not any(value is EMPTY for value in values[given:]):
                    return values
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}{self.signature}: {error}") from None
        bound.apply_defaults()
        return list(bound.arguments.values())

    def _general(self, *args: Any, **kwargs: Any) -> Any:
        """Call with any signature, in any mode; `recording` and `generated` agree with it."""
        mode = current_mode() if modes else NORMAL
        raw = self.bound(args, kwargs)
        nodes: dict[int, Any] = {}  # of each input that is a Tensor, or a list with Tensors
        boxed = masked = False
        for k, value in enumerate(raw):
            if value.__class__ in PLAIN:
                continue
            if isinstance(value, Box):
                boxed = True
                raw[k] = value._value
                if value._node is not None:
                    nodes[k] = value._node
            elif value.__class__ is tuple or value.__class__ is list:
                raw[k] = unboxed(value)  # a list of our own: the user's may change
                if _has_box(value):
                    boxed = True
                    nodes[k] = [_node_in_list(v) for v in value]
                elif self.names[k] in self.rules and self.names[k] not in self.lists:
                    raw[k] = np.asarray(value)
                masked |= any(map(is_masked, raw[k]))
            else:
                masked |= is_masked(value)
                if self.names[k] in self.rules and _is_sequence(value):
                    raw[k] = np.asarray(value)
        if masked and boxed:
            raise TypeError(
                f"{self.name} of a Tensor and a masked array would lose the mask: give "
                "np.ma.filled(m, value) for it, or np.where(mask, 0, t) in its place"
            )
        out = self.forward(*raw) if len(raw) == self.positional else self._forward(raw)
        return self._finish(raw, nodes, out, boxed, mode)

    def _finish(
        self,
        raw: list[Any],
        nodes: dict[int, Any],
        out: Any,
        boxed: bool,
        mode: Mode = NORMAL,
    ) -> Any:
        """Return what a call gives the user: plain, untracked, or recorded."""
        if not boxed and not isinstance(out, Box):
            return self._visible(out)
        site = None if mode.check is None else mode.check(self, raw, out)
        if mode.held is not None:
            for k, value in enumerate(raw):
                node = nodes.get(k)
                pairs = zip(node, value, strict=True) if type(node) is list else ((node, value),)
                mode.held.extend([(n, hold(n, v)) for n, v in pairs if _outside(n)])
        plan = None
        if nodes and mode.recording:
            plan = self.plan(self._tracked(raw, nodes))
        if plan is None:
            return self._boxed(self._visible(out), raw)
        return self._record(plan, raw, nodes, out, site)

    def _forward(self, raw: list[Any]) -> Any:
        """Call the forward of an op with ``*args`` or keyword-only parameters."""
        first, variadic = self.positional, self.variadic is not None
        rest = raw[first] if variadic else ()
        keywords = dict(zip(self.names[first + variadic :], raw[first + variadic :], strict=True))
        return self.forward(*raw[:first], *rest, **keywords)

    def _tracked(self, raw: list[Any], nodes: dict[int, Any]) -> tuple[tuple[int, int | None], ...]:
        """Return the inputs that need a gradient; refuse those that can't have one."""
        tracked: list[tuple[int, int | None]] = []
        for k, node in nodes.items():
            name = self.names[k]
            some = [j for j, n in enumerate(node) if n is not None] if type(node) is list else None
            if some == [] or name in self.nograd:
                continue
            if name not in self.rules:
                raise TypeError(
                    f"op {self.name!r} has no gradient rule for {name!r}: give it one with "
                    f"{self.name}.defvjp({name}=lambda g, ...: ...), or pass {name}.detach()"
                )
            if self.real and any(n is not None and n.dtype.kind == "c" for n in _listed(node)):
                raise TypeError(
                    f"{self.name} is differentiated for real numbers alone, but {name!r} is "
                    "complex: take np.real, np.imag or np.abs of it"
                )
            if some is None:
                tracked.append((k, None))
            elif name in self.lists:
                tracked.extend((k, j) for j in some)
            else:
                raise TypeError(
                    f"{self.name} takes one Tensor as {name!r}, not a {type(raw[k]).__name__} of "
                    "them: join them with np.stack first"
                )
        return tuple(tracked)

    def plan(self, operands: tuple[tuple[int, int | None], ...]) -> Plan | None:
        """Return how backward calls the rules for a choice of tracked inputs, if there are any."""
        if not operands:
            return None
        if operands not in self.plans:
            self.plans[operands] = plan = Plan(self, operands)
            if self.operator and not plan.shaped:
                self.fast[sum(1 << k for k, _ in operands)] = plan
        return self.plans[operands]

    def _visible(self, out: Any) -> Any:
        """Return the result without its hidden outputs."""
        if not self.hidden:
            return out
        visible = out[: len(out) - self.hidden]
        return visible if len(visible) > 1 else visible[0]

    def _array(self, result: Any) -> Array:
        """Return a result of the forward as an array of numbers."""
        if isinstance(result, Box):
            raise TypeError(
                f"the forward of op {self.name!r} returned a Tensor: a forward works on arrays; is "
                "there a Tensor that it does not take as an argument?"
            )
        if not hasattr(result, "dtype"):
            result = np.asarray(result)
        if result.dtype.kind not in "biufc":
            raise TypeError(
                f"{self.name} returned {result.dtype}: give it numbers, or arrays of them"
            )
        return result

    def _boxed(self, out: Any, raw: list[Any]) -> Any:
        """Return an untracked result, or each of several, as a Tensor."""
        if isinstance(out, (tuple, list)):
            boxes = [self._boxed(one, raw) for one in out]
            return type(out)(*boxes) if hasattr(out, "_fields") else type(out)(boxes)
        data = self._array(out)
        if getattr(data, "base", None) is not None and _looks_at(data, raw):
            data = read_only(data)  # to be locked, if saved, together with what it looks at
        return box(data, None)

    def _hold(self, raw: list[Any], nodes: dict[int, Any], k: int) -> Any:
        """Return what keeps an input unchanged that the user may write to."""
        node = nodes.get(k)
        if node.__class__ is list:
            return [hold(n, v) for v, n in zip(raw[k], node, strict=True) if _outside(n)]
        return hold(node, raw[k]) if _outside(node) else None

    def _record(
        self, plan: Plan, raw: list[Any], nodes: dict[int, Any], out: Any, site: str | None
    ) -> Any:
        """Return the result as Tensors that know how they came about."""
        several = isinstance(out, (tuple, list))
        results = list(out) if several else [out]
        shared = False  # does a result share memory with an input?
        for j, result in enumerate(results):
            if result.__class__ is not np.ndarray or result.dtype.kind != "f":
                results[j] = result = self._array(result)  # noqa: PLW2901
            for value in raw:
                if value is result:
                    results[j] = result = result.view()  # noqa: PLW2901
            if getattr(result, "base", None) is not None and _looks_at(result, raw):
                shared = True
        if not several:
            out = results[0]
            if out.dtype.kind not in "fc":
                return out  # integers: piecewise constant
        values = [*raw, tuple(results) if several else out, None]
        if plan.shaped:
            values += [shape_of(v) if k in plan.shaped else None for k, v in enumerate(raw)]
        saved = plan.save(values)
        for k in range(len(raw)) if shared else plan.kept:
            saved = (*saved, self._hold(raw, nodes, k))
        node = Node()
        node.index = next_index()
        node.plan = plan
        node.parents = tuple([nodes[k] if i is None else nodes[k][i] for k, i in plan.operands])
        node.saved = saved
        if site is not None:
            node.site = site
        visible = results[: len(results) - self.hidden]
        if not several or (self.hidden and len(visible) == 1):
            node.shape = results[0].shape
            node.dtype = results[0].dtype
            return box(results[0], node)
        node.shape, node.dtype = (len(results),), None  # its cotangent is a list, one for each
        boxes = [
            box(r, output(node, j, r)) if _inexact(r) else read_only(r)
            for j, r in enumerate(visible)
        ]
        return type(out)(*boxes) if hasattr(out, "_fields") else type(out)(boxes)


def _outside(node: Any) -> bool:
    """Return whether the user may write to the array: it is not the result of an op."""
    return node is None or node.plan is None


def _listed(value: Any) -> Any:
    return value if value.__class__ is list else [value]


def _inexact(value: Array) -> bool:
    return value.dtype.kind in "fc"


def _looks_at(result: Any, raw: list[Any]) -> bool:
    """Return whether a view looks at the memory of an input."""
    owner = owner_of(result)
    inputs = [v for vs in raw for v in (vs if vs.__class__ in (list, tuple) else (vs,))]
    return any(owner_of(v) is owner for v in inputs if isinstance(v, np.ndarray))


def _is_sequence(value: Any) -> bool:
    """Return whether NumPy makes an array of what is none: a range, a buffer, ``array.flat``."""
    return not hasattr(value, "dtype") and not isinstance(value, (numbers.Number, str))


def _has_box(value: Any) -> bool:
    return any(
        isinstance(v, Box) or ((type(v) is tuple or type(v) is list) and _has_box(v)) for v in value
    )


def _node_in_list(value: Any) -> Any:
    if isinstance(value, Box):
        return value._node
    if (type(value) is tuple or type(value) is list) and any(_node_in_list(v) for v in value):
        raise TypeError("a list inside a list holds tracked Tensors: join them with np.stack first")
    return None

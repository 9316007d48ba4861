"""Operations: a forward function, the rules of its gradient, and the record of each call."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from tinygrad_mnist.generated import MOST_RULED, generated
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
)
from tinygrad_mnist.recording import (
    PLAIN,
    box,
    is_masked,
    record_binary,
    record_unary,
    shape_of,
)
from tinygrad_mnist.rules import EMPTY, Parameter, Plan, Rule, parameters_of, read_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Function = TypeVar("Function", bound=Callable[..., Any])


class Op:
    """A differentiable function: a forward on arrays, and a gradient rule for each input.

    Made by `op`; see there. Called with arrays alone it returns what the forward returns; called
    with Tensors it returns Tensors and, where one of them is tracked, records the call.

    Attributes
    ----------
    name : str
    forward : callable
        The function on plain arrays.
    domain : dict
        Parameter name -> open interval ``(low, high)`` where the function is differentiable.
    shapes : str or None
        Relation of the array parameters' shapes, such as ``"(…,m,k),(…,k,n)"``; None: they
        broadcast together.
    matrices : dict
        Parameter name -> what its matrices are: "full rank", "distinct eigenvalues", "symmetric" or
        "positive definite"; of the last two only the symmetric part counts.
    cases : tuple of dict
        Static arguments worth testing, by parameter name; ``"shapes"`` overrides `shapes`.
    pointwise : bool
        Each entry of the result depends on one entry of each (broadcast) input.
    selects : bool
        Some entries of an input are not looked at, so a NaN there is no news.
    real : bool
        Its rules hold for real numbers alone, so complex ones are refused.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        hidden: int = 0,
        pointwise: bool = False,
        selects: bool = False,
        real: bool = False,
        domain: Mapping[str, tuple[float, float]] | None = None,
        shapes: str | None = None,
        matrices: Mapping[str, str] | None = None,
        cases: tuple[dict[str, Any], ...] = ({},),
        implements: tuple[Callable[..., Any], ...] = (),
    ) -> None:
        self.forward = forward
        self.name = getattr(forward, "__name__", type(forward).__name__)
        self.__name__ = self.__qualname__ = self.name
        self.__doc__ = forward.__doc__
        self.__module__ = getattr(forward, "__module__", None) or "numpy"
        self.hidden, self.selects, self.shapes, self.cases = hidden, selects, shapes, cases
        self.real = real
        self.pointwise = pointwise or isinstance(forward, np.ufunc)
        self.rules: dict[str, Rule] = {}
        self.nograd: set[str] = set()  # parameters whose rule is None
        self.plans: dict[tuple[tuple[int, int | None], ...], Plan] = {}
        self.fast: list[Plan | None] = [None] * 4  # by the operands that are tracked, as bits
        self._read_parameters()
        self.domain, self.matrices = dict(domain or {}), dict(matrices or {})
        for name in self.domain:
            if name not in self.names:
                raise TypeError(
                    f"domain of op {self.name!r} names {name!r}; its parameters are "
                    f"{', '.join(self.names)}"
                )
        for function in implements:
            overrides[function] = self
        if isinstance(forward, np.ufunc):
            overrides.setdefault(forward, self)  # another op of a ufunc does not take it over
        self.call: Callable[..., Any] = self._general
        self.with_options: Callable[..., Any] = self._general  # how it takes keyword arguments
        self.operator = isinstance(forward, np.ufunc) and forward.nout == 1 and forward.nin <= 2
        if self.operator:
            self.call = record_unary(self) if len(self.names) == 1 else record_binary(self)

    def _read_parameters(self) -> None:
        ufunc = isinstance(self.forward, np.ufunc)
        parameters = (
            [Parameter(name) for name in "xyz"[: self.forward.nin]]
            if isinstance(self.forward, np.ufunc)
            else parameters_of(self.forward)
        )
        self.names = names = tuple(p.name for p in parameters)
        self.defaults = tuple(p.default for p in parameters)
        self.required = [p.name for p in parameters if p.default is EMPTY]
        self.positional = sum(p.positional for p in parameters)
        self.variadic = next((k for k, p in enumerate(parameters) if p.variadic), None)
        self.lists = set() if ufunc else {p.name for p in parameters if p.takes_list}
        for p in parameters:
            if p.keywords:
                raise TypeError(f"op {self.name!r} takes **{p.name}: name each parameter instead")
            if p.name in {"g", "out", "i"} or p.name.endswith("_shape"):
                raise TypeError(
                    f"op {self.name!r} has a parameter {p.name!r}, but g, out, i and names that "
                    "end in _shape are reserved for gradient rules: choose another name"
                )
        n = len(names)  # where a rule finds what it names: inputs, the result, nothing, shapes
        self.slots = {name: k for k, name in enumerate((*names, "out"))}
        self.slots |= {f"{name}_shape": n + 2 + k for k, name in enumerate(names)}

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The forward's signature; a ufunc's operands are x, y, z."""
        if isinstance(self.forward, np.ufunc):
            only = inspect.Parameter.POSITIONAL_ONLY
            return inspect.Signature([inspect.Parameter(name, only) for name in self.names])
        return inspect.signature(self.forward)

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.names)})>"

    # Defining rules

    def defvjp(self, *joint: Any, **rules: Callable[..., Any] | None) -> Op:
        """Give each input its gradient rule, whose parameter names say what it needs.

        A rule may name ``g`` (the cotangent), ``out`` (the result), an input of the forward or
        that input's shape (``x_shape``), a static parameter, and ``i`` for the place in a list
        of inputs. Exactly what rules name is kept alive between forward and backward.

        Parameters
        ----------
        *joint
            Pairs ``names, rule``: one rule for several inputs, returning a tuple of gradients.
        **rules
            For each input its rule, or None where there is no gradient.

        Returns
        -------
        Op
            The op itself.

        Raises
        ------
        TypeError
            If a rule is missing, is for an unknown parameter, or names something unknown.
        """
        given, covered = read_rules(self, joint, rules)
        self.rules = given
        self.nograd = covered - set(given)
        self.plans.clear()
        self.fast[:] = [None] * 4
        if not self.operator and self.positional == len(self.names) and len(given) <= MOST_RULED:
            self.call = self._generate
        return self

    def _generate(self, *args: Any) -> Any:
        """Make the fast path, when it is first called for: an import calls few of all ops."""
        if self.call == self._generate:  # who took this method earlier calls it again
            self.call = generated(self)
        return self.call(*args)

    # Calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the forward; record it if an input is tracked."""
        result = self.with_options(*args, **kwargs) if kwargs else self.call(*args)
        if result is NotImplemented:
            kinds = ", ".join(type(a).__name__ for a in args)
            raise TypeError(f"{self.name} does not take ({kinds}): give Tensors, arrays, numbers")
        return result

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
        """Call with any signature, in any mode; the fast paths below agree with this one."""
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


def _has_box(value: Any) -> bool:
    return any(
        isinstance(v, Box) or ((type(v) is tuple or type(v) is list) and _has_box(v)) for v in value
    )


def unboxed(value: Any) -> Any:
    """Return a list or tuple with the arrays of its Tensors in their places."""
    if isinstance(value, Box):
        return value._value
    if type(value) is tuple or type(value) is list:
        return type(value)([unboxed(v) for v in value])
    return value


def _node_in_list(value: Any) -> Any:
    if isinstance(value, Box):
        return value._node
    if (type(value) is tuple or type(value) is list) and any(_node_in_list(v) for v in value):
        raise TypeError("a list inside a list holds tracked Tensors: join them with np.stack first")
    return None


# Making ops -------------------------------------------------------------------------------------

overrides: dict[Callable[..., Any], Callable[..., Any]] = {}  # NumPy's function -> an op, or of ops
plain: set[Callable[..., Any]] = set()  # NumPy's functions that have no derivative to speak of
refused: dict[Callable[..., Any], str] = {}  # those that can't take a Tensor -> why, and what can


def implements(*functions: Callable[..., Any]) -> Callable[[Function], Function]:
    """Let a function that is composed of ops answer for NumPy's, when called with a Tensor."""

    def implementing(function: Function) -> Function:
        overrides.update(dict.fromkeys(functions, function))
        return function

    return implementing


def newer(*names: str) -> tuple[Callable[..., Any], ...]:
    """Return those of NumPy's functions newer than 2.0 that this NumPy has."""
    return tuple(getattr(np, name) for name in names if hasattr(np, name))


@overload
def op(forward: Callable[..., Any], /, **options: Any) -> Op: ...
@overload
def op(**options: Any) -> Callable[[Callable[..., Any]], Op]: ...
def op(forward: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function differentiable: a decorator, followed by ``.defvjp``.

    Parameters
    ----------
    forward : callable
        The function, on arrays. Parameters without a default are inputs and get a gradient rule
        (or None); parameters with a default and no rule are static. A list or ``*args`` of inputs
        has one rule, called for each of them. It may return a tuple of arrays.
    hidden : int, optional
        How many results, at the end, are not returned but kept for rules, which find them in
        ``out``: a dropout mask, a derivative computed anyway. Then ``g`` and ``out`` are tuples.
    pointwise : bool, optional
        Say that each entry of the result depends on one entry of each input. Then an entry whose
        cotangent is 0 contributes 0, even where the derivative is infinite.
    selects : bool, optional
        Say that some entries of an input are not looked at (as `where` and indexing do).
    real : bool, optional
        Say that the rules hold for real numbers alone, so that complex ones are refused.
    domain : dict, optional
        Parameter name -> open interval ``(low, high)``; read by `gradcheck`.
    shapes : str, optional
        Relation of the inputs' shapes, such as ``"(…,m,k),(…,k,n)"``; read by `gradcheck`.
    matrices : dict, optional
        Parameter name -> "full rank", "distinct eigenvalues", "symmetric" or "positive definite";
        read by `gradcheck`.
    cases : tuple of dict, optional
        Static arguments worth testing; read by `gradcheck`.
    implements : tuple of callables, optional
        NumPy's functions that arrive here when called with a Tensor.

    Returns
    -------
    Op
        The function, to be given rules with `Op.defvjp`.

    Raises
    ------
    TypeError
        If a parameter has a reserved name: g, out, i, or one that ends in _shape.

    Examples
    --------
    >>> @op
    ... def cube(x):
    ...     return x**3
    >>> cube.defvjp(x=lambda g, x: g * 3 * x**2)
    <op cube(x)>
    """
    if forward is None:
        return lambda function: Op(function, **options)
    return Op(forward, **options)

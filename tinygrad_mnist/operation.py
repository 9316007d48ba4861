"""Operations: a forward function, the rules of its gradient, and the record of each call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tinygrad_mnist.calling import Calls
from tinygrad_mnist.generated import MOST_RULED, generated
from tinygrad_mnist.protocols import overrides
from tinygrad_mnist.recording import record_binary, record_unary
from tinygrad_mnist.rules import EMPTY, Parameter, Plan, Rule, parameters_of, read_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Op(Calls):
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
        Parameter name -> what its matrices are: "full rank", "independent columns", "distinct
        singular values", "distinct eigenvalues", "symmetric" or "positive definite"; of the last
        two only the symmetric part counts.
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


# Making ops -------------------------------------------------------------------------------------


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
        Parameter name -> "full rank", "independent columns", "distinct singular values", "distinct
        eigenvalues", "symmetric" or "positive definite"; read by `gradcheck`.
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

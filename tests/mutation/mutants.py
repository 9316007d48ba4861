"""A mutant: an op whose forward is right and one of whose rules is wrong."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.mutation import rewriting, wrapping
from tinygrad_mnist.operation import Op


@dataclass(frozen=True)
class Mutant:
    """A wrong rule for one input of an op.

    Attributes
    ----------
    op : Op
        The right one.
    parameter : str
        Whose rule is wrong.
    kind : str
        What was done to it: a row of the table.
    detail : str
        Where, if a rule allows it in several places.
    rule : callable
        Names what it needs, as rules do.
    """

    op: Op
    parameter: str
    kind: str
    detail: str
    rule: Callable[..., Any]

    @property
    def name(self) -> str:
        """What tells it from all others, in every run."""
        where = f": {self.detail}" if self.detail else ""
        return f"{self.op.name}.{self.parameter}: {self.kind}{where}"

    def build(self) -> Op:
        """Return an op of its own, that differs from the right one in this rule alone."""
        return copied(self.op, {self.parameter: self.rule})


def mutants(op: Op) -> Iterator[Mutant]:
    """Yield every mutant of an op that can be defined; some may be no different from it."""
    for parameter, rule in op.rules.items():
        for maker in (wrapping, rewriting):
            for kind, detail, function in maker.variants(op, parameter, rule):
                yield Mutant(op, parameter, kind, detail, function)


def copied(op: Op, rules: dict[str, Callable[..., Any]]) -> Op:
    """Return an op with the same forward and data, some of whose rules are others."""
    copy = Op(
        _plain_function(op),
        hidden=op.hidden,
        pointwise=op.pointwise,
        selects=op.selects,
        real=op.real,
        domain=op.domain,
        shapes=op.shapes,
        cases=op.cases,
        matrices=op.matrices,
    )
    given = {
        name: wrapping.as_function(rule.names, wrapping.placed(rule))
        for name, rule in op.rules.items()
    }
    return copy.defvjp(**dict.fromkeys(op.nograd), **(given | rules))


def _plain_function(op: Op) -> Callable[..., Any]:
    """Return the forward, a ufunc as a function with names, which claims no place of NumPy's."""
    if not isinstance(op.forward, np.ufunc):
        return op.forward

    def forward(*args: Any) -> Any:
        return op.forward(*args)

    forward.__name__ = forward.__qualname__ = op.name
    names = [
        inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Array")
        for n in op.names
    ]
    forward.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
    return forward

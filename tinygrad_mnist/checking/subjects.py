"""A function as the search sees it: its parameters, and what it says of them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.inputs import function_name, signature_of
from tinygrad_mnist.operation import Op
from tinygrad_mnist.rules import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinygrad_mnist.checking.inputs import Interval

_EMPTY = inspect.Parameter.empty
_VARIADIC = inspect.Parameter.VAR_POSITIONAL
_PLAIN = ("int", "bool", "str", "bytes", "Callable", "Generator")  # annotations of no array


@dataclass(frozen=True)
class Subject:
    """A function as the search sees it.

    Attributes
    ----------
    f : callable, Op or Module
    name : str
    signature : inspect.Signature
    drawn : tuple of str
        The parameters that arrays may be drawn for.
    domain : dict
        Parameter name -> open interval.
    shapes : str or None
        As `Op.shapes`.
    cases : tuple of dict
        As `Op.cases`.
    matrices : dict
        As `Op.matrices`.
    """

    f: Callable[..., Any]
    name: str
    signature: inspect.Signature
    drawn: tuple[str, ...]
    domain: Mapping[str, Interval]
    shapes: str | None = None
    cases: tuple[dict[str, Any], ...] = ({},)
    matrices: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, f: Callable[..., Any] | Subject) -> Subject:
        """Return a function as a subject.

        Raises
        ------
        TypeError
            If its signature does not say what it takes.
        """
        if isinstance(f, Subject):
            return f
        if isinstance(f, Op):
            said = f.domain, f.shapes, f.cases, f.matrices
            return cls(f, f.name, f.signature, (*f.rules,), *said)
        name, signature = function_name(f), signature_of(f)
        if signature is None:
            raise TypeError(
                f"the signature of {name} can't be read, so no inputs can be drawn: give them, as "
                f"in gradcheck({name}, x)"
            )
        drawn = []
        for p in signature.parameters.values():
            if p.default is not _EMPTY or p.kind is p.VAR_KEYWORD:
                continue
            kind = p.annotation if isinstance(p.annotation, str) else str(p.annotation)
            plain = kind if isinstance(p.annotation, str) else getattr(p.annotation, "__name__", "")
            if plain in _PLAIN:
                raise TypeError(
                    f"nothing can be drawn for the parameter {p.name}: {plain} of {name}: give "
                    f"inputs, as in gradcheck({name}, x, ...), or fix it with functools.partial"
                )
            drawn.append(p.name)
        if not drawn:
            raise TypeError(
                f"{name} takes no inputs to check a gradient by: every one has a default"
            )
        return cls(f, name, signature, tuple(drawn), {})

    def given(
        self, domain: Mapping[str, Interval] | Interval | None, shapes: str | None
    ) -> Subject:
        """Return the subject with what the user says of its domain and shapes."""
        said = read_domain(domain, self.name, self.names)
        return replace(
            self, domain={**self.domain, **said}, shapes=self.shapes if shapes is None else shapes
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return tuple(self.signature.parameters)

    @property
    def required(self) -> list[str]:
        """The names of those without a default."""
        parameters = self.signature.parameters.values()
        return [p.name for p in parameters if p.default is _EMPTY and p.kind is not p.VAR_KEYWORD]

    def is_list(self, name: str) -> bool:
        """Return whether a parameter is said to be a list of arrays, by its op's rule too."""
        if isinstance(self.f, Op) and name in self.f.rules and PLACE in self.f.rules[name].slots:
            return True
        parameter = self.signature.parameters[name]
        return parameter.kind is _VARIADIC or any(
            word in str(parameter.annotation) for word in ("Sequence", "list", "tuple")
        )

    @property
    def arity(self) -> int:
        """How many arrays a call needs at least: two for a list."""
        required = [name for name in self.required if name in self.drawn]
        return sum(2 if self.is_list(name) else 1 for name in required)


def read_domain(
    domain: Mapping[str, Interval] | Interval | None, function: str, names: tuple[str, ...]
) -> dict[str, Interval]:
    """Return the open interval of each parameter that has one.

    Raises
    ------
    ValueError
        If a name is unknown or something is no interval.
    """
    if domain is None:
        return {}
    said: dict[str, Any] = (
        dict.fromkeys(names, domain) if isinstance(domain, (tuple, list)) else {**domain}
    )
    found = {}
    for name, interval in said.items():
        if name not in names:
            raise ValueError(
                f"domain names {name!r}; the parameters of {function} are {', '.join(names)}"
            )
        try:
            low, high = (float(end) for end in interval)
        except (TypeError, ValueError):
            low = high = np.nan
        if not low < high:
            raise ValueError(
                f"domain of {name!r} must be an interval such as (0, inf); got {interval!r}"
            )
        found[name] = (low, high)
    return found

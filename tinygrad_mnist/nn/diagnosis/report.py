"""What a diagnosis says: numbers of each layer, and findings with cause and remedy."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tinygrad_mnist import notebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDTH = 96


@dataclass(frozen=True)
class Finding:
    """Something that keeps a network from learning, or from learning well.

    Attributes
    ----------
    what : str
        Its name, such as ``"dead units"``; the documentation lists all.
    where : str
        The layer, parameter or part that it was found in.
    value : float
        What was measured; `measured` says in words of what it is the value.
    measured, cause, remedy : str
        A sentence each.
    severity : str
        ``"error"``: it will not learn like this. ``"warning"``: it will learn badly, or something
        is probably not as it was meant.
    """

    what: str
    where: str
    value: float
    measured: str
    cause: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        parts = (("", self.measured), ("Cause: ", self.cause), ("Remedy: ", self.remedy))
        lines = [f"{self.severity}: {self.what} ({self.where})"]
        for title, text in parts:
            lines += textwrap.wrap(
                title + text, _WIDTH, initial_indent="    ", subsequent_indent="      "
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class Layer:
    """What went into the weights of a layer, what came out, and how its weights would change.

    Attributes
    ----------
    name, weight : str
        The layer's path, and the weight's.
    input_mean, input_std : float
        Of all entries that go into the product with the weight.
    output_mean, output_std : float
        Of all entries that come out, with the bias, before any activation.
    dead : float or None
        The share of its units that give 0 for every example, where the next layer takes them;
        None for the last layer.
    gain : float
        The root mean square of the weight times the square root of the number of products that
        each result is the sum of: about 1.4 for He's initialisation.
    gradient : float or None
        The norm of the weight's gradient; None if no gradient reaches it, or it is frozen.
    gradient_ratio : float or None
        That norm divided by the weight's own.
    update_ratio : float or None
        How far the optimizer's step moves the weight, divided by the weight's norm: the median
        over a few steps. About 0.001 is usual. None without an optimizer.
    """

    name: str
    weight: str
    input_mean: float
    input_std: float
    output_mean: float
    output_std: float
    dead: float | None
    gain: float
    gradient: float | None
    gradient_ratio: float | None
    update_ratio: float | None


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` returns: findings and measurements; as ``str`` or ``repr``, a table of them.

    Attributes
    ----------
    findings : tuple of Finding
        In the order of a forward pass, so that causes come before what follows from them.
    layers : tuple of Layer
        Every use of a weight, in the order of the forward pass.
    model : str
        The class of the model.
    examples : int
        How many examples the batch has.
    first_loss : float
        The loss of the batch, with dropout off.
    expected_loss : float or None
        ``ln C``, that of a network of C classes that knows nothing; None for a loss of your own.
    learned_loss : float or None
        The lowest loss while a copy learned `learned_examples` by heart, in `learned_steps` steps;
        None if it was not tried.
    learned_steps, learned_examples : int
    related : float or None
        The share of examples whose label a copy named right after it had learned from the others;
        None where that can't be told.
    related_by_chance : float or None
        The share that would be right by chance.
    """

    findings: tuple[Finding, ...]
    layers: tuple[Layer, ...]
    model: str
    examples: int
    first_loss: float
    expected_loss: float | None = None
    learned_loss: float | None = None
    learned_steps: int = 0
    learned_examples: int = 0
    related: float | None = None
    related_by_chance: float | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        head, rows = self._table()
        return "\n".join(
            [
                self._title(),
                "",
                *_aligned([head, *rows]),
                *([""] if rows else []),
                *self._facts(),
                *(f"\n{finding}" for finding in self.findings),
            ]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, rows = self._table()
        names = ("severity", "what", "where", "measured", "cause", "remedy")
        found = [[getattr(finding, name) for name in names] for finding in self.findings]
        return (
            notebook.paragraph(self._title(), strong=True)
            + notebook.table(head, rows)
            + "".join(map(notebook.paragraph, self._facts()))
            + (notebook.table(names, found, words=len(names)) if found else "")
        )

    def _title(self) -> str:
        count = len(self.findings)
        found = f"{count} finding{'s' * (count != 1)}" if count else "nothing found"
        return f"Diagnosis of {self.model} on {self.examples:,} examples: {found}"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = ["layer", "in: mean", "std", "out: mean", "std", "dead", "gradient", "/ weight"]
        rows = [
            [
                layer.name,
                _number(layer.input_mean),
                _number(layer.input_std),
                _number(layer.output_mean),
                _number(layer.output_std),
                "" if layer.dead is None else f"{layer.dead:.0%}",
                _number(layer.gradient),
                _number(layer.gradient_ratio),
            ]
            for layer in self.layers
        ]
        if any(layer.update_ratio is not None for layer in self.layers):
            head.append("update / weight")
            rows = [
                [*row, _number(layer.update_ratio)]
                for row, layer in zip(rows, self.layers, strict=True)
            ]
        return head, rows

    def _facts(self) -> list[str]:
        expected = ""
        if self.expected_loss is not None:
            expected = f"; a network that knows nothing has {self.expected_loss:.3f}"
        facts = [f"Loss: {self.first_loss:.4g}{expected}."]
        if self.learned_loss is not None:
            facts.append(
                f"Learning {self.learned_examples} examples by heart: loss "
                f"{self.learned_loss:.4g} after {self.learned_steps} steps."
            )
        if self.related is not None:
            facts.append(
                f"Examples left out, named by a copy that learned the others: {self.related:.0%} "
                f"right; {self.related_by_chance:.0%} would be chance."
            )
        return facts


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Return the lines of a table, its first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]] if len(lines) > 1 else []

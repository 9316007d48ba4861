"""Tables that describe a model, in plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_mnist.nn.module import Visits
from tinygrad_mnist.switches import Switch
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_mnist.nn.module import Module


_HEAD = ("layer", "type", "output", "parameters")


class Row(NamedTuple):
    """One call of a module: its path, its class, what it returned, and parameters of its own."""

    name: str
    type: str
    output: str
    parameters: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What `summary` returns: rows, sums, and, as ``str`` or ``repr``, the table.

    Attributes
    ----------
    rows : tuple of Row
        The calls in their order; then modules that were not called and yet have parameters.
    total, trainable : int
        How many numbers all parameters hold, and those that require a gradient.
    """

    rows: tuple[Row, ...]
    total: int
    trainable: int

    def __str__(self) -> str:
        body, sums = self._cells()
        table = [_HEAD, *body, *sums]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(widths[3])]) for row in table
        ]
        rule = "-" * len(lines[0])
        last = len(body) + 1
        return "\n".join([lines[0], rule, *lines[1:last], rule, *lines[last:]])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from tinygrad_mnist import notebook  # where a notebook asks for it

        body, sums = self._cells()
        return notebook.table(_HEAD, [*body, *sums], words=3)

    def _cells(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Return the rows of layers, and those of sums, as text."""
        body: list[tuple[str, ...]] = [
            (r.name or "(model)", r.type, r.output, f"{r.parameters:,}") for r in self.rows
        ]
        sums: list[tuple[str, ...]] = [("total", "", "", f"{self.total:,}")]
        if self.trainable != self.total:
            sums.append(("of these trainable", "", "", f"{self.trainable:,}"))
        return body, sums


def summary(model: Module, *inputs: Any) -> Summary:
    """Return a table of a model: the output and the parameters of each of its layers.

    The model is called once as in use (no dropout), without recording; it is left as it was.

    Parameters
    ----------
    model : Module
    *inputs
        What to call it with, such as a batch: ``summary(model, x)``.

    Returns
    -------
    Summary
        Print it; `total` is the number of parameters. A parameter that modules share counts once.

    Examples
    --------
    >>> summary(MLP((784, 128, 10)), np.zeros((32, 784), np.float32))
    layer          type    output             parameters
    ----------------------------------------------------
    (model)        MLP     (32, 10) float32            0
    layers.0       Linear  (32, 128) float32     100,480
    activations.0  ReLU    (32, 128) float32           0
    layers.1       Linear  (32, 10) float32        1,290
    ----------------------------------------------------
    total                                        101,770
    """
    visits = _run(model, inputs)
    modules = dict(model.named_modules())
    names = {id(module): name for name, module in modules.items()}
    own = _own_parameters(model)
    rows = []
    for (module, _, _), result in sorted(
        zip(visits, visits.results, strict=True), key=lambda call: call[0][1]
    ):
        name = names.get(id(module), "(not an attribute)")
        rows.append(Row(name, type(module).__name__, _described(result), own.pop(name, 0)))
    for name, count in own.items():
        if count:
            rows.append(Row(name, type(modules[name]).__name__, "not called", count))
    parameters = model.parameters()
    trainable = sum(p.size for p in parameters if p.requires_grad)
    return Summary(tuple(rows), sum(p.size for p in parameters), trainable)


def _run(model: Module, inputs: tuple[Any, ...]) -> Visits:
    """Call a model and return which modules were called; leave each in the mode it was in."""
    visits = Visits()
    before = [(module, module.training) for module in model.modules()]
    try:
        with Switch(recording=False, scopes=visits):
            model.eval()(*inputs)
    finally:
        for module, training in before:
            module.training = training
    return visits


def _own_parameters(model: Module) -> dict[str, int]:
    """Return how many numbers the parameters of each module hold, without its inner modules'."""
    own: dict[str, int] = {name: 0 for name, _ in model.named_modules()}
    for path, parameter in model.named_parameters():
        # the owner's path is the longest that begins this one: w may stand in a list
        owner = path
        while owner not in own:
            owner = owner.rpartition(".")[0]
        own[owner] += parameter.size
    return own


def _described(result: Any) -> str:
    """Return the shape and dtype of what a module returned."""
    if isinstance(result, (tuple, list)):
        return ", ".join(map(_described, result))
    if isinstance(result, (Tensor, np.ndarray)) or hasattr(result, "dtype"):
        return f"{result.shape} {result.dtype}"
    return type(result).__name__

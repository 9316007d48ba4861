"""Compute graphs as pictures: the history of Tensors, or one call of a model or a function."""

from __future__ import annotations

import gc
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.drawing.columns import break_into_columns
from tinygrad_mnist.drawing.comparing import compare
from tinygrad_mnist.drawing.folding import fold
from tinygrad_mnist.drawing.reading import call, history
from tinygrad_mnist.drawing.rendering import NoRenderer, Picture, ending
from tinygrad_mnist.drawing.steps import draw_steps
from tinygrad_mnist.drawing.writing import source_lines
from tinygrad_mnist.switches import user_frame

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from tinygrad_mnist.drawing.vertices import Graph, Scope

__all__ = ["NoRenderer", "draw", "draw_diff", "draw_steps"]

COLORS = ("time", "memory", "gradient_norm", "rounding")


def draw(
    what: Any,
    *inputs: Any,
    file: str | os.PathLike[str] | None = None,
    order: int = 0,
    depth: int | None = None,
    collapse: str | Callable[[Scope], bool] | None = None,
    values: bool = False,
    memory: bool = False,
    color_by: str | None = None,
) -> Any:
    """Return a picture of a compute graph.

    Parameters
    ----------
    what : Tensor, nested lists, tuples or dicts of them, or callable
        Tensors: their history, before or after `backward`. A module or function: what one call of
        it computes, with the modules that it calls as boxes. That call writes no gradient, and
        random generators are set back after it.
    *inputs : array_like, or nested lists, tuples and dicts of them
        What to call it with.
    file : path, optional
        Where to write the picture; the ending, ``.svg``, ``.png``, ``.gv`` or another format of
        Graphviz, says as what. ``.html`` is a page to pan, zoom and search, where modules fold.
    order : int, optional
        How often to go back by reverse mode, which is recorded too: 1 adds the lane of the
        gradients, 2 that of their own gradients, along a direction ``v`` of ones. Dashed edges
        are what rules saved. Needs a graph that no `backward` has freed.
    depth : int, optional
        How many boxes in each other are drawn; modules deeper than that are one node each.
    collapse : str or callable, optional
        Which modules are one node each: a path or class, ``*`` stands for anything, or a function
        of a `vertices.Scope`, which has their ``path``, ``kind`` and ``parameters``. The outermost
        module stays open; ``depth=0`` folds it.
    values : bool, optional
        Whether to show numbers: small arrays in full, of others the ends and the mean; the
        ``grad`` of leaves. NaN and infinities are red. Of blocks that repeat, those of the first
        and the last.
    memory : bool, optional
        Whether to show the bytes that each operation keeps for backward, each array once.
    color_by : str, optional
        What to colour operations by: ``"time"`` of the forward (of a call), ``"memory"``,
        ``"gradient_norm"``, or ``"rounding"``, how far it can move the result.

    Returns
    -------
    graphviz.Digraph
        Shows itself in a notebook. Its ``pipe`` and ``render`` use the program ``graphviz-pure``
        where Graphviz's own ``dot`` is missing.

    Raises
    ------
    TypeError
        If `what` is nothing that can be drawn.
    ValueError
        If the picture is too large for a PNG, or an option is not one of those above.
    FileNotFoundError
        If there is no folder to write `file` in.
    RuntimeError
        If `order` needs a graph that was freed.
    Exception
        What the function that is drawn raises. The graph up to where it failed is in `file`, and
        in the exception's ``picture``.

    Warns
    -----
    NoRenderer
        If there is no program to make `file` with; the ``.gv`` source is then written in its place.

    Notes
    -----
    Variables have the names of the code that is drawn, or of the code that draws a history.
    Elementwise operations in a row are one node with their formula. Equal blocks, each fed by the
    one before or side by side, are drawn once, and what adds up many alike is one sum. Beyond 150
    nodes modules are folded, innermost first, and then the middle is left out; the caption says so.
    What is taller than 40 nodes goes on in a second column.

    Examples
    --------
    >>> picture = draw(lambda x, y: np.exp(x * y), 2.0, 3.0)
    >>> "exp(x * y)" in picture.source
    True
    """
    if file is not None:
        ending(file)
    if order not in range(10):
        raise ValueError(f"draw goes back order times by reverse mode, 0, 1 or 2; got {order!r}")
    if depth is not None and (not hasattr(depth, "__index__") or depth < 0):
        raise ValueError(f"draw's depth is how many boxes in each other to draw; got {depth!r}")
    if not (collapse is None or isinstance(collapse, str) or callable(collapse)):
        raise TypeError(
            "draw's collapse is the path or class of modules, or a function of a Scope; got "
            f"{collapse!r}"
        )
    if color_by is not None:
        color_by = _color_name(color_by)
    with _no_collection():
        graph = _read(what, inputs, order, user_frame())
        everything = list(graph.vertices)
        fold(graph, depth, collapse)
        break_into_columns(graph)
        if values or memory or color_by is not None:
            from tinygrad_mnist.drawing.measuring import measure  # looks into derivative checks

            measure(graph, everything, values=values, memory=memory, color_by=color_by)
        picture = _picture(graph)
        graph.forget()
    if file is not None:
        picture.write(file)
    if graph.failure is not None:
        raise _with_picture(graph.failure, picture, file)
    return picture


def draw_diff(a: Any, b: Any, *inputs: Any, file: str | os.PathLike[str] | None = None) -> Any:
    """Return one picture of two compute graphs: what `b` has more, less and otherwise than `a`.

    Parameters
    ----------
    a, b : Tensors or callables
        Each as `draw` takes it.
    *inputs : array_like
        What to call both with.
    file : path, optional
        As for `draw`.

    Returns
    -------
    graphviz.Digraph
        What is in `b` alone is green and has a plus, what is in `a` alone orange and dashed with
        a minus, and what is in both, but not the same, yellow.

    Examples
    --------
    >>> x = np.ones((2, 3))
    >>> picture = draw_diff(lambda x: np.exp(x).sum(), lambda x: np.exp(x).mean(), x)
    >>> "1 added, 1 removed" in picture.source
    True
    """
    if file is not None:
        ending(file)
    graphs = []
    for what in (a, b):
        graph = _read(what, inputs, 0, user_frame())
        fold(graph)
        graphs.append(graph)
    merged = compare(*graphs)
    picture = _picture(merged)
    for graph in (*graphs, merged):
        graph.forget()
    if file is not None:
        picture.write(file)
    return picture


def _read(what: Any, inputs: Sequence[Any], order: int, frame: FrameType) -> Graph:
    if callable(what):
        return call(what, inputs, order)
    if inputs:
        raise TypeError("draw takes inputs for a module or function; put several Tensors in a list")
    return history(what, order, frame)


def _picture(graph: Graph) -> Picture:
    return Picture(filename="graph.gv", format="svg", body=list(source_lines(graph)))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for cycles over and over among a million new objects."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _with_picture(error: Exception, picture: Picture, file: Any) -> Exception:
    """Return what the call raised, with the picture and a word on where it is."""
    with suppress(AttributeError):
        error.picture = picture  # type: ignore[attr-defined]
    where = "this exception's .picture" if file is None else file
    error.add_note(f"draw: the graph up to what failed is in {where}")
    return error


def _color_name(name: str) -> str:
    """Return the name of a measure, which may be written with spaces.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    plain = name.replace(" ", "_").replace("-", "_")
    if plain in {"gradient", "grad_norm"}:
        plain = "gradient_norm"
    if plain not in COLORS:
        raise ValueError(f"draw can't color by {name!r}: there are {', '.join(COLORS)}")
    return plain

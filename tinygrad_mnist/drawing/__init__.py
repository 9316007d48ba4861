"""Compute graphs as pictures: the history of Tensors, or one call of a model or a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mnist.drawing.budget import BUDGET, fold_modules, leave_out_middle
from tinygrad_mnist.drawing.formulas import join_formulas
from tinygrad_mnist.drawing.leaves import list_leaves, scope_leaves
from tinygrad_mnist.drawing.reading import call, history
from tinygrad_mnist.drawing.rendering import NoRenderer, Picture
from tinygrad_mnist.drawing.repeats import join_repeats
from tinygrad_mnist.drawing.writing import source_lines

if TYPE_CHECKING:
    import os

__all__ = ["NoRenderer", "draw"]


def draw(what: Any, *inputs: Any, file: str | os.PathLike[str] | None = None) -> Any:
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
        Graphviz, says as what.

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
        If the picture is too large for a PNG.

    Warns
    -----
    NoRenderer
        If there is no program to make `file` with; the ``.gv`` source is then written in its place.

    Notes
    -----
    Elementwise operations in a row are one node with their formula, and equal blocks in a row are
    drawn once. Beyond 150 nodes modules are folded, innermost first, and then the middle is left
    out; the caption says so.

    Examples
    --------
    >>> picture = draw(lambda x, y: np.exp(x * y), 2.0, 3.0)
    >>> "exp(x * y)" in picture.source
    True
    """
    if callable(what):
        graph = call(what, inputs)
    elif inputs:
        raise TypeError("draw takes inputs for a module or function; put several Tensors in a list")
    else:
        graph = history(what)
    join_repeats(graph)
    if not any(v.scope for v in graph.vertices):
        leave_out_middle(graph, 50 * BUDGET)  # far more than formulas can join: only for speed
    scope_leaves(graph)
    join_formulas(graph)
    list_leaves(graph)
    fold_modules(graph)
    leave_out_middle(graph)
    picture = Picture(filename="graph.gv", format="svg", body=list(source_lines(graph)))
    if file is not None:
        picture.write(file)
    return picture

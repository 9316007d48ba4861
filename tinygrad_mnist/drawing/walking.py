"""Going back through what the engine recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Iterable


def behind(roots: Iterable[Any], known: Container[Any] = frozenset()) -> set[Any]:
    """Return `roots` and all nodes and leaves that they were computed from.

    Parameters
    ----------
    roots : iterable of Node, Output or Leaf
    known : container of them, optional
        Those to stop at; they are returned, what is behind them alone is not.
    """
    seen = set(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node not in known:
            new = [parent for parent in node.parents if parent not in seen]
            seen.update(new)
            stack += new
    return seen

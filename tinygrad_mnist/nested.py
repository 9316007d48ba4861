"""Nested lists, tuples and dicts: their leaves in order, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Return the leaves of nested lists, tuples and dicts, and the way back."""
    leaves: list[Any] = []
    take = _walk(tree, leaves)
    return leaves, lambda values: take(iter(values))


def _walk(tree: Any, leaves: list[Any]) -> Callable[[Iterator[Any]], Any]:
    """Add the leaves of a tree to those before it; return what takes as many to build it again."""
    if isinstance(tree, dict):
        keys, parts = list(tree), [_walk(v, leaves) for v in tree.values()]
        return lambda values: dict(zip(keys, [part(values) for part in parts], strict=True))
    if isinstance(tree, (list, tuple)):
        kind, parts = type(tree), [_walk(v, leaves) for v in tree]
        if kind is list:
            return lambda values: [part(values) for part in parts]
        if hasattr(tree, "_fields"):
            return lambda values: kind(*[part(values) for part in parts])
        return lambda values: kind([part(values) for part in parts])
    if tree is None:
        return lambda _: None
    leaves.append(tree)
    return next


def leaves_as(template: Any, tree: Any, what: str) -> list[Any]:
    """Return the leaves of `tree` in the order of `template`, whose structure it must have."""
    if isinstance(template, dict):
        if isinstance(tree, dict) and tree.keys() == template.keys():
            return [leaf for k in template for leaf in leaves_as(template[k], tree[k], what)]
        raise ValueError(f"{what} needs a dict with keys {[*template]}; got {tree!r}")
    if isinstance(template, (list, tuple)):
        if isinstance(tree, (list, tuple)) and len(tree) == len(template):
            parts = zip(template, tree, strict=True)
            return [leaf for part, one in parts for leaf in leaves_as(part, one, what)]
        raise ValueError(f"{what} needs {len(template)} parts; got {tree!r}")
    return [] if template is None else [tree]

"""Nested lists, tuples and dicts: their leaves in order, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Return the leaves of nested lists, tuples and dicts, and the way back."""
    if isinstance(tree, dict):
        keys, parts = list(tree), [flatten(v) for v in tree.values()]

        def make(values: list[Any]) -> Any:
            return dict(zip(keys, values, strict=True))
    elif isinstance(tree, (list, tuple)):
        parts = [flatten(v) for v in tree]

        def make(values: list[Any]) -> Any:
            return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    elif tree is None:
        return [], lambda _: None
    else:
        return [tree], lambda leaves: leaves[0]

    def rebuild(leaves: Sequence[Any]) -> Any:
        values, at = [], 0
        for part, back in parts:
            values.append(back(leaves[at : at + len(part)]))
            at += len(part)
        return make(values)

    return [leaf for part, _ in parts for leaf in part], rebuild


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

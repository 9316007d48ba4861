"""A gradient rule in its own words: the expression that its author wrote."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_mnist.rules import Rule


def rule_text(rule: Rule) -> str:
    """Return what a rule computes, as its source says it; empty where there is no source.

    Examples
    --------
    >>> rule_text(ops.tanh.rules["x"])
    'g * (1 - out * out)'
    """
    function = _written(rule.call)
    return _text(function.__code__) if isinstance(function, FunctionType) else ""


def _written(call: Any) -> Any:
    """Return the function that the user wrote, where the engine calls it in another order."""
    if isinstance(call, FunctionType) and call.__module__ == "tinygrad_mnist.rules":
        return inspect.getclosurevars(call).nonlocals.get("function", call)
    return call


@functools.cache
def _text(code: Any) -> str:
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno:
            if _arguments(node) == _names(code) and _same(node, code):
                return ast.unparse(node.body)
        elif isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            lines = {node.lineno, *(d.lineno for d in node.decorator_list)}
            if code.co_firstlineno in lines:
                return _of_function(node)
    return ""


def _arguments(node: ast.Lambda | ast.FunctionDef) -> list[str]:
    return [a.arg for a in (*node.args.posonlyargs, *node.args.args)]


def _names(code: Any) -> list[str]:
    return list(code.co_varnames[: code.co_argcount])


def _same(node: ast.Lambda, code: Any) -> bool:
    """Return whether a lambda of the right line and arguments is where this code is from."""
    body = node.body
    start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    places = [(line or 0, column or 0) for line, _, column, to in code.co_positions() if to]
    if places:  # there are none under ``python -X no_debug_ranges``
        return all(start <= place < end for place in places)
    made = compile(ast.Expression(node), code.co_filename, "eval").co_consts[0]
    return bool(made.co_names == code.co_names and made.co_consts == code.co_consts)


def _of_function(node: ast.FunctionDef) -> str:
    """Return the expression that a function returns, or what its docstring says of it."""
    body = node.body
    docstring = ast.get_docstring(node)
    if docstring:
        body = body[1:]
    if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
        return ast.unparse(body[0].value)
    first = docstring.splitlines()[0].rstrip(".") if docstring else ""
    named = f"{node.name}({', '.join(_arguments(node))})"
    return f"{named}: {first}" if first else named

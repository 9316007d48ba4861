"""Mutants that rewrite a rule's source: an operator, a number, a name, an argument is another."""

import ast
import copy
import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tests.mutation.wrapping import as_function
from tinygrad_mnist.operation import Op
from tinygrad_mnist.rules import Rule

Function = Callable[..., Any]
Change = tuple[str, Callable[[], ast.AST]]  # a kind, and what stands in the place of a node

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
COUSINS = {
    "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "exp": "expm1", "expm1": "exp",
    "log": "log1p", "log1p": "log", "sum": "mean", "mean": "sum", "sign": "abs", "abs": "positive",
    "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max",
    "floor_divide": "true_divide", "equal": "not_equal", "sqrt": "cbrt", "tanh": "arctan",
    "argsort": "argmax", "floor": "ceil", "ceil": "floor", "tril": "triu", "triu": "tril",
}  # fmt: skip
KEPT = {"axis", "keepdims", "where", "axes", "order"}  # arguments worth losing


def variants(op: Op, parameter: str, rule: Rule) -> Iterator[tuple[str, str, Function]]:
    """Yield kinds of mutants, where each was made, and the rules that they are."""
    function = _written(rule)
    if function is None:
        return
    wanted = ("g", *rule.names)
    seen = set()
    for target in _helpers(function):
        node = _node_of(target)
        if node is None:
            continue
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        for place, one in enumerate(ast.walk(node)):
            for kind, replacement in _changes(one, node, names):
                changed = _with(node, place, other := replacement())
                made = _rebuilt(function, target, functools.partial(_compiled, target, changed))
                detail = f"{_place(target, one)}, {_source(one)} -> {_source(other)}"
                if (kind, detail) in seen:
                    continue
                seen.add((kind, detail))
                yield kind, detail, _in_place(made, rule, function, wanted)


def _written(rule: Rule) -> FunctionType | None:
    """Return the function as its author wrote it: the engine may call it through another."""
    function = rule.call
    if isinstance(function, FunctionType) and function.__closure__:
        for cell in function.__closure__:
            if isinstance(cell.cell_contents, FunctionType) and function.__name__ == "<lambda>":
                names = function.__code__.co_freevars
                if "function" in names:
                    return function.__closure__[names.index("function")].cell_contents
    return function if isinstance(function, FunctionType) else None


def _in_place(made: Function, rule: Rule, function: FunctionType, wanted: tuple[str, ...]) -> Any:
    """Return a rewritten rule, of one input where it serves several together."""
    made.__kwdefaults__, made.__defaults__ = function.__kwdefaults__, function.__defaults__
    if rule.place is None:
        return made
    code = function.__code__
    order = code.co_varnames[: code.co_argcount]

    def call(g: Any, *values: Any) -> Any:
        by_name = dict(zip(wanted, (g, *values), strict=True))
        return made(*[by_name[name] for name in order])[rule.place]

    return as_function(wanted[1:], call)


def _place(function: FunctionType, node: Any) -> str:
    """Return where in the package's source a node stands."""
    file = Path(function.__code__.co_filename).name
    return f"{file}:{node.lineno}:{node.col_offset}"


def _source(node: Any) -> str:
    """Return a node as text, of a branch its condition alone."""
    text = " ".join(ast.unparse(node.test if isinstance(node, ast.If) else node).split())
    return text if len(text) <= 80 else text[:77] + "..."


# Finding the source ------------------------------------------------------------------------------


@functools.cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def _node_of(function: FunctionType) -> Any:
    """Return the lambda or def that a function was compiled from."""
    code = function.__code__
    spans = {tuple(p) for p in code.co_positions()}
    for node in ast.walk(_tree(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
        elif isinstance(node, ast.Lambda) and function.__name__ == "<lambda>":
            body = node.body
            span = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
            if span in spans:
                return node
    return None


def _names(code: CodeType) -> set[str]:
    """Return every global name that code mentions, in functions inside it too."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _called(function: FunctionType) -> dict[str, FunctionType]:
    """Return the helpers of the package that a function mentions by name."""
    found = {}
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType) and value.__module__.startswith("tinygrad_mnist.ops"):
            found[name] = value
    return found


def _helpers(function: FunctionType) -> list[FunctionType]:
    """Return a function and all helpers that it reaches."""
    found = [function]
    for one in found:
        found += [h for h in _called(one).values() if h not in found]
    return found


# Building the mutant -----------------------------------------------------------------------------


def _rebuilt(function: FunctionType, target: FunctionType, make: Any) -> FunctionType:
    """Return a function that is as before, but for a helper somewhere below it."""
    scope = dict(function.__globals__)
    if function is target:
        return make(scope)
    for name, helper in _called(function).items():
        if helper is not function and target in _helpers(helper):
            scope[name] = _rebuilt(helper, target, make)
    made = FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _compiled(original: FunctionType, node: Any, scope: dict[str, Any]) -> FunctionType:
    """Return the function that a changed node says, with the defaults of the original."""
    if original.__closure__:
        cells = (cell.cell_contents for cell in original.__closure__)
        scope.update(zip(original.__code__.co_freevars, cells, strict=True))
    file = f"<mutant of {original.__name__}>"
    with warnings.catch_warnings():  # of what looks like a slip, and is meant as one
        warnings.simplefilter("ignore")
        return _executed(original, node, scope, file)


def _executed(original: FunctionType, node: Any, scope: dict[str, Any], file: str) -> FunctionType:
    if isinstance(node, ast.Lambda):
        function = eval(
            compile(ast.fix_missing_locations(ast.Expression(node)), file, "eval"), scope
        )
    else:
        module = ast.fix_missing_locations(ast.Module([node], []))
        exec(compile(module, file, "exec"), scope)
        function = scope[node.name]
    function.__defaults__, function.__kwdefaults__ = original.__defaults__, original.__kwdefaults__
    return function


def _with(node: Any, place: int, replacement: ast.AST) -> Any:
    """Return a copy of a function's node with one of the nodes below it replaced."""
    changed = copy.deepcopy(node)
    target = list(ast.walk(changed))[place]
    for parent in ast.walk(changed):
        for field, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, field, replacement)
            elif isinstance(value, list):
                value[:] = [replacement if v is target else v for v in value]
    none = ast.Constant(None)
    changed.args.defaults = [none] * len(changed.args.defaults)
    changed.args.kw_defaults = [none if d is not None else None for d in changed.args.kw_defaults]
    if isinstance(changed, ast.FunctionDef):
        changed.decorator_list, changed.returns = [], None
        for a in (*changed.args.posonlyargs, *changed.args.args, *changed.args.kwonlyargs):
            a.annotation = None
    return changed


# What can be changed -----------------------------------------------------------------------------


def _changes(one: Any, node: Any, names: list[str]) -> Iterator[Change]:
    """Yield what may stand in the place of a node of a rule's source."""
    if one is node or _is_inside(node, one, (ast.Raise, ast.arguments)):
        return
    if isinstance(one, ast.Compare):
        for other in COMPARED.get(type(one.ops[0]), ()):
            yield (
                "another comparison",
                lambda other=other: ast.Compare(one.left, [other(), *one.ops[1:]], one.comparators),
            )
    elif isinstance(one, ast.BinOp):
        yield from _arithmetic(one)
    elif isinstance(one, ast.UnaryOp) and isinstance(one.op, (ast.USub, ast.Invert, ast.Not)):
        yield "a sign or negation lost", lambda: one.operand
    elif isinstance(one, ast.Constant):
        yield from _constants(one)
    elif isinstance(one, ast.Name) and one.id in names and isinstance(one.ctx, ast.Load):
        for other in _neighbours(one.id, names):
            yield "another name", lambda other=other: ast.Name(other, ast.Load())
    elif isinstance(one, ast.Attribute) and one.attr in {"T", "mT"}:
        yield "a transpose lost", lambda: one.value
    elif isinstance(one, ast.Call):
        yield from _calls(one)
    elif isinstance(one, ast.IfExp):
        yield "always the first branch", lambda: one.body
        yield "always the second branch", lambda: one.orelse
    elif isinstance(one, ast.If):
        yield "a branch never taken", lambda: ast.If(ast.Constant(False), one.body, one.orelse)
        yield "a branch always taken", lambda: ast.If(ast.Constant(True), one.body, one.orelse)
    elif isinstance(one, ast.Slice) and (one.lower or one.upper or one.step):
        yield "a slice of everything", lambda: ast.Slice(None, None, None)


def _neighbours(name: str, names: list[str]) -> list[str]:
    """Return the parameters that stand beside one, without the cotangent."""
    values = [n for n in names if n != "g"]
    if name not in values:
        return []
    k = values.index(name)
    return [*values[max(k - 1, 0) : k], *values[k + 1 : k + 2]]


def _is_inside(root: ast.AST, one: ast.AST, kinds: tuple[type[ast.AST], ...]) -> bool:
    """Return whether a node is one of some kinds, or lies below one."""
    for outer in ast.walk(root):
        if isinstance(outer, kinds) and any(inner is one for inner in ast.walk(outer)):
            return True
    return False


def _arithmetic(one: ast.BinOp) -> Iterator[Change]:
    other = ARITHMETIC.get(type(one.op))
    if other is not None:
        yield "another operator", lambda: ast.BinOp(one.left, other(), one.right)
    additive = isinstance(one.op, (ast.Add, ast.Sub))
    what = "a term dropped" if additive else "a factor dropped"
    yield what, lambda: one.left
    yield what, lambda: one.right
    if isinstance(one.op, (ast.Sub, ast.Div, ast.MatMult, ast.Pow)):
        yield "operands swapped in the rule", lambda: ast.BinOp(one.right, one.op, one.left)


def _constants(one: ast.Constant) -> Iterator[Change]:
    if isinstance(one.value, bool):
        yield "True for False", lambda: ast.Constant(not one.value)
    elif isinstance(one.value, (int, float)):
        yield "a number off by one", lambda: ast.Constant(one.value + 1)
        if one.value not in {0, 1}:
            yield "a number off by one", lambda: ast.Constant(one.value - 1)


def _calls(one: ast.Call) -> Iterator[Change]:
    name = getattr(one.func, "attr", getattr(one.func, "id", ""))
    if isinstance(one.func, ast.Attribute) and name in COUSINS:
        cousin = ast.Attribute(one.func.value, COUSINS[name], ast.Load())
        yield "another function", lambda: ast.Call(cousin, one.args, one.keywords)
    if one.args and name != "where":
        yield "a call lost", lambda: one.args[0]
    if name == "where" and len(one.args) == 3:
        condition, yes, no = one.args
        yield "a mask lost", lambda: yes
        yield "a mask lost", lambda: no
        yield "a mask turned round", lambda: ast.Call(one.func, [condition, no, yes], [])
    for k, keyword in enumerate(one.keywords):
        if keyword.arg in KEPT:
            rest = [*one.keywords[:k], *one.keywords[k + 1 :]]
            yield "an argument lost", lambda rest=rest: ast.Call(one.func, one.args, rest)
            if keyword.arg == "axis":
                for axis in (0, -1):
                    other = ast.keyword("axis", ast.Constant(axis))
                    yield (
                        "another axis",
                        lambda rest=rest, other=other: ast.Call(one.func, one.args, [*rest, other]),
                    )

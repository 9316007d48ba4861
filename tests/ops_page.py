"""Write docs/ops.md from the registry of ops: `python -m tests.ops_page`."""

import inspect
import re
from collections import defaultdict
from operator import attrgetter
from pathlib import Path

import numpy as np

from tests.inventory.classes import public_callables
from tinygrad_mnist import ops
from tinygrad_mnist.operation import Op
from tinygrad_mnist.ops.plain import FUNCTIONS, REFUSED
from tinygrad_mnist.protocols import overrides

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "ops.md"

HEAD = """# Functions

Every function that is differentiable, of NumPy {version} and beyond. NumPy's own take a Tensor,
and are in `ops` by the same names: `np.linalg.norm` is `ops.linalg.norm` too. What NumPy lacks, or
keeps to itself (`array`, `full`, `vectorize`, the brackets of `r_` and `c_`), is in `ops` alone.
This page is written by `python -m tests.ops_page` from the ops themselves.

The rule of an input is run with what it names, and only that is kept until then: `out` is the
result, `a_shape` the shape of `a` alone, `-` is nothing. What is composed of other functions has no
rule and keeps nothing itself. Where no domain stands, the function has a derivative everywhere, but
for the [kinks](kinks.md) of its last column.
"""

TITLE = "| function | | its rules name | domain | kinks |\n|---|---|---|---|---|"


def shown_default(value):
    """Return a default as a page shows it."""
    if isinstance(value, type):
        return f"np.{value.__name__}" if value.__module__ == "numpy" else value.__name__
    return f'"{value}"' if isinstance(value, str) else repr(value)


def shown_signature(name, thing):
    """Return a name with its parameters, as a page shows it; modules and errors have none."""
    if not callable(thing) or (isinstance(thing, type) and issubclass(thing, Exception)):
        return name
    signature = thing.signature if isinstance(thing, Op) else inspect.signature(thing)
    parts, starred = [], False
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        starred |= p.kind in {p.VAR_POSITIONAL, p.KEYWORD_ONLY}
        default = "" if p.default is p.empty else f"={shown_default(p.default)}"
        parts.append(f"{stars}{p.name}{default}")
    return f"{name}({', '.join(parts)})"


def first_sentence(thing):
    """Return what a docstring says first, after NumPy's repetition of the signature."""
    paragraphs = (inspect.getdoc(thing) or "").split("\n\n")
    is_ufunc = isinstance(getattr(thing, "forward", None), np.ufunc)
    said = paragraphs[1] if is_ufunc else paragraphs[0]
    return re.sub(r"``([^`]*)``", r"`\1`", " ".join(said.split())).replace("|", r"\|")


def named(op):
    """Return what the rule of each input names."""
    rules = {}
    for parameter, rule in op.rules.items():
        kept = ", ".join(f"`{name}`" for name in rule.names if name != "i") or "-"
        rules.setdefault(kept, []).append(parameter)
    if len(rules) == 1 and len(op.rules) == len(op.required):
        return next(iter(rules))
    return "; ".join(f"{', '.join(inputs)}: {names}" for names, inputs in rules.items())


def shown_domain(op):
    """Return where an op is differentiable, as inequalities."""
    shown = []
    for name, (low, high) in op.domain.items():
        left = "" if low == -np.inf else f"{low:.6g} < "
        right = "" if high == np.inf else f" < {high:.6g}"
        shown.append(f"`{left}{name}{right}`" if left or not right else f"`{name}{right}`")
    return ", ".join(shown)


def kinks():
    """Return for each function the sections of docs/kinks.md in whose tables it stands."""
    found, section = defaultdict(dict), None
    for line in (DOCS / "kinks.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("| `"):
            for name in re.findall(r"\b(?:np|ops)\.([\w.]+)\(", line.split(" | ")[0]):
                found[name][section] = None
    return found


def numpys_names():
    """Return for each op and composed function the names that NumPy gives it."""
    names = defaultdict(list)
    for name in sorted(public_callables()):
        implementation = overrides.get(attrgetter(name)(np))
        if implementation is not None:
            names[implementation].append(name)
    for function, implementation in overrides.items():
        module = getattr(function, "__module__", None) or ""
        if module.startswith("numpy.lib"):
            names[implementation].append(f"{module.removeprefix('numpy.')}.{function.__name__}")
    return names


def families():
    """Return the modules of `ops`, in order of the alphabet."""
    found = {m.__name__: m for m in vars(ops).values() if inspect.ismodule(m)}
    return [m for name, m in sorted(found.items()) if name.startswith(f"{ops.__name__}.")]


def rows(family, names, sections):
    """Return the rows of a family's table: its ops, and what it composes of ops."""
    composed = [f for f in (*names, *vars(ops).values()) if inspect.isfunction(f)]
    found = {}
    for thing in (*filter(callable, vars(family).values()), *composed):
        if isinstance(thing, Op):
            shown = [thing.name, *(n for n in names[thing] if n != thing.name)]
            cells = named(thing), shown_domain(thing)
        elif thing in composed and thing.__module__ == family.__name__:
            shown, cells = names[thing] or [thing.__name__], ("composed", "")
        else:
            continue
        links = dict.fromkeys(section for name in shown for section in sections.get(name, ()))
        kinked = ", ".join(f"[{s.lower()}](kinks.md#{anchor(s)})" for s in links)
        signature = shown_signature(shown[0], thing)
        function = ", ".join(f"`{name}`" for name in (signature, *shown[1:]))
        found[shown[0]] = f"| {' | '.join((function, first_sentence(thing), *cells, kinked))} |"
    return [found[name] for name in sorted(found)]


def anchor(heading):
    """Return the anchor that a heading gets on the web."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def listed(functions):
    """Return names of NumPy's functions, as a paragraph."""
    names = sorted(
        f"{f.__module__.removeprefix('numpy').removeprefix('.')}.{f.__name__}".removeprefix(".")
        if not isinstance(f, np.ufunc)
        else f.__name__
        for f in functions
    )
    return ", ".join(f"`{name}`" for name in names)


def page():
    """Return the text of the page."""
    names, sections = numpys_names(), kinks()
    parts = [HEAD.format(version=np.__version__.rpartition(".")[0])]
    for family in families():
        table = rows(family, names, sections)
        if table:
            title = family.__name__.rpartition(".")[2].replace("_", " ").capitalize()
            parts.append(f"## {title}\n\n{TITLE}\n" + "\n".join(table) + "\n")
    parts.append(f"## Without a derivative\n\nPlain arrays come from {listed(FUNCTIONS)}.\n")
    parts.append(f"## Refused\n\nNo Tensor can be given to {listed(REFUSED)}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

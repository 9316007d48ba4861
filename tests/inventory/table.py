"""Calls of NumPy's functions, read from tables: of the differentiable ones in `calls/`.

A table has blocks: names of functions, and below them calls, in which ``f`` is each of them. The
other names in a call are arrays (see `arrays.py`) and NumPy's functions.
"""

import ast
import builtins
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path

import numpy as np

from tests.inventory.arrays import CONSTANTS, INPUTS

FOLDER = Path(__file__).parent
OWN = {"array", "full", "vectorize"}  # NumPy asks no argument of these: `ops` has them instead


@dataclass(frozen=True)
class Call:
    """A function's name and one way to call it."""

    family: str
    name: str
    text: str

    def __str__(self):
        return self.text.replace("f(", f"{self.name}(", 1)

    @cached_property
    def inputs(self):
        """Return the arrays that the call differentiates, by name."""
        names = [node.id for node in ast.walk(ast.parse(self.text)) if isinstance(node, ast.Name)]
        return {name: INPUTS[name] for name in dict.fromkeys(names) if name in INPUTS}

    def run(self, values, library=np, own=np):
        """Return the call's result for values of its inputs, with a library's functions."""
        found = own if self.name in OWN else library
        names = {
            **{k: v for k, v in vars(np).items() if not k.startswith("_")},
            **({} if library is np else vars(library)),
            **CONSTANTS,
            **values,
        }
        if "f(" in self.text:
            names["f"] = attrgetter(self.name)(found)
        return builtins.eval(self.text, names)


def read(text, family):
    """Return the calls of a table."""
    calls, names = [], []
    for line in text.splitlines():
        if line.startswith("    "):
            calls += [Call(family, name, line.strip()) for name in names]
        elif line:
            names = line.split()
    return calls


def load(path):
    """Return the calls of a table in a file."""
    return read(path.read_text(encoding="utf-8"), path.stem)


CALLS = [call for path in sorted((FOLDER / "calls").glob("*.txt")) for call in load(path)]
OTHERS = load(FOLDER / "others.txt")  # operators, methods, methods of ufuncs, other namespaces
PLAIN = load(FOLDER / "plain.txt")  # no derivative: the result is a plain array
REFUSED = load(FOLDER / "refused.txt")  # a tracked Tensor is an error

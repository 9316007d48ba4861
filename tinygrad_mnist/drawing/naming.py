"""What the user's code calls its Tensors, arrays and modules, read from its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.switches import INSIDE
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_MEMBERS = 64  # of a list of Tensors that get a name at most


class Names:
    """Names of nodes, arrays and modules, found while a call runs or where a drawing is asked for.

    Parameters
    ----------
    outer : frame, optional
        The one that asks for the drawing of a call; what is around it says nothing of the call.
    """

    def __init__(self, outer: FrameType | None = None) -> None:
        self.outer = outer
        self.frames: dict[int, FrameType] = {}  # by identity; kept, so that they are looked at last
        self.callers: dict[int, int] = {}  # frame -> the user's frame around it, by identity
        self.tensors: dict[Any, Tensor] = {}  # node -> a Tensor of it that a variable holds
        self.modules: dict[int, str] = {}  # by identity
        self.arrays: list[Any] = []  # that have names, so that no other takes their identity
        self._found: dict[Any, list[tuple[int, str]]] = {}  # nodes, and arrays by identity

    @staticmethod
    def inside(frame: FrameType) -> bool:
        """Return whether a frame is of this package or of NumPy."""
        return frame.f_code.co_filename.startswith(INSIDE)

    def look(self, frame: FrameType) -> None:
        """Take down the names that a frame has now."""
        if id(frame) not in self.frames:
            self._enter(frame)
        for name, value in frame.f_locals.items():
            if value.__class__ is Tensor or value.__class__ is np.ndarray:
                self._add(frame, name, value)

    def _enter(self, frame: FrameType) -> None:
        """Remember a frame of the user's, and those around it."""
        while id(frame) not in self.frames and frame is not self.outer:
            self.frames[id(frame)] = inner = frame
            while frame.f_back is not None and (frame is inner or Names.inside(frame)):
                frame = frame.f_back
            if frame is not inner:
                self.callers[id(inner)] = id(frame)

    def hold(self, frame: FrameType) -> None:
        """Take down the Tensors that a frame of this package has now, but no names."""
        for value in frame.f_locals.values():
            if value.__class__ is Tensor and value._node is not None:
                self.tensors.setdefault(value._node, value)

    def finish(self) -> None:
        """Look at every frame for the last time: in lists, and at globals, too."""
        for frame in self.frames.values():
            self.look_closely(frame)
            for name, module in modules_in(frame):
                known = self.modules.get(id(module), "")
                better = not known or ("[" in name and "[" not in known)  # than a loop's variable
                if name != "self" and better:
                    self.modules[id(module)] = name
        self.frames.clear()  # which would keep the caller, and with it this object

    def look_closely(self, frame: FrameType) -> None:
        """Take down the names of a frame's Tensors, also of those in lists, dicts and globals."""
        local = frame.f_locals
        reached = {
            name: frame.f_globals[name] for name in frame.f_code.co_names if name in frame.f_globals
        }
        own = {f"self.{k}": v for k, v in getattr(local.get("self"), "__dict__", {}).items()}
        for name, value in [*local.items(), *reached.items(), *own.items()]:
            for path, tensor in _tensors(name, value):
                self._add(frame, path, tensor)

    def _add(self, frame: FrameType, name: str, value: Any) -> None:
        plain = name.removeprefix("self.").partition("[")[0]
        if plain.startswith("_") or not plain.isidentifier():
            return
        node = value._node if isinstance(value, Tensor) else None
        if node is not None:
            self.tensors.setdefault(node, value)
            found = self._found.setdefault(node, [])
        else:
            array = value._value if isinstance(value, Tensor) else value
            if id(array) not in self._found:
                self.arrays.append(array)
            found = self._found.setdefault(id(array), [])
        if (id(frame), name) not in found:
            found.append((id(frame), name))

    def of(self, node: Any, frame: int = 0) -> str:
        """Return what a frame calls the value of a node, or else those around it, or any other."""
        found = self._found.get(node, ())
        at: int | None = frame
        while found and at is not None:
            for where, name in found:
                if where == at:
                    return name
            at = self.callers.get(at)
        return found[0][1] if found else ""

    def of_array(self, array: Any) -> str:
        """Return what the user's code calls an array; empty where it has no name."""
        return self.of(id(array))


def places(tree: Any, name: str) -> list[str]:
    """Return what Python calls each leaf of nested lists, tuples and dicts, in their order."""
    if isinstance(tree, dict):
        return [path for key in tree for path in places(tree[key], f"{name}[{key!r}]")]
    if isinstance(tree, (list, tuple)):
        return [path for k, part in enumerate(tree) for path in places(part, f"{name}[{k}]")]
    return [] if tree is None else [name]


def result_names(tree: Any) -> list[str]:
    """Return a name for each of the results that a function returns: keys, or their numbers."""
    if isinstance(tree, dict):
        keys = {key: key if isinstance(key, str) else f"output[{key!r}]" for key in tree}
        return [place for key, name in keys.items() for place in places(tree[key], name)]
    count = len(places(tree, ""))
    return [f"output {k}" for k in range(1, count + 1)] if count > 1 else ["output"] * count


def modules_in(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """Yield the modules that a frame has as variables, or in lists, with their names."""
    reached = [(name, frame.f_globals.get(name)) for name in frame.f_code.co_names]
    for name, value in [*frame.f_locals.items(), *reached]:
        several = type(value) is list or type(value) is tuple
        found = [(f"{name}[{k}]", v) for k, v in enumerate(value[:_MEMBERS])] if several else []
        for path, one in found or [(name, value)]:
            if hasattr(one, "named_parameters") and not isinstance(one, type):
                yield path, one


def _tensors(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a Tensor or array, or those that a list, tuple or dict holds, with their names."""
    if isinstance(value, (Tensor, np.ndarray)):
        yield name, value
    elif type(value) is dict:
        for key in list(value)[:_MEMBERS]:
            yield from _member(f"{name}[{key!r}]", value[key])
    elif type(value) is list or type(value) is tuple:
        for k, member in enumerate(value[:_MEMBERS]):
            yield from _member(f"{name}[{k}]", member)


def _member(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (Tensor, np.ndarray)):
        yield name, value

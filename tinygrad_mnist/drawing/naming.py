"""What the user's code calls its Tensors, read from the variables of its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mnist.switches import INSIDE
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_MEMBERS = 64  # of a list of Tensors that get a name at most


class Names:
    """Names of nodes, found while a call runs or where a drawing is asked for."""

    def __init__(self) -> None:
        self.frames: dict[int, FrameType] = {}  # by identity; kept, so that they are looked at last
        self.tensors: dict[Any, Tensor] = {}  # node -> a Tensor of it that a variable holds
        self._found: dict[Any, list[tuple[int, str]]] = {}  # frames by identity

    @staticmethod
    def inside(frame: FrameType) -> bool:
        """Return whether a frame is of this package or of NumPy."""
        return frame.f_code.co_filename.startswith(INSIDE)

    def look(self, frame: FrameType) -> None:
        """Take down the names that a frame has now."""
        self.frames[id(frame)] = frame
        for name, value in frame.f_locals.items():
            if value.__class__ is Tensor and value._node is not None:
                self._add(frame, name, value)

    def hold(self, frame: FrameType) -> None:
        """Take down the Tensors that a frame of this package has now, but no names."""
        for value in frame.f_locals.values():
            if value.__class__ is Tensor and value._node is not None:
                self.tensors.setdefault(value._node, value)

    def finish(self) -> None:
        """Look at every frame for the last time: in lists, and at globals, too."""
        for frame in self.frames.values():
            self.look_closely(frame)
        self.frames.clear()  # which would keep the caller, and with it this object

    def look_closely(self, frame: FrameType) -> None:
        """Take down the names of a frame's Tensors, also of those in lists, dicts and globals."""
        local = frame.f_locals
        reached = {
            name: frame.f_globals[name] for name in frame.f_code.co_names if name in frame.f_globals
        }
        for name, value in [*local.items(), *reached.items()]:
            for path, tensor in _tensors(name, value):
                self._add(frame, path, tensor)

    def _add(self, frame: FrameType, name: str, tensor: Tensor) -> None:
        if name.startswith("_") or not name.partition("[")[0].isidentifier():
            return
        node = tensor._node
        self.tensors.setdefault(node, tensor)
        found = self._found.setdefault(node, [])
        if (id(frame), name) not in found:
            found.append((id(frame), name))

    def of(self, node: Any, frame: int = 0) -> str:
        """Return what a frame, or else any other, calls the value of a node."""
        found = self._found.get(node, ())
        for where, name in found:
            if where == frame:
                return name
        return found[0][1] if found else ""


def places(tree: Any, name: str) -> list[str]:
    """Return what Python calls each leaf of nested lists, tuples and dicts, in their order."""
    if isinstance(tree, dict):
        return [path for key in tree for path in places(tree[key], f"{name}[{key!r}]")]
    if isinstance(tree, (list, tuple)):
        return [path for k, part in enumerate(tree) for path in places(part, f"{name}[{k}]")]
    return [] if tree is None else [name]


def modules_in(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """Yield the modules that a frame has as variables, with their names."""
    reached = [(name, frame.f_globals.get(name)) for name in frame.f_code.co_names]
    for name, value in [*frame.f_locals.items(), *reached]:
        if hasattr(value, "named_parameters") and not isinstance(value, type):
            yield name, value


def _tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield a tracked Tensor, or those that a list, tuple or dict holds, with their names."""
    if isinstance(value, Tensor):
        if value._node is not None:
            yield name, value
    elif type(value) is dict:
        for key in list(value)[:_MEMBERS]:
            yield from _member(f"{name}[{key!r}]", value[key])
    elif type(value) is list or type(value) is tuple:
        for k, member in enumerate(value[:_MEMBERS]):
            yield from _member(f"{name}[{k}]", member)


def _member(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor) and value._node is not None:
        yield name, value

"""Watching one call of a function: its operations, the passes of reverse mode, where it failed."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_mnist.drawing.naming import Names
from tinygrad_mnist.graph import current_mode, next_index
from tinygrad_mnist.operation import Op
from tinygrad_mnist.switches import Switch, user_frame

if TYPE_CHECKING:
    from tinygrad_mnist.graph import Node


class Record(str):
    """The user's file and line of a call, and what else a picture shows of it."""

    __slots__ = ("before", "frame", "inputs", "op", "out")
    frame: int  # the identity of the user's
    before: int  # below that of the call's node
    op: Op
    out: Any
    inputs: list[Any]


class RuleCall(NamedTuple):
    """One gradient rule that a pass of reverse mode has called, for one input."""

    node: Node  # whose rule it was
    g: Any  # what the rule was given
    gi: Any  # and what it returned
    end: int  # above those of the nodes that the rule recorded


class Failure(NamedTuple):
    """What a call raised, and the operation that did: None where it was the user's own code."""

    error: Exception
    op: Op | None
    values: tuple[Any, ...]
    site: str
    end: int  # above those of all nodes before


class Trace:
    """What is seen of a call besides the nodes that it records."""

    def __init__(self) -> None:
        self.outer = current_mode()
        self.names = Names(user_frame())
        self.records: list[Record] = []
        self.rule_calls: list[RuleCall] = []
        self.scopes: list[tuple[Any, int, int]] = []  # (module, first index, last index)
        self.generators: dict[int, tuple[Any, Any]] = {}  # with their states before first use
        self.failure: Failure | None = None

    def watching(self) -> Switch:
        """Return the switch under which operations, modules and rules are seen."""
        return Switch(
            recording=True,
            check=self._operation,
            watch=self._rule,
            scopes=self.scopes,
            generators=self.generators,
            held=None,
        )

    def _operation(self, op: Op, values: list[Any], out: Any) -> Record:
        if self.outer.check is not None:
            self.outer.check(op, values, out)
        frame = user_frame()
        record = Record(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        record.frame, record.op, record.inputs, record.out = id(frame), op, list(values), out
        record.before = next_index()
        self.records.append(record)
        self.names.look(frame)
        return record

    def _rule(self, node: Node, g: Any, gi: Any) -> None:
        self.rule_calls.append(RuleCall(node, g, gi, next_index()))
        if self.outer.watch is not None:
            self.outer.watch(node, g, gi)

    def failed(self, error: Exception) -> None:
        """Find out where the call failed, and by which operation."""
        op, values, site = None, (), ""
        end = next_index()
        cause: BaseException | None = error
        while cause is not None and op is None:  # a layer may have worded the op's error anew
            walk = cause.__traceback__
            while walk is not None:
                frame, local = walk.tb_frame, walk.tb_frame.f_locals
                if frame.f_code is Op._general.__code__ and "raw" in local:
                    op, values = local["self"], tuple(local["raw"])
                if Names.inside(frame):
                    self.names.hold(frame)
                    left = [
                        last
                        for module, first, last in self.scopes
                        if module is local.get("self") and first == local.get("first")
                    ]
                    end = min([end, *left])  # of the innermost module that the error left
                else:
                    self.names.look(frame)
                    if op is None:
                        site = f"{frame.f_code.co_filename}:{walk.tb_lineno}"
                walk = walk.tb_next
            cause = cause.__cause__ or cause.__context__
        self.failure = Failure(error, op, values, site, end)

    def restore(self) -> None:
        """Set random generators back to where they were before the call."""
        for generator, state in self.generators.values():
            generator.bit_generator.state = state


def line_of(site: str) -> str:
    """Return the user's line of code at a site; empty where there is none."""
    file, _, line = site.rpartition(":")
    return linecache.getline(file, int(line)).strip() if file else ""

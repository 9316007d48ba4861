"""Equal blocks in a row, drawn once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.drawing.vertices import (
    ELSEWHERE,
    FLOW,
    LEAVES,
    MULTIPLE,
    OUTSIDE,
    Graph,
    Scope,
    around,
    common,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinygrad_mnist.drawing.vertices import Vertex

REPEATED = 12  # operations in a row of equal blocks at least
PERIOD = 256  # operations in such a block at most


def join_repeats(graph: Graph) -> None:
    """Draw blocks of operations that repeat, each fed by the one before, once."""
    if len(graph.vertices) >= REPEATED:
        graph.keep(_Repeats(graph).flow)


class _Repeats:
    """Finds equal blocks in a row, and lets the first of them show the others."""

    def __init__(self, graph: Graph) -> None:
        self.flow = [v for v in graph.vertices if v.kind in FLOW]
        self.count = len(self.flow)
        self.seen: dict[Any, int] = {}
        self.looks = np.zeros(len(self.flow), np.int32)  # equal for vertices that look alike
        self.last = np.zeros(len(self.flow), np.int32)  # the number of the last reader
        for number, v in enumerate(self.flow):
            v.number = number
        self._look(graph)
        found = True
        while found:  # a block of blocks is found in the next round
            found = False
            period = 0
            while (period := period + 1) <= min(PERIOD, len(self.flow) // 3):
                found |= self._join_all(period)

    def _look(self, graph: Graph) -> None:
        """Compare vertices: alike is the same call on the same shapes, read as far back."""
        readers = Counter(
            (s, v.order) for v in graph.vertices for s in v.sources if s.kind in OUTSIDE
        )
        for v in graph.vertices:
            if v.kind in FLOW:
                notes = () if v.name == "getitem" else v.notes  # the steps of a loop over an array
                key: list[Any] = [v.name, v.shape, v.dtype, notes, *v.roles]
                if v.kind == "input":
                    key.append(v.number)
                for s in v.sources:
                    shared = readers[s, v.order] > 1
                    if s.kind in LEAVES or shared:
                        key.append((s.kind, s.shape, s.dtype, id(s) if shared else 0))
                    elif s.order < v.order:  # saved by a block that lies as far back as this ahead
                        key.append(("saved", int(self.looks[s.number])))
                    else:
                        key.append(v.number - s.number)
                self.looks[v.number] = self.seen.setdefault(tuple(key), len(self.seen))
            reader = v.number if v.kind in FLOW else self.count
            for s in v.sources:
                if s.kind in FLOW and s.order == v.order and not (v.kind == "output" and v.order):
                    self.last[s.number] = reader

    def _join_all(self, period: int) -> bool:
        """Join every row of blocks of `period` vertices; return whether there is one."""
        dropped = np.zeros(len(self.flow), bool)
        for start, stop in self._runs(period):
            first = self._aligned(start, stop, period)
            if first is not None:
                first = self._earlier(first, stop, period)
                times = (stop - first) // period
                self._join(first, period, times)
                dropped[first + period : first + times * period] = True
        if not dropped.any():
            return False
        self.flow = [v for v, drop in zip(self.flow, dropped, strict=True) if not drop]
        self.looks, self.last = self.looks[~dropped], self.last[~dropped]
        return True

    def _runs(self, period: int) -> Iterator[tuple[int, int]]:
        """Yield where a stretch of `period` looks starts to repeat, and where that ends."""
        same = np.zeros(len(self.looks) - period + 2, bool)
        np.equal(self.looks[period:], self.looks[:-period], out=same[1:-1])
        turns = np.flatnonzero(same[1:] != same[:-1])
        starts, stops = turns[::2], turns[1::2] + period
        long = stops - starts >= max(REPEATED, 3 * period)
        yield from zip(starts[long].tolist(), stops[long].tolist(), strict=True)

    def _aligned(self, start: int, stop: int, period: int) -> int | None:
        """Return where the blocks start, so that none cuts a module or is read from outside."""
        for shift in range(period):  # if it can be, the last block ends where the run does
            first = start + (stop - start + shift) % period
            times = (stop - first) // period
            if times < 3 or times * period < REPEATED:
                continue
            end = first + times * period
            behind = self.flow[end].number if end < len(self.flow) else self.count
            if self.last[first : end - period].max() >= behind:
                continue
            inner = {self._across(k) for k in range(first + period, end, period)}
            if len(inner) == 1:
                depth = len(around(inner.pop()))
                if len(around(self._across(first))) <= depth >= len(around(self._across(end))):
                    return first
        return None

    def _earlier(self, first: int, stop: int, period: int) -> int:
        """Return where blocks start when the block before is one, too, but fed from outside."""
        start = first - period
        if start < 0:
            return first
        before, block = self.flow[start:first], self.flow[first : first + period]
        behind = self.flow[stop].number if stop < len(self.flow) else self.count
        inner, outer = around(self._across(first)), around(self._across(start))
        fits = len(outer) <= len(inner) and self.last[start:first].max() < behind
        if fits and all(map(_alike, before, block, [before] * period)):
            return start
        return first

    def _across(self, k: int) -> Scope | None:
        """Return the innermost scope that a cut before vertex `k` goes through."""
        return (
            common(self.flow[k - 1].scope, self.flow[k].scope) if 0 < k < len(self.flow) else None
        )

    def _join(self, first: int, period: int, times: int) -> None:
        """Let the first of `times` equal blocks show them all, in a box of its own."""
        flow, end = self.flow, first + times * period
        outer = self._across(first + period)
        depth = len(around(outer))
        block = Scope(f"{MULTIPLE} {times:,}", parent=outer, times=times)
        tops = [around(v.scope)[depth:] for v in (flow[first], flow[end - 1])]
        if all(tops):
            block.kind = f"{tops[0][0].path} {ELSEWHERE} {tops[1][0].path}"
        for k in range(first, first + period):
            v = flow[k]
            inside = around(v.scope)[depth:]
            if not inside:
                v.scope = block
            elif inside[0] is not block:
                inside[0].parent = block
            v.operations *= times
            final = flow[end - period + k - first]
            if v.notes != final.notes:
                v.notes = (f"{', '.join(v.notes)} {ELSEWHERE} {', '.join(final.notes)}",)
            v.last = final.last or final
            for one, other in zip(v.sources, final.sources, strict=True):
                if one.kind in LEAVES and other.kind in LEAVES and one is not other:
                    one.last = other.last or other
                elif one.kind in OUTSIDE and other.kind not in OUTSIDE:
                    v.entering = (*v.entering, one)
            for twin in flow[k + period : end : period]:
                twin.into, twin.keeps = v, v.keeps
            self.last[k] = self.last[k + (times - 1) * period]
            self.looks[k] = self.seen.setdefault((int(self.looks[k]), times), len(self.seen))


def _alike(v: Vertex, w: Vertex, before: Sequence[Vertex]) -> bool:
    """Return whether `v` is the call that `w` is, but for what `w` has from the block before."""
    notes = v.name == "getitem" or v.notes == w.notes
    if _call(v) != _call(w) or not notes or len(v.sources) != len(w.sources):
        return False
    for s, t in zip(v.sources, w.sources, strict=True):
        far = v.number - s.number == w.number - t.number
        fed = s.kind in OUTSIDE and t in before
        if s is not t and ((s.shape, s.dtype) != (t.shape, t.dtype) or not (far or fed)):
            return False
    return True


def _call(v: Vertex) -> tuple[Any, ...]:
    return v.kind, v.name, v.shape, v.dtype, v.order, *v.roles

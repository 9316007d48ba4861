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
    SIDE_BY_SIDE,
    Graph,
    Scope,
    around,
    common,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tinygrad_mnist.drawing.vertices import Vertex

REPEATED = 12  # operations in a row of equal blocks at least
PERIOD = 256  # operations in such a block at most, and in a graph of few
LONG_PERIOD = 1024
FEW = 100_000  # operations among which blocks side by side are looked for
SEVERAL = 3  # operands of what may read all equal blocks, such as `stack`


def join_repeats(graph: Graph) -> None:
    """Draw blocks of operations that repeat, each fed by the one before or side by side, once."""
    if len(graph.vertices) >= REPEATED:
        graph.keep(_Repeats(graph).flow)


class _Repeats:
    """Finds equal blocks in a row, and lets the first of them show the others.

    Equal blocks make the same calls on the same shapes, and read what lies as far back: each is fed
    by the one before. When these are joined, blocks are also equal that all read one result, or one
    each of what was joined.
    """

    def __init__(self, graph: Graph) -> None:
        self.flow = [v for v in graph.vertices if v.kind in FLOW]
        self.count = len(self.flow)
        self.seen: dict[Any, int] = {}
        self.shows = np.arange(self.count, dtype=np.int32)  # the number of what shows each vertex
        self.look_of = np.zeros(self.count, np.int32)  # equal for vertices that look alike
        self.last = np.zeros(self.count, np.int32)  # the number of the last reader
        self.several: dict[int, set[int]] = {}  # and of readers that read several
        for number, v in enumerate(self.flow):
            v.number = number
        self.all = tuple(self.flow)
        self.calls: dict[int, int] = {}
        self.shared: Counter[tuple[Vertex, int]] = Counter()
        self.spans: dict[tuple[Vertex, int], tuple[int, int]] = {}  # of readers, where several
        self.own: dict[tuple[Vertex, int], int] = {}  # what several of one block read -> the first
        self.any_number = False  # whether blocks are equal that calculate with other numbers
        self._read(graph)
        self.has_several = np.zeros(self.count, bool)
        self.has_several[list(self.several)] = True
        joined = self.join(self._far)
        while len(self.flow) <= FEW and (joined := self._join_others(joined)):
            pass

    def _join_others(self, joined: bool) -> bool:
        """Join blocks that are equal in another way; return whether there were any."""
        if (joined and self.join(self._far)) or self._join_near():
            return True
        self.own = {
            leaf: first
            for leaf, (first, last) in self.spans.items()
            if self.shared[leaf] > 1 and last - first <= LONG_PERIOD
        }
        joined = bool(self.own) and self.join(self._far)
        self.own = {}
        if not joined and any(v.elementwise and any(map(_is_number, v.notes)) for v in self.flow):
            self.any_number = True
            joined = self.join(self._far) or self._join_near()
            self.any_number = False
        return joined

    def _read(self, graph: Graph) -> None:
        """Take down who reads each vertex."""
        for v in graph.vertices:
            reader = v.number if v.kind in FLOW else self.count
            for s in v.sources:
                if s.kind in OUTSIDE:
                    self.shared[s, v.order] += 1
                    first, _ = self.spans.get((s, v.order), (reader, reader))
                    self.spans[s, v.order] = first, reader
            read = [s.number for s in v.sources if s.kind in FLOW and s.order == v.order]
            if v.kind in FLOW and len(read) >= SEVERAL:
                for number in read:
                    self.several.setdefault(number, set()).add(reader)
            elif not (v.kind == "output" and v.order):
                for number in read:
                    self.last[number] = reader

    def join(self, place: Callable[[Vertex, Vertex], Any]) -> bool:
        """Join blocks until none are left; return whether there were any.

        Parameters
        ----------
        place : callable
            Returns what is the same for an operation and one of its sources in every block.
        """
        for v in self.flow:
            self.look_of[v.number] = self.seen.setdefault(self._look(v, place), len(self.seen))
        numbers = [v.number for v in self.flow]
        self.looks = self.look_of[numbers]
        joined, found = False, True
        while found:  # a block of blocks is found in the next round
            found = False
            period = 0
            longest = LONG_PERIOD if len(self.flow) <= FEW else PERIOD
            while (period := period + 1) <= min(longest, len(self.flow) // 3):
                found |= self._join_all(period)
            joined |= found
        return joined

    def _look(self, v: Vertex, place: Callable[[Vertex, Vertex], Any]) -> Any:
        """Return what is the same for two operations that are alike."""
        key: list[Any] = [*_call(v), v.operations]
        key.append(self._notes(v))
        if v.kind == "input":
            key.append(v.number)
        for s in v.sources:
            if s.kind in LEAVES or self.shared[s, v.order] > 1:
                key.append((s.kind, s.shape, s.dtype, self._leaf(v, s)))
            elif s.order < v.order:  # saved by a block that lies as far back as this ahead
                key.append(("saved", int(self.look_of[self.shows[s.number]])))
            else:
                key.append(place(v, s))
        return tuple(key)

    def _notes(self, v: Vertex) -> tuple[str, ...]:
        """Return what is said of a call, but for what may be another number in each block."""
        if v.name == "getitem":  # the steps of a loop over an array
            return ()
        free = self.any_number and v.elementwise
        return tuple("" if free and _is_number(note) else note for note in v.notes)

    def _leaf(self, v: Vertex, s: Vertex) -> int | str:
        """Return what is the same for leaves in all blocks: each has its own, or it is shared."""
        if self.shared[s, v.order] == 1:
            return ""
        if (s, v.order) in self.own:
            return f"own {v.number - self.own[s, v.order]}"
        return id(s)

    def _far(self, v: Vertex, s: Vertex) -> Any:
        """Return how far back a source is, or of which equal ones it is one."""
        shown = int(self.shows[s.number])
        return v.number - s.number if shown == s.number and s.last is None else ("one of", shown)

    def _join_near(self) -> bool:
        """Join blocks that all read one result, by calls that are the same."""
        read = ((s, v.name, v.shape) for v in self.flow for s in v.sources if s.kind in FLOW)
        readers = Counter(read)

        def place(v: Vertex, s: Vertex) -> Any:
            all_read = readers[s, v.name, v.shape] >= SEVERAL
            return ("all", s.number) if all_read else self._far(v, s)

        return max(readers.values(), default=0) >= SEVERAL and self.join(place)

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
        self.looks = self.looks[~dropped]
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
            if self._is_read(self.flow[first:end], period, behind):
                continue
            inner = {self._across(k) for k in range(first + period, end, period)}
            if len(inner) == 1:
                depth = len(around(inner.pop()))
                if len(around(self._across(first))) <= depth >= len(around(self._across(end))):
                    return first
        return None

    def _is_read(self, blocks: Sequence[Vertex], period: int, behind: int) -> bool:
        """Return whether some blocks are read from behind otherwise than others; not the last."""
        numbers = [v.number for v in blocks[:-period]]
        last = self.last[numbers]
        read = (last >= behind) | self.has_several[numbers]
        for k in np.flatnonzero(read.reshape(-1, period).any(axis=0)).tolist():
            calls = {self._calls(number, behind) for number in numbers[k::period]}
            if len(calls) > 1:
                return True
        return False

    def _calls(self, number: int, behind: int) -> frozenset[int]:
        """Return what a vertex is read by from behind."""
        readers = {int(self.last[number]), *self.several.get(number, ())}
        beyond = (reader for reader in readers if reader >= behind)
        return frozenset(map(self._called, beyond))

    def _called(self, number: int) -> int:
        """Return a number that is the same for readers that are the same call."""
        if number not in self.calls:
            key = _call(self.all[number]) if number < self.count else ()
            self.calls[number] = self.seen.setdefault(key, len(self.seen))
        return self.calls[number]

    def _earlier(self, first: int, stop: int, period: int) -> int:
        """Return where blocks start when the block before is one, too, but fed from outside."""
        start = first - period
        if start < 0:
            return first
        before, block = self.flow[start:first], self.flow[first : first + period]
        end = stop - (stop - start) % period
        behind = self.flow[end].number if end < len(self.flow) else self.count
        inner, outer = around(self._across(first)), around(self._across(start))
        if len(outer) > len(inner) or self._is_read(self.flow[start:end], period, behind):
            return first
        return start if all(map(self._alike, before, block, [before] * period)) else first

    def _alike(self, v: Vertex, w: Vertex, before: Sequence[Vertex]) -> bool:
        """Return whether two calls are one, but for what `w` has from the block before."""
        if (
            _call(v) != _call(w)
            or self._notes(v) != self._notes(w)
            or len(v.sources) != len(w.sources)
        ):
            return False
        for s, t in zip(v.sources, w.sources, strict=True):
            if s is t:
                continue
            far = v.number - s.number == w.number - t.number
            if s.kind in LEAVES and t.kind in LEAVES:
                fits = self._leaf(v, s) == self._leaf(w, t)
            elif t in before:
                fits = far or s.kind in OUTSIDE or s.number < before[0].number
            else:
                fits = {s.kind, t.kind} <= FLOW and (far or self._far(v, s) == self._far(w, t))
            if not fits or (s.shape, s.dtype) != (t.shape, t.dtype):
                return False
        return True

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
        if all(tops) and tops[0][0].what == tops[1][0].what == "module":
            block.kind = f"{tops[0][0].title} {ELSEWHERE} {tops[1][0].title}"
        previous = range(flow[end - 2 * period].number, flow[end - period].number)
        fed = False
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
            if v.name == "getitem" and v.formula and final.formula:
                (source, index), (_, to) = v.formula[1], final.formula[1]
                between = f"] {ELSEWHERE} [" if "," in index else f" {ELSEWHERE} "
                v.formula = v.name, (source, f"{index}{between}{to}")
            elif v.formula and v.notes != final.notes:
                name, arguments = v.formula
                pairs = zip(arguments, final.formula[1], strict=True)
                v.formula = (
                    name,
                    tuple(one if one is to or one == to else _span(one, to) for one, to in pairs),
                )
            v.last = final.last or final
            for one, other in zip(v.sources, final.sources, strict=True):
                if one.kind in LEAVES and other.kind in LEAVES and one is not other:
                    one.last = other.last or other
                elif other.kind in FLOW and other.number in previous:
                    fed = True
                    if one.kind in OUTSIDE or v.number - one.number != final.number - other.number:
                        v.entering = (*v.entering, (one, other))
            for twin in flow[k + period : end : period]:
                twin.into, twin.keeps = v, v.keeps
                self.shows[twin.number] = v.number
            self.last[v.number] = self.last[final.number]
            if final.number in self.several:
                self.several.setdefault(v.number, set()).update(self.several[final.number])
                self.has_several[v.number] = True
            look = int(self.looks[k]), times
            self.looks[k] = self.look_of[v.number] = self.seen.setdefault(look, len(self.seen))
        if not fed:
            block.path += SIDE_BY_SIDE


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _span(one: Any, to: Any) -> Any:
    """Return an argument of the first of equal blocks, with that of the last if it is a number."""
    return f"({one} {ELSEWHERE} {to})" if isinstance(one, str) else one


def _call(v: Vertex) -> tuple[Any, ...]:
    name = "" if v.kind == "part" else v.name  # which says only the how manieth it is
    return v.kind, name, v.shape, v.dtype, v.order, *v.roles

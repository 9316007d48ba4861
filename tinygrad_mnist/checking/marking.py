"""What is to be said of gradients computed by hand: each beside the right one."""

from __future__ import annotations

import copy
import html
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.backward import Backward
from tinygrad_mnist.checking.diagnosis import diagnose
from tinygrad_mnist.checking.mistakes import everywhere, mistakes
from tinygrad_mnist.checking.sample import Sample
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tinygrad_mnist.checking.mistakes import Mistake

    Array = np.ndarray[Any, Any]

BEFORE = r"(?:d_?(?:L|loss|C|cost|J|E)_?/?d_?|∂(?:L|loss)/?∂|nabla_?|∇|grad_?|delta_?|d_?|g_?|∂)"
AFTER = r"(?:_grad|\.grad|_g)"
OF_RULES = {"term dropped", "factor missing"}  # patterns that speak of what a rule may name
CLOSE = {8: (1e-6, 1e-9), 4: (1e-3, 1e-5), 2: (1e-2, 2e-3)}  # of the entry, of the largest


@dataclass(frozen=True)
class Mark:
    """One gradient computed by hand, and what is to be said of it.

    Attributes
    ----------
    name : str
        What the user calls it: ``dW1``.
    right : bool
    sentence : str
    pattern : str
        A name for what is wrong, ``"right"`` or ``"unknown"``.
    """

    name: str
    right: bool
    sentence: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.name} {self.sentence}"


@dataclass(frozen=True)
class Grade:
    """What `grade` says of each gradient, in the order in which they were given.

    Attributes
    ----------
    marks : tuple of Mark
    missing : tuple of str
        Parameters that nothing was given for.
    """

    marks: tuple[Mark, ...]
    missing: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether all gradients are right, and none is missing."""
        return not self.missing and all(mark.right for mark in self.marks)

    def __str__(self) -> str:
        parts = [str(mark) for mark in self.marks]
        return "; ".join([*parts, *(f"nothing was given for {name}" for name in self.missing)])

    __repr__ = __str__

    def __getitem__(self, name: str) -> Mark:
        return next(mark for mark in self.marks if mark.name == name)

    def _repr_html_(self) -> str:
        colours = {True: "#2a7d2a", False: "#b3261e"}
        rows = "".join(
            f'<tr><td><b style="color:{colours[mark.right]}">{html.escape(mark.name)}</b></td>'
            f'<td style="text-align:left">{html.escape(mark.sentence)}</td></tr>'
            for mark in self.marks
        )
        missing = "".join(
            f"<div>nothing was given for {html.escape(m)}</div>" for m in self.missing
        )
        return f"<table>{rows}</table>{missing}"


@dataclass(frozen=True)
class Answer:
    """A gradient that was given, beside the right one."""

    name: str  # the user's
    node: Any
    claimed: Array
    right: Array
    value: Array  # of the parameter or variable
    shape: str  # what is to be said of its shape

    @property
    def close(self) -> Array:
        """How far each entry may be off."""
        kinds = [self.claimed.dtype] * (self.claimed.dtype.kind == "f") + [self.node.dtype]
        relative, absolute = CLOSE[min(8, *(kind.itemsize for kind in kinds))]
        size = np.abs(self.right)
        allowed: Array = relative * size + absolute * size.max(initial=0.0)
        return allowed

    def equals(self, other: Array) -> bool:
        """Return whether what was given is this."""
        with np.errstate(invalid="ignore"):
            return bool((np.abs(self.claimed - other) <= self.close + 1e-6 * np.abs(other)).all())


class Grader:
    """Marks gradients against one reverse pass of a loss."""

    def __init__(
        self, loss: Tensor, tracked: Mapping[str, Tensor], variables: Mapping[str, Any]
    ) -> None:
        self.loss, self.backward = loss, Backward(loss)
        self.params = dict(tracked)
        inner = {
            name: value
            for name, value in variables.items()
            if isinstance(value, Tensor) and value._node is not None and value is not loss
        }
        self.known = {**inner, **self.params}
        self.names = {id(value._node): name for name, value in self.known.items()}
        self.batch = self._batch()

    def _batch(self) -> int:
        """Return the length of the first axis that most results have: the batch size."""
        lengths = [node.shape[0] for node, _ in self.backward.calls if node.shape and node.dtype]
        return max(set(lengths), key=lengths.count) if lengths else 0

    def grade(self, given: Mapping[str, Array]) -> Grade:
        """Return what is to be said of gradients, by the names that the user has for them."""
        answers, marks = [], {}
        for name, claimed in given.items():
            value = self.known[self._target(name)]
            right = self.backward.cotangent(value._node)
            right = np.zeros(value.shape) if right is None else np.asarray(right, dtype=float)
            shape = "" if claimed.shape == right.shape else self._wrong_shape(claimed, right)
            if claimed.size != right.size:
                marks[name] = Mark(name, False, shape, "shape")
                continue
            claimed = _turned(claimed, right)  # noqa: PLW2901
            answers.append(
                Answer(name, value._node, claimed, right, np.asarray(value._value), shape)
            )
        marks |= {answer.name: self._mark(answer, answers) for answer in answers}
        missing = set(self.params) - {self._target(name) for name in given}
        return Grade(tuple(marks[n] for n in given), tuple(n for n in self.params if n in missing))

    def _target(self, name: str) -> str:
        """Return whose gradient a name means."""
        for candidate in _candidates(name):
            if candidate in self.known:
                return candidate
        names = [*(f"d{known}" for known in self.known), *self.known]
        alike = [known for known in names if known.lower() == name.lower()]
        close = alike or get_close_matches(name, names, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"grade got a gradient called {name!r}, but no parameter or variable is called so: "
            f"there are {', '.join(self.known) or 'none'}{hint}"
        )

    def _mark(self, answer: Answer, answers: Sequence[Answer]) -> Mark:
        if answer.equals(answer.right):
            if answer.shape:
                return Mark(answer.name, False, f"{answer.shape}; its numbers are right", "shape")
            return Mark(answer.name, True, "right", "right")
        unknown = ("unknown", _described(answer))
        pattern, sentence = next(self._reasons(answer, answers), unknown)
        also = f"{answer.shape}, and " if answer.shape else ""
        return Mark(answer.name, False, also + sentence, pattern)

    def _reasons(self, answer: Answer, answers: Sequence[Answer]) -> Iterator[tuple[str, str]]:
        """Yield what may be wrong, the most specific first."""
        if not np.isfinite(answer.claimed).all():
            bad = ~np.isfinite(answer.claimed)
            first = ", ".join(str(int(k)) for k in np.argwhere(bad)[0])
            which = f"an entry that is {answer.claimed[bad][0]}, at [{first}]"
            if bad.sum() > 1:
                which = f"{bad.sum():,} entries that are NaN or infinite, the first at [{first}]"
            yield "not finite", f"has {which}"
            return
        if answer.claimed.dtype.kind in "iub":
            yield "dtype", f"is of {answer.claimed.dtype}, which keeps no fractions"
        if not answer.claimed.any():
            yield "zero", "is zero everywhere"
        yield from self._followed(answer, answers)
        yield from self._by_batch(answer)
        yield from self._mistaken(answer, self.backward)
        yield from self._mistaken_everywhere(answer)
        error = np.broadcast_to(answer.close, answer.claimed.shape)
        found = diagnose([Sample.of_gradient(answer.claimed, answer.right, error, x=answer.value)])
        if found.region is not None and found.region.kind == "index":
            yield found.pattern, f"{_as_predicate(str(found.region))}: {_worst(answer)}"
        elif found and found.pattern not in OF_RULES:
            yield found.pattern, _as_predicate(found.sentence)
        yield from self._added(answer)
        yield from self._confused(answer)
        yield from self._summed(answer)
        yield from self._after_others(answer, answers)

    def _by_batch(self, answer: Answer) -> Iterator[tuple[str, str]]:
        if answer.equals(-answer.right):
            yield "sign", "has the wrong sign"
        if self.batch < 2:
            return
        words = {1: "once", 2: "twice"}
        for sign in (1, -1):
            for times, word in words.items():
                n = self.batch**times
                flipped = " and has the wrong sign" if sign < 0 else ""
                divided = f"{flipped}: divided by the batch size {word} too"
                if answer.equals(sign * answer.right * n):
                    yield "batch size", f"is {n} times too large{divided} rarely"
                if answer.equals(sign * answer.right / n):
                    yield "batch size", f"is {n} times too small{divided} often"

    def _followed(self, answer: Answer, answers: Sequence[Answer]) -> Iterator[tuple[str, str]]:
        """Look whether a gradient follows from another one that is wrong."""
        later = [a for a in answers if a.node.index > answer.node.index or a.node.plan is not None]
        for other in sorted(later, key=lambda a: a.node.index):
            if other is answer or other.equals(other.right):
                continue
            changed = self._after(answer, other.node, other.right, other.claimed)
            if not _same(changed, answer.right) and answer.equals(changed):
                yield "follows", f"follows rightly from {other.name}, which is wrong"

    def _after(self, answer: Answer, node: Any, right: Array, wrong: Array) -> Array:
        """Return the gradient, had another cotangent come past a node."""
        difference = np.asarray(wrong, dtype=float) - right
        moved = self.backward.onwards(node, difference, [answer.node])
        total: Array = answer.right + moved[id(answer.node)]
        return total

    def _mistaken(self, answer: Answer, backward: Backward) -> Iterator[tuple[str, str]]:
        """Look for a mistake at one call, also beside one with the batch size or the sign."""
        for mistake in mistakes(backward, self.names):
            changed = self._after(answer, mistake.node, mistake.right, mistake.wrong)
            if _same(changed, answer.right) or not np.isfinite(changed).all():
                continue
            if mistake.free:
                yield from _in_proportion(answer, mistake, changed)
                continue
            for more in self._also(answer, changed):
                yield mistake.pattern, f"is wrong: {mistake.sentence}{more}"

    def _mistaken_everywhere(self, answer: Answer) -> Iterator[tuple[str, str]]:
        """Look for a mistake that is made at all calls of an activation."""
        for pattern, sentence, changed in everywhere(self.backward, self.names):
            g = changed.cotangent(answer.node)
            if g is None or _same(g, answer.right) or not np.isfinite(g).all():
                continue
            for more in self._also(answer, g):
                yield pattern, f"is wrong: {sentence}{more}"

    def _also(self, answer: Answer, changed: Array) -> Iterator[str]:
        """Yield what has to be added for a gradient to be another one: nothing, or a factor."""
        n = self.batch
        for sign, flipped in ((1, ""), (-1, "; and its sign is flipped")):
            if answer.equals(sign * changed):
                yield flipped
            if n > 1 and answer.equals(sign * n * changed):
                yield f"{flipped}; and it is divided by the batch size once too rarely"
            if n > 1 and answer.equals(sign / n * changed):
                yield f"{flipped}; and it is divided by the batch size once too often"

    def _summed(self, answer: Answer) -> Iterator[tuple[str, str]]:
        """Look whether another cotangent was summed."""
        for name, other in self.known.items():
            g = self.backward.cotangent(other._node)
            if g is not None and g.ndim > answer.right.ndim:
                for axis in range(g.ndim):
                    if g.sum(axis).shape == answer.right.shape and answer.equals(g.sum(axis)):
                        yield "another's", f"is the gradient of {name}, summed over axis {axis}"

    def _after_others(self, answer: Answer, answers: Sequence[Answer]) -> Iterator[tuple[str, str]]:
        """Look for a mistake that is made on what other wrong gradients lead to."""
        later = [a for a in answers if a.node.index > answer.node.index and not a.equals(a.right)]
        if not later or not all(np.isfinite(a.claimed).all() for a in later):
            return
        changed = Backward(self.loss, [(a.node, a.claimed.astype(float)) for a in later])
        right = changed.cotangent(answer.node)
        if right is None or _same(right, answer.right):
            return
        then = replace(answer, right=np.asarray(right, float))
        nearest = min(later, key=lambda a: a.node.index).name
        grader = self._with(changed)
        for reasons in (grader._by_batch(then), grader._mistaken(then, changed)):
            for pattern, sentence in reasons:
                yield pattern, f"{sentence}; and {nearest}, which it follows from, is wrong"

    def _with(self, backward: Backward) -> Grader:
        """Return a grader of the same loss with another reverse pass."""
        other = copy.copy(self)
        other.backward = backward
        return other

    def _wrong_shape(self, claimed: Array, right: Array) -> str:
        """Return what to say of a gradient that has not its parameter's shape."""
        text = _wrong_shape(claimed, right)
        if text.endswith(f"wanted {right.shape}"):
            for name, other in self.known.items():
                g = self.backward.cotangent(other._node)
                for axis in range(0 if g is None else g.ndim):
                    total = np.sum(g, axis)  # type: ignore[arg-type]
                    if total.shape == claimed.shape and np.allclose(total, claimed, rtol=1e-4):
                        return f"{text}: it is the gradient of {name}, summed over axis {axis}"
        return text

    def _added(self, answer: Answer) -> Iterator[tuple[str, str]]:
        """Look for a term too much that is a multiple of the parameter, as weight decay is."""
        rest = answer.claimed - answer.right
        size = float(np.sum(answer.value**2))
        if size and answer.claimed.size > 1:
            share = float(np.sum(rest * answer.value)) / size
            if answer.equals(answer.right + share * answer.value):
                yield "decay", f"has a term too much: {share:.6g} times the parameter itself"
        shift = float(np.mean(rest)) if rest.size else 0.0
        if answer.claimed.size > 1 and answer.equals(answer.right + shift):
            yield "added", f"has {shift:.6g} too much in every entry"

    def _confused(self, answer: Answer) -> Iterator[tuple[str, str]]:
        """Look whether it is another one's gradient."""
        for name, other in self.known.items():
            g = self.backward.cotangent(other._node)
            if g is None or other._node is answer.node or g.shape != answer.right.shape:
                continue
            if answer.equals(g):
                yield "another's", f"is the gradient of {name}"


def _candidates(name: str) -> Iterator[str]:
    """Yield whose gradient a name may mean: of itself, or with the marks of a gradient taken off.

    An error of layer 1, delta1, is by custom the cotangent of z1.
    """
    yield name
    for pattern in (f"^{BEFORE}", f"{AFTER}$"):
        yield re.sub(pattern, "", name)
    layer = re.fullmatch(r"delta_?(\w*\d)", name)
    if layer:
        yield f"z{layer[1]}"


def _same(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=1e-9, atol=1e-12 * np.abs(b).max(initial=0.0)))


def _in_proportion(answer: Answer, mistake: Mistake, changed: Array) -> Iterator[tuple[str, str]]:
    """Look whether a gradient is off by some positive multiple of what a mistake does."""
    direction, off = changed - answer.right, answer.claimed - answer.right
    share = float(np.sum(direction * off) / np.sum(direction**2))
    if share > 0 and np.abs(off - share * direction).max() <= 1e-4 * np.abs(off).max():
        yield mistake.pattern, f"is wrong: {mistake.sentence.format(f'{share:.6g}')}"


def _turned(claimed: Array, right: Array) -> Array:
    """Return a gradient in its parameter's shape, the way round in which its numbers fit."""
    if claimed.ndim == right.ndim and claimed.shape == right.shape[::-1]:
        return claimed if claimed.shape == right.shape else np.transpose(claimed)
    return claimed.reshape(right.shape)


def _wrong_shape(claimed: Array, right: Array) -> str:
    """Return what to say of a gradient that has not its parameter's shape."""
    text = f"has shape {claimed.shape}, wanted {right.shape}"
    if claimed.ndim > 1 and claimed.shape == right.shape[::-1]:
        return f"{text}: it is transposed"
    if not claimed.ndim and np.allclose(claimed, right.sum(), rtol=1e-4):
        return f"{text}: all its entries are summed"
    if claimed.size != right.size and claimed.shape[claimed.ndim - right.ndim :] == right.shape:
        axes = tuple(range(claimed.ndim - right.ndim))
        if np.allclose(claimed.sum(axis=axes), right, rtol=1e-4):
            return f"{text}: it is not summed over the batch"
        if np.allclose(claimed.mean(axis=axes), right, rtol=1e-4):
            return f"{text}: the mean over the batch is not taken"
    return text


def _as_predicate(sentence: str) -> str:
    """Return a diagnosis as what is said of a gradient by its name."""
    if sentence == "the sign is flipped":
        return "has the wrong sign"
    sentence = sentence.replace("the number of entries of the input", "how many entries it has")
    sentence = sentence.replace("the length of the input's axis", "the length of its axis")
    if sentence.startswith("it is "):
        return sentence.removeprefix("it ")
    return f"is wrong: {sentence}"


def _worst(answer: Answer) -> str:
    """Return the entry that is most off, beside the right number."""
    worst = np.unravel_index(
        int(np.argmax(np.abs(answer.claimed - answer.right))), answer.right.shape
    )
    return f"{answer.claimed[worst]:.6g}, should be {answer.right[worst]:.6g}"


def _described(answer: Answer) -> str:
    """Return how far off a gradient is, for want of a reason."""
    off = np.abs(answer.claimed - answer.right)
    wrong = int((off > answer.close).sum())
    worst = np.unravel_index(int(np.argmax(off)), off.shape)
    index = f"[{', '.join(str(int(k)) for k in worst)}]" if worst else ""
    many = "all" if wrong == off.size else f"{wrong:,} of {off.size:,}"
    return f"is wrong in {many} entries, most at {index or 'its only one'}: {_worst(answer)}"

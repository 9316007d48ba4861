"""A function at a point, seen as one from a vector of numbers to another."""

from __future__ import annotations

import copy
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.autograd import vjp
from tinygrad_mnist.checking.inputs import Inputs, Part, function_name, generic, joined
from tinygrad_mnist.checking.report import GradientError
from tinygrad_mnist.editing import map_gradient
from tinygrad_mnist.operation import Op
from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tinygrad_mnist.checking.inputs import Interval, Vector


AGAIN = 16  # calls that must agree, where something is wrong


class NotFiniteError(ValueError):
    """A function is not finite at a point, so it has no derivative there."""


class RuleError(Exception):
    """A rule raised something, at inputs that the function itself takes."""


class OtherShapes(Exception):  # noqa: N818 - it is caught before anyone sees it
    """The results are of other shapes than at the point itself."""


class Problem:
    """A function at a point, seen as one from a vector of numbers to another.

    Parameters
    ----------
    f : callable, Op or Module
    args, kwargs
        What to call it with.
    domain : dict, optional
        Open intervals by parameter name; by default an op's own.
    chosen : dict, optional
        Whose keys are the parameters to differentiate; by default all, those of an op that have a
        rule.

    Attributes
    ----------
    f, domain, chosen
        As they were given.
    name : str
    inputs : Inputs
    given : list of array
        The differentiable inputs, of the dtype and memory layout that they came with.
    parts : list of Part
        Where each of them stands in the vector.
    x : (n,) array
        The vector: all of them, copied to float64.
    steps : (n,) array
        The scale on which to move each entry.
    reach : float
        So many steps all entries may move at once, inside their intervals.
    out : (m,) array
        The results at `x`.
    out_shapes : list of tuple of int
    eps : (m,) array
        The precision of the results, relative.
    coarse : float
        The coarsest of them.
    noise : (m,) array or float
        What is known to be uncertain in the results, beside their precision.

    Raises
    ------
    GradientError
        If the function changes an input.
    TypeError
        If nothing of floating-point numbers goes in or comes out.
    ValueError
        If a result is not finite, or if two calls differ.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None = None,
        domain: Mapping[str, Interval] | None = None,
        chosen: Mapping[str, Any] | None = None,
    ) -> None:
        self.f, self.name = f, function_name(f)
        self.domain, self.chosen = domain, chosen
        domain = {**(f.domain if isinstance(f, Op) else {}), **(domain or {})}
        self.inputs = Inputs(f, args, kwargs or {}, domain, chosen)
        self.call, self.given, self.parts = self.inputs.call, self.inputs.given, self.inputs.parts
        if not self.parts:
            raise TypeError(
                f"gradcheck of {self.name} found nothing to differentiate: give at least one array "
                "of floating-point numbers (1.0, not 1)"
            )
        self.x = joined(self.given)
        self._measure_room()
        self.noise: Vector | float = 0.0
        self._dtype: Any = np.float64
        with quiet():
            self._look()

    def _measure_room(self) -> None:
        """Note how far to move entries, and how far they may be moved."""
        self.steps = joined([part.steps(self.x) for part in self.parts])
        room = joined([part.room(self.x) for part in self.parts])
        self.reach = float((room / self.steps).min(initial=np.inf)) / 2

    def _look(self) -> None:
        """Call the function, before any derivative, to see that it can be checked."""
        self.call([array.copy() for array in self.given])  # says itself what it can't take
        x = self.x.copy()
        results = self._results_in_double(x)
        self.out_shapes = [np.shape(result) for result in results]
        self.out = joined(results)
        if not results:
            raise TypeError(f"{self.name} returned no floating-point numbers to differentiate")
        self._refuse_writing(x, self.x)
        if not np.isfinite(self.out).all():
            raise NotFiniteError(
                f"{self.name} is not finite at these inputs, so it has no derivative there: choose "
                "others, or give the op a domain"
            )
        self.eps = joined([np.full(r.shape, np.finfo(r.dtype).eps) for r in results])
        self.coarse = float(self.eps.max(initial=np.finfo(float).eps))
        aside = self.x + self.steps / 64  # what does not show at 0 may show there
        there = self.value(aside)
        self.value(self.x - self.steps / 64)  # or there
        self._refuse_random(self.out, self.value(self.x))
        self._refuse_random(there, self.value(aside))
        self._refuse_changed_constants()

    def look_again(self) -> None:
        """Raise if the function or a rule is random: what failed may be due to that.

        Raises
        ------
        GradientError
            If a rule is.
        ValueError
            If the function is.
        """
        for _ in range(AGAIN):
            self._refuse_random(self.out, self.value(self.x))
        cotangent = generic(np.random.default_rng(0), self.out.size)
        try:
            gradients = [self.pull(self.x.copy(), cotangent) for _ in range(AGAIN)]
        except RuleError:
            return
        if not all(self._agree(gradients[0], other) for other in gradients[1:]):
            raise GradientError(
                f"a rule of {self.name} is random: two calls with the same inputs differ. Draw in "
                "the function, by a generator that is made anew in each call as rng=0 does, and "
                "keep what was drawn as a hidden result"
            )

    def _refuse_random(self, one: Vector, other: Vector) -> None:
        """Raise if two calls differ."""
        if self._agree(one, other):
            return
        modes = ", or call .eval() on the model" if hasattr(self.f, "eval") else ""
        raise ValueError(
            f"{self.name} is random: two calls with the same inputs differ. Give it a "
            f"generator that is made anew in each call, as rng=0 does{modes}"
        )

    def _refuse_changed_constants(self) -> None:
        """Raise if a call has changed an argument that is not differentiated, and undo that."""
        for name, array, before in self.inputs.constants:
            if not np.array_equal(array, before, equal_nan=array.dtype.kind in "fc"):
                array[...] = before
                raise GradientError(f"{self.name} changes its input {name}: write to a copy")

    def _refuse_writing(self, after: Vector, before: Vector) -> None:
        """Raise if a call has changed its inputs."""
        for part, new, old in zip(self.parts, self.split(after), self.split(before), strict=True):
            if not np.array_equal(new, old):
                raise GradientError(f"{self.name} changes its input {part.name}: write to a copy")

    def _agree(self, one: Vector, other: Vector) -> bool:
        """Return whether two values are the same, but for threads that add in another order."""
        if one.shape != other.shape:
            return False
        off = np.abs(one - other)
        allowed = 100 * self.coarse * np.abs(one).max(initial=0.0, where=np.isfinite(one))
        return bool(((off <= allowed) | ~np.isfinite(one) | ~np.isfinite(other)).all())

    def _results_in_double(self, x: Vector) -> list[Any]:
        """Return the results in float64, or in float32 if the function does not run in float64."""
        try:
            return self._results(x)
        except Exception:
            if all(array.dtype != np.float32 for array in self.given):
                raise
            self._dtype = np.float32
            return self._results(x)

    def split(self, x: Vector) -> list[Vector]:
        """Return the inputs that a vector holds."""
        x = x.astype(self._dtype, copy=False)
        return [x[part.start : part.stop].reshape(part.shape) for part in self.parts]

    def near(self, x: Vector) -> Vector:
        """Return the nearest vector that the function can be called with."""
        return x.astype(self._dtype, copy=False).astype(float, copy=False)

    def outputs(self, vector: Vector) -> list[Vector]:
        """Return the results, or cotangents of them, that a vector holds."""
        if len(self.out_shapes) == 1:
            return [vector.reshape(self.out_shapes[0])]
        sizes = [int(np.prod(shape, dtype=int)) for shape in self.out_shapes]
        pieces = np.split(vector, np.cumsum(sizes)[:-1])
        return [v.reshape(shape) for v, shape in zip(pieces, self.out_shapes, strict=True)]

    def _results(self, x: Vector) -> list[Any]:
        arrays: list[Any] = self.split(x)
        if not isinstance(self.f, Op):
            arrays = [Tensor(array) for array in arrays]
        return [np.asarray(raw(result)) for result in self.call(arrays)]

    def value(self, x: Vector) -> Vector:
        """Return all results at a vector, as one; NaN where there are none, or of other shapes.

        Raises
        ------
        GradientError
            If the function changes an input.
        """
        touched = x.copy()
        try:
            results = self._results(touched)
        except Exception:  # noqa: BLE001 - it took the point itself, so it refuses these numbers
            return np.full_like(self.out, np.nan)
        if (touched != x).any():
            self._refuse_writing(touched, x)
        if [result.shape for result in results] != self.out_shapes:
            return np.full_like(self.out, np.nan)
        return joined(results)

    def changes_shape(self, x: Vector) -> bool:
        """Return whether the function takes a vector and its results have other shapes there."""
        try:
            return [result.shape for result in self._results(x.copy())] != self.out_shapes
        except Exception:  # noqa: BLE001 - as in `value`
            return False

    def pull(self, x: Vector, cotangent: Vector) -> Vector:
        """Return the gradient of <cotangent, results> at a vector, as one; NaN as in `value`."""
        return self.pulls(x, [cotangent])[0]

    def pulls(self, x: Vector, cotangents: Sequence[Vector]) -> list[Vector]:
        """Return the gradients that `pull` does for several cotangents, of one call."""
        try:
            pull = self._recorded(self.split(x))
        except Exception as error:
            if np.array_equal(x, self.x) and not isinstance(error, OtherShapes):
                raise
            return [np.full_like(self.x, np.nan) for _ in cotangents]
        return [joined(pull(self.outputs(cotangent))) for cotangent in cotangents]

    def pull_some(self, x: Vector, cotangent: Vector, some: Sequence[int]) -> Vector:
        """Return the gradient by some of the results alone: to the others no cotangent comes.

        Raises
        ------
        RuleError
        """
        cotangents = self.outputs(cotangent)
        return joined(self._recorded(self.split(x), some)([cotangents[k] for k in some]))

    def gradients(self, arrays: Sequence[Any], cotangents: list[Any]) -> tuple[Any, ...]:
        """Return the gradient of <cotangents, results> by each input.

        Raises
        ------
        RuleError
        """
        return self._recorded(arrays)(cotangents)

    def _called(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the results of a call, if they have the shapes that they have at the point."""
        results = self.call(arrays)
        if [np.shape(raw(result)) for result in results] != self.out_shapes:
            raise OtherShapes
        return results

    def _recorded(
        self, arrays: Sequence[Any], some: Sequence[int] | None = None
    ) -> Callable[[list[Any]], tuple[Any, ...]]:
        """Return the function from cotangents of all or some results to the inputs' gradients."""

        def called(*inputs: Any) -> list[Any]:
            results = self._called(inputs)
            return results if some is None else [results[k] for k in some]

        _, pull = vjp(called, *arrays)

        def pulled(cotangents: list[Any]) -> tuple[Any, ...]:
            try:
                return pull(cotangents)
            except Exception as error:
                raise RuleError(f"{type(error).__name__}: {error}") from error

        return pulled

    def pull_as_given(self, cotangent: Vector, *, locked: bool = True) -> tuple[list[Any], bool]:
        """Return the gradients at the inputs as they were given, and whether `g` was left alone.

        Raises
        ------
        OtherShapes
            If the results are of other shapes in the precision that the inputs came in.
        RuleError
            Also where a rule writes to `g`, if that is `locked`.
        """
        seen: list[tuple[Any, Any]] = []

        def look(g: Any) -> Any:  # g is a view that can't be written to
            seen.append((g, np.array(g)))
            return g if locked else None

        def watched(*inputs: Any) -> list[Any]:
            return [map_gradient(result, look) for result in self._called(inputs)]

        _, pull = vjp(watched, *self.given)
        try:
            gradients = pull(self.outputs(cotangent))
        except Exception as error:
            raise RuleError(f"{type(error).__name__}: {error}") from error
        return list(gradients), all(np.array_equal(g, old, equal_nan=True) for g, old in seen)

    def moved(self, x: Vector) -> Problem:
        """Return the function at another point.

        Raises
        ------
        NotFiniteError
        """
        there = copy.copy(self)
        there.x = self.near(x)
        there.given = [array.copy() for array in self.split(there.x)]
        there._measure_room()
        there.out = self.value(there.x)
        if there.out.shape != self.out.shape or not np.isfinite(there.out).all():
            raise NotFiniteError(f"{self.name} is not finite there")
        return there

    def part_of(self, row: int) -> Part:
        """Return the input that an entry of the vector belongs to."""
        return next(part for part in self.parts if part.start <= row < part.stop)


@contextmanager
def quiet() -> Iterator[None]:
    """Warn of nothing: steps may lead to where a function overflows, or advises against."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

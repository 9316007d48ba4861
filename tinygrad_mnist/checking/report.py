"""What a check found: a report with a verdict, or an error that carries it."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from tinygrad_mnist.checking.sample import Diagnosis

    Array = np.ndarray[Any, Any]

SHOWN = 5  # notes, of a search that may have many

Verdict = Literal["pass", "wrong", "inconclusive"]


@dataclass(frozen=True)
class Mismatch:
    """Where a claimed derivative and the measured one differ most.

    Attributes
    ----------
    function, parameter : str
    order : int
    index : tuple of int
        Of the entry of the parameter.
    at, claimed, measured : float
        The entry, the derivative that the rules give, and the one that differences give.
    error : float
        How far the measured value can be trusted.
    wrong, size : int
        How many entries of the parameter differ, and of how many that were looked at.
    """

    function: str
    parameter: str
    order: int
    index: tuple[int, ...]
    at: float
    claimed: float
    measured: float
    error: float
    wrong: int
    size: int

    @property
    def entry(self) -> str:
        """The entry by the name that it has in the user's code."""
        return self.parameter + (f"[{', '.join(map(str, self.index))}]" if self.index else "")

    def __str__(self) -> str:
        what = "gradient" if self.order == 1 else "gradient of <v, gradient>, v random,"
        return (
            f"order {self.order}: the {what} of {self.function} with respect to {self.parameter} "
            f"is wrong at {self.entry} = {self.at:.9g}: claimed {self.claimed:.9g}, measured "
            f"{self.measured:.9g} ± {self.error:.1g}; {self.wrong} of {self.size} entries differ"
        )


@dataclass(frozen=True)
class Curve:
    """Claimed and measured derivative by one entry, as that entry moves.

    Attributes
    ----------
    entry : str
    at : float
        Where the claim was found wrong.
    t, claimed, measured, error : (k,) array
        Values of the entry, and the derivatives there.
    """

    entry: str
    at: float
    t: Array
    claimed: Array
    measured: Array
    error: Array


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where to see it.

    Attributes
    ----------
    sentence : str
        What is wrong, in one sentence.
    mismatch : Mismatch or None
        The worst entry, where it is a number that is wrong.
    diagnosis : Diagnosis or None
        The pattern of what is wrong, where numbers are.
    inputs : dict
        The counterexample: arguments by the names that the function has for them.
    line : str
        A line of Python that shows the same fault, for `f` by its name.
    curve : Curve or None
        Of the worst entry, for `Report.plot`.
    """

    sentence: str
    mismatch: Mismatch | None = None
    diagnosis: Diagnosis | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    line: str = ""
    curve: Curve | None = None

    def __str__(self) -> str:
        parts = [self.sentence]
        if self.diagnosis is not None:
            parts.append(f"diagnosis: {self.diagnosis}")
        if self.line:
            parts.append(f"to repeat: {self.line}")
        return "\n".join(parts)


class GradientError(AssertionError):
    """A gradient is wrong; the message says which, where, by how much, and how.

    Attributes
    ----------
    mismatch : Mismatch or None
        The worst entry, where it is a number that is wrong.
    report : Report or None
        All that the check found.
    """

    def __init__(
        self, message: object, mismatch: Mismatch | None = None, report: Report | None = None
    ) -> None:
        super().__init__(str(message))
        self.mismatch, self.report = mismatch, report


class GradientWarning(UserWarning):
    """A gradient could be judged neither right nor wrong; the message says why."""


@dataclass(frozen=True)
class Report:
    """What `gradcheck` compared, how well it agreed, and its verdict.

    Attributes
    ----------
    function : str
    order : int
    points : int
        Inputs at which the function was checked.
    compared : int
        Entries of derivatives that were measured and agree.
    kinks : int
        Those of them that agree only as one of the derivatives around a kink: as a subgradient.
    unjudged : int
        Entries that could not be measured well enough to judge, at a jump for one.
    vague : int
        Points at which, at one of the orders, less than half could be judged.
    worst : float
        The largest difference, relative to the entry or to the function's own scale.
    skipped : int
        Inputs that were drawn and left out, because the function is not finite there.
    noise : float
        How uncertain the values are, relative to them, where that is more than rounding.
    notes : tuple of str
        What a reader should know: what kept entries from being judged, what was drawn from where.
    fault : Fault or None
        What is wrong.
    """

    function: str
    order: int
    points: int = 0
    compared: int = 0
    kinks: int = 0
    unjudged: int = 0
    vague: int = 0
    worst: float = 0.0
    skipped: int = 0
    noise: float = 0.0
    notes: tuple[str, ...] = ()
    fault: Fault | None = field(default=None, compare=False)

    @property
    def verdict(self) -> Verdict:
        """``"pass"``, ``"wrong"`` or ``"inconclusive"``.

        Inconclusive is a check of given inputs with an entry that could not be judged, and a search
        that could judge less than half of what it drew, at either order.
        """
        if self.fault is not None:
            return "wrong"
        allowed = 0 if self.points == 1 else self.compared
        clear = self.unjudged <= allowed and 2 * self.vague <= self.points
        return "pass" if self.points and clear else "inconclusive"

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The pattern of what is wrong, where numbers are."""
        return None if self.fault is None else self.fault.diagnosis

    @property
    def mismatch(self) -> Mismatch | None:
        """The worst entry, where a number is wrong."""
        return None if self.fault is None else self.fault.mismatch

    @property
    def line(self) -> str:
        """A line of Python that repeats what is wrong."""
        return "" if self.fault is None else self.fault.line

    def __add__(self, other: Report) -> Report:
        return replace(
            self,
            points=self.points + other.points,
            compared=self.compared + other.compared,
            kinks=self.kinks + other.kinks,
            unjudged=self.unjudged + other.unjudged,
            vague=self.vague + other.vague,
            worst=max(self.worst, other.worst),
            skipped=self.skipped + other.skipped,
            noise=max(self.noise, other.noise),
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
            fault=self.fault or other.fault,
        )

    def __str__(self) -> str:
        orders = "order 1" if self.order == 1 else "orders 1 and 2"
        lines = [f"gradcheck of {self.function}, {orders}: {self.verdict}"]
        if self.fault is not None:
            lines += str(self.fault).splitlines()
        points = "1 point" if self.points == 1 else f"{self.points:,} points"
        if self.points:
            lines.append(
                f"{self.compared:,} derivatives agree at {points}, the worst to {self.worst:.1g}"
            )
        if self.kinks:
            lines.append(f"{self.kinks:,} of them at kinks, as subgradients")
        if self.unjudged:
            lines.append(f"{self.unjudged:,} could not be judged")
        if self.noise:
            much = f"up to {self.noise:.1g} of" if self.noise < 1 else "as much as"
            lines.append(f"noise: values are uncertain by {much} their size")
        if self.skipped:
            lines.append(f"{self.skipped:,} points were skipped: the function is not finite there")
        return "\n  ".join([*lines, *self.notes[:SHOWN]])

    def _repr_html_(self) -> str:
        colour = {"pass": "#2a7d2a", "wrong": "#b3261e", "inconclusive": "#8a6d00"}[self.verdict]
        head, *rest = str(self).splitlines()
        rows = "".join(f"<div>{html.escape(line.strip())}</div>" for line in rest)
        picture = ""
        if self.fault is not None and self.fault.curve is not None:
            from tinygrad_mnist.checking.plotting import as_svg

            picture = as_svg(self)
        return (
            f'<div style="border-left:4px solid {colour};padding-left:0.8em">'
            f'<b style="color:{colour}">{html.escape(head)}</b>{rows}{picture}</div>'
        )

    def plot(self, file: Any = None) -> Figure:
        """Draw claimed and measured derivative along the worst entry.

        Parameters
        ----------
        file : path or file object, optional
            Where to save the picture as well; its ending says the format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If there is nothing to draw: no derivative was found wrong.
        """
        from tinygrad_mnist.checking.plotting import draw_curve

        return draw_curve(self, file)

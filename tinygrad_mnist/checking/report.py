"""What a check found: a report, or an error that names the wrong entry."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
        How many entries of the parameter differ, and of how many.
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

    def __str__(self) -> str:
        what = "gradient" if self.order == 1 else "gradient of <v, gradient>, v random,"
        entry = self.parameter + (f"[{', '.join(map(str, self.index))}]" if self.index else "")
        return (
            f"order {self.order}: the {what} of {self.function} with respect to {self.parameter} "
            f"is wrong at {entry} = {self.at:.9g}: claimed {self.claimed:.9g}, measured "
            f"{self.measured:.9g} ± {self.error:.1g}; {self.wrong} of {self.size} entries differ"
        )


class GradientError(AssertionError):
    """A gradient is wrong; the message says which, where, and by how much.

    Attributes
    ----------
    mismatch : Mismatch or None
        The worst entry, where it is a number that is wrong.
    """

    def __init__(self, message: object, mismatch: Mismatch | None = None) -> None:
        super().__init__(str(message))
        self.mismatch = mismatch


@dataclass(frozen=True)
class Report:
    """What `gradcheck` compared, and how well it agreed.

    Attributes
    ----------
    function : str
    order : int
    points : int
        Inputs at which the function was checked.
    compared : int
        Entries of derivatives that were measured and agree.
    kinks : int
        Those of them that agree only as one of the derivatives around a kink.
    unjudged : int
        Entries that could not be measured well enough to judge, at a jump for one.
    worst : float
        The largest difference, relative to the entry or to the function's own scale.
    """

    function: str
    order: int
    points: int = 0
    compared: int = 0
    kinks: int = 0
    unjudged: int = 0
    worst: float = 0.0

    def __add__(self, other: Report) -> Report:
        return replace(
            self,
            points=self.points + other.points,
            compared=self.compared + other.compared,
            kinks=self.kinks + other.kinks,
            unjudged=self.unjudged + other.unjudged,
            worst=max(self.worst, other.worst),
        )

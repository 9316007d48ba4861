"""Derivative checks: our gradients against differences, at inputs given or drawn."""

from tinygrad_mnist.checking.diagnosis import diagnose
from tinygrad_mnist.checking.digits import Part, Rounding, rounding
from tinygrad_mnist.checking.gradients import gradcheck
from tinygrad_mnist.checking.grading import grade
from tinygrad_mnist.checking.marking import Grade, Mark
from tinygrad_mnist.checking.report import (
    Fault,
    GradientError,
    GradientWarning,
    Mismatch,
    Report,
)
from tinygrad_mnist.checking.sample import Diagnosis, Sample
from tinygrad_mnist.checking.sampling import Call, calls, draw_call

__all__ = [
    "Call",
    "Diagnosis",
    "Fault",
    "Grade",
    "GradientError",
    "GradientWarning",
    "Mark",
    "Mismatch",
    "Part",
    "Report",
    "Rounding",
    "Sample",
    "calls",
    "diagnose",
    "draw_call",
    "gradcheck",
    "grade",
    "rounding",
]

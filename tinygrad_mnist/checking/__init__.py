"""Derivative checks: our gradients against differences, at inputs given or drawn."""

from tinygrad_mnist.checking.judging import gradcheck
from tinygrad_mnist.checking.report import GradientError, Mismatch, Report
from tinygrad_mnist.checking.sampling import Call, calls, draw_call

__all__ = ["Call", "GradientError", "Mismatch", "Report", "calls", "draw_call", "gradcheck"]

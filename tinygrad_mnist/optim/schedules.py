"""Learning-rate schedules: a rate as a function of the number of steps; names are PyTorch's."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.optim.arguments import check_state, count, number, shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinygrad_mnist.optim.arguments import State
    from tinygrad_mnist.optim.optimizers import Optimizer


class Schedule:
    """A learning rate as a function of the number of steps; a subclass defines `lr_at`.

    Making one sets the optimizer's `lr` to that of step 0. Call `step` after each
    ``optimizer.step()``.

    Parameters
    ----------
    optimizer : Optimizer
        Its `lr` at this moment is what the schedule scales.

    Attributes
    ----------
    steps : int
        How often `step` was called.
    base_lr : float
        The optimizer's learning rate when the schedule was made.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.steps = 0
        optimizer.lr = self.lr_at(0)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, the first being 0; here it is constant."""
        del step
        return self.base_lr

    def step(self) -> None:
        """Count one step, and set the optimizer's learning rate for the next."""
        self.steps += 1
        self.optimizer.lr = self.lr_at(self.steps)

    def state_dict(self) -> State:
        """Return the count of steps and the settings: plain numbers."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Real)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned; set the optimizer's learning rate.

        Raises
        ------
        ValueError
            If an entry is missing or unexpected; then nothing is loaded.
        """
        own = self.state_dict()
        check_state(f"load_state_dict of {type(self).__name__}", shapes(own), shapes(state))
        for name, value in own.items():
            setattr(self, name, type(value)(state[name]))
        self.optimizer.lr = self.lr_at(self.steps)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={value}" for name, value in self.state_dict().items())
        return f"{type(self).__name__}({numbers})"


class StepLR(Schedule):
    """The learning rate times `gamma` after every `step_size` steps.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
    gamma : float, optional
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count("step_size", step_size)
        self.gamma = number("gamma", gamma)
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, the first being 0."""
        return self.base_lr * self.gamma ** (step // self.step_size)


class CosineLR(Schedule):
    """Half a cosine wave, from the learning rate down to `min_lr`, where it stays [1]_.

    Parameters
    ----------
    optimizer : Optimizer
    total_steps : int
        After how many steps `min_lr` is reached.
    min_lr : float, optional

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts",
       2017, equation 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, min_lr: float = 0.0) -> None:
        self.total_steps = count("total_steps", total_steps)
        self.min_lr = number("min_lr", min_lr)
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, the first being 0."""
        return _cosine(self.base_lr, self.min_lr, step / self.total_steps)


class OneCycleLR(Schedule):
    """Up from ``max_lr / div_factor`` to `max_lr`, then down to almost nothing, by cosines [1]_.

    Parameters
    ----------
    optimizer : Optimizer
        Its own learning rate is not used, its momentum left as it is.
    max_lr : float
    total_steps : int
        How many steps there are; the last one has the lowest rate.
    pct_start : float, optional
        The share of the steps that go up.
    div_factor : float, optional
        `max_lr` divided by the first rate.
    final_div_factor : float, optional
        The first rate divided by the last.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks
       using large learning rates", 2018, in the form of PyTorch's OneCycleLR.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_lr = number("max_lr", max_lr)
        self.total_steps = count("total_steps", total_steps)
        self.pct_start = number("pct_start", pct_start, most=1.0)
        self.first_lr = self.max_lr / number("div_factor", div_factor, least=1.0)
        self.last_lr = self.first_lr / number("final_div_factor", final_div_factor, least=1.0)
        super().__init__(optimizer)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, the first being 0."""
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step < top:
            return _cosine(self.first_lr, self.max_lr, step / top)
        return _cosine(self.max_lr, self.last_lr, (step - top) / (last - top) if last > top else 1)


class WarmUpLR(Schedule):
    """The learning rate grows in a straight line at first, then another schedule begins [1]_.

    Step t of the n of warm-up has ``(t + 1) / (n + 1)`` of the rate that follows, so none has 0.

    Parameters
    ----------
    after : Schedule or Optimizer
        What follows, from its own step 0; step the warm-up alone. An optimizer keeps its rate.
    warm_up : int
        How many steps the warm-up takes.

    Examples
    --------
    >>> schedule = WarmUpLR(CosineLR(optimizer, total_steps=1000), warm_up=100)

    References
    ----------
    .. [1] P. Goyal et al., "Accurate, large minibatch SGD", 2017, section 2.2.
    """

    def __init__(self, after: Schedule | Optimizer, warm_up: int) -> None:
        self.after = after if isinstance(after, Schedule) else Schedule(after)
        self.warm_up = count("warm_up", warm_up)
        super().__init__(self.after.optimizer)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, the first being 0."""
        if step < self.warm_up:
            return self.after.lr_at(0) * (step + 1) / (self.warm_up + 1)
        return self.after.lr_at(step - self.warm_up)

    def state_dict(self) -> State:
        """Return the count of steps and the settings, those of the schedule that follows too."""
        after = {f"after.{name}": value for name, value in self.after.state_dict().items()}
        return super().state_dict() | after

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned; set the optimizer's learning rate.

        Raises
        ------
        ValueError
            If an entry is missing or unexpected; then nothing is loaded.
        """
        check_state("load_state_dict of WarmUpLR", shapes(self.state_dict()), shapes(state))
        inner = {n.removeprefix("after."): v for n, v in state.items() if n.startswith("after.")}
        self.after.load_state_dict(inner)
        for name, value in super().state_dict().items():
            setattr(self, name, type(value)(state[name]))
        self.optimizer.lr = self.lr_at(self.steps)


def _cosine(start: float, end: float, share: float) -> float:
    """Return what lies between two rates after a share of half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2

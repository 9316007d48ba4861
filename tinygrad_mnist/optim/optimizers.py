"""Optimizers; formulas and names are PyTorch's."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinygrad_mnist.optim.arguments import (
    check_state,
    collected,
    copied,
    number,
    shapes,
)
from tinygrad_mnist.optim.slots import FLUSH_STEPS, Slot, share_scratch
from tinygrad_mnist.switches import user_level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinygrad_mnist.graph import Array
    from tinygrad_mnist.optim.arguments import Parameters, State


class Optimizer:
    """What all optimizers share; a subclass says by how much a gradient changes a parameter.

    Parameters are updated in place, without allocating: each keeps its array, unless a graph that
    is still alive saves that array; then the parameter gets a new one and the graph stays right.

    Parameters
    ----------
    params : iterable of Tensor, or nested dicts, lists and tuples of them
        The leaves to change; one given twice counts once, a frozen one is skipped.
    lr : float
        The learning rate; `lr` may be assigned at any time.
    weight_decay : float, optional
        How much of each parameter is added to its gradient: an L2 penalty of ``weight_decay / 2``.
    accumulate : bool, optional
        Say that gradients are kept from step to step on purpose, so that nothing warns of it.

    Attributes
    ----------
    parameters : list of Tensor
    uncleared : bool
        Whether it has given the warning below.

    Raises
    ------
    ValueError
        If there is no parameter that requires a gradient, one is the result of an operation, or a
        number is out of its range.
    TypeError
        If `params` is, or holds, anything but Tensors.

    Warns
    -----
    UserWarning
        Once, if a step meets gradients that an earlier step has used: `zero_grad` was forgotten.
    """

    settings: ClassVar[tuple[str, ...]]  # numbers that a state holds
    buffers: tuple[str, ...] = ()  # arrays that are kept for each parameter

    def __init__(
        self, params: Parameters, lr: float, *, weight_decay: float, accumulate: bool
    ) -> None:
        self.lr = lr
        self.weight_decay = number("weight_decay", weight_decay)
        self.accumulate = accumulate
        self.uncleared = False
        self.parameters = collected(params, f"{type(self).__name__}")
        self._slots = [Slot(p, self.buffers) for p in self.parameters]
        share_scratch(self._slots)

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = number("lr", value)

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for parameter in self.parameters:
            leaf = parameter._node
            if leaf is not None:
                leaf.grad = None
                leaf.used = False

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        lr, change_of = self._lr, self._change
        for slot in self._slots:
            parameter = slot.parameter
            leaf = parameter._node  # not by the properties: 10 % of a small step
            if leaf is None:
                continue
            grad = leaf.grad
            if grad is None:
                continue
            if leaf.used and not self.accumulate:
                self._warn()
            leaf.used = True
            data = parameter._value
            if slot.data is not data:
                slot.refit(data)
            if slot.lr is not lr:
                slot.rate, slot.lr = np.array(lr, leaf.dtype), lr
            slot.steps += 1
            if slot.kept and not slot.steps % FLUSH_STEPS:
                slot.flush()
            change = change_of(slot, data, grad)
            try:
                np.subtract(data, change, data)
            except ValueError:
                if getattr(data.flags, "writeable", True):
                    raise
                parameter.data = data - change  # a live graph saves the old array

    def _change(self, slot: Slot, data: Array, grad: Array) -> Array:
        """Return what to subtract from a parameter, in one of its scratch arrays."""
        raise NotImplementedError

    def _warn(self) -> None:
        self.accumulate = self.uncleared = True  # once is enough
        warnings.warn(
            f"{type(self).__name__}.step() met gradients that its last step has used already: "
            "call zero_grad() before each backward(), or give accumulate=True if they are to add "
            "up over steps",
            UserWarning,
            stacklevel=user_level(),
        )

    def state_dict(self) -> State:
        """Return all that a resumed run needs besides the parameters: arrays and plain numbers.

        Returns
        -------
        dict
            The settings by name; ``0.step``, the number of updates of the first parameter, and
            ``0.exp_avg`` and so on, copies of the arrays kept for it; likewise for the others.
        """
        state: State = {name: getattr(self, name) for name in self.settings}
        for k, slot in enumerate(self._slots):
            state[f"{k}.step"] = slot.steps
            state |= {f"{k}.{name}": kept.copy() for name, kept in slot.kept.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned.

        Raises
        ------
        ValueError
            If an entry is missing or unexpected, or a shape is wrong; then nothing is loaded.
        """
        what = f"load_state_dict of {type(self).__name__}"
        check_state(what, shapes(self.state_dict()), shapes(state))
        numbers = {name: number(name, state[name]) for name in self.settings}
        steps = [number(f"{k}.step", state[f"{k}.step"]) for k in range(len(self._slots))]
        arrays = [
            {name: copied(state[f"{k}.{name}"], kept.dtype) for name, kept in slot.kept.items()}
            for k, slot in enumerate(self._slots)
        ]
        for name, value in numbers.items():
            setattr(self, name, type(getattr(self, name))(value))
        for slot, step, kept in zip(self._slots, steps, arrays, strict=True):
            slot.steps, slot.kept = int(step), kept

    def __repr__(self) -> str:
        settings = "".join(f", {name}={getattr(self, name)}" for name in self.settings)
        return f"{type(self).__name__}({len(self.parameters)} parameters{settings})"


class SGD(Optimizer):
    """Gradient descent, with momentum [1]_ if asked for.

    With momentum m, each step makes ``v = m v + g`` and moves by ``-lr v``, or with Nesterov's
    look ahead by ``-lr (g + m v)``.

    Parameters
    ----------
    params, lr, weight_decay, accumulate
        As `Optimizer` takes them.
    momentum : float, optional
        The share of the last step's direction that is kept, from 0 to 1.
    nesterov : bool, optional

    Raises
    ------
    ValueError
        As `Optimizer`; also for `nesterov` without momentum.

    References
    ----------
    .. [1] I. Sutskever et al., "On the importance of initialization and momentum in deep
       learning", 2013, with the learning rate outside the velocity.
    """

    settings = ("lr", "momentum", "nesterov", "weight_decay")

    def __init__(
        self,
        params: Parameters,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        accumulate: bool = False,
    ) -> None:
        self.momentum = number("momentum", momentum, most=1.0)
        self.nesterov = bool(nesterov)
        if nesterov and not momentum:
            raise ValueError("SGD with nesterov=True needs a momentum above 0, such as 0.9")
        self.buffers = ("momentum_buffer",) if momentum else ()
        super().__init__(params, lr, weight_decay=weight_decay, accumulate=accumulate)

    def _change(self, slot: Slot, data: Array, grad: Array) -> Array:
        scratch = slot.scratch
        if self.weight_decay:
            grad = _decayed(slot, data, grad, self.weight_decay)
        if not self.momentum:
            return np.multiply(grad, slot.rate, scratch)
        velocity = slot.kept["momentum_buffer"]
        np.multiply(velocity, self.momentum, velocity)
        np.add(velocity, grad, velocity)
        if not self.nesterov:
            return np.multiply(velocity, slot.rate, scratch)
        np.multiply(velocity, self.momentum, scratch)
        np.add(scratch, grad, scratch)
        return np.multiply(scratch, slot.rate, scratch)


class Adam(Optimizer):
    """Steps of a size that adapts to each entry's mean and mean square gradient [1]_.

    With running means m of g and v of g², corrected for their start at 0, each step moves by
    ``-lr m / (sqrt(v) + eps)``.

    Parameters
    ----------
    params, lr, weight_decay, accumulate
        As `Optimizer` takes them.
    betas : tuple of two floats, optional
        The share of each running mean, of g and of g², that is kept in a step.
    eps : float, optional
        Keeps the quotient finite.

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.
    """

    settings = ("lr", "beta1", "beta2", "eps", "weight_decay")
    buffers = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        accumulate: bool = False,
    ) -> None:
        self.beta1, self.beta2 = (number("betas", beta, most=1.0) for beta in betas)
        if max(betas) == 1:
            raise ValueError(f"betas are from 0 to below 1; got {betas}")
        self.eps = number("eps", eps)
        super().__init__(params, lr, weight_decay=weight_decay, accumulate=accumulate)

    def _change(self, slot: Slot, data: Array, grad: Array) -> Array:
        return self._adapted(slot, _decayed(slot, data, grad, self.weight_decay))

    def _adapted(self, slot: Slot, grad: Array) -> Array:
        scratch, kept = slot.scratch, slot.kept
        mean = _running_mean(kept["exp_avg"], grad, self.beta1, scratch)
        square = np.multiply(grad, grad, out=scratch)
        mean_square = _running_mean(kept["exp_avg_sq"], square, self.beta2, scratch)
        # lr (m / c1) / (sqrt(v / c2) + eps) with the corrections c1, c2 drawn out of the arrays
        correction = math.sqrt(1 - self.beta2**slot.steps)
        np.sqrt(mean_square, out=scratch)
        np.add(scratch, self.eps * correction, out=scratch)
        np.divide(mean, scratch, out=scratch)
        return np.multiply(
            scratch, self._lr * correction / (1 - self.beta1**slot.steps), out=scratch
        )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: each step also moves by ``-lr wd p`` [1]_.

    Parameters
    ----------
    params, lr, betas, eps, accumulate
        As `Adam` takes them.
    weight_decay : float, optional
        The share of each parameter, times `lr`, that is taken off in a step.

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019, algorithm 2.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        accumulate: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, accumulate=accumulate)

    def _change(self, slot: Slot, data: Array, grad: Array) -> Array:
        change = self._adapted(slot, grad)
        decay = np.multiply(data, self._lr * self.weight_decay, out=slot.spare)
        return np.add(change, decay, out=change)


class RMSprop(Optimizer):
    """Steps divided by the root of each entry's running mean square gradient [1]_.

    With ``centered``, the mean square is taken about the running mean [2]_.

    Parameters
    ----------
    params, lr, weight_decay, accumulate
        As `Optimizer` takes them.
    alpha : float, optional
        The share of the running means that is kept in a step.
    eps : float, optional
        Keeps the quotient finite.
    momentum : float, optional
        The share of the last step's direction that is kept, from 0 to 1.
    centered : bool, optional

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`.

    References
    ----------
    .. [1] T. Tieleman and G. Hinton, "Neural networks for machine learning", lecture 6.5, 2012.
    .. [2] A. Graves, "Generating sequences with recurrent neural networks", 2013, equation 40.
    """

    settings = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        accumulate: bool = False,
    ) -> None:
        self.alpha = number("alpha", alpha, most=1.0)
        self.eps = number("eps", eps)
        self.momentum = number("momentum", momentum, most=1.0)
        self.centered = bool(centered)
        self.buffers = (
            "square_avg",
            *(["grad_avg"] if centered else []),
            *(["momentum_buffer"] if momentum else []),
        )
        super().__init__(params, lr, weight_decay=weight_decay, accumulate=accumulate)

    def _change(self, slot: Slot, data: Array, grad: Array) -> Array:
        scratch, kept = slot.scratch, slot.kept
        grad = _decayed(slot, data, grad, self.weight_decay)
        square = np.multiply(grad, grad, out=scratch)
        mean_square = _running_mean(kept["square_avg"], square, self.alpha, scratch)
        if self.centered:
            mean = _running_mean(kept["grad_avg"], grad, self.alpha, scratch)
            np.multiply(mean, mean, out=scratch)
            np.subtract(mean_square, scratch, out=scratch)
            np.maximum(scratch, 0, out=scratch)  # a variance, but for rounding
            np.sqrt(scratch, out=scratch)
        else:
            np.sqrt(mean_square, out=scratch)
        np.add(scratch, self.eps, out=scratch)
        np.divide(grad, scratch, out=scratch)
        if not self.momentum:
            return np.multiply(scratch, self._lr, out=scratch)
        velocity = kept["momentum_buffer"]
        np.multiply(velocity, self.momentum, out=velocity)
        np.add(velocity, scratch, out=velocity)
        return np.multiply(velocity, self._lr, out=scratch)


def _decayed(slot: Slot, data: Array, grad: Array, weight_decay: float) -> Array:
    """Return a gradient with that of the L2 penalty, in the spare array if there is one to add."""
    if not weight_decay:
        return grad
    np.multiply(data, weight_decay, out=slot.spare)
    return np.add(slot.spare, grad, out=slot.spare)


def _running_mean(mean: Array, value: Array, keep: float, scratch: Array) -> Array:
    """Move a running mean towards a value, which may stand in the scratch array."""
    np.multiply(value, 1 - keep, out=scratch)
    np.multiply(mean, keep, out=mean)
    return np.add(mean, scratch, out=mean)

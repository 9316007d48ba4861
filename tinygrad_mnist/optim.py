"""Optimizers, learning-rate schedules and gradient clipping; formulas and names are PyTorch's."""

from __future__ import annotations

import functools
import math
import operator
import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinygrad_mnist.nested import flatten
from tinygrad_mnist.switches import user_level
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinygrad_mnist.graph import Array

    Parameters = Iterable[Tensor] | Mapping[Any, Any]
    State = dict[str, Any]

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepLR",
    "WarmUpLR",
    "clip_grad_norm",
    "clip_grad_value",
]

# Optimizers ---------------------------------------------------------------------------------------


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
        self.weight_decay = _number("weight_decay", weight_decay)
        self.accumulate = accumulate
        self.uncleared = False
        self.parameters = _collected(params, f"{type(self).__name__}")
        self._slots = [_Slot(p, self.buffers) for p in self.parameters]
        _share_scratch(self._slots)

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = _number("lr", value)

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for parameter in self.parameters:
            leaf = parameter._node
            if leaf is not None:
                leaf.grad = None
                leaf.used = False

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        lr = self._lr
        for slot in self._slots:
            leaf = slot.parameter._node  # not by the properties: 10 % of a small step
            if leaf is None or leaf.grad is None:
                continue
            if leaf.used and not self.accumulate:
                self._warn()
            leaf.used = True
            data = slot.parameter._value
            if slot.data is not data:
                slot.refit(data)
            if slot.lr is not lr:
                slot.rate, slot.lr = leaf.dtype.type(lr), lr
            slot.steps += 1
            if not slot.steps % _FLUSH_STEPS:
                slot.flush()
            change = self._change(slot, data, leaf.grad)
            try:
                np.subtract(data, change, data)
            except ValueError:
                if getattr(data.flags, "writeable", True):
                    raise
                slot.parameter.data = data - change  # a live graph saves the old array

    def _change(self, slot: _Slot, data: Array, grad: Array) -> Array:
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
        check_state(what, _shapes(self.state_dict()), _shapes(state))
        numbers = {name: _number(name, state[name]) for name in self.settings}
        steps = [_number(f"{k}.step", state[f"{k}.step"]) for k in range(len(self._slots))]
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
        self.momentum = _number("momentum", momentum, most=1.0)
        self.nesterov = bool(nesterov)
        if nesterov and not momentum:
            raise ValueError("SGD with nesterov=True needs a momentum above 0, such as 0.9")
        self.buffers = ("momentum_buffer",) if momentum else ()
        super().__init__(params, lr, weight_decay=weight_decay, accumulate=accumulate)

    def _change(self, slot: _Slot, data: Array, grad: Array) -> Array:
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
        self.beta1, self.beta2 = (_number("betas", beta, most=1.0) for beta in betas)
        if max(betas) == 1:
            raise ValueError(f"betas are from 0 to below 1; got {betas}")
        self.eps = _number("eps", eps)
        super().__init__(params, lr, weight_decay=weight_decay, accumulate=accumulate)

    def _change(self, slot: _Slot, data: Array, grad: Array) -> Array:
        return self._adapted(slot, _decayed(slot, data, grad, self.weight_decay))

    def _adapted(self, slot: _Slot, grad: Array) -> Array:
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

    def _change(self, slot: _Slot, data: Array, grad: Array) -> Array:
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
        self.alpha = _number("alpha", alpha, most=1.0)
        self.eps = _number("eps", eps)
        self.momentum = _number("momentum", momentum, most=1.0)
        self.centered = bool(centered)
        self.buffers = (
            "square_avg",
            *(["grad_avg"] if centered else []),
            *(["momentum_buffer"] if momentum else []),
        )
        super().__init__(params, lr, weight_decay=weight_decay, accumulate=accumulate)

    def _change(self, slot: _Slot, data: Array, grad: Array) -> Array:
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


class _Slot:
    """What an optimizer keeps for one parameter: arrays, a count, and room to compute in."""

    __slots__ = ("data", "kept", "lr", "parameter", "rate", "scratch", "spare", "steps")
    rate: Any  # the learning rate in the parameter's dtype: a product takes 0.1 us less
    lr: float | None  # the number that it was made of
    scratch: Array
    spare: Array

    def __init__(self, parameter: Tensor, buffers: Iterable[str]) -> None:
        self.parameter = parameter
        self.data = parameter.data  # for which the arrays below have the right shape and dtype
        self.kept: dict[str, Array] = {name: np.zeros_like(parameter.data) for name in buffers}
        self.steps = 0
        self.lr = None

    def refit(self, data: Array) -> None:
        """Follow a parameter that was given another array, perhaps of another dtype."""
        if data.shape != self.scratch.shape:
            raise ValueError(
                f"a parameter of shape {self.scratch.shape} was given data of shape {data.shape} "
                "since its optimizer was made: make a new optimizer"
            )
        self.data = data
        if data.dtype == self.scratch.dtype:
            return
        self.scratch, self.spare = np.empty_like(data), np.empty_like(data)
        self.lr = None
        self.kept = {name: array.astype(data.dtype) for name, array in self.kept.items()}

    def flush(self) -> None:
        """Set to 0 what has faded to almost nothing in the running means of gradients.

        An entry whose gradient has become 0, such as the weight of a pixel that no image of late
        has lit, fades towards 0, and rounding stops it at a subnormal number, with which processors
        are several times slower. Below `_faded` it changes no parameter but one that is as small.
        """
        for name in _FADING & self.kept.keys():
            limit = _faded(self.kept[name].dtype)
            if limit:
                kept = self.kept[name]
                np.multiply(kept, np.abs(kept, out=self.scratch) >= limit, out=kept)


_FLUSH_STEPS = 64  # in which momentum 0.9 makes a number 1,000 times smaller: none gets past unseen
_FADING = {"momentum_buffer", "exp_avg", "grad_avg"}  # not mean squares: they are small by nature


@functools.cache
def _faded(dtype: np.dtype[Any]) -> float:
    """Return below what a number is 0 for all purposes: 1e-31 for float32, 0 for float16."""
    info = np.finfo(dtype)
    return float(info.tiny / info.eps) if info.bits > 16 else 0.0


def _share_scratch(slots: list[_Slot]) -> None:
    """Give parameters of one dtype the same two arrays to compute in: little, so in the cache."""
    groups: dict[Any, list[_Slot]] = {}
    for slot in slots:
        data = slot.parameter.data
        groups.setdefault((type(data), data.dtype), []).append(slot)
    for group in groups.values():
        most = max(slot.parameter.size for slot in group)
        scratch, spare = (np.empty_like(group[0].parameter.data, shape=most) for _ in range(2))
        for slot in group:
            size, shape = slot.parameter.size, slot.parameter.shape
            slot.scratch, slot.spare = scratch[:size].reshape(shape), spare[:size].reshape(shape)


def _decayed(slot: _Slot, data: Array, grad: Array, weight_decay: float) -> Array:
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


# Learning-rate schedules --------------------------------------------------------------------------


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
        check_state(f"load_state_dict of {type(self).__name__}", _shapes(own), _shapes(state))
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
        self.step_size = _count("step_size", step_size)
        self.gamma = _number("gamma", gamma)
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
        self.total_steps = _count("total_steps", total_steps)
        self.min_lr = _number("min_lr", min_lr)
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
        self.max_lr = _number("max_lr", max_lr)
        self.total_steps = _count("total_steps", total_steps)
        self.pct_start = _number("pct_start", pct_start, most=1.0)
        self.first_lr = self.max_lr / _number("div_factor", div_factor, least=1.0)
        self.last_lr = self.first_lr / _number("final_div_factor", final_div_factor, least=1.0)
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
        self.warm_up = _count("warm_up", warm_up)
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
        check_state("load_state_dict of WarmUpLR", _shapes(self.state_dict()), _shapes(state))
        inner = {n.removeprefix("after."): v for n, v in state.items() if n.startswith("after.")}
        self.after.load_state_dict(inner)
        for name, value in super().state_dict().items():
            setattr(self, name, type(value)(state[name]))
        self.optimizer.lr = self.lr_at(self.steps)


def _cosine(start: float, end: float, share: float) -> float:
    """Return what lies between two rates after a share of half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


# Gradient clipping --------------------------------------------------------------------------------


def clip_grad_norm(params: Parameters, max_norm: float) -> float:
    """Scale all gradients down together, if need be, to an L2 norm of at most `max_norm` [1]_.

    Parameters
    ----------
    params : iterable of Tensor, or nested dicts, lists and tuples of them
        Those without a gradient are skipped.
    max_norm : float

    Returns
    -------
    float
        The norm of all gradients, as one vector, before.

    Raises
    ------
    FloatingPointError
        If a gradient is not finite: nothing that is scaled from it would be.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
       networks", 2013, algorithm 1.
    """
    most = _number("max_norm", max_norm)
    tracked = _with_gradients(params, "clip_grad_norm")
    norm = math.hypot(*(_norm(parameter.grad) for parameter in tracked))
    if not math.isfinite(norm):
        raise FloatingPointError(
            f"the gradients' norm is {norm}: run the step inside detect_anomaly() to see where "
            "the first value that is not finite was made"
        )
    if norm > most:
        for parameter in tracked:
            _apply(parameter, np.multiply, most / norm)
    return norm


def clip_grad_value(params: Parameters, clip_value: float) -> None:
    """Cut every entry of every gradient to lie from ``-clip_value`` to ``clip_value``.

    Parameters
    ----------
    params : iterable of Tensor, or nested dicts, lists and tuples of them
        Those without a gradient are skipped.
    clip_value : float
    """
    most = _number("clip_value", clip_value)
    for parameter in _with_gradients(params, "clip_grad_value"):
        _apply(parameter, np.maximum, -most)
        _apply(parameter, np.minimum, most)


def _norm(grad: Array) -> float:
    norm = math.sqrt(np.vdot(grad, grad))
    if math.isfinite(norm):
        return norm
    largest = float(np.max(np.abs(grad)))  # squares overflow before their root does
    if not math.isfinite(largest):
        return largest
    scaled = grad / largest
    return largest * math.sqrt(np.vdot(scaled, scaled))


def _apply(parameter: Tensor, ufunc: np.ufunc, number: float) -> None:
    """Change a gradient in place, unless it is read-only or a NumPy scalar."""
    grad = parameter.grad
    if getattr(grad.flags, "writeable", True):  # type: ignore[union-attr]
        ufunc(grad, number, out=grad)
    else:
        parameter.grad = ufunc(grad, number)


# Reading arguments --------------------------------------------------------------------------------


def _collected(params: Parameters, what: str) -> list[Tensor]:
    """Return the Tensors to change, each once; refuse what is none, and an empty list."""
    unique = list({id(t): t for t in _tensors(params, what)}.values())
    for k, tensor in enumerate(unique):
        if not tensor.is_leaf:
            raise ValueError(
                f"{what} got the result of an operation as parameter {k}, of shape "
                f"{tensor.shape}: give the leaf it was computed from, or .detach() it first and "
                "set requires_grad=True"
            )
    if not any(tensor.requires_grad for tensor in unique):
        if unique:
            raise ValueError(
                f"{what} got {len(unique)} Tensors, none of which requires a gradient: make them "
                "with requires_grad=True"
            )
        raise ValueError(
            f"{what} got no parameters: give it model.parameters(), or a list of Tensors (an "
            "iterator gives them only once)"
        )
    return unique


def _with_gradients(params: Parameters, what: str) -> list[Tensor]:
    return [t for t in _tensors(params, what) if t.requires_grad and t.grad is not None]


def _tensors(params: Any, what: str) -> list[Tensor]:
    """Return the Tensors of an iterable or a nested structure."""
    if isinstance(params, Tensor) or not hasattr(params, "__iter__"):
        raise TypeError(
            f"{what} takes a list of Tensors, such as model.parameters() or [w, b]; got "
            f"{type(params).__name__}"
        )
    leaves, _ = flatten(params if isinstance(params, (dict, list, tuple)) else list(params))
    for k, leaf in enumerate(leaves):
        if not isinstance(leaf, Tensor):
            raise TypeError(
                f"{what} takes Tensors; number {k} is {type(leaf).__name__}: wrap an array in "
                "Tensor(array, requires_grad=True)"
            )
    return leaves


def _number(name: str, value: Any, *, least: float = 0.0, most: float = math.inf) -> float:
    """Return a setting as a Python float, which leaves every array its dtype."""
    number = float(value) if isinstance(value, (Real, np.ndarray)) else math.nan
    if not least <= number <= most or number == math.inf:
        limit = f"a finite number, at least {least:g}" if most == math.inf else ""
        raise ValueError(f"{name} is {limit or f'from {least:g} to {most:g}'}; got {value!r}")
    return number


def _count(name: str, value: int) -> int:
    if operator.index(value) < 1:
        raise ValueError(f"{name} is a whole number, at least 1; got {value!r}")
    return operator.index(value)


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(value) for name, value in state.items()}


def check_state(
    what: str, own: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise ValueError, with a list of what is wrong, unless a state has one's names and shapes.

    Parameters
    ----------
    what : str
        Who is loading.
    own, given : mapping of str to tuple
        The shape by name of what there is to load, and of what was given.
    """
    faults = []
    if missing := [name for name in own if name not in given]:
        faults.append(f"missing: {', '.join(missing)}")
    if unexpected := [name for name in given if name not in own]:
        faults.append(f"unexpected: {', '.join(map(str, unexpected))}")
    wrong = [f"{n} is {own[n]}, given {given[n]}" for n in own if own[n] != given.get(n, own[n])]
    if wrong:
        faults.append(f"of the wrong shape: {', '.join(wrong)}")
    if faults:
        raise ValueError(f"{what} loaded nothing; {'; '.join(faults)}")


def copied(value: Any, dtype: np.dtype[Any]) -> Array:
    """Return a copy of what a state holds, of whatever library, in another dtype."""
    data = value.data if isinstance(value, Tensor) else value
    return data.astype(dtype) if hasattr(data, "astype") else np.array(data, dtype)

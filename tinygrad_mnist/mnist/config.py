"""Config: every choice that a training run depends on, checked when it is made."""

from __future__ import annotations

import difflib
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mnist.mnist.errors import InputError
from tinygrad_mnist.mnist.names import check_names
from tinygrad_mnist.nn.initialisers import INITIALISERS
from tinygrad_mnist.nn.layers import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MODELS = ("mlp",)
SCHEDULES = ("constant", "cosine")
OPTIMIZERS = {  # the settings of each, with what is usual
    "sgd": {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.0001},
    "adam": {"lr": 0.001, "weight_decay": 0.0},
    "adamw": {"lr": 0.001, "weight_decay": 0.01},
    "rmsprop": {"lr": 0.001, "momentum": 0.0, "weight_decay": 0.0},
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every choice that a training run depends on.

    Attributes
    ----------
    model : str
        The kind of network: ``"mlp"``.
    hidden : tuple of int
        The size of each hidden layer.
    activation : str or tuple of str
        What follows a hidden layer: one for all, or one for each.
    dropout : float or tuple of float
        The probability that a hidden unit is dropped in training: one for all layers, or one for
        each.
    bias : bool
        Whether layers add a bias.
    init : str
        How weights are drawn: ``"he"``, ``"glorot"``, or ``"xavier"`` as the paper words it.
    optimizer : str
        ``"sgd"``, ``"adam"``, ``"adamw"`` or ``"rmsprop"``.
    lr : float
        The learning rate that the schedule starts from.
    momentum : float
        The share of the last step's direction that is kept, if the optimizer has momentum.
    weight_decay : float
        As the optimizer takes it. Of these three, None becomes what is usual for the optimizer.
    schedule : str
        ``"cosine"``, from `lr` to 0 over the whole run, or ``"constant"``.
    batch_size, epochs : int
        Images per step, and passes over all images.
    seed : int
        Decides all that is random: first weights, order of images, dropout.
    threads : int
        BLAS threads; None is the number that turns out to be faster.
    validation : int
        How many training images to set aside, the same ones for every seed.
    augment : bool
        Whether images are a little turned, shifted and bent, anew each time they are seen.
    test_each_epoch : bool
        Whether the test images are looked at after each epoch, as the paper does, and not once, at
        the end. What the network becomes does not depend on it.
    data : str
        The folder of the data set; None is the MNIST that comes with the package.
    labels : tuple of str
        The name of each class; None is the digits.

    Raises
    ------
    InputError
        If a value can't be used.

    Examples
    --------
    >>> from tinygrad_mnist.mnist import Config
    >>> Config(optimizer="adam").lr
    0.001
    """

    model: str = "mlp"
    hidden: tuple[int, ...] = (256, 128)
    activation: str | tuple[str, ...] = "relu"
    dropout: float | tuple[float, ...] = 0.2
    bias: bool = True
    init: str = "he"
    optimizer: str = "sgd"
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str = "cosine"
    batch_size: int = 32
    epochs: int = 30
    seed: int = 0
    threads: int | None = None
    validation: int = 0
    augment: bool = False
    test_each_epoch: bool = False
    data: str | None = None
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), list):
                self._set(field.name, tuple(value))
        for name, known in _CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        for name, least in _WHOLE_NUMBERS.items():
            value = getattr(self, name)
            _require(name, value, _is_whole(value, least), f"a whole number from {least} up")
        self._check_layers()
        self._check_optimizer()
        for name in ("bias", "augment", "test_each_epoch"):
            value = getattr(self, name)
            _require(name, value, isinstance(value, bool), "True or False")
        _require(
            "threads",
            self.threads,
            self.threads is None or _is_whole(self.threads, 1),
            "a whole number from 1 up, or auto",
        )
        if self.data is not None:
            self._set("data", str(Path(self.data).absolute()))
        if self.labels is not None:
            check_names(self.labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class."""
        return _DIGITS if self.labels is None else self.labels

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen for everybody else

    def _check_layers(self) -> None:
        sizes, wanted = self.hidden, "sizes from 1 up, such as 128,64"
        _require("hidden", sizes, isinstance(sizes, tuple), wanted)
        _require("hidden", sizes, all(_is_whole(size, 1) for size in sizes), wanted)
        for value in self._for_each_layer("activation"):
            _check_choice("activation", value, ACTIVATIONS)
        for value in self._for_each_layer("dropout"):
            _require("dropout", self.dropout, _is_number(value, 1), _BELOW_1)

    def _for_each_layer(self, name: str) -> tuple[Any, ...]:
        values = getattr(self, name)
        if not isinstance(values, tuple):
            return (values,)
        if len(values) != len(self.hidden):
            raise InputError(
                f"{name} has {len(values)} values for {len(self.hidden)} hidden layers: give one "
                f"for all, or one for each"
            )
        return values

    def _check_optimizer(self) -> None:
        usual = OPTIMIZERS[self.optimizer]
        for name in ("lr", "momentum", "weight_decay"):
            if getattr(self, name) is None:
                self._set(name, usual.get(name))
            elif name not in usual:
                raise InputError(f"{self.optimizer} has no {name}: leave it out")
        fits = _is_number(self.lr, math.inf) and self.lr != 0
        _require("lr", self.lr, fits, "a number above 0")
        if "momentum" in usual:
            _require("momentum", self.momentum, _is_number(self.momentum, 1), _BELOW_1)
        fits = _is_number(self.weight_decay, math.inf)
        _require("weight_decay", self.weight_decay, fits, "a number from 0 up")

    @classmethod
    def paper(cls, **changes: Any) -> Config:
        """Return the paper's own recipe, changed where asked.

        No bias, first weights from N(0, 1) / sqrt(n) (section III-B), ReLU (III-C), no dropout
        (V-A), plain gradient descent (equation 7), 30 epochs of batches of 32 of all 60,000 images,
        with loss and accuracy of the test images after each (IV-A). The paper does not say the
        sizes of its layers nor its learning rate.
        """
        recipe: dict[str, Any] = {
            "hidden": (128, 64),
            "dropout": 0.0,
            "bias": False,
            "init": "xavier",
            "schedule": "constant",
            "test_each_epoch": True,
        }
        if changes.get("optimizer", "sgd") == "sgd":
            recipe |= {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
        return cls(**recipe | changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the choices as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, choices: Mapping[str, Any]) -> Config:
        """Return the Config that `to_dict` described, checked anew.

        Raises
        ------
        InputError
            If a name is unknown or a value can't be used.
        """
        for name in choices:
            _check_choice("option", name, [field.name for field in fields(cls)])
        return cls(**choices)


_CHOICES = {
    "model": MODELS,
    "init": INITIALISERS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
_DIGITS = tuple("0123456789")
_BELOW_1 = "a number from 0 up, below 1"
_WHOLE_NUMBERS = {"batch_size": 1, "epochs": 1, "seed": 0, "validation": 0}


def _require(name: str, value: Any, fits: bool, wanted: str) -> None:
    if not fits:
        raise InputError(f"{name} is {value!r}: give {wanted}")


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any, below: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < below


def _check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), known, 1)
        guess = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        raise InputError(f"{name} {value!r} is unknown: {guess}")

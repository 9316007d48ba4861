"""Module: an object whose attributes hold parameters and whose call is a forward pass."""

from __future__ import annotations

import functools
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tinygrad_mnist.graph import current_mode, modes, next_index
from tinygrad_mnist.optim.arguments import check_state, copied
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import DTypeLike


class Visits(list[tuple["Module", int, int]]):
    """Scopes, as `graph.Mode` keeps them, beside what each of these calls returned."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[Any] = []


def _scoped(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a module's call that says what was computed inside it, if anyone listens."""

    @functools.wraps(call)
    def scoped(self: Module, *args: Any, **kwargs: Any) -> Any:
        if not modes:
            return call(self, *args, **kwargs)
        scopes = current_mode().scopes
        if scopes is None:
            return call(self, *args, **kwargs)
        before, first = len(scopes), next_index()
        try:
            result = call(self, *args, **kwargs)
        except Exception:
            scopes.append((self, first, next_index()))  # a drawing shows where it was
            raise
        # an overridden __call__ that calls super().__call__ is one scope, not two
        inside = [k for k in range(before, len(scopes)) if scopes[k][0] is not self]
        scopes[before:] = [scopes[k] for k in inside]
        scopes.append((self, first, next_index()))
        if isinstance(scopes, Visits):
            scopes.results[before:] = [*(scopes.results[k] for k in inside), result]
        return result

    return scoped


@_scoped
def _scoped_forward(self: Module, *args: Any, **kwargs: Any) -> Any:
    return self.forward(*args, **kwargs)


_MISSING = object()


def _missing_forward(self: Module, *_: Any, **__: Any) -> Any:
    name = type(self).__name__
    raise NotImplementedError(
        f"{name} says nothing of what it computes: give the class a method forward(self, x)"
    )


class Module:
    """A model, or a part of one: parameters, other modules, and a forward pass.

    A subclass sets parameters and modules as attributes, alone or in lists, tuples and dicts, and
    defines ``forward`` (or overrides ``__call__``). A leaf Tensor is a parameter, whether frozen
    (``requires_grad=False``) or not; a plain array is a constant. An attribute that two modules
    share counts once, under the name where it is met first.

    Attributes
    ----------
    training : bool
        Whether layers such as `Dropout` behave as in training; `train` and `eval` set it.

    Examples
    --------
    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.layers = [Linear(784, 128), Linear(128, 10)]
    ...
    ...     def forward(self, x):
    ...         return self.layers[1](ops.relu(self.layers[0](x)))
    >>> [name for name, _ in Net().named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
    """

    training: bool = True  # an instance's own once `train` or `eval` was called: no __init__ needed

    # declared as any function, so that a subclass may name its own arguments
    forward: ClassVar[Callable[..., Any]] = _missing_forward

    def _call(self, x: Any = _MISSING, /, *more: Any, **named: Any) -> Any:
        """Return what `forward` makes of the arguments."""
        if modes or x is _MISSING or more or named:
            args = () if x is _MISSING else (x, *more)
            return _scoped_forward(self, *args, **named)
        return self.forward(x)  # one argument, as almost always: 0.1 us less

    __call__: ClassVar[Callable[..., Any]] = _call

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__call__" in vars(cls):
            cls.__call__ = _scoped(vars(cls)["__call__"])

    # What it is made of

    def parameters(self) -> list[Tensor]:
        """Return every parameter once, in the order of attributes."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """Return every parameter once, with its path, such as ``layers.0.weight``."""
        return [(name, part) for name, part in _parts(self) if isinstance(part, Tensor)]

    def modules(self) -> list[Module]:
        """Return this module and every one inside it, once."""
        return [module for _, module in self.named_modules()]

    def named_modules(self) -> list[tuple[str, Module]]:
        """Return this module, as ``""``, and every one inside it, once, with its path."""
        return [(name, part) for name, part in _parts(self) if isinstance(part, Module)]

    def generators(self) -> list[tuple[str, np.random.Generator]]:
        """Return every random generator once, with its path: a checkpoint keeps their states."""
        generator = np.random.Generator
        return [(name, part) for name, part in _parts(self) if isinstance(part, generator)]

    # Saving and loading

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return a copy of each parameter's array by its path.

        Raises
        ------
        ValueError
            If two parameters have one path, by a dict's key with a dot in it.
        """
        return {name: parameter.data.copy() for name, parameter in self._by_name().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set every parameter to a copy of the array of its path, in the parameter's dtype.

        Parameters
        ----------
        state : mapping of str to array_like
            As `state_dict` returns it: exactly the paths and shapes of this module.

        Raises
        ------
        ValueError
            If a path is missing or unexpected, or a shape is wrong; then nothing is loaded.
        """
        own = self._by_name()
        check_state(
            f"load_state_dict of {type(self).__name__}",
            {name: parameter.shape for name, parameter in own.items()},
            {name: np.shape(value) for name, value in state.items()},
        )
        arrays = {name: copied(state[name], own[name].dtype) for name in own}
        for name, parameter in own.items():
            parameter.data = arrays[name]

    def _by_name(self) -> dict[str, Tensor]:
        named = self.named_parameters()
        found = dict(named)
        if len(found) < len(named):
            names = [name for name, _ in named]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(
                f"{type(self).__name__} has two parameters with the path {twice!r}: rename the "
                "key of a dict that holds a dot"
            )
        return found

    # Changing all of it

    def train(self, mode: bool = True) -> Self:
        """Let this module and all inside behave as in training; return it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Let this module and all inside behave as in use: no dropout; return it."""
        return self.train(mode=False)

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert every floating-point parameter, and its gradient, to `dtype`; return the module.

        Raises
        ------
        TypeError
            If `dtype` is not of floating-point numbers.
        """
        dtype = floating(dtype, f"astype of {type(self).__name__}")
        for parameter in self.parameters():
            if parameter.dtype.kind == "f":
                parameter.data = parameter.data.astype(dtype)  # which converts the gradient too
        return self

    def zero_grad(self) -> None:
        """Set every parameter's ``grad`` to None."""
        for parameter in self.parameters():
            if parameter.requires_grad:
                parameter.grad = None

    # How it looks

    def extra_repr(self) -> str:
        """Return what `repr` shows instead of this module's own parameters, such as its sizes."""
        return ""

    def _shown(self) -> Iterable[tuple[str, Any]]:
        """Return what `repr` lists inside the brackets."""
        hidden = (Tensor, np.random.Generator) if self.extra_repr() else np.random.Generator
        return [(name, part) for name, part in _children(self) if not isinstance(part, hidden)]

    @recursive_repr()
    def __repr__(self) -> str:
        lines = [
            f"{name}: {part.dtype} {part.shape}"
            if isinstance(part, Tensor)
            else f"{name}: {part!r}"
            for name, part in self._shown()
        ]
        inside = "".join(f"\n{line}".replace("\n", "\n  ") for line in lines)
        return f"{type(self).__name__}({self.extra_repr()}{inside}" + ("\n)" if lines else ")")

    def _repr_html_(self) -> str:
        from tinygrad_mnist import notebook  # where a notebook asks for it

        parameters = self.named_parameters()
        total = sum(p.size for _, p in parameters)
        rows = [[name, f"{p.shape}", f"{p.dtype}", f"{p.size:,}"] for name, p in parameters]
        parts = notebook.code(repr(self))
        if not parameters:
            return parts
        return (
            parts
            + notebook.table(["parameter", "shape", "type", "numbers"], rows, words=3)
            + notebook.paragraph(f"{total:,} numbers in all")
        )


class Sequential(Module):
    """Modules, or any functions, one after the other; their paths are ``0``, ``1``, ….

    Parameters
    ----------
    *layers : callable
        Each takes what the one before returned.

    Raises
    ------
    TypeError
        If a layer can't be called.

    Examples
    --------
    >>> model = Sequential(Linear(784, 64), ReLU(), Linear(64, 10))
    >>> model[0]
    Linear(784, 64)
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        for number, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(
                    f"Sequential takes modules or functions, one by one; argument {number} is "
                    f"{type(layer).__name__}: unpack a list with Sequential(*layers)"
                )
            setattr(self, str(number), layer)

    def forward(self, x: Any) -> Any:
        """Return what the last layer makes of it all; `x` itself if there is none."""
        for layer in self:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return sum(name.isdigit() for name in vars(self))

    def __bool__(self) -> bool:
        return True  # a model without layers is a model

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return (layer for _, layer in self._shown())

    def __getitem__(self, index: int | slice) -> Any:
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]

    def _shown(self) -> Iterable[tuple[str, Any]]:
        return [(name, layer) for name, layer in vars(self).items() if name.isdigit()]


# Finding parts ----------------------------------------------------------------------------------


def _items(container: Any) -> Iterable[tuple[Any, Any]]:
    """Return the names and values that a module, dict, list or tuple holds."""
    if isinstance(container, Module):
        return vars(container).items()
    if isinstance(container, dict):
        return container.items()
    return enumerate(container)


def _children(container: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the parts that a module holds itself, in containers too, but not their own parts."""
    for key, value in _items(container):
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, (Module, np.random.Generator)):
            yield name, value
        elif isinstance(value, Tensor):
            if value.is_leaf:
                yield name, value
        elif isinstance(value, (dict, list, tuple)):
            yield from _children(value, name)


def _parts(root: Module) -> Iterator[tuple[str, Any]]:
    """Yield a module and every module, leaf Tensor and generator inside it, once, with its path."""
    seen = {id(root)}

    def descend(module: Module, path: str) -> Iterator[tuple[str, Any]]:
        yield path, module
        for name, part in _children(module, path):
            if id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, Module):
                yield from descend(part, name)
            else:
                yield name, part

    return descend(root, "")


# Arrays ------------------------------------------------------------------------------------------


def floating(dtype: DTypeLike, what: str) -> np.dtype[Any]:
    """Return a dtype of floating-point numbers; refuse any other."""
    checked: np.dtype[Any] = np.dtype(dtype)
    if checked.kind != "f":
        raise TypeError(f"{what} needs a floating-point dtype, such as np.float32; got {checked}")
    return checked

"""grade: gradients computed by hand beside ours, with what is wrong about each."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.checking.marking import Grade, Grader
from tinygrad_mnist.checking.tracing import keeping
from tinygrad_mnist.nested import flatten
from tinygrad_mnist.tensor import Tensor, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]


def grade(by_hand: Any, loss: Tensor | Callable[..., Any], params: Any = None) -> Grade:
    """Compare gradients computed by hand with ours, and say what is wrong about each.

    Parameters
    ----------
    by_hand : dict, sequence or callable
        Arrays by name: ``{"dW1": ..., "db1": ...}``; a prefix such as ``d`` or ``grad_`` may stand
        before the name of a parameter, or of a variable of the loss function, whose cotangent it
        then is: ``"dz1"``. Or arrays in the order of `params`, or a function of `params` that
        returns such.
    loss : Tensor or callable
        The loss, or the function that computes it: of `params`, of each of them by its name, or of
        nothing if `params` are Tensors that it knows. Of a Tensor, variables are those of the
        caller.
    params : dict, sequence or Module, optional
        Arrays or Tensors. By default what the loss was computed from, by the caller's names.

    Returns
    -------
    Grade
        Prints as sentences; `right` says whether all is.

    Raises
    ------
    TypeError
        If the loss is neither a Tensor nor a function, or not a single number.
    ValueError
        If a name in `by_hand` is neither that of a parameter nor of a variable.

    Examples
    --------
    >>> w, x = np.array([1.0, 2.0]), np.ones((4, 2))
    >>> print(grade({"dw": x.sum(0)}, lambda w: (x @ w).mean(), {"w": w}))
    dw is 4 times too large: divided by the batch size once too rarely
    """
    if isinstance(loss, Tensor):
        frame = sys._getframe(1)
        variables = {**frame.f_globals, **frame.f_locals}
        tracked = _own(params) if params is not None else _leaves_of(loss, variables)
        result: Any = loss
    elif callable(loss):
        tracked = {} if params is None else _tracked(params)
        with keeping():
            result, variables = _run(loss, params, tracked)
        if params is None:
            tracked = _leaves_of(result, variables)
    else:
        raise TypeError(f"grade takes a loss, a Tensor or a function; got {type(loss).__name__}")
    if not isinstance(result, Tensor) or result.size != 1 or result._node is None:
        raise TypeError(
            "grade needs a loss that is a single number, as a Tensor that is computed from params"
        )
    given = _by_name(by_hand, params, tracked)
    return Grader(result, tracked, variables).grade(given)


# Reading what was given ---------------------------------------------------------------------------


def _named_leaves(params: Any) -> dict[str, Any]:
    """Return parameters by name: keys, paths in a module, or places in a list."""
    if hasattr(params, "named_parameters"):
        return dict(params.named_parameters())
    if isinstance(params, dict):
        found: dict[str, Any] = {}
        for key, value in params.items():
            if isinstance(value, (dict, list, tuple)):
                found |= {f"{key}.{k}": v for k, v in _named_leaves(value).items()}
            else:
                found[str(key)] = value
        return found
    if isinstance(params, (list, tuple)):
        return _named_leaves({str(k): value for k, value in enumerate(params)})
    return {"0": params}


def _own(params: Any) -> dict[str, Tensor]:
    """Return parameters that are Tensors already."""
    named = _named_leaves(params)
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"grade of a loss that is computed already takes params that are Tensors; {name} "
                f"is {type(value).__name__}: give the function of params instead"
            )
    return named


def _tracked(params: Any) -> dict[str, Tensor]:
    """Return parameters as Tensors that require a gradient, arrays in double precision."""
    return {
        name: value
        if isinstance(value, Tensor) and value.requires_grad
        else Tensor(np.array(raw(value), dtype=float), requires_grad=True)
        for name, value in _named_leaves(params).items()
    }


def _leaves_of(loss: Any, variables: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the leaves that have a name among variables."""
    return {
        name: value
        for name, value in variables.items()
        if isinstance(value, Tensor) and value.is_leaf and value.requires_grad and value is not loss
    }


def _run(
    loss: Callable[..., Any], params: Any, tracked: Mapping[str, Tensor]
) -> tuple[Any, dict[str, Any]]:
    """Return the loss, and the variables that its function had at the end."""
    variables: dict[str, Any] = {}
    code = getattr(loss, "__code__", None)

    def look(frame: Any, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            variables.update(frame.f_locals)

    arguments, keywords = _arguments(loss, params, tracked)
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        result = loss(*arguments, **keywords)
    finally:
        sys.setprofile(before)
    return result, variables


def _arguments(
    loss: Callable[..., Any], params: Any, tracked: Mapping[str, Tensor]
) -> tuple[list[Any], dict[str, Any]]:
    """Return how to call the function: with nothing, with each parameter by name, or with all."""
    needed = [
        p.name
        for p in inspect.signature(loss).parameters.values()
        if p.default is p.empty and p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}
    ]
    if not needed or params is None:
        return [], {}
    if set(needed) == set(tracked):
        return [], dict(tracked)
    if isinstance(params, (list, tuple)) and len(needed) == len(params) > 1:
        return list(tracked.values()), {}
    _, rebuild = flatten(params) if not hasattr(params, "named_parameters") else ([], None)
    return [params if rebuild is None else rebuild(list(tracked.values()))], {}


def _by_name(by_hand: Any, params: Any, tracked: Mapping[str, Tensor]) -> dict[str, Array]:
    """Return the gradients that were given, by the user's names."""
    if callable(by_hand):
        by_hand = by_hand(params)
    if isinstance(by_hand, (list, tuple)):
        if len(by_hand) != len(tracked):
            raise ValueError(
                f"grade got {len(by_hand)} gradients for {len(tracked)} parameters: give a dict"
            )
        by_hand = dict(zip((f"d{name}" for name in tracked), by_hand, strict=True))
    if not isinstance(by_hand, dict):
        by_hand = {f"d{next(iter(tracked), '')}": by_hand}
    return {
        name: _numbers(name, g) for name, g in _unnested(by_hand, params).items() if g is not None
    }


def _unnested(by_hand: dict[str, Any], params: Any) -> dict[str, Any]:
    """Return gradients by name; lists are lists of parameters where these are, else of numbers."""
    leaves = _named_leaves({} if params is None else params)
    nested = {name.rpartition(".")[0] for name in leaves}
    if any(nested):
        return _named_leaves(by_hand)
    return {str(name): g for name, g in by_hand.items()}


def _numbers(name: str, g: Any) -> Array:
    """Return a gradient as an array of numbers.

    Raises
    ------
    TypeError
        If it is none.
    """
    try:
        array = np.asarray(raw(g))
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        what = "complex numbers" if array.dtype.kind == "c" else f"{type(g).__name__}: {g!r:.40}"
        raise TypeError(f"grade takes gradients that are arrays of numbers; {name} is {what}")
    return array

"""Every op, by NumPy's name where NumPy has one, else by PyTorch's; `registry` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mnist.operation import Op, unboxed
from tinygrad_mnist.ops import elementwise
from tinygrad_mnist.ops.elementwise import add, exp, multiply, negative, subtract
from tinygrad_mnist.recording import is_operand
from tinygrad_mnist.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["add", "exp", "multiply", "negative", "registry", "subtract"]

registry: dict[str, Op] = {
    op.name: op for family in (elementwise,) for op in vars(family).values() if isinstance(op, Op)
}


# Tensor's operators and methods are installed here, so that `t * u` reaches its op directly -------


def _reflected(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: call(other, self)


def _comparison(ufunc: np.ufunc) -> Callable[..., Any]:
    def compare(self: Tensor, other: Any) -> Any:
        return ufunc(self.data, unboxed(other)) if is_operand(other) else NotImplemented

    return compare


def _method(op: Op) -> Callable[..., Any]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return op(self, *args, **kwargs)

    method.__name__, method.__doc__ = op.name, op.__doc__
    return method


for _name, _op in {"add": add, "sub": subtract, "mul": multiply}.items():
    setattr(Tensor, f"__{_name}__", _op.call)
    setattr(Tensor, f"__r{_name}__", _reflected(_op.call))
for _name, _op in {"neg": negative}.items():
    setattr(Tensor, f"__{_name}__", _op.call)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _ufunc = getattr(np, {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}[_name])
    setattr(Tensor, f"__{_name}__", _comparison(_ufunc))
for _name in ():
    setattr(Tensor, _name, _method(registry[_name]))

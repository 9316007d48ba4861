"""A trace: one call of a function, recorded from chosen arguments and pulled back."""

import numpy as np

from tests.toys import cube, leaf, times
from tinygrad_mnist import no_grad
from tinygrad_mnist.traces import Trace


def test_a_trace_tracks_the_chosen_arguments_alone():
    seen = []

    def f(x, y, z):
        seen.extend(hasattr(v, "requires_grad") and v.requires_grad for v in (x, y, z))
        return times(x, z)

    trace = Trace(f, (1.0, 2.0, 3.0), [0, 2])
    assert seen == [True, False, True]
    assert trace.pull([np.array(1.0)]) == [3.0, 1.0]


def test_gradients_come_in_the_structure_of_each_argument():
    trace = Trace(lambda p, q: times(p["w"], q[1]), ({"w": 2.0, "b": 5.0}, [7.0, 3.0]), [0, 1])
    first, second = trace.per_argument(trace.pull([np.array(1.0)]))
    assert first == {"w": 3.0, "b": 0.0}
    assert second == [0.0, 2.0]


def test_a_trace_can_be_pulled_more_than_once_unless_it_is_freed():
    trace = Trace(cube, (2.0,), [0])
    assert trace.pull([np.array(1.0)]) == trace.pull([np.array(1.0)], free=True) == [12.0]


def test_a_trace_records_under_no_grad():
    with no_grad():
        assert Trace(cube, (2.0,), [0]).pull([np.array(1.0)]) == [12.0]


def test_a_trace_of_an_outer_tensor_is_recorded_again_for_the_outer_derivative():
    x = leaf(2.0)
    trace = Trace(cube, (x,), [0])
    assert trace.record
    (gradient,) = trace.pull([np.array(1.0)])
    gradient.backward()
    assert x.grad == 12.0


def test_plain_values_come_out_unless_an_outer_derivative_needs_them():
    assert type(Trace(cube, (2.0,), [0]).value()) is np.ndarray
    assert Trace(cube, (leaf(2.0),), [0]).value().requires_grad

"""The graph: how long it lives, and how what it saves is kept unchanged until it is used."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toys import cube, fold, leaf, pair, spread, times, total
from tinygrad_mnist import Tensor, checkpoint, grad, no_grad, op, vjp
from tinygrad_mnist.graph import Box, Leaf, Node, Token

READ_ONLY = "read-only"


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def cycles():
    """Return what of a graph only the collector could free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = [type(one) for one in gc.garbage if isinstance(one, (Box, Leaf, Node, Token))]
    gc.set_debug(0)
    gc.garbage.clear()
    return found


# Lifetime -----------------------------------------------------------------------------------------


def several(x):
    s, p = pair(x, x)
    return total(s * p)


GRAPHS = {
    "op": lambda x: total(cube(x * 2.0)),
    "chain": lambda x: total(((x * x + 1.0) * x - x) * 3.0),
    "several results": several,
    "view": lambda x: total(fold(x, (-1, 1)) * 2.0),
    "checkpoint": lambda x: checkpoint(lambda y: total(cube(y) * x))(x),
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_dropping_the_result_frees_the_graph_without_the_collector(graph, without_collector):
    x = leaf(np.ones(5))
    watched = []

    @op
    def spy(x):
        out = x * 1.0
        watched.append(weakref.ref(out))
        return out

    spy.defvjp(x=lambda g, out: g + 0.0 * out)
    loss = graph(spy(x))
    assert any(reference() is not None for reference in watched)
    del loss
    assert [reference() for reference in watched] == [None] * len(watched)
    assert cycles() == []


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_backward_leaves_no_cycle_behind(graph, without_collector):
    x = leaf(np.ones(5))
    loss = graph(x)
    loss.backward()
    del loss, x
    assert cycles() == []


@pytest.mark.parametrize(
    "derivative",
    [
        grad(lambda x: total(cube(x))),
        grad(lambda x: total(grad(lambda x: total(cube(x)))(x))),
        lambda x: vjp(cube, x)[1](x),
    ],
    ids=["grad", "grad of grad", "vjp"],
)
def test_functions_of_functions_leave_no_cycle_behind(derivative, without_collector):
    derivative(np.ones(3))
    assert cycles() == []


@pytest.mark.parametrize("clear", [True, False], ids=["with backward", "forward alone"])
def test_memory_stays_flat_over_a_hundred_steps_without_the_collector(clear, without_collector):
    w = leaf(np.ones(10_000))

    def step():
        loss = total(cube(w * 2.0) * cube(w))
        if clear:
            loss.backward()
            w.grad = None

    step()
    tracemalloc.start()
    step()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        step()
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert grown < 20_000  # one array of a step has 80,000 bytes


def test_backward_frees_what_was_saved_although_the_result_lives_on():
    x = leaf(np.ones(3))
    constant = np.full(3, 2.0)
    watched = weakref.ref(constant)
    loss = total(x * constant)
    del constant
    assert watched() is not None
    loss.backward()
    assert watched() is None
    del loss


def test_backward_frees_as_it_goes():
    alive = []

    @op
    def probe(x, name):
        return x * 1.0

    def rule(g, name):
        alive.append(sum(reference() is not None for reference in watched))
        return g

    probe.defvjp(x=rule, name=None)
    watched = []
    y = leaf(np.ones(3))
    for k in range(4):
        constant = np.full(3, 2.0)
        watched.append(weakref.ref(constant))
        y = probe(y * constant, k)
        del constant
    total(y).backward()
    assert alive == [4, 3, 2, 1]


def test_a_history_lives_as_long_as_its_result_and_no_longer():
    x = leaf(1.0)
    running = 0.0
    for _ in range(3):
        running += (x * x).item()
    assert type(running) is float


def test_a_checkpoint_frees_its_arguments_in_backward_although_the_result_lives_on():
    x = leaf(np.ones(3))
    constant = np.full(3, 2.0)
    watched = weakref.ref(constant)
    loss = checkpoint(lambda x, c: total(x * c))(x, constant)
    del constant
    loss.backward()
    assert watched() is None
    del loss


# Saved arrays are locked --------------------------------------------------------------------------


def write(array):
    array[...] = 7.0


def test_a_parameter_can_not_be_written_between_forward_and_backward():
    p = leaf([1.0, 2.0])
    loss = total(p * p)
    with pytest.raises(ValueError, match=READ_ONLY):
        p.data -= 0.1
    with pytest.raises(ValueError, match=READ_ONLY):
        p.data[...] = 0.0
    with pytest.raises(ValueError, match=READ_ONLY):
        np.add(p.data, 1.0, out=p.data)
    loss.backward()
    assert np.array_equal(p.grad, [2.0, 4.0])


def test_a_parameter_is_updated_after_backward_as_everyone_writes_it():
    p = leaf([1.0, 2.0])
    array = p.data
    loss = total(p * p)
    loss.backward()
    p.data -= 0.5 * p.grad
    assert np.array_equal(p.data, [0.0, 0.0])
    assert p.data is array
    p.data[...] = 3.0
    p.data[0] += 1.0


def test_a_number_as_a_parameter_is_updated_like_any_other():
    p = leaf(3.0)
    (p * p).backward()
    p.data -= 0.5 * p.grad
    assert p.data == 0.0
    assert p.data.shape == ()


def test_assigning_data_while_a_graph_is_alive_leaves_its_gradient_right():
    p = leaf([1.0, 2.0])
    loss = total(p * p)
    p.data = np.array([10.0, 20.0])
    loss.backward()
    assert np.array_equal(p.grad, [2.0, 4.0])
    p.data[...] = 0.0


def test_a_batch_buffer_can_not_be_refilled_before_backward():
    batch, w = np.ones((2, 3)), leaf(np.ones(3))
    loss = total(batch * w)
    with pytest.raises(ValueError, match=READ_ONLY):
        batch[...] = 5.0
    loss.backward()
    batch[...] = 5.0
    assert np.array_equal(w.grad, [2.0, 2.0, 2.0])


def test_an_untracked_tensor_can_not_be_refilled_before_backward():
    batch, w = Tensor(np.ones(3)), leaf(np.ones(3))
    loss = total(batch * w)
    with pytest.raises(ValueError, match=READ_ONLY):
        batch.data[...] = 5.0
    loss.backward()
    batch.data[...] = 5.0


def test_an_array_in_a_static_parameter_is_locked_too():
    @op
    def masked(x, mask=None):
        return x * mask

    masked.defvjp(x=lambda g, mask: g * mask)
    x, mask = leaf([1.0, 2.0]), np.array([0.0, 1.0])
    out = masked(x, mask)
    with pytest.raises(ValueError, match=READ_ONLY):
        mask[...] = 5.0
    out.backward(np.ones(2))
    mask[...] = 5.0
    assert np.array_equal(x.grad, [0.0, 1.0])


def test_arrays_in_a_list_of_operands_are_locked_too():
    @op
    def product(*xs):
        return xs[0] * xs[1]

    product.defvjp(xs=lambda g, i, xs: g * xs[1 - i])
    p, constant = leaf([1.0]), np.array([2.0])
    out = product(p, constant)
    for array in (p.data, constant):
        with pytest.raises(ValueError, match=READ_ONLY):
            array[...] = 5.0
    out.backward(np.ones(1))
    for array in (p.data, constant):
        array[...] = 5.0


def test_what_no_rule_needs_may_be_changed_at_once():
    p, constant = leaf([1.0, 2.0]), np.ones(2)
    loss = total(p + constant)
    constant[...] = 9.0
    p.data[...] = 9.0
    loss.backward()
    assert np.array_equal(p.grad, [1.0, 1.0])


def test_results_are_handed_out_read_only_but_leaves_and_constants_are_not():
    x = leaf([1.0])
    y = x * 2.0
    with pytest.raises(ValueError, match=READ_ONLY):
        y.data[...] = 5.0
    (y * y).backward(np.ones(1))
    with pytest.raises(ValueError, match=READ_ONLY):
        y.data[...] = 5.0
    x.data[...] = 5.0
    Tensor([1.0]).data[...] = 5.0
    with no_grad():
        (x * 2.0).data[...] = 5.0


def test_a_parameter_is_locked_through_a_result_that_shares_its_memory():
    p = leaf([1.0, 2.0])
    view = fold(p, (2, 1))
    loss = total(view * view)
    with pytest.raises(ValueError, match=READ_ONLY):
        p.data[...] = 5.0
    loss.backward()
    assert np.array_equal(p.grad, [2.0, 4.0])
    del view, loss
    p.data[...] = 5.0


def test_a_parameter_is_locked_through_an_element_of_a_list_that_is_returned_as_it_is():
    @op
    def first(*xs):
        return xs[0]

    first.defvjp(xs=lambda g, i, xs: g if i == 0 else np.zeros_like(xs[i]))
    p = leaf([1.0, 2.0])
    out = first(p, leaf([0.0, 0.0]))
    loss = total(out * out)
    with pytest.raises(ValueError, match=READ_ONLY):
        p.data[...] = 5.0
    loss.backward()
    assert np.array_equal(p.grad, [2.0, 4.0])


def test_a_detached_parameter_shares_its_lock():
    p = leaf([1.0, 2.0])
    loss = total(p * p)
    with pytest.raises(ValueError, match=READ_ONLY):
        p.detach().data[...] = 5.0
    loss.backward()
    p.detach().data[...] = 5.0
    assert np.array_equal(p.data, [5.0, 5.0])


def test_a_detached_result_can_not_be_written():
    y = leaf([1.0]) * 2.0
    with pytest.raises(ValueError, match=READ_ONLY):
        y.detach().data[...] = 5.0


def test_an_array_shared_by_two_graphs_is_locked_until_both_are_done():
    shared, p, q = np.ones(2), leaf([1.0, 1.0]), leaf([1.0, 1.0])
    first, second = total(shared * p), total(shared * q)
    first.backward()
    with pytest.raises(ValueError, match=READ_ONLY):
        shared[...] = 5.0
    second.backward()
    shared[...] = 5.0


@pytest.mark.parametrize("kind", ["parameter", "constant"])
def test_locks_are_released_with_the_result(kind):
    p, constant = leaf([1.0]), np.ones(1)
    out = p * p * constant
    array = p.data if kind == "parameter" else constant
    assert not array.flags.writeable
    del out
    assert array.flags.writeable


def test_locks_are_released_after_an_exception_in_forward():
    @op
    def fails(x):
        raise ZeroDivisionError("on purpose")

    fails.defvjp(x=lambda g: g)
    p = leaf([1.0])

    def forward():
        return fails(p * p)

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        forward()
    write(p.data)


def test_locks_are_released_after_an_exception_in_backward_once_the_loss_is_dropped():
    @op
    def fails(x):
        return x * 1.0

    def rule(g):
        raise ZeroDivisionError("on purpose")

    fails.defvjp(x=rule)
    p = leaf([1.0])
    loss = fails(p * p)
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        loss.backward()
    del loss
    write(p.data)


def test_a_retained_graph_keeps_its_locks_until_it_is_freed():
    p = leaf([1.0])
    loss = total(p * p)
    loss.backward(retain_graph=True)
    with pytest.raises(ValueError, match=READ_ONLY):
        write(p.data)
    loss.backward()
    write(p.data)
    assert p.grad == [4.0]


def test_an_array_that_its_owner_made_read_only_stays_so():
    constant = np.ones(2)
    constant.flags.writeable = False
    p = leaf([1.0, 1.0])
    total(p * constant).backward()
    assert not constant.flags.writeable


def test_a_read_only_view_locks_what_it_looks_at():
    row, p = np.ones(3), leaf(np.ones((2, 3)))
    loss = total(p * np.broadcast_to(row, (2, 3)))
    with pytest.raises(ValueError, match=READ_ONLY):
        write(row)
    loss.backward()
    write(row)


def test_no_grad_and_functions_of_arrays_leave_no_lock_behind():
    x = np.ones(3)
    with no_grad():
        out = times(leaf(np.ones(3)), x)
        write(x)
    grad(lambda t: total(t * x * t))(x)
    value, pull = vjp(lambda t: t * x, x)
    pull(np.ones(3))
    del value, pull, out
    write(x)


def test_a_parameter_is_locked_between_a_checkpoint_and_backward():
    p, q, batch = leaf([1.0, 2.0]), leaf([3.0, 4.0]), np.ones(2)
    loss = checkpoint(lambda: total(times(p, q) * p * batch))()
    for array in (p.data, q.data, batch):
        with pytest.raises(ValueError, match=READ_ONLY):
            write(array)
    loss.backward()
    assert np.array_equal(p.grad, [6.0, 16.0])
    for array in (p.data, q.data, batch):
        write(array)


def test_a_python_list_as_operand_may_be_changed_without_changing_the_gradient():
    x, constants = leaf([1.0, 1.0]), [2.0, 3.0]
    out = x * constants
    constants[0] = 100.0
    out.backward(np.ones(2))
    assert np.array_equal(x.grad, [2.0, 3.0])


def test_a_constant_is_locked_through_a_result_that_shares_its_memory():
    batch, w = np.ones(4), leaf(np.ones((2, 2)))
    loss = total(fold(Tensor(batch), (2, 2)) * w)
    with pytest.raises(ValueError, match=READ_ONLY):
        batch[...] = 7.0
    loss.backward()
    assert np.array_equal(w.grad, np.ones((2, 2)))
    batch[...] = 7.0


def test_integer_results_that_a_rule_uses_can_not_be_written():
    @op
    def largest(x):
        k = np.array([np.argmax(x)])
        return x[k], k

    @op
    def put(x, k, n):
        out = np.zeros(n)
        out[k] = x
        return out

    put.defvjp(x=lambda g, k: g[k], k=None, n=None)
    largest.defvjp(x=lambda g, out, x_shape: put(g[0], out[1], x_shape[0]))
    x = leaf([1.0, 5.0, 2.0])
    value, k = largest(x)
    with pytest.raises(ValueError, match=READ_ONLY):
        k[0] = 0
    value.backward()
    assert np.array_equal(x.grad, [0.0, 1.0, 0.0])


@given(st.permutations(range(4)))
def test_a_view_and_its_base_are_unlocked_whatever_is_released_first(order):
    base = np.ones(4)
    view = base[:2]
    p, q = leaf([1.0, 1.0]), leaf(np.ones(4))
    graphs = {0: view * p, 1: base * q, 2: view * p, 3: base * q}
    for k in order:
        del graphs[k]
    base[...] = 5.0
    view[...] = 5.0


def test_a_list_of_parameters_is_locked_between_a_checkpoint_and_backward():
    @op
    def product(*xs):
        return xs[0] * xs[1]

    product.defvjp(xs=lambda g, i, xs: g * xs[1 - i])
    p, q = leaf([1.0]), leaf([2.0])
    loss = checkpoint(lambda: total(product(p, q)))()
    with pytest.raises(ValueError, match=READ_ONLY):
        write(p.data)
    loss.backward()
    assert q.grad == [1.0]


def test_an_argument_of_a_checkpoint_is_locked_even_if_only_plain_numpy_reads_it():
    x, constant = leaf([1.0]), np.zeros(1)
    loss = checkpoint(lambda x, c: total(x * np.exp(c)))(x, constant)
    with pytest.raises(ValueError, match=READ_ONLY):
        write(constant)
    loss.backward()
    assert x.grad == [1.0]
    write(constant)


def test_threads_that_share_a_leaf_neither_unlock_it_for_each_other_nor_leave_it_locked():
    shared, failures = leaf(np.ones(50)), []

    def work():
        for _ in range(300):
            loss = total(shared * shared)
            if shared.data.flags.writeable:
                failures.append("writeable while saved")
            loss.backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert shared.data.flags.writeable
    assert np.array_equal(shared.grad, np.full(50, 2.0 * 4 * 300))


@given(st.lists(st.sampled_from(["build", "drop", "backward"]), max_size=12))
def test_a_leaf_is_locked_exactly_while_a_graph_saves_it(moves):
    p, graphs = leaf([1.0, 2.0]), []
    for move in moves:
        if move == "build":
            graphs.append(total(p * spread(p, (2,))))
        elif graphs:
            graph = graphs.pop(0)
            if move == "backward":
                graph.backward()
            del graph
        assert p.data.flags.writeable is (not graphs)

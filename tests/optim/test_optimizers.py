"""Optimizers: against their formulas, in place, and in what they refuse."""

import copy
import gc
import json
import math
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.optim.makers import ALL, every, give, leaf
from tinygrad_mnist import Tensor, nn, ops, optim

shares = st.sampled_from([0.0, 0.5, 0.9])
decays = st.sampled_from([0.0, 0.1])
rates = st.sampled_from([1e-3, 0.1])


# Formulas, as papers and PyTorch's pages write them: each takes a start and gradients, and yields
# the parameter after each step.


def sgd(p, grads, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    v = 0
    for t, g in enumerate(grads):
        g = g + weight_decay * p  # noqa: PLW2901
        v = g if t == 0 else momentum * v + g
        p = p - lr * (g + momentum * v if nesterov else v)
        yield p


def adam(p, grads, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m = v = 0
    for t, g in enumerate(grads, 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p  # noqa: PLW2901
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield p


def rmsprop(p, grads, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    square = mean = velocity = 0
    for g in grads:
        g = g + weight_decay * p  # noqa: PLW2901
        square = alpha * square + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        variance = square - mean**2 if centered else square
        velocity = momentum * velocity + g / (np.sqrt(variance) + eps)
        p = p - lr * velocity
        yield p


def agrees(make, formula, dtype=np.float64):
    """Take steps with gradients that sometimes come as zeros, and compare each with the formula."""
    rng = np.random.default_rng(0)
    shapes = [(3, 2), (4,), ()]
    starts = [rng.standard_normal(shape) for shape in shapes]
    grads = [[rng.standard_normal(shape) * (k != 2) for k in range(6)] for shape in shapes]
    parameters = [leaf(start, dtype) for start in starts]
    optimizer = make(parameters)
    expected = [list(formula(*pair)) for pair in zip(starts, grads, strict=True)]
    rtol = 1e-12 if dtype == np.float64 else 1e-4
    for k in range(6):
        for parameter, gradients in zip(parameters, grads, strict=True):
            give(parameter, gradients[k])
        optimizer.step()
        for parameter, steps in zip(parameters, expected, strict=True):
            np.testing.assert_allclose(parameter.data, steps[k], rtol=rtol, atol=rtol)
            assert parameter.dtype == dtype


@given(lr=rates, momentum=shares, weight_decay=decays, nesterov=st.booleans())
def test_sgd_follows_its_formula(lr, momentum, weight_decay, nesterov):
    settings = {
        "momentum": momentum,
        "nesterov": nesterov and momentum > 0,
        "weight_decay": weight_decay,
    }
    agrees(lambda ps: optim.SGD(ps, lr, **settings), lambda p, gs: sgd(p, gs, lr, **settings))


@given(
    lr=rates,
    betas=st.tuples(shares, shares),
    eps=st.sampled_from([1e-8, 1e-2]),
    weight_decay=decays,
    decoupled=st.booleans(),
)
def test_adam_and_adamw_follow_their_formulas(lr, betas, eps, weight_decay, decoupled):
    make = optim.AdamW if decoupled else optim.Adam
    agrees(
        lambda ps: make(ps, lr, betas, eps, weight_decay),
        lambda p, gs: adam(p, gs, lr, betas, eps, weight_decay, decoupled),
    )


@given(
    lr=rates,
    alpha=st.sampled_from([0.5, 0.99]),
    eps=st.sampled_from([1e-8, 1e-2]),
    weight_decay=decays,
    momentum=shares,
    centered=st.booleans(),
)
def test_rmsprop_follows_its_formula(lr, alpha, eps, weight_decay, momentum, centered):
    settings = (lr, alpha, eps, weight_decay, momentum, centered)
    if centered:
        eps = max(eps, 1e-2)  # the first variance is 0 at worst, and rounding decides
        settings = (lr, alpha, eps, weight_decay, momentum, centered)
    agrees(lambda ps: optim.RMSprop(ps, *settings), lambda p, gs: rmsprop(p, gs, *settings))


def test_centered_rmsprop_survives_a_variance_below_0_by_rounding():
    parameter = leaf(np.linspace(0.1, 1, 100), np.float32)
    optimizer = optim.RMSprop([parameter], 1e-6, alpha=0.1, centered=True)
    start = parameter.data.copy()
    for _ in range(20):
        give(parameter, start)
        optimizer.step()
    assert np.isfinite(parameter.data).all()


def test_defaults_are_those_of_pytorch():
    agrees(optim.Adam, lambda p, gs: adam(p, gs, 1e-3))
    agrees(optim.AdamW, lambda p, gs: adam(p, gs, 1e-3, weight_decay=1e-2, decoupled=True))
    agrees(optim.RMSprop, lambda p, gs: rmsprop(p, gs, 1e-2))


@every
def test_float32_parameters_and_buffers_stay_float32(make):
    parameter = leaf(dtype=np.float32)
    optimizer = make([parameter])
    optimizer.lr = np.float64(0.1)
    give(parameter, [1.0, 2.0, 3.0])
    optimizer.step()
    arrays = [v for v in optimizer.state_dict().values() if isinstance(v, np.ndarray)]
    assert {a.dtype for a in [parameter.data, *arrays]} == {np.dtype(np.float32)}


@every
def test_float16_and_zero_sized_parameters_take_steps(make):
    half, empty = leaf(dtype=np.float16), leaf(np.zeros((0, 3)))
    optimizer = make([half, empty])
    give(half, [1.0, 2.0, 3.0])
    give(empty, np.zeros((0, 3)))
    optimizer.step()
    assert half.dtype == np.float16
    assert (half.data < [1.0, -2.0, 3.0]).all()


@every
def test_a_model_learns_xor(make):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    labels = np.array([0, 1, 1, 0])
    model = nn.MLP((2, 16, 2), "tanh", rng=0)
    optimizer = make(model.parameters())
    for _ in range(400):
        loss = ops.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert (model(x).data.argmax(axis=1) == labels).all()


# In place, and yet right


@every
def test_a_step_writes_in_place_leaves_the_gradient_alone_and_allocates_nothing(make):
    parameter = leaf(np.ones((256, 256)))
    array, grad = parameter.data, np.full((256, 256), 0.5)
    optimizer = make([parameter], accumulate=True)
    parameter.grad = grad
    optimizer.step()
    tracemalloc.start()
    optimizer.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes / 8
    assert parameter.data is array
    assert parameter.grad is grad
    assert (grad == 0.5).all()
    assert not (array == 1).all()


def test_parameters_of_one_dtype_share_the_room_that_a_step_needs():
    parameters = [leaf(np.ones(10_000 - k)) for k in range(10)]
    tracemalloc.start()
    optimizer = optim.SGD(parameters, 0.1)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(optimizer.parameters) == 10
    assert size < 3 * parameters[0].nbytes


@every
def test_a_parameter_that_a_live_graph_saves_is_replaced_and_the_graph_stays_right(make):
    w, x = leaf(), leaf([2.0, 5.0, 7.0])
    optimizer, plain = make([w]), leaf()
    kept = (w * x).sum()  # saves w until it goes
    reference = make([plain])
    for parameter in (w, plain):
        give(parameter, [1.0, 1.0, 1.0])
    before = w.data.copy()
    optimizer.step()
    reference.step()
    np.testing.assert_array_equal(w.data, plain.data)
    assert not np.array_equal(w.data, before)
    kept.backward()
    np.testing.assert_array_equal(x.grad, before)
    array = w.data
    optimizer.zero_grad()
    give(w, [1.0, 1.0, 1.0])
    optimizer.step()
    assert w.data is array  # the graph has gone


def test_a_parameter_that_changed_its_shape_is_refused():
    w = leaf()
    optimizer = optim.SGD([w], 0.1)
    w.requires_grad = False
    w.data = np.ones((2, 2))
    w.requires_grad = True
    for _ in range(2):  # the second step is no better than the first
        give(w, np.ones((2, 2)))
        with pytest.raises(ValueError, match=r"of shape \(3,\) was given data of shape \(2, 2\)"):
            optimizer.step()


@every
def test_parameters_may_change_their_dtype_between_steps(make):
    model = nn.Linear(2, 2)
    optimizer = make(model.parameters())
    for dtype in (np.float32, np.float64, np.float32):
        model.astype(dtype)
        optimizer.zero_grad()
        model(np.ones((1, 2), dtype)).sum().backward()
        optimizer.step()
        assert model.weight.dtype == dtype
        kept = [v for v in optimizer.state_dict().values() if isinstance(v, np.ndarray)]
        assert all(v.dtype == dtype for v in kept)


@every
def test_parameters_without_a_gradient_and_frozen_ones_are_left_alone(make):
    used, unused, frozen = leaf(), leaf(), leaf()
    optimizer = make([used, unused, frozen])
    frozen.requires_grad = False
    give(used, [1.0, 1.0, 1.0])
    optimizer.step()
    optimizer.zero_grad()
    np.testing.assert_array_equal(unused.data, [1.0, -2.0, 3.0])
    np.testing.assert_array_equal(frozen.data, [1.0, -2.0, 3.0])
    assert used.grad is None
    assert not np.array_equal(used.data, unused.data)


class Foreign(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of another library: NumPy's protocols, no writeable flag, no weak references."""

    __slots__ = ("array", "dtype", "ndim", "shape", "size")

    def __init__(self, array):
        self.array = array
        self.shape, self.dtype, self.ndim, self.size = (
            array.shape,
            array.dtype,
            array.ndim,
            array.size,
        )

    flags = property(lambda self: object())

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        if out:
            kwargs["out"] = tuple(o.array for o in out)
        result = getattr(ufunc, method)(*map(self.unwrapped, inputs), **kwargs)
        return out[0] if out else Foreign(result)

    def __array_function__(self, function, types, args, kwargs):
        result = function(*map(self.unwrapped, args), **kwargs)
        return Foreign(result) if isinstance(result, np.ndarray) else result

    @staticmethod
    def unwrapped(value):
        return value.array if isinstance(value, Foreign) else value

    def __getitem__(self, index):
        return Foreign(self.array[index])

    def reshape(self, shape):
        return Foreign(self.array.reshape(shape))


@every
def test_arrays_of_another_library_are_updated_as_they_are(make):
    ours, theirs = leaf(), Tensor(Foreign(np.array([1.0, -2.0, 3.0])), requires_grad=True)
    array = theirs.data
    for parameter in (ours, theirs):
        optimizer = make([parameter])
        parameter.grad = np.array([1.0, 2.0, 3.0])
        if parameter is theirs:
            parameter.grad = Foreign(parameter.grad)
        optimizer.step()
        assert optim.clip_grad_norm([parameter], 1.0) == pytest.approx(14**0.5)
        optim.clip_grad_value([parameter], 0.5)
    assert theirs.data is array
    np.testing.assert_array_equal(array.array, ours.data)
    np.testing.assert_array_equal(theirs.grad.array, ours.grad)


# Gradients that were not cleared

kept = []
CLEAR = {
    "zero_grad": lambda o, p: o.zero_grad(),
    "by hand": lambda o, p: setattr(p, "grad", None),
    "by hand, and kept elsewhere": lambda o, p: (kept.append(p.grad), setattr(p, "grad", None)),
    "a new array": lambda o, p: give(p, np.ones(p.shape)),
    "the model's": lambda o, p: vars(nn.Module).get("zero_grad")(holding(p)),
}


def holding(parameter):
    module = nn.Module()
    module.w = parameter
    return module


def forget(optimizer, parameter):
    (parameter * 2.0).sum().backward()
    optimizer.step()
    (parameter * 2.0).sum().backward()


@pytest.mark.parametrize("shape", [(3,), ()])
def test_a_step_with_gradients_that_the_last_one_used_warns_once(shape):
    parameter = leaf(np.ones(shape))
    optimizer = optim.SGD([parameter], 0.1)
    forget(optimizer, parameter)
    with pytest.warns(UserWarning, match=r"SGD\.step\(\) met gradients .* zero_grad\(\)") as caught:
        optimizer.step()
    assert caught[0].filename == __file__
    assert len(caught) == 1
    forget(optimizer, parameter)  # warnings are errors here: it says so once


def test_a_step_taken_twice_with_one_gradient_warns():
    parameter = leaf()
    optimizer = optim.SGD([parameter], 0.1)
    give(parameter, [1.0, 1.0, 1.0])
    optimizer.step()
    with pytest.warns(UserWarning, match="accumulate=True"):
        optimizer.step()


@pytest.mark.parametrize("clear", CLEAR.values(), ids=CLEAR)
def test_no_way_of_clearing_warns(clear):
    parameter = leaf()
    optimizer = optim.SGD([parameter], 0.1)
    for _ in range(3):
        clear(optimizer, parameter)
        if parameter.grad is None:
            (parameter * 2.0).sum().backward()
        optimizer.step()


def test_gradients_that_add_up_before_a_step_do_not_warn():
    parameter = leaf()
    optimizer = optim.SGD([parameter], 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        for _ in range(4):
            (parameter * 2.0).sum().backward()
        optimizer.step()


def test_gradients_that_another_loss_added_and_someone_cleared_do_not_warn():
    parameter = leaf()
    optimizer = optim.SGD([parameter], 0.1)
    for _ in range(3):
        forget(optimizer, parameter)  # as the generator's loss reaches a discriminator
        parameter.grad = None
        (parameter * 2.0).sum().backward()
        optimizer.step()
        parameter.grad = None


def test_accumulating_on_purpose_does_not_warn():
    parameter = leaf()
    optimizer = optim.SGD([parameter], 0.1, accumulate=True)
    forget(optimizer, parameter)
    optimizer.step()


def test_a_dropped_optimizer_goes_at_once():
    parameter = leaf()
    optimizer = optim.SGD([parameter], 0.1)
    give(parameter, [1.0, 1.0, 1.0])
    optimizer.step()
    gone = weakref.ref(optimizer), weakref.ref(parameter)
    gc.disable()
    try:
        del optimizer, parameter
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


# Arguments


def test_parameters_may_come_from_an_iterator_or_nested_and_count_once():
    a, b, c = leaf(), leaf(), leaf()
    assert optim.SGD(iter([a, b, a]), 0.1).parameters == [a, b]
    assert optim.SGD({"x": [a, (b,)], "y": c, "none": None}, 0.1).parameters == [a, b, c]
    for parameter in (a, b, c):
        give(parameter, [1.0, 1.0, 1.0])
    optim.SGD([a, a, b], 1.0).step()
    np.testing.assert_array_equal(a.data, [0.0, -3.0, 2.0])


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ([], ValueError, "SGD got no parameters: give it model.parameters()"),
        ({}, ValueError, "SGD got no parameters"),
        ([Tensor([1.0])], ValueError, "1 Tensors, none of which requires a gradient"),
        ([leaf() * 2], ValueError, "result of an operation as parameter 0, of shape"),
        (leaf(), TypeError, "takes a list of Tensors, such as .*; got Tensor"),
        (nn.Linear(1, 1), TypeError, "takes a list of Tensors, such as .*; got Linear"),
        ([leaf(), np.ones(2)], TypeError, "number 1 is ndarray: wrap an array in Tensor"),
        (nn.Linear(1, 1).named_parameters(), TypeError, "takes Tensors; number 0 is str"),
    ],
)
def test_what_is_no_list_of_parameters_is_refused(params, error, match):
    with pytest.raises(error, match=match):
        optim.SGD(params, 0.1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda p: optim.SGD(p, -0.1), r"lr is a finite number, at least 0; got -0\.1"),
        (lambda p: optim.SGD(p, math.nan), "lr is a finite number, at least 0; got nan"),
        (lambda p: optim.SGD(p, math.inf), "lr is a finite number, at least 0; got inf"),
        (lambda p: optim.SGD(p, "0.1"), r"lr is a finite number, at least 0; got '0\.1'"),
        (lambda p: optim.SGD(p, 0.1, momentum=1.5), r"momentum is from 0 to 1; got 1\.5"),
        (lambda p: optim.SGD(p, 0.1, nesterov=True), "nesterov=True needs a momentum above 0"),
        (lambda p: optim.SGD(p, 0.1, weight_decay=-1), "weight_decay is a finite number"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), "betas are from 0 to below 1"),
        (lambda p: optim.Adam(p, betas=(-0.1, 0.9)), "betas is from 0 to 1"),
        (lambda p: optim.Adam(p, eps=-1), "eps is a finite number"),
        (lambda p: optim.RMSprop(p, alpha=2), "alpha is from 0 to 1"),
        (
            lambda p: setattr(optim.SGD(p, 0.1), "lr", -1),
            "lr is a finite number, at least 0; got -1",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call([leaf()])


def test_repr_shows_the_settings():
    expected = "SGD(1 parameters, lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)"
    assert repr(optim.SGD([leaf()], 0.1, 0.9)) == expected


# States


def trained(make, steps, state=None, start=None):
    """Return a parameter and its optimizer after some steps along gradients of a fixed draw."""
    parameter = leaf() if start is None else start
    optimizer = make([parameter])
    if state is not None:
        optimizer.load_state_dict(state)
    for g in steps:
        optimizer.zero_grad()
        give(parameter, g)
        optimizer.step()
    return parameter, optimizer


def through_files(state):
    """Return what is left of a state once its arrays and its numbers were saved apart."""
    arrays = {k: v.tobytes() for k, v in state.items() if isinstance(v, np.ndarray)}
    numbers = json.loads(json.dumps({k: v for k, v in state.items() if k not in arrays}))
    return numbers | {k: np.frombuffer(v).reshape(state[k].shape) for k, v in arrays.items()}


@every
def test_a_run_goes_on_from_a_state_as_if_it_had_never_stopped(make):
    gradients = np.random.default_rng(0).standard_normal((6, 3))
    straight, _ = trained(make, gradients)
    first, before = trained(make, gradients[:3])
    before.lr = 0.07
    state = through_files(before.state_dict())
    resumed, after = trained(make, [], state, start=leaf(first.data))
    assert after.lr == 0.07
    after.lr = make([leaf()]).lr
    for g in gradients[3:]:
        after.zero_grad()
        give(resumed, g)
        after.step()
    np.testing.assert_array_equal(resumed.data, straight.data)


def test_a_state_holds_copies_and_a_load_copies():
    _, optimizer = trained(ALL["momentum"], np.ones((1, 3)))
    state = optimizer.state_dict()
    state["0.momentum_buffer"][:] = 9
    assert not (optimizer.state_dict()["0.momentum_buffer"] == 9).any()
    optimizer.load_state_dict(state)
    state["0.momentum_buffer"][:] = 1
    assert (optimizer.state_dict()["0.momentum_buffer"] == 9).all()
    assert list(state) == [
        "lr",
        "momentum",
        "nesterov",
        "weight_decay",
        "0.step",
        "0.momentum_buffer",
    ]


def test_the_count_of_steps_is_each_parameters_own():
    a, b = leaf(), leaf()
    optimizer = optim.Adam([a, b])
    give(a, [1.0, 1.0, 1.0])
    optimizer.step()
    state = optimizer.state_dict()
    assert (state["0.step"], state["1.step"]) == (1, 0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: s.pop("0.momentum_buffer"), r"missing: 0\.momentum_buffer"),
        (lambda s: s.update({"1.step": 4}), r"unexpected: 1\.step"),
        (
            lambda s: s.update({"0.momentum_buffer": np.zeros(2)}),
            r"wrong shape: 0\.momentum_buffer is \(3,\), given \(2,\)",
        ),
        (lambda s: s.update(lr=-1.0), "lr is a finite number, at least 0"),
        (lambda s: s.update({"0.step": -1}), r"0\.step is a finite number, at least 0"),
    ],
)
def test_a_state_that_does_not_fit_loads_nothing(change, match):
    _, optimizer = trained(ALL["momentum"], np.ones((1, 3)))
    state = {
        k: v + 1 if isinstance(v, np.ndarray) else v for k, v in optimizer.state_dict().items()
    }
    state["momentum"] = 0.25
    change(state)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=match):
        optimizer.load_state_dict(state)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_the_state_of_another_optimizer_is_refused():
    with pytest.raises(ValueError, match=r"missing: lr, beta1.*unexpected: momentum"):
        optim.Adam([leaf()]).load_state_dict({"momentum": 0.9})


@every
@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copied_model_and_optimizer_go_on_together(make, again):
    model, x = nn.Linear(3, 2), np.ones((1, 3), np.float32)
    optimizer = make(model.parameters())

    def step(model, optimizer):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    step(model, optimizer)
    twin = again((model, optimizer))
    step(model, optimizer)
    np.testing.assert_raises(
        AssertionError, np.testing.assert_array_equal, twin[0].weight.data, model.weight.data
    )
    step(*twin)
    np.testing.assert_array_equal(twin[0].weight.data, model.weight.data)


def test_nothing_touches_numpys_global_state():
    before = np.random.get_state()  # noqa: NPY002
    trained(ALL["adam"], np.ones((2, 3)))
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1], after[1])

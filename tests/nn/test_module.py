"""Module: finding parameters, saving and loading them, modes, scopes."""

import copy
import pickle
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mnist import Tensor, nn, no_grad, ops
from tinygrad_mnist.switches import Switch


def parameter(*shape):
    return Tensor(np.zeros(shape), requires_grad=True)


class Net(nn.Module):
    """The README's: no super().__init__(), a forward pass, and nothing else."""

    def __init__(self):
        self.hidden = nn.Linear(784, 128)
        self.out = nn.Linear(128, 10)

    def forward(self, x):
        return self.out(ops.relu(self.hidden(x)))


class Holder(nn.Module):
    """Shows whatever it is given as attributes."""

    def __init__(self, **parts):
        vars(self).update(parts)


class Rooted(nn.Linear):
    """Overrides `__call__`, and calls the one that it overrides."""

    def __call__(self, x):
        return super().__call__(np.sqrt(x))


def names(module):
    return [name for name, _ in module.named_parameters()]


# Finding parts


def test_a_class_of_eight_lines_is_a_model_that_learns():
    model, x = Net(), np.ones((4, 784), np.float32)
    loss = ops.cross_entropy(model(x), np.array([0, 1, 2, 3]))
    loss.backward()
    assert all(p.grad.shape == p.shape and p.grad.any() for p in model.parameters())


def test_parameters_have_the_keys_of_pytorch():
    holder = Holder(
        w=parameter(2),
        layers=[nn.Linear(1, 2), nn.Linear(2, 3, bias=False)],
        heads={"a": nn.Linear(1, 1, bias=False), "deep": ({"b": parameter(1)},)},
        net=nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)),
    )
    assert names(holder) == [
        "w",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "heads.a.weight",
        "heads.deep.0.b",
        "net.0.weight",
        "net.0.bias",
        "net.2.weight",
        "net.2.bias",
    ]


trees = st.recursive(
    st.integers(0, 4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text("ab", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(trees)
def test_parameters_are_found_once_in_any_nesting_of_containers_and_modules(tree):
    pool = [parameter(k) for k in range(5)]
    met = []

    def plant(tree):
        if isinstance(tree, int):
            met.append(tree)
            return pool[tree]
        if isinstance(tree, dict):
            return Holder(**{key: plant(value) for key, value in tree.items()})
        return type(tree)(plant(value) for value in tree)

    found = Holder(root=plant(tree)).parameters()
    assert [p.shape[0] for p in found] == list(dict.fromkeys(met))
    assert all(p is pool[p.shape[0]] for p in found)


def test_a_shared_module_counts_once_under_the_name_met_first():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert names(model) == ["0.weight", "0.bias"]
    assert [name for name, _ in model.named_modules()] == ["", "0", "1"]
    assert len(model.modules()) == 3


def test_a_child_may_know_its_parent():
    child = Holder(w=parameter(1))
    parent = Holder(child=child)
    child.parent = parent
    assert names(parent) == ["child.w"]
    assert parent.modules() == [parent, child]
    assert repr(parent) == "Holder(\n  child: Holder(\n    w: float64 (1,)\n    parent: ...\n  )\n)"


def test_results_and_plain_arrays_are_no_parameters():
    w = parameter(2)
    assert names(Holder(w=w, cached=w * 2, mean=np.zeros(3), n=3, text="w")) == ["w"]


def test_a_frozen_parameter_remains_a_parameter():
    layer = nn.Linear(2, 3)
    layer.weight.requires_grad = False
    assert names(layer) == ["weight", "bias"]
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_generators_are_found_with_their_paths():
    rng = np.random.default_rng(0)
    model = Holder(drops=[nn.Dropout(0.5, rng), nn.Dropout(0.5, 1), nn.Dropout(0.1, rng)])
    assert [name for name, _ in model.generators()] == ["drops.0.rng", "drops.1.rng"]
    assert model.generators()[0][1] is rng


# Saving and loading


def test_a_state_is_a_copy():
    layer = nn.Linear(2, 3)
    state = layer.state_dict()
    state["weight"][:] = 7
    assert not (layer.weight.data == 7).any()


def test_a_state_loads_into_a_model_of_the_same_shape_in_its_own_dtype():
    source, target = nn.MLP((4, 3, 2), dtype=np.float64), nn.MLP((4, 3, 2))
    state = source.state_dict()
    target.load_state_dict(state)
    for name, p in target.named_parameters():
        np.testing.assert_array_equal(p.data, state[name].astype(np.float32))
        assert p.dtype == np.float32
    state["layers.0.bias"][:] = 7
    assert not target.layers[0].bias.data.any()


def test_a_state_loads_while_a_graph_saves_the_parameters():
    layer = nn.Linear(2, 3)
    before = layer.weight.data.copy()
    x = Tensor(np.ones((1, 2), np.float32), requires_grad=True)
    loss = layer(x).sum()
    layer.load_state_dict({name: value + 1 for name, value in layer.state_dict().items()})
    loss.backward()
    np.testing.assert_allclose(x.grad, before.sum(axis=1)[None], rtol=1e-6)


def test_a_state_that_does_not_fit_is_refused_with_a_list_and_nothing_is_loaded():
    model = nn.MLP((4, 3, 2))
    state = {name: value + 1 for name, value in model.state_dict().items()}
    before = model.state_dict()
    del state["layers.0.bias"]
    state["layers.9.weight"] = np.zeros(3)
    state["layers.1.weight"] = np.zeros((2, 3))
    with pytest.raises(
        ValueError,
        match=r"load_state_dict of MLP loaded nothing; missing: layers\.0\.bias; unexpected: "
        r"layers\.9\.weight; of the wrong shape: layers\.1\.weight is \(3, 2\), given \(2, 3\)",
    ):
        model.load_state_dict(state)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_two_parameters_with_one_path_are_refused():
    holder = Holder(a={"b.c": parameter(1), "b": {"c": parameter(2)}})
    with pytest.raises(ValueError, match=r"Holder has two parameters with the path 'a\.b\.c'"):
        holder.state_dict()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copied_or_pickled_model_computes_the_same_and_learns_alone(again):
    model = nn.MLP((4, 8, 3), activation="tanh", dropout=0.5, rng=0)
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    model(x)  # so that its dropout generator is not at its start
    twin = again(model)
    ours, theirs = model(x), twin(x)
    np.testing.assert_array_equal(ours.data, theirs.data)
    theirs.sum().backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in twin.parameters())
    twin.layers[0].weight.data[:] = 0
    assert model.layers[0].weight.data.any()


def test_a_copy_keeps_what_is_shared_shared():
    w = parameter(2)
    twin = copy.deepcopy(Holder(a=w, b=[w]))
    assert twin.a is twin.b[0]
    assert twin.a is not w


# Changing all of it


def test_train_and_eval_reach_every_module_and_return_the_model():
    model = nn.Sequential(nn.Dropout(0.5), Holder(inner=[nn.Dropout(0.5)]))
    assert model.training
    assert model.eval() is model
    assert [m.training for m in model.modules()] == [False] * 4
    assert model.train() is model
    assert all(m.training for m in model.modules())
    assert not model.train(mode=False)[0].training


def test_astype_converts_parameters_and_gradients():
    model = Holder(layer=nn.Linear(2, 3), mask=Tensor(np.ones(2, np.int64)))
    x = np.ones((1, 2), np.float32)
    model.layer(x).sum().backward()
    assert model.astype(np.float64) is model
    weight = model.layer.weight
    assert weight.dtype == weight.grad.dtype == np.float64
    assert model.mask.dtype == np.int64
    model.layer(x).sum().backward()
    assert weight.grad.dtype == np.float64
    with pytest.raises(TypeError, match=r"astype of Holder needs a floating-point dtype.*int32"):
        model.astype(np.int32)


def test_zero_grad_clears_every_gradient_and_ignores_frozen_parameters():
    layer = nn.Linear(2, 3)
    layer(np.ones((1, 2), np.float32)).sum().backward()
    layer.bias.requires_grad = False
    layer.zero_grad()
    assert layer.weight.grad is None


# Calling


def test_a_module_that_computes_nothing_says_so_by_name():
    class Forgetful(nn.Module):
        def foward(self, x):
            return x

    with pytest.raises(NotImplementedError, match=r"Forgetful .* give the class a method forward"):
        Forgetful()(1.0)


def scopes_of(call):
    scopes = []
    with Switch(scopes=scopes):
        call()
    return scopes


def test_a_call_opens_a_scope_around_what_it_computes():
    x = Tensor(np.ones((1, 784), np.float32), requires_grad=True)
    model, seen = Net(), []
    scopes = scopes_of(lambda: seen.append(model(x)))
    assert [module for module, _, _ in scopes] == [model.hidden, model.out, model]
    hidden, out, whole = ((first, last) for _, first, last in scopes)
    assert whole[0] < hidden[0] < hidden[1] < out[0] < seen[0]._node.index < out[1] < whole[1]


def test_an_overridden_call_opens_one_scope_though_it_calls_the_one_above():
    x = np.ones((1, 2), np.float32)
    rooted = Rooted(2, 3)
    assert [module for module, _, _ in scopes_of(lambda: rooted(x))] == [rooted]
    outer = nn.Sequential(rooted, nn.ReLU())
    scopes = scopes_of(lambda: outer(x))
    assert [module for module, _, _ in scopes] == [rooted, outer[1], outer]


def test_no_scope_is_kept_where_nobody_listens():
    with no_grad():
        assert not Net()(np.ones((1, 784), np.float32)).requires_grad


# Sequential, and how modules look


def test_sequential_calls_modules_and_functions_one_after_the_other():
    model = nn.Sequential(nn.Flatten(), ops.relu, nn.Linear(4, 2))
    assert len(model) == 3
    assert list(model)[1] is ops.relu
    assert model[-1] is model[2]
    assert model(np.ones((3, 2, 2), np.float32)).shape == (3, 2)
    head = model[:2]
    assert isinstance(head, nn.Sequential)
    assert head(-np.ones((3, 2, 2))).shape == (3, 4)
    assert nn.Sequential()
    assert nn.Sequential()(5) == 5


def test_sequential_of_a_list_says_how_to_unpack_it():
    with pytest.raises(TypeError, match=r"argument 0 is list: unpack a list with Sequential\(\*"):
        nn.Sequential([nn.ReLU()])


def test_repr_shows_modules_inside_modules():
    model = Holder(w=parameter(2, 3), net=nn.Sequential(nn.Linear(2, 3), ops.relu), n=5)
    assert repr(model) == (
        "Holder(\n"
        "  w: float64 (2, 3)\n"
        "  net: Sequential(\n"
        "    0: Linear(2, 3)\n"
        "    1: <op relu(x)>\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Linear(2, 3, bias=False)) == "Linear(2, 3, bias=False)"
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(0.2)"


# Weights to and from PyTorch ---------------------------------------------------------------------

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


class TheirTensor:
    """What the recipe needs of a PyTorch tensor: NumPy can make an array of it."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


class TheirMLP:
    """A network as PyTorch keeps it: weights of shape (out, in), used as x W^T + b."""

    def __init__(self, *sizes, rng):
        shapes = [(m, n) for n, m in pairwise(sizes)]
        self.state = {f"layers.{k}.weight": rng.normal(size=s) for k, s in enumerate(shapes)}
        self.state |= {f"layers.{k}.bias": rng.normal(size=s[0]) for k, s in enumerate(shapes)}

    def state_dict(self):
        return {name: TheirTensor(a.astype(np.float32)) for name, a in self.state.items()}

    def load_state_dict(self, state):
        new = {name: np.asarray(tensor) for name, tensor in state.items()}
        assert {n: a.shape for n, a in new.items()} == {n: a.shape for n, a in self.state.items()}
        self.state = new

    def __call__(self, x):
        x = x @ self.state["layers.0.weight"].T + self.state["layers.0.bias"]
        return np.maximum(x, 0) @ self.state["layers.1.weight"].T + self.state["layers.1.bias"]


def test_the_recipe_of_the_guide_moves_weights_to_and_from_pytorch():
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (recipe,) = [block for block in blocks if "def transposed" in block]
    assert len([line for line in recipe.splitlines() if line]) <= 6
    names = {"np": np, "torch": SimpleNamespace(from_numpy=TheirTensor)}
    exec(recipe, names)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4)).astype(np.float32)
    theirs, ours = TheirMLP(4, 3, 3, rng=rng), nn.MLP((4, 3, 3), rng=0)
    ours.load_state_dict(names["from_torch"](theirs))
    np.testing.assert_allclose(ours(x).data, theirs(x), rtol=1e-5)
    assert not np.allclose(ours.layers[1].weight.data, theirs.state["layers.1.weight"])

    other = nn.MLP((4, 3, 3), rng=1)
    theirs.load_state_dict(names["to_torch"](other))
    np.testing.assert_allclose(theirs(x), other(x).data, rtol=1e-5)

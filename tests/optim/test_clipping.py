"""Gradient clipping: what it scales, what it leaves, and what it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.optim.makers import give, leaf
from tinygrad_mnist import optim


@given(scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e3, 1e30]), dtype=st.sampled_from("fd"))
def test_clip_grad_norm_scales_all_gradients_to_the_norm(scale, dtype):
    rng = np.random.default_rng(0)
    parameters = [leaf(np.zeros(shape), dtype) for shape in [(3, 4), (5,), (), (0, 2)]]
    untouched = leaf()
    for parameter in parameters:
        give(parameter, scale * rng.standard_normal(parameter.shape))
    before = [p.grad.astype(float) for p in parameters]
    norm = math.sqrt(sum((g**2).sum() for g in before))
    assert optim.clip_grad_norm([*parameters, untouched], 0.5) == pytest.approx(norm, rel=1e-6)
    for parameter, g in zip(parameters, before, strict=True):
        np.testing.assert_allclose(parameter.grad, g * min(1, 0.5 / norm), rtol=1e-5)
        assert parameter.grad.dtype == dtype
    assert untouched.grad is None


def test_clipping_changes_gradients_in_place_and_read_only_ones_by_replacing():
    parameter, locked = leaf(), leaf()
    give(parameter, [3.0, 4.0, 0.0])
    give(locked, [0.0, 0.0, -12.0])
    array = parameter.grad
    locked.grad.flags.writeable = False
    assert optim.clip_grad_norm([parameter, locked], 6.5) == 13
    assert parameter.grad is array
    np.testing.assert_array_equal(array, [1.5, 2.0, 0.0])
    np.testing.assert_array_equal(locked.grad, [0.0, 0.0, -6.0])


def test_clip_grad_norm_of_nothing_is_0():
    assert optim.clip_grad_norm([leaf()], 1.0) == 0
    assert optim.clip_grad_norm([], 1.0) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_clip_grad_norm_refuses_what_is_not_finite_and_leaves_it(bad):
    parameter = leaf()
    give(parameter, [1.0, bad, 2.0])
    with pytest.raises(FloatingPointError, match=r"norm is (nan|inf): run .* detect_anomaly"):
        optim.clip_grad_norm([parameter], 1.0)
    np.testing.assert_array_equal(parameter.grad, [1.0, bad, 2.0])


def test_clip_grad_value_cuts_each_entry():
    parameter = leaf()
    give(parameter, [3.0, -4.0, 0.25])
    optim.clip_grad_value({"w": parameter}, 0.5)
    np.testing.assert_array_equal(parameter.grad, [0.5, -0.5, 0.25])


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
def test_clipping_refuses_a_limit_below_0(clip):
    with pytest.raises(ValueError, match="is a finite number, at least 0; got -1"):
        clip([leaf()], -1)

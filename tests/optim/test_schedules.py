"""Learning-rate schedules: their curves, their states, and what they refuse."""

import json
import math

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.optim.makers import leaf
from tinygrad_mnist import optim

rates = st.sampled_from([1e-3, 0.1])


def rates_of(schedule, n):
    """Return the optimizer's learning rate in each of n steps."""
    rates = []
    for _ in range(n):
        rates.append(schedule.optimizer.lr)
        schedule.step()
    return rates


def new(lr=1.0):
    return optim.SGD([leaf()], lr)


def test_step_lr_falls_by_its_factor():
    expected = [8.0, 8.0, 4.0, 4.0, 2.0]
    np.testing.assert_allclose(rates_of(optim.StepLR(new(8.0), 2, gamma=0.5), 5), expected)


def test_cosine_lr_is_half_a_wave_and_stays_at_its_end():
    schedule = optim.CosineLR(new(2.0), 4, min_lr=1.0)
    expected = [1.5 + 0.5 * math.cos(math.pi * t / 4) for t in range(5)] + [1.0, 1.0]
    np.testing.assert_allclose(rates_of(schedule, 7), expected)


def test_one_cycle_lr_goes_up_and_down_as_pytorchs_does():
    schedule = optim.OneCycleLR(new(), 10.0, 11, pct_start=5 / 11, div_factor=10)
    assert schedule.optimizer.lr == 1.0
    rates = rates_of(schedule, 13)
    up = [1 + 9 * (1 - math.cos(math.pi * t / 4)) / 2 for t in range(4)]
    down = [1e-4 + (10 - 1e-4) * (1 + math.cos(math.pi * t / 6)) / 2 for t in range(7)]
    np.testing.assert_allclose(rates, [*up, *down, 1e-4, 1e-4])


@pytest.mark.parametrize("pct_start", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("total", [1, 2, 7])
def test_one_cycle_lr_lies_between_its_ends_for_any_share(pct_start, total):
    rates = rates_of(optim.OneCycleLR(new(), 1.0, total, pct_start), total + 1)
    assert all(1e-6 < rate <= 1 for rate in rates)
    assert pct_start == 1 or rates[-1] == pytest.approx(1 / 25e4)


def test_warm_up_rises_in_a_straight_line_to_what_follows():
    schedule = optim.WarmUpLR(optim.StepLR(new(8.0), 2, gamma=0.5), 3)
    np.testing.assert_allclose(rates_of(schedule, 8), [2, 4, 6, 8, 8, 4, 4, 2])
    constant = optim.WarmUpLR(new(8.0), 1)
    np.testing.assert_allclose(rates_of(constant, 3), [4, 8, 8])


def test_warm_ups_may_follow_each_other():
    schedule = optim.WarmUpLR(optim.WarmUpLR(new(8.0), 1), 1)
    np.testing.assert_allclose(rates_of(schedule, 4), [2, 4, 8, 8])


SCHEDULES = {
    "step": lambda o: optim.StepLR(o, 2),
    "cosine": lambda o: optim.CosineLR(o, 7, 0.01),
    "one-cycle": lambda o: optim.OneCycleLR(o, 2.0, 7),
    "warm-up": lambda o: optim.WarmUpLR(optim.CosineLR(o, 5), 3),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_goes_on_from_its_state(make):
    straight = rates_of(make(new()), 8)
    first = make(new())
    rates_of(first, 3)
    state = json.loads(json.dumps(first.state_dict()))
    resumed = make(new(5.0))
    resumed.load_state_dict(state)
    assert rates_of(resumed, 5) == straight[3:]
    assert resumed.steps == 8
    assert [resumed.lr_at(t) for t in range(8)] == straight


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_refuses_the_state_of_another(make):
    schedule = make(new())
    before = schedule.state_dict()
    state = dict(before, steps=4, colour=1)
    with pytest.raises(ValueError, match=f"{type(schedule).__name__} loaded.*unexpected: colour"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda o: optim.StepLR(o, 0), ValueError, "step_size is a whole number, at least 1"),
        (lambda o: optim.CosineLR(o, 2.5), TypeError, "float"),
        (lambda o: optim.CosineLR(o, 5, -1), ValueError, "min_lr is a finite number"),
        (lambda o: optim.OneCycleLR(o, 1.0, 5, 1.5), ValueError, "pct_start is from 0 to 1"),
        (
            lambda o: optim.OneCycleLR(o, 1.0, 5, div_factor=0),
            ValueError,
            "div_factor is a finite number, at least 1",
        ),
        (lambda o: optim.WarmUpLR(o, 0), ValueError, "warm_up is a whole number"),
    ],
)
def test_schedules_refuse_what_is_no_plan(call, error, match):
    with pytest.raises(error, match=match):
        call(new())


def test_a_schedule_shows_where_it_stands():
    schedule = optim.StepLR(new(), 2)
    schedule.step()
    assert repr(schedule) == "StepLR(step_size=2, gamma=0.1, base_lr=1.0, steps=1)"

"""Claims at kinks pass if they lie among the derivatives around, however close to the measured."""

import numpy as np

from tinygrad_mnist import gradcheck, ops


def test_a_share_that_is_near_what_is_measured_across_a_kink_passes():
    ties = np.array(
        [
            [-0.437, 0, 0, 0, 1.211, 0, 0, 0.855, 0, 0, 0.151, 0, 0, 0.131, 0],
            [-0.406, 0, 1.979, 2.188, 0.064, 1.096, 0, 0.831, 0, 0, 0.875, 0, 0, 0, 0],
            [1.28, 0, 0.799, 0, -0.88, -0.207, 0, 0.081, 0, 0, 0, 0, 1.953, 0, 0.039],
        ]
    )
    for seed in range(4):
        report = gradcheck(lambda a: ops.quantile(a, [0.25, 0.9], axis=0), ties, seed=seed)
        assert report.kinks > 10


def test_an_input_outside_of_what_is_drawn_is_judged_as_well():
    below = np.array([1.7, -0.6])
    report = gradcheck(ops.divide, below, below, domain={"y": (-np.inf, 0)})
    assert (report.verdict, report.compared) == ("pass", 8)

"""What every op of the registry is held to, and calls to hold it to."""

import numpy as np
from hypothesis import Phase, given, settings

from tinygrad_mnist.checking import Report, calls, draw_call, gradcheck


def check_derivatives(op, *, shrink=True):
    """Check an op's first and second derivatives at drawn calls of each of its cases."""
    reports = [Report(op.name, 2)]
    budget = settings(
        max_examples=max(3, settings.default.max_examples // len(op.cases)),
        phases=tuple(Phase) if shrink else (Phase.generate,),
        database=None,  # or what one op failed on would be tried on all others
        report_multiple_bugs=False,
    )
    for case in range(len(op.cases)):

        @budget
        @given(calls(op, case))
        def agree(call):
            reports.append(gradcheck(call))

        agree()
    report = sum(reports[1:], reports[0])
    assert report.compared > report.unjudged, f"too little of {op.name} could be judged"
    return report


def samples(op, each=None):
    """Return a few calls of each of an op's cases, the same in every run."""
    random = np.random.default_rng(0)
    each = each or max(2, 12 // len(op.cases))
    return [
        draw_call(op, lambda some: some[int(random.integers(len(some)))], case, anywhere=True)
        for case in range(len(op.cases))
        for _ in range(each)
    ]

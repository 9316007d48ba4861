"""Why frameworks differ where they do: each difference is one of these."""

import re

REASONS = [  # (framework, pattern of the call, reason)
    ("autograd", r"where=", "ignores `where=` in the gradient"),
    ("autograd", r"correction=1", "ignores `correction=` in the gradient"),
    ("autograd", r"^prod\(.*\* array\(\[0", "divides the product by a factor of 0: NaN"),
    ("autograd", r"^sinc\(.*\* array\(\[0", "divides 0 by 0: NaN"),
    ("autograd", r"^fft\..*norm=\"forward\"", "scales as if `norm` were not given"),
    ("autograd", r"^linalg\.slogdet\(A \+ 1j", "takes the sign of a complex matrix for a constant"),
    ("autograd", r"^linalg\.norm\(r, inf\)", "raises to an infinite power: NaN"),
    ("autograd", r"^tile\(x, 2\)", "adds up other copies than were made"),
    ("autograd", r"^full\(", "adds up over all axes where `fill_value` is broadcast along some"),
    ("JAX", r"^vander\(.*\* array\(\[0", "differentiates powers of 0 through their logarithm: NaN"),
    ("JAX", r"^nan_to_num\(array\(\[inf", "multiplies 0 by infinity: NaN"),
    (
        "JAX",
        r"^(unique|union1d|intersect1d|setdiff1d|setxor1d)",
        "gives the values a slope of 0",
    ),
    (
        "JAX",
        r"^linalg\.(svd|eigh)\(.* 1j",
        "takes no account of the phase of complex vectors, which makes one row real",
    ),
    ("PyTorch", r"^nan_to_num\(array\(\[inf", "multiplies 0 by infinity: NaN"),
    ("PyTorch", r"^sinc\(.*\* array\(\[0", "divides 0 by 0 at second order: NaN"),
    ("PyTorch", r"^ldexp\(x, array", "rounds the slope 2**-2 to an integer: 0"),
    ("PyTorch", r"^(linspace|logspace|array)\(", "takes numbers without their history"),
]


def reason(peer, call):
    """Return why a framework differs from this one on a call; None if nobody knows."""
    for name, pattern, why in REASONS:
        if name == peer and re.search(pattern, str(call)):
            return why
    return None

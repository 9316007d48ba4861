"""The arrays that the calls of the tables name: no ties, nothing near a kink or a rounding."""

import numpy as np

NAN = np.nan

INPUTS = {  # what a call names of these needs a gradient
    "x": [[0.7, -1.3, 2.1], [-0.4, 1.05, -2.6]],
    "y": [[1.2, 0.9, -0.8], [2.3, -1.7, 0.35]],
    "u": [[0.3, -0.6, 0.85], [-0.2, 0.45, -0.75]],  # between -1 and 1
    "p": [[0.5, 1.3, 2.2], [0.8, 1.9, 0.3]],  # positive
    "n": [[1.3, NAN, -0.7], [NAN, 2.2, 0.4]],
    "r": [0.6, -1.1, 1.9],  # a row
    "c": [[1.4], [-0.9]],  # a column
    "s": 0.8,  # a scalar
    "q": [1.1, -0.7, 0.4, 2.3],
    "v": [0.9, -1.2, 2.4, 0.3, -2.2],
    "w": [0.5, 1.7, 0.8, 2.2, 1.1],  # positive
    "h": [-2.0, -0.55, 1.0, 2.5],  # increasing
    "m": [[0.4, -1.7, 1.1], [2.3, 0.8, -0.5], [-0.9, 1.5, 0.2], [1.3, -0.3, 2.0]],  # tall
    "A": [[2.0, 0.5, -0.3], [0.4, -1.5, 0.8], [0.6, 0.9, 0.7]],  # real eigenvalues
    "B": [[1.0, -2.0, 0.3], [1.5, 0.6, -0.4], [0.2, 0.7, 2.2]],  # two complex eigenvalues
    "S": [[2.0, 0.3, -0.4], [0.1, 1.5, 0.2], [0.3, -0.1, 2.6]],  # S + S.T is positive definite
    "M": [  # a batch
        [[2.1, 0.5, -0.3], [0.4, -1.5, 0.8], [-0.6, 0.9, 1.7]],
        [[0.9, -0.7, 0.2], [1.1, 1.3, -0.5], [0.3, 0.6, -1.8]],
    ],
    "t": (np.random.default_rng(3).permutation(24) * 0.21 - 2.38).reshape(2, 3, 4),
    "K": np.random.default_rng(4).normal(size=(2, 3, 2, 3)),  # a linear map of (2, 3) arrays
}
INPUTS = {name: np.array(values, float) for name, values in INPUTS.items()}

CONSTANTS = {
    "mask": np.array([[True, False, True], [True, True, False]]),
    "counted": np.array([0.5, 1.5, 2.0, 0.7, 1.2]),
}

"""NumPy's own tests, run with Tensors in place of arrays: `python -m tests.numpy_tests`."""

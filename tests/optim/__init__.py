"""Tests of tinygrad_mnist.optim: a file for each of its modules."""

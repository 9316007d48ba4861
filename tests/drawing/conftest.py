"""Machines without a renderer."""

import pytest

from tinygrad_mnist.drawing import rendering


@pytest.fixture
def no_dot(monkeypatch):
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def no_renderer(no_dot, monkeypatch):
    monkeypatch.setattr(rendering.shutil, "which", lambda *_, **__: None)

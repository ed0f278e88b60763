"""Fixtures of the learning tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from daemon.learning.device import make_deterministic


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Bits as the daemon promises them: after `make_deterministic`, on one thread; the switches are put back."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    make_deterministic(threads=1)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)

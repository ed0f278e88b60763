from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from daemon.errors import ConfigError
from daemon.learning.device import autocast, choose_device, fingerprint, make_deterministic, to_device


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("setting", ["gpu", "cuda:x", "cuda:-1", ""])
def test_a_setting_that_names_nothing_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match='write "auto", "cpu", "cuda" or "cuda:N"'):
        choose_device(setting)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'device = "cuda:99": torch .* sees \d+ CUDA devices here'):
        choose_device("cuda:99")


def test_the_cpu_computes_in_full_precision() -> None:
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_on_the_cpu_a_tensor_shares_the_array() -> None:
    array = np.zeros(2)
    to_device(array, torch.device("cpu"))[0] = 5.0
    assert array.tolist() == [5.0, 0.0]


@pytest.mark.usefixtures("restored")
def test_the_fingerprint_tells_threads_and_switches_apart() -> None:
    device = torch.device("cpu")
    torch.set_num_threads(2)
    before = fingerprint(device)
    make_deterministic(threads=1)
    after = fingerprint(device)
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert changed == {"threads": (2, 1), "deterministic": (False, True), "cublas_workspace": ("", ":4096:8")}
    assert json.loads(json.dumps(after)) == after


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_computes_products_in_bfloat16() -> None:
    device = choose_device("cuda")
    ones = to_device(np.ones((2, 2), np.float32), device)
    with autocast(device):
        assert (ones @ ones).dtype == torch.bfloat16

"""Kernels are compiled without fast-math, kept in a cache, and still compiled where the cache cannot be written."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from types import ModuleType

import numba.core.config
import numpy as np
import pytest

from daemon import compiled

SOURCE = """
from daemon.compiled import compiled

@compiled
def total(values):
    result = 0.0
    for value in values:
        result += value
    return result
"""


def load(path: Path) -> ModuleType:
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("kernel", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(folder))
    monkeypatch.setattr(compiled, "_warned", set())
    return folder


def test_sums_are_in_order_and_the_code_is_kept(tmp_path: Path, cache: Path) -> None:
    kernel = load(tmp_path / "kernel.py").total
    values = np.array([1e16, 1.0, -1e16, 1.0])
    assert kernel(values) == 1.0  # any other order, which fast-math allows, gives 2 or 0
    assert list(cache.rglob("*.nbc"))


def test_a_cache_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = load(tmp_path / "kernel.py")
    for folder in cache.iterdir():
        folder.rmdir()  # the folder vanishes, as a volume does that is unmounted
        folder.write_text("a file stands where the cache was")
    with caplog.at_level(logging.WARNING):
        assert module.total(np.ones(3)) == 3.0
        assert module.total(np.ones(3, dtype=np.float32)) == 3.0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_a_source_without_any_cache_folder_is_compiled_all_the_same(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, object] = {"__name__": "nowhere"}
    with caplog.at_level(logging.WARNING):
        exec(compile(SOURCE, "<no file>", "exec"), scope)
    assert scope["total"](np.ones(3)) == 3.0  # type: ignore[operator]
    assert len(caplog.records) == 1

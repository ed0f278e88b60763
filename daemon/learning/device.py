"""Where the arithmetic runs, in which precision, and what its bits depend on."""

from __future__ import annotations

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daemon.errors import ConfigError
from daemon.state import JSON


def choose_device(setting: str) -> torch.device:
    """The device that a setting names: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:1".

    >>> choose_device("cpu")
    device(type='cpu')

    Raises `ConfigError` where the setting is none of these or names a device that is not there.
    """
    if setting == "auto":
        setting = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = setting.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ConfigError(f'device = "{setting}" is not known; write "auto", "cpu", "cuda" or "cuda:N"')
    if kind == "cpu":
        return torch.device("cpu")
    index, num_devices = int(number or "0"), torch.cuda.device_count()
    if index >= num_devices:
        raise ConfigError(
            f'device = "{setting}": torch {torch.__version__} sees {num_devices} CUDA devices here; '
            'write "auto" or "cpu", or check the driver with nvidia-smi'
        )
    return torch.device("cuda", index)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 for the heavy products on a GPU that has it, full precision elsewhere."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def to_device(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """A tensor there, without waiting for the device. On the CPU it shares the array's memory."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def copied(array: NDArray[Any] | torch.Tensor) -> torch.Tensor:
    """A tensor of its own on the CPU, from an array of a saved state.

    >>> copied(np.array([1.0]))
    tensor([1.], dtype=torch.float64)
    """
    return torch.tensor(np.asarray(array))


def make_deterministic(threads: int) -> None:
    """Same inputs, same bits, from here on in this process; call it before the first product on a GPU.

    `threads` is how many cores one product may use: sums are cut differently with another number.
    """
    # cuBLAS splits its sums anyhow unless its workspace is fixed: NVIDIA cuBLAS docs, "Results reproducibility".
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(threads)


def memory_bytes(device: torch.device) -> tuple[int, int]:
    """Used and total bytes of a CUDA device, by all processes; waits for nothing."""
    free, total = torch.cuda.mem_get_info(device)
    return total - free, total


def fingerprint(device: torch.device) -> dict[str, JSON]:
    """What the bits of a result depend on besides code, inputs and state; equal fingerprints promise equal bits."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": _device_name(device),
        "cpu": _cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cpu":
        return "cpu"
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call] # torch does not type it
    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}, cuDNN {cudnn}"


def _cpu_name() -> str:
    """Architecture and model, such as "x86_64 AMD EPYC"; the architecture alone where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join([platform.machine(), *models[:1]])

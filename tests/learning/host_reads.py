"""Counts where the host would wait for a device."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class HostReads(TorchDispatchMode):
    """Counts the operations at which a host would wait for a device; fetching the answers (`.cpu()`) is not among them
    where the device is the CPU."""

    waits = ("aten._local_scalar_dense", "aten.nonzero", "aten.is_nonzero", "aten.equal", "aten.masked_select")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # torch's signature
        self.seen += [name for name in self.waits if str(func).startswith(name + ".")]
        return func(*args, **(kwargs or {}))

"""The one way a function is compiled: numba without fast-math, so that the same rows give the same bits, and cached."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

# Numbers that are named one by one become one vector, too: the same bits, as each of them is computed as before.
numba.config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]  # numba is untyped

logger = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])

_warned: set[str] = set()


def compiled(function: Function) -> Function:
    """Compile a kernel for its argument types, and keep the machine code in numba's cache folder where that can be written.

    The folder is `__pycache__` beside the source, else `NUMBA_CACHE_DIR` or the user's cache folder. Where none can be
    written, as in a read-only image, kernels are compiled anew by each process: one warning, a few seconds more at the start.
    A cached kernel is compiled again when its own file changes, not when a kernel changes that it calls: keep kernels that
    call each other in one file.

    Division by zero gives inf or nan as in numpy. Kernels start no threads.

    >>> import numpy as np
    >>> @compiled
    ... def total(values: np.ndarray) -> float:
    ...     return values.sum()
    >>> float(total(np.array([1.0, 2.0])))
    3.0
    """
    dispatcher: Any = numba.njit(function, error_model="numpy", fastmath=False)
    try:
        # What `cache=True` does, save that a cache which cannot be written is not an error.
        dispatcher._cache = _TolerantCache(function)  # type: ignore[no-untyped-call]  # numba is untyped
    except RuntimeError as error:  # numba has no folder for this source
        _warn_once(str(error))
    kernel: Function = dispatcher
    return kernel


class _TolerantCache(FunctionCache):
    """Numba's cache of one function; a disk that is full or turned read-only costs a warning, not the row in hand."""

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]  # numba is untyped
        except OSError as error:
            _warn_once(str(error))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]  # numba is untyped
        except OSError as error:
            _warn_once(str(error))
            return None


def _warn_once(reason: str) -> None:
    if not _warned:
        _warned.add(reason)
        logger.warning("compiled kernels are not cached (%s); set NUMBA_CACHE_DIR to a folder that can be written", reason)

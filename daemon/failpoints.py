"""Places at which a test may kill the process, to prove that a crash there loses nothing.

`LEARND_FAILPOINT=checkpoint.renamed:2` kills the process with SIGKILL the second time that point is reached. Unset, which is
always the case outside tests, a fail-point is one dictionary look-up.
"""

from __future__ import annotations

import os
import signal

# In the order in which one round of the loop reaches them.
NAMES = (
    "plan.before",
    "plan.written",
    "step.done",
    "checkpoint.before",
    "checkpoint.files",
    "checkpoint.manifest",
    "checkpoint.renamed",
    "checkpoint.pointer",
    "commit.before",
    "commit.done",
    "publish.before",
    "publish.files",
    "publish.renamed",
    "publish.pointer",
)

_armed: dict[str, int] = {}
if _setting := os.environ.get("LEARND_FAILPOINT"):
    _name, _, _count = _setting.partition(":")
    _armed[_name] = int(_count or "1")


def failpoint(name: str) -> None:
    """Kill this process here if the environment armed `name` and this is the visit that it counts down to."""
    if name in _armed:
        _armed[name] -= 1
        if _armed[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

"""The collected figures, docs/quality.json: each case and each peer with the commit and the day that it was run at."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.streams import ROOT


def load(path: Path) -> dict[str, Any]:
    """What was measured before; nothing where there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def stamp() -> dict[str, str]:
    """Which learnd, on what, and when; a commit with changes beside it is marked so."""
    # What was measured is the code: figures and notes written since are no change of it.
    code = ["--", "daemon", "streams"]
    commit, changed = _git("log", "-1", "--format=%h", *code), _git("status", "--porcelain", "--untracked-files=no", *code)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "numba"))
    return {
        "commit": commit + ("+" if changed else ""),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "versions": f"Python {platform.python_version()}, {versions}",
    }


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def save_losses(path: Path, loss_N: NDArray[np.float64]) -> None:
    """(N,) losses of one learner, in single precision."""
    np.save(path, loss_N.astype(np.float32))


def load_losses(path: Path) -> NDArray[np.float64]:
    """(N,) as `save_losses` kept them."""
    loss_N: NDArray[np.float64] = np.load(path).astype(np.float64)
    return loss_N

"""The learners beside learnd, in an environment of their own: nothing here imports learnd, nor the other way round.

Each is built by name, so that one that is not installed stops no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Any, Final

# Name -> module, what builds it there, and the package whose version counts.
PEERS: Final = {
    "vw": ("vw", "VW", "vowpalwabbit"),
    "vw_minilm": ("vw", "VW", "vowpalwabbit"),
    "naive_bayes": ("naive_bayes", "naive_bayes", "numpy"),
    "river_logistic": ("river_peers", "logistic_regression", "river"),
    "river_linear": ("river_peers", "linear_regression", "river"),
    "river_tfidf_sgd": ("river_peers", "tfidf_sgd", "river"),
    "river_arf": ("river_peers", "adaptive_random_forest", "river"),
    "river_amf": ("river_peers", "mondrian_forest", "river"),
    "river_srp": ("river_peers", "streaming_random_patches", "river"),
    "deep_river_mlp": ("deep_river_mlp", "multilayer_perceptron", "deep-river"),
}
# Peers that read the embedding of learnd's frozen encoder beside the text.
EMBEDDED: Final = frozenset({"vw_minilm"})


def make(name: str, *, task: str, labels: Sequence[str], seed: int = 0) -> Any:
    """The peer called `name`; raises `ModuleNotFoundError` where its package is not installed."""
    module, builder, _ = PEERS[name]
    return getattr(import_module(f"{__name__}.{module}"), builder)(task=task, labels=labels, seed=seed)


def version(name: str) -> str:
    """Package and version that `name` runs on."""
    package = PEERS[name][2]
    return f"{package} {metadata.version(package)}"

"""Tasks, encoders and models by their settings, for the trainer and, from a snapshot's blueprint, for the server."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from daemon.assembly.reactions import reactions
from daemon.errors import ConfigError, ModelError
from daemon.learning.encoders import PACKAGE, FrozenEncoder, encoder_files, find_encoder, load_encoder
from daemon.learning.experts.base import Expert, Extractor
from daemon.learning.experts.word_bayes import WordBayes
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.target_history import TargetHistory
from daemon.learning.features.text import TextFeatures
from daemon.learning.late import Late
from daemon.learning.lead import standard_errors_to_lead
from daemon.learning.models.base import Model
from daemon.learning.models.linear import Linear
from daemon.learning.models.mixture import Mixture
from daemon.learning.models.pool import Pool
from daemon.learning.models.regression import RegressionMixture
from daemon.learning.models.table_mixture import TableMixture
from daemon.learning.regression_mixer import RegressionMixer
from daemon.learning.regressors import regression_experts
from daemon.learning.tables import table_experts, table_mixer
from daemon.learning.tasks.base import Task
from daemon.learning.tasks.classification import Classification
from daemon.learning.tasks.regression import Regression
from daemon.learning.texts import text_experts, text_mixer
from daemon.settings import Settings
from daemon.state import JSON

logger = logging.getLogger(__name__)

# Sections that a server needs to build the model that takes a snapshot's weights.
BLUEPRINT = ("task", "model", "features", "optimizer", "schedule", "replay", "reactions")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Where the encoder of a model lies; `name` is its folder, hub id or package, None for none.

    `sha256` stands for the bytes of its files: encoders are the same where it is, wherever they lie.
    """

    name: str | None = field(compare=False)
    folder: Path | None = field(compare=False)
    sha256: str = ""


NO_ENCODER = Encoder(name=None, folder=None)


def encoder(settings: Settings, *, may_lack: bool) -> Encoder:
    """The encoder that the settings name. With `may_lack` a packaged one that is not installed is done without, aloud."""
    name = settings.model.encoder
    if name == "none" or settings.model.inputs == "features" or settings.model.kind == "linear":
        return NO_ENCODER
    try:
        folder = find_encoder(name)
    except ModelError as error:
        if name != "auto" or not may_lack or settings.model.kind == "transformer" or settings.model.training == "full":
            raise
        logger.warning("learning from n-grams alone, which costs accuracy: %s", error)
        return NO_ENCODER
    return Encoder(name=PACKAGE if name == "auto" else name, folder=folder, sha256=_sha256(folder))


def _sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in encoder_files(folder):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _frozen(encoder: Encoder, device: str, max_tokens: int) -> FrozenEncoder:
    """A server that swaps snapshots hundreds of times a day loads the encoder that they share once."""
    return load_encoder(str(encoder.folder), device=device, max_tokens=max_tokens)


def task(settings: Settings) -> Task:
    if settings.task.kind == "regression":
        return Regression()
    chosen = settings.task
    return Classification(max_labels=chosen.max_labels, labels=chosen.labels, class_weights=chosen.class_weights)


def model(settings: Settings, *, encoder: Encoder, device: torch.device, label_delay: int = 0) -> Model:
    """A fresh model. With `label_delay`, it learns each row so many rows after it predicted it."""
    if label_delay and settings.model.kind != "mixture":
        raise ConfigError('--label-delay: late labels are learned by the mixture; set model.kind to "mixture"')
    if settings.model.kind == "transformer":
        assert encoder.folder is not None, "checked with the settings"
        from daemon.assembly import slow  # transformers takes seconds to import: only for those who train with it

        return slow.transformer(settings, folder=encoder.folder, device=device)
    if settings.model.kind == "linear":
        return _linear(settings)
    pool = _mixture(settings, encoder=encoder, device=device, late=label_delay > 0)
    return Late(pool=pool, delay=label_delay, blends=settings.model.inputs != "features") if label_delay else pool


def blueprint(settings: Settings) -> dict[str, JSON]:
    """The sections of `settings` that say how to build the model again."""
    return {name: getattr(settings, name).model_dump(mode="json") for name in BLUEPRINT}


def _mixture(settings: Settings, *, encoder: Encoder, device: torch.device, late: bool) -> Pool:
    """The default: a pool on texts, on tables, or on both.

    Where labels are late, an alarm does not make the mixer forget who led, which it would learn anew as late.
    """
    chosen = reactions(settings)
    if late:
        chosen = replace(chosen, faster_mixer=False)
    text = table = frozen = None
    if settings.model.inputs in ("text", "both"):
        frozen = _frozen(encoder, str(device), settings.model.max_tokens) if encoder.folder else None
        text = TextFeatures(encoder=frozen)
    companions: dict[str, Path | JSON] = {**frozen.companions()} if frozen else {}
    classifies = settings.task.kind == "classification"
    if settings.model.inputs in ("features", "both"):
        # Earlier targets of a regression are the target history's part.
        labels = classifies and settings.features.label_history
        table = TableFeatures(label_history=labels, earlier_rows=settings.features.earlier_rows)
    extractors: dict[str, Extractor] = ({"text": text} if text else {}) | ({"table": table} if table else {})
    if not classifies:
        history = TargetHistory(table=table, enabled=settings.features.label_history)
        regressors = regression_experts(history=history, table=table, text=text, seed=settings.training.seed)
        return RegressionMixture(
            extractors=extractors | {"history": history},
            experts=regressors,
            mixer=RegressionMixer(num_experts=len(regressors), standard_errors=standard_errors_to_lead(regressors, late=late)),
            companions=companions,
            reactions=chosen,
            shows_inputs=settings.monitoring.input_detector,
        )
    seed, label_history = settings.training.seed, settings.features.label_history
    finetuned: Callable[[], Expert] | None = None
    if settings.model.training == "full":
        from daemon.assembly import slow

        assert encoder.folder is not None, "checked with the settings"
        extractors["tokens"] = tokens = slow.tokens(settings, folder=encoder.folder)
        finetuned = partial(slow.expert, settings, tokens=tokens, folder=encoder.folder, device=device)

    def make_experts() -> list[Expert]:
        experts = text_experts(text, label_history=label_history, columns=table) if text else []
        words = next((expert for expert in experts if isinstance(expert, WordBayes)), None)
        experts += table_experts(table, seed=seed, text=text, words=words) if table else []
        if finetuned:
            experts.append(finetuned())
        return experts

    experts = make_experts()
    make = TableMixture if table and not text else Mixture  # experts on texts share what they hold
    return make(
        extractors=extractors,
        experts=experts,
        mixer=table_mixer(experts, late=late) if table else text_mixer(experts, late=late),
        make_experts=make_experts,
        companions=companions,
        reactions=chosen,
        shows_inputs=settings.monitoring.input_detector,
    )


def _linear(settings: Settings) -> Linear:
    return Linear(
        classifies=settings.task.kind == "classification",
        reads_features=settings.model.inputs in ("features", "both"),
        reads_text=settings.model.inputs in ("text", "both"),
        earlier_rows=settings.features.earlier_rows,
        earlier_labels=settings.features.label_history,
    )

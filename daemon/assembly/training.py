"""The trainer and everything that it holds; whatever happens, all of it is let go, the last taken first."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from daemon.assembly import models, sources, watching
from daemon.config import every_setting, fixed_settings, journaled_settings, refuse_changes
from daemon.gathering import Gatherer, LiveGatherer, LogGatherer
from daemon.keeper import Keeper
from daemon.learning.device import choose_device, fingerprint, make_deterministic, memory_bytes
from daemon.learning.learner import Learner
from daemon.monitoring.endpoint import TelemetryEndpoint
from daemon.monitoring.telemetry import Telemetry
from daemon.pipeline import Pipeline
from daemon.predictions import NoPredictions, PredictionFile, PredictionLog
from daemon.progress import LoggedProgress, NoProgress, Progress
from daemon.publisher import Publisher
from daemon.recovery import Terms
from daemon.settings import KafkaSettings, Settings
from daemon.state import JSON
from daemon.storage.checkpoints import Checkpoints
from daemon.storage.folder import Writer
from daemon.storage.ledger import Ledger
from daemon.storage.snapshots import Snapshots
from daemon.trainer import Trainer
from streams.deadletter import NoDeadLetters
from streams.source import Source

logger = logging.getLogger(__name__)

# Kept only at the end: a backtest is not resumed and answers nobody.
NEVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class Training:
    """A trainer that is ready to run, and what a command wants to know of it."""

    trainer: Trainer
    pipeline: Pipeline
    encoder: str | None


@contextmanager
def training(
    settings: Settings, *, until_end: bool, may_lack_encoder: bool = False, progress: Progress | None = None
) -> Iterator[Training]:
    """A trainer on the configured source, with its telemetry on its own port."""
    with ExitStack() as stack:
        # First of all: a second trainer is refused by the folder, not by a port that it shares with the first.
        writer = _writer(stack, settings)
        telemetry = watching.telemetry(settings)
        endpoint = TelemetryEndpoint(
            host=settings.telemetry.host,
            port=settings.telemetry.port,
            registry=telemetry.registry,
            health=telemetry.health,
        )
        stack.callback(endpoint.close)
        logger.info("telemetry on http://%s:%s/metrics", settings.telemetry.host, endpoint.port)
        yield _assemble(
            stack,
            settings,
            writer=writer,
            source=sources.source(settings),
            telemetry=telemetry,
            encoder=models.encoder(settings, may_lack=may_lack_encoder),
            gatherer=_from_log(settings) if until_end else _live(settings),
            predictions=NoPredictions(),
            progress=progress or LoggedProgress(),
        )


@contextmanager
def backtesting(
    settings: Settings, *, file: Path, predictions: Path | None, label_delay: int = 0, gate_every: int = 0
) -> Iterator[Training]:
    """The same over a recorded file, with nothing kept on the way and no port opened; labels arrive `label_delay` rows late,
    and the gate is asked every `gate_every` rows what it would do (0: never)."""
    with ExitStack() as stack:
        yield _assemble(
            stack,
            settings,
            writer=_writer(stack, settings),
            source=sources.table(settings, file),
            telemetry=watching.telemetry(settings),
            encoder=models.encoder(settings, may_lack=True),
            gatherer=_from_log(settings),
            predictions=PredictionFile(predictions) if predictions else NoPredictions(),
            progress=NoProgress(),
            keeps=False,
            label_delay=label_delay,
            gate_every=gate_every,
        )


def _assemble(
    stack: ExitStack,
    settings: Settings,
    *,
    writer: Writer,
    source: Source,
    telemetry: Telemetry,
    encoder: models.Encoder,
    gatherer: Callable[[Source], Gatherer],
    predictions: PredictionLog,
    progress: Progress,
    keeps: bool = True,
    label_delay: int = 0,
    gate_every: int = 0,
) -> Training:
    for resource in (source, predictions, progress):
        stack.callback(resource.close)
    telemetry.keeping.watch_disk(settings.storage.folder)
    make_deterministic(settings.training.threads)
    device = choose_device(settings.training.device)
    if device.type == "cuda":
        telemetry.watch_device(lambda: memory_bytes(device))
    ledger = Ledger(settings.storage.folder / "ledger", segment_bytes=settings.storage.segment_bytes, epoch_check=writer.check)
    ledger.open()
    stack.callback(ledger.close)
    dead_letters = sources.dead_letters(settings) if keeps else NoDeadLetters(max_share=settings.dead_letters.max_share)
    stack.callback(dead_letters.close)
    learner = Learner(
        task=models.task(settings), model=models.model(settings, encoder=encoder, device=device, label_delay=label_delay)
    )
    if keeps:
        guard = watching.guard(settings, encoder, device)
    else:
        guard = watching.rehearsal(settings, encoder, device, learner=learner, every_rows=gate_every)
    evaluation = watching.evaluation(settings, collect_auc=not keeps, label_delay=label_delay)
    telemetry.expect_alarms(evaluation.alarm_directions)
    pipeline = Pipeline(
        decoder=sources.decoder(settings),
        dead_letters=dead_letters,
        learner=learner,
        evaluation=evaluation,
        guard=guard,
        cap=watching.cap(settings),
        predictions=predictions,
        telemetry=telemetry,
        live=isinstance(settings.source, KafkaSettings),
    )
    facts = {**fingerprint(device), "packages": _packages_sha256()}
    publisher = Publisher(
        snapshots=Snapshots(settings.storage.folder / "snapshots", keep=settings.storage.snapshots_kept, check=writer.check),
        ledger=ledger,
        gauges=telemetry.keeping,
        blueprint=models.blueprint(settings),
        interval_s=settings.storage.snapshot_interval_s if keeps else NEVER_S,
    )
    keeper = Keeper(
        checkpoints=Checkpoints(
            settings.storage.folder / "checkpoints", keep=settings.storage.checkpoints_kept, check=writer.check
        ),
        publisher=publisher,
        ledger=ledger,
        source=source,
        gauges=telemetry.keeping,
        fingerprint=facts,
        config=every_setting(settings),
        epoch=writer.epoch,
        checkpoint_interval_s=settings.storage.checkpoint_interval_s if keeps else NEVER_S,
        notes_alarms=settings.reactions.ledger_note,
    )
    stack.callback(keeper.close)
    trainer = Trainer(
        source=source,
        pipeline=pipeline,
        ledger=ledger,
        keeper=keeper,
        telemetry=telemetry,
        gatherer=gatherer,
        progress=progress,
        terms=_terms(settings, encoder, facts),
    )
    return Training(trainer=trainer, pipeline=pipeline, encoder=encoder.name)


def _writer(stack: ExitStack, settings: Settings) -> Writer:
    writer = Writer(settings.storage.folder)
    stack.callback(writer.close)
    return writer


def _terms(settings: Settings, encoder: models.Encoder, facts: dict[str, JSON]) -> Terms:
    # A frozen encoder is no part of any state, but every weight depends on its bytes.
    fixed = {**fixed_settings(settings), "encoder_sha256": encoder.sha256}
    return Terms(
        settings=fixed,
        journaled=journaled_settings(settings),
        fingerprint=facts,
        config=every_setting(settings),
        refuse_changes=lambda saved: refuse_changes(saved, fixed),
    )


def _live(settings: Settings) -> Callable[[Source], Gatherer]:
    return lambda source: LiveGatherer(
        source=source, batch_rows=settings.training.batch_rows, batch_wait_s=settings.training.batch_wait_s
    )


def _from_log(settings: Settings) -> Callable[[Source], Gatherer]:
    return lambda source: LogGatherer(source=source, batch_rows=settings.training.batch_rows)


def _packages_sha256() -> str:
    """Hash of the names and versions of everything installed: any of them may round differently."""
    names = sorted(f"{package.name}=={package.version}" for package in metadata.distributions())
    return hashlib.sha256("\n".join(names).encode()).hexdigest()

"""Back to the very bits: the newest checkpoint, its positions, and the steps that the ledger had planned since."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemon.errors import LedgerError
from daemon.pipeline import Pipeline
from daemon.plan import Plan
from daemon.state import JSON, loading
from daemon.storage.checkpoints import Checkpoint
from daemon.storage.entries import Entry
from daemon.storage.ledger import Ledger
from streams.errors import PassedError
from streams.record import Record, Run
from streams.source import Source

logger = logging.getLogger(__name__)

# How long one look for planned records may take before the trainer is told that it lasts.
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Terms:
    """What learning here depends on besides the records.

    `settings` may not change on resume (`refuse_changes` raises where they did), a change of `journaled` is written to the
    ledger, and bits are promised only where `fingerprint` is the same. `config` is every setting, for the log alone.
    """

    settings: Mapping[str, JSON]
    journaled: Mapping[str, JSON]
    fingerprint: Mapping[str, JSON]
    config: Mapping[str, JSON]
    refuse_changes: Callable[[Mapping[str, JSON]], None]


def recover(
    *,
    terms: Terms,
    checkpoint: Checkpoint | None,
    source: Source,
    pipeline: Pipeline,
    ledger: Ledger,
    goes_on: Callable[[], bool],
) -> None:
    """Bring `pipeline` to where the ledger ends, with `source` open there.

    `goes_on` is asked at every entry and every `LOOK_S` while one waits for its records: False ends it at once.

    Raises `ConfigError` for a changed fixed setting, `LedgerError` where checkpoint and ledger do not belong together, and
    `GapError` where a planned record is gone and the source does not go on behind the gap.
    """
    opened = next(ledger.entries(0), None)
    if opened is None:
        _begin(terms, checkpoint, source, pipeline, ledger)
    else:
        terms.refuse_changes(opened.body["settings"])
        _resume(opened, terms, checkpoint, source, pipeline, ledger, goes_on)


def _begin(terms: Terms, checkpoint: Checkpoint | None, source: Source, pipeline: Pipeline, ledger: Ledger) -> None:
    """First start: where each partition begins is an outside decision, so it is written down before anything is learned."""
    if checkpoint is not None:
        raise LedgerError(f"there is checkpoint {checkpoint.name} but no ledger; restore both from one backup")
    source.open({})
    pipeline.positions, pipeline.journaled = source.positions(), dict(terms.journaled)
    ledger.append(
        "opened",
        {
            "settings": dict(terms.settings),
            "journaled": dict(terms.journaled),
            "fingerprint": dict(terms.fingerprint),
            "positions": {str(partition): offset for partition, offset in sorted(pipeline.positions.items())},
            "identity": source.identity(),
        },
    )
    pipeline.carried_out(ledger.position, ledger.head)


def _resume(
    opened: Entry,
    terms: Terms,
    checkpoint: Checkpoint | None,
    source: Source,
    pipeline: Pipeline,
    ledger: Ledger,
    goes_on: Callable[[], bool],
) -> None:
    fingerprint = opened.body["fingerprint"]
    if checkpoint is None:
        pipeline.positions = {int(partition): offset for partition, offset in opened.body["positions"].items()}
        pipeline.journaled = dict(opened.body["journaled"])
        pipeline.carried_out(1, opened.chain)
    else:
        _check_belongs(checkpoint, ledger)
        with loading(f"checkpoint {checkpoint.name}"):
            pipeline.load_state_dict(checkpoint.state)
        pipeline.carried_out(checkpoint.meta["ledger"]["position"], checkpoint.meta["ledger"]["chain"])
        fingerprint = checkpoint.meta["fingerprint"]
        _tell_other_settings(checkpoint, terms.config)
    source.open(pipeline.positions, identity=opened.body["identity"])
    to_redo = ledger.position - pipeline.ledger_position
    logger.info("resuming at row %s; %s ledger entries to redo", pipeline.rows, to_redo)
    void = _void_entries(ledger, pipeline.ledger_position, checkpoint)
    try:
        for entry in ledger.entries(pipeline.ledger_position):
            if not goes_on():
                return
            fingerprint = entry.body["fingerprint"] if entry.kind == "started" else fingerprint
            if entry.n not in void and not _redo(entry, source, pipeline, goes_on):
                return
            pipeline.carried_out(entry.n + 1, entry.chain)
    except PassedError as gone:
        _give_up(gone, pipeline, ledger)
    _warn_of_other_arithmetic(fingerprint, terms.fingerprint)
    ledger.append("started", {"fingerprint": dict(terms.fingerprint)})
    if pipeline.journaled != dict(terms.journaled):
        ledger.append("settings", dict(terms.journaled))
        pipeline.change(terms.journaled)
    pipeline.carried_out(ledger.position, ledger.head)


def _check_belongs(checkpoint: Checkpoint, ledger: Ledger) -> None:
    position, chain = checkpoint.meta["ledger"]["position"], checkpoint.meta["ledger"]["chain"]
    last = next(ledger.entries(position - 1), None)
    if last is None or last.chain != chain:
        found = "ends before it" if last is None else "has another history"
        raise LedgerError(
            f"checkpoint {checkpoint.name} stands at ledger entry {position}, but the ledger {found}; "
            "restore both from one backup"
        )


def _void_entries(ledger: Ledger, start: int, checkpoint: Checkpoint | None) -> set[int]:
    """The entries from `start` on that a later one gave up: whoever redoes the ledger passes over them."""
    void: set[int] = set()
    for entry in ledger.entries(start):
        if entry.kind == "voided":
            if checkpoint is not None and entry.body["from"] < start:
                raise LedgerError(
                    f"checkpoint {checkpoint.name} holds steps that ledger entry {entry.n} gave up because their records were "
                    "gone; remove it, so that the one before it is used"
                )
            void.update(range(entry.body["from"], entry.n))
    return void


def _give_up(gone: PassedError, pipeline: Pipeline, ledger: Ledger) -> None:
    """Write down that nothing of what the ledger holds from here on was learned: records of its next plan are gone.

    What is still there of the plans is planned anew, the gap itself is passed like any other.
    """
    first = pipeline.ledger_position
    logger.warning(
        "%s[%s]: records %s to %s were planned, but retention took them before the step was in a checkpoint; the ledger is "
        "void from entry %s on, and learning goes on from row %s, behind the gap",
        gone.topic, gone.partition, gone.position, gone.first - 1, first, pipeline.rows,
    )  # fmt: skip
    ledger.append("voided", {"from": first, "partition": gone.partition, "start": gone.position, "end": gone.first})


def _redo(entry: Entry, source: Source, pipeline: Pipeline, goes_on: Callable[[], bool]) -> bool:
    """Carry out what `entry` says; False where that was not done because a stop was asked for."""
    match entry.kind:
        case "plan":
            plan = Plan.from_body(entry.body)
            records = _records_of(plan, source, goes_on)
            if records is None:
                return False
            pipeline.learn(plan, records)
        case "skipped":
            pipeline.skip(Run(entry.body["partition"], entry.body["start"], entry.body["end"]))
        case "settings":
            pipeline.change(entry.body)
    return True


def _records_of(plan: Plan, source: Source, goes_on: Callable[[], bool]) -> list[Record] | None:
    """The records of `plan` in its order, or None when asked to stop while waiting for them.

    Raises `PassedError` where some are gone; then none was taken, so that all that are left can be planned anew.
    """
    for run in plan.runs:
        while not source.has_run(run, timeout_s=LOOK_S):
            if not goes_on():
                return None
    return [record for run in plan.runs for record in source.take_run(run, timeout_s=LOOK_S) or ()]


def _tell_other_settings(checkpoint: Checkpoint, now: Mapping[str, JSON]) -> None:
    if changed := _changes(checkpoint.meta.get("config", now), now):  # the earliest builds kept none
        logger.info("settings that were others at checkpoint %s: %s", checkpoint.name, changed)


def _changes(before: Mapping[str, JSON], now: Mapping[str, JSON]) -> str:
    """Each name whose value differs, with both values."""
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return ", ".join(f"{name}: {before.get(name)} -> {now.get(name)}" for name in names)


def _warn_of_other_arithmetic(before: Mapping[str, JSON], now: Mapping[str, JSON]) -> None:
    if changed := _changes(before, now):
        logger.warning(
            "what the arithmetic depends on has changed since the last start (%s): learning goes on, but the bits may differ "
            "from those of a run that was never moved",
            changed,
        )

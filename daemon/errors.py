"""What learnd raises. The text of each says what, where, which value, and the remedy.

LearndError
├── ConfigError          a setting is wrong, unknown, or may not change on resume
├── ModelError           a model or encoder cannot be had, or is not what the settings say
├── StateError           a saved state does not fit the object that is to take it
├── StorageError         something durable could not be read or written
│   ├── LedgerError      the ledger is damaged
│   ├── LedgerFull       the ledger cannot grow now (no space); learning pauses and tries again
│   ├── CheckpointError  a checkpoint is torn, missing or of another format
│   ├── SnapshotError    a snapshot is torn, missing or of another format
│   │   └── WithheldError    a snapshot that was being written may not answer any more
│   └── WriterError      another process writes this folder, or took it over
├── ServingError         a request cannot be answered
└── UnfinishedError      a command was stopped before all was done that it promises
"""

from __future__ import annotations

from typing import ClassVar


class LearndError(Exception):
    """Root of what learnd raises on purpose.

    `lasts` says that to start again would only meet it again, until a person has acted.
    """

    lasts: ClassVar[bool] = True


class ConfigError(LearndError):
    """A setting is wrong; the text lists every mistake at once, each with its remedy."""


class ModelError(LearndError):
    """A model or encoder cannot be loaded or is not what the settings say."""


class StateError(LearndError):
    """A saved state does not fit the object that is to take it."""


class StorageError(LearndError):
    """Something durable could not be read or written."""


class LedgerError(StorageError):
    """The ledger is damaged; the text names segment and line."""


class LedgerFull(StorageError):  # noqa: N818 - a condition that passes, not a fault
    """The ledger cannot grow now; nothing was written. Free space, and learning resumes by itself."""

    lasts = False


class CheckpointError(StorageError):
    """A checkpoint is torn, missing or of another format."""


class SnapshotError(StorageError):
    """A snapshot is torn, missing or of another format."""


class WithheldError(SnapshotError):
    """A snapshot was written, but by then it might not answer any more; nothing of it is left."""


class WriterError(StorageError):
    """Another process writes this folder, or has taken it over from this one."""


class ServingError(LearndError):
    """A request cannot be answered."""


class UnfinishedError(LearndError):
    """A command was stopped before all was done that it promises."""

    lasts = False

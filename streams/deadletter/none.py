"""No dead letters: what cannot be decoded is dropped, though its share is still watched."""

from __future__ import annotations

from streams.deadletter.base import DeadLetters, Letter


class NoDeadLetters(DeadLetters):
    """Keeps nothing."""

    def flush(self) -> None:
        """Nothing to make durable."""

    def close(self) -> None:
        """Nothing to free."""

    def _write(self, letter: Letter) -> None:
        """Drop the letter."""

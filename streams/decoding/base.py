"""The contract of a decoder: one raw record in, one example out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from streams.record import Example, Record


class Decoder(ABC):
    """Turns raw bytes into an example. Pure: the same record always gives the same example."""

    @abstractmethod
    def decode(self, record: Record) -> Example:
        """Raises `DecodeError` for a record that cannot become an example, and nothing else."""

"""The inputs of a micro-batch, as the models see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of inputs. A row without text has "", a row without features has {}.

    A feature is a number or a category (a string). A column that is missing from a row is a missing value.
    """

    texts: Sequence[str]
    features: Sequence[Mapping[str, float | str]]

    def __len__(self) -> int:
        return len(self.texts)

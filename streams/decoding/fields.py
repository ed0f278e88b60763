"""What the fields of a record are called."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Names of the fields (or columns) that have a meaning. They must differ from each other; raises `ValueError`."""

    text: str = "text"
    features: str = "features"
    label: str = "label"
    id: str = "id"
    time: str = "time"
    weight: str = "weight"

    def __post_init__(self) -> None:
        names = astuple(self)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two fields are both called "{name}"; give each of {", ".join(self.__slots__)} its own name')

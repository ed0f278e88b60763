"""Which fields the settings have, and which of them take a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from daemon.settings import FilesSettings, KafkaSettings, Section, Settings

SOURCES: dict[str, type[Section]] = {"kafka": KafkaSettings, "files": FilesSettings}


def section_at(location: Sequence[str]) -> type[Section] | None:
    """The class of the section that pydantic's `location` begins with: of the source, its kind stands second."""
    if location[0] == "source":
        return SOURCES.get(location[1]) if len(location) > 1 else None
    field = Settings.model_fields.get(location[0])
    section = field.annotation if field else None
    return section if isinstance(section, type) and issubclass(section, Section) else None


def fields_of(section: str) -> dict[str, FieldInfo]:
    """The fields of a section by name; of the source, those of every kind; none where there is no such section."""
    sections = SOURCES.values() if section == "source" else filter(None, [section_at([section])])
    return {name: field for each in sections for name, field in each.model_fields.items()}


def takes_text(section: str, field: str) -> bool:
    """Whether a field takes one text, be it a secret, a path or a choice of words.

    >>> [takes_text("source", "password"), takes_text("serving", "port"), takes_text("task", "labels"), takes_text("x", "y")]
    [True, False, False, False]
    """
    found = fields_of(section).get(field)
    if found is None:
        return False
    kinds = get_args(found.annotation) if get_origin(found.annotation) in (Union, UnionType) else (found.annotation,)
    return any(kind in (str, Path, SecretStr) or get_origin(kind) is Literal for kind in kinds)

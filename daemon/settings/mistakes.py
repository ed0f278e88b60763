"""What is wrong with a setting, in words: which one, what it may be, what it is, and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Any, get_origin

from pydantic import ValidationError

from daemon.settings import Settings
from daemon.settings.base import IN_WORDS
from daemon.settings.fields import SOURCES, fields_of, section_at

PREFIX = "LEARND_"
_SECRET = ("password", "token")
_LONGEST_SHOWN = 80
_EXAMPLES = {"partitions": "[0, 1]", "slices": '{country = "country_code"}', "class_weights": "{spam = 2.0}"}
_EXAMPLE = '["a", "b"]'


def explain(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    """Each mistake in `error` in words. `origins`: dotted name -> the environment variable that gave the value."""
    told: dict[str, str] = {}
    for entry in error.errors():
        location = located(entry)
        # A value of a setting that takes either of two kinds is wrong for both: one mistake.
        told.setdefault(_dotted(location), _explain(entry, location, origins))
    return list(told.values())


def located(entry: Any) -> list[str]:
    """Section, field, and in a list or table the item, of one of pydantic's entries.

    >>> located({"loc": ("source", "kafka", "topic")}), located({"loc": ("task", "labels", 0)})
    (['source', 'topic'], ['task', 'labels', '0'])
    """
    location = [str(part) for part in entry["loc"]]
    section = section_at(location)
    if location[0] == "source":
        del location[1:2]
    field = section.model_fields.get(location[1]) if section and len(location) > 2 else None
    # What comes behind the field of a plain value names an alternative of its type.
    return location if field and get_origin(field.annotation) in (tuple, dict) else location[:2]


def variable(section: str, field: str) -> str:
    """
    >>> variable("source", "topic")
    'LEARND_SOURCE__TOPIC'
    """
    return f"{PREFIX}{section}__{field}".upper()


def unknown_variable(name: str) -> str | None:
    """What is wrong with the name of an environment variable that is to be a setting; None where it is one.

    >>> unknown_variable("LEARND_SORCE__TOPIC")
    'LEARND_SORCE__TOPIC: there is no such setting; did you mean LEARND_SOURCE__TOPIC?'
    """
    known = [variable(section, field) for section in Settings.model_fields for field in fields_of(section)]
    if name.upper() in known:
        return None
    close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    remedy = f"did you mean {close[0]}?" if close else f"unset it, or name one as {PREFIX}SECTION__FIELD (docs/settings.md)"
    return f"{name}: there is no such setting; {remedy}"


def _explain(entry: Any, location: list[str], origins: Mapping[str, str]) -> str:
    where = _named(location, origins)
    match entry["type"]:
        case "extra_forbidden":
            return f"{where}: there is no such setting{_known_instead(entry, location)}"
        case "missing" if location == ["source"]:
            return 'source: is missing; write [source] with kind = "kafka" and topic, or kind = "files" and paths'
        case "missing":
            return f"{where}: is missing; give it in the file, as {variable(*location[:2])} or by --set {_dotted(location)}=…"
        case "union_tag_not_found":
            return 'source.kind: is missing; it must be "kafka" or "files"'
        case "union_tag_invalid":
            kind = entry["ctx"]["tag"]
            choices = '"kafka" or "files"'
            return f"{_named(['source', 'kind'], origins)}: must be {choices}{_nearest(kind, choices)}{_shown('kind', kind)}"
        case "model_type" | "model_attributes_type":
            # Its value is not shown: whatever stands there, a secret may be in it.
            return f"{where}: must be a section of settings; write [{where}] and its settings below it, one a line"
        case _:
            return f"{where}: {_wanted(entry, location)}{_shown(location[1], entry['input'])}"


def _wanted(entry: Any, location: list[str]) -> str:
    """What a value should be, in the words of a TOML file."""
    context = entry.get("ctx", {})
    match entry["type"]:
        case "tuple_type":
            return f"must be a list, such as {_EXAMPLES.get(location[1], _EXAMPLE)}"
        case "dict_type":
            return f"must be a table, such as {_EXAMPLES[location[1]]}"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return "must be a whole number"
        case "float_type" | "float_parsing" | "finite_number":
            return "must be a number, and finite"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "string_unicode":
            return "must be valid Unicode; write it in UTF-8"
        case "string_type" | "path_type":
            return "must be a text in quotes"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bound = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
            name, value = next(iter(context.items()))
            return f"must be {bound[name]} {value:g}"
        case "literal_error":
            choices = context["expected"].replace("'", '"')
            return f"must be {choices}{_nearest(entry['input'], choices)}"
        case kind if kind == IN_WORDS:
            return str(entry["msg"])
        case _:
            return "is none of the values that it takes; docs/settings.md says which"


def _nearest(value: object, choices: str) -> str:
    """
    >>> _nearest("mixtur", '"mixture" or "transformer"')
    '; did you mean "mixture"?'
    """
    close = difflib.get_close_matches(str(value), re.findall('"([^"]*)"', choices), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _shown(field: str, value: object) -> str:
    """
    >>> _shown("seed", True), _shown("seed", "x" * 100)[-15:], _shown("token", "s3cret")
    (' (got true)', 'xxxxxxxxxxx...)', '')
    """
    if field in _SECRET:
        return ""
    if isinstance(value, bool):
        return f" (got {str(value).lower()})"
    shown = value.isoformat() if isinstance(value, date | time) else repr(value)
    return f" (got {shown if len(shown) <= _LONGEST_SHOWN else f'{shown[:_LONGEST_SHOWN]}...'})"


def _known_instead(entry: Any, location: list[str]) -> str:
    """What to do about a name that is none: the nearest one that is."""
    if len(location) == 1:
        return _meant(location[0], Settings.model_fields)
    name = location[1]
    if location[0] == "source":
        kind = str(entry["loc"][1])
        other = next((k for k, section in SOURCES.items() if k != kind and name in section.model_fields), "")
        if other:
            return f' with source.kind = "{kind}"; only "{other}" has it'
    section = section_at([str(part) for part in entry["loc"]])
    return _meant(name, section.model_fields if section else ())


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else "; remove it"


def _named(location: list[str], origins: Mapping[str, str]) -> str:
    """The setting by the name that the reader gave it: the environment variable's, or the dotted one."""
    field = ".".join(location[:2])
    item = location[2:]
    return origins.get(field, field) + "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in item)


def _dotted(location: list[str]) -> str:
    return ".".join(location)

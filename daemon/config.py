"""From `learnd.toml`, the environment and flags to checked `Settings`.

`LEARND_SECTION__FIELD` in the environment stands over the file, `--set section.field=value` over both. Every mistake is
told at once, each with its remedy.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from daemon.errors import ConfigError
from daemon.settings import FilesSettings, KafkaSettings, Section, Settings
from daemon.settings.between import mistakes_between
from daemon.state import JSON

PREFIX = "LEARND_"


def load(
    path: Path | None,
    *,
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from `defaults`, then the file at `path`, then `environ`, then `overrides` ("section.field=value").

    Raises `ConfigError` that lists every mistake.
    """
    settings, mistakes = examine(path, overrides=overrides, environ=environ, defaults=defaults)
    if settings is None or mistakes:
        raise ConfigError(listed(mistakes, path))
    return settings


def examine(
    path: Path | None,
    *,
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Settings | None, list[str]]:
    """The settings and every mistake in them. Beside mistakes the settings have defaults in place of the fields that are wrong,
    so that the rest can still be looked at; None where even that cannot be."""
    raw: dict[str, Any] = {name: dict(section) for name, section in (defaults or {}).items()}
    if path is not None:
        _merge(raw, _read(path))
    mistakes: list[str] = []
    for source, key, value in [*_kind_first(_from_environment(environ)), *_kind_first(_from_flags(overrides, mistakes))]:
        section, _, field = key.partition(".")
        if not field:
            mistakes.append(f"{source}: names no field; write section.field=value")
            continue
        _merge(raw, {section: {field: _value(value)}})
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        mistakes += [_explain(entry, raw) for entry in error.errors()]
        try:
            settings = Settings.model_validate(_without(raw, [_location(entry) for entry in error.errors()]))
        except ValidationError:
            return None, mistakes
    return settings, mistakes + mistakes_between(settings)


def listed(mistakes: Sequence[str], path: Path | None) -> str:
    """All mistakes as one message."""
    where = f"{path}: " if path else ""
    return f"{where}{len(mistakes)} mistake(s) in the settings:\n" + "\n".join(f"  - {mistake}" for mistake in mistakes)


def fixed_settings(settings: Settings) -> dict[str, JSON]:
    """Dotted name -> value of every setting that may not change on resume."""
    return dict(_declared(settings, "fixed"))


def journaled_settings(settings: Settings) -> dict[str, JSON]:
    """Dotted name -> value of every setting whose change is written to the ledger."""
    return dict(_declared(settings, "journaled"))


def refuse_changes(saved: Mapping[str, JSON], now: Mapping[str, JSON]) -> None:
    """Raise `ConfigError` naming every fixed setting that differs from what was learned with."""
    changed = [
        f"  - {name}: learned with {saved.get(name)!r}, now {now.get(name)!r}"
        for name in sorted(saved.keys() | now.keys())
        if saved.get(name) != now.get(name)
    ]
    if changed:
        raise ConfigError(
            "these settings decide what was learned and may not change on resume; set them back, or begin in another "
            "storage.folder:\n" + "\n".join(changed)
        )


def secret(value: SecretStr, file: Path | str) -> str:
    """The secret itself: from `file` where one is named, else the value. Raises `ConfigError` where it cannot be read."""
    if not file:
        return value.get_secret_value()
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{file}: the secret cannot be read ({error.strerror}); check the path and its permissions") from None


def _declared(section: Section, resume: str, prefix: str = "") -> Iterable[tuple[str, JSON]]:
    dumped = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _declared(value, resume, f"{prefix}{name}.")
        elif isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("resume") == resume:
            yield f"{prefix}{name}", dumped[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name the file with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for name, section in new.items():
        if isinstance(section, Mapping) and isinstance(into.get(name), dict):
            before, now = into[name].get("kind"), section.get("kind")
            # A source of another kind replaces the default one whole: their fields differ.
            if name == "source" and before and now and before != now:
                into[name] = {}
            into[name].update(section)
        else:
            into[name] = dict(section) if isinstance(section, Mapping) else section


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [
        (name, name.removeprefix(PREFIX).lower().replace("__", ".", 1), value)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and "__" in name
    ]


def _from_flags(overrides: Iterable[str], mistakes: list[str]) -> list[tuple[str, str, str]]:
    found = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if equals:
            found.append((f"--set {override}", key.strip(), value.strip()))
        else:
            mistakes.append(f"--set {override}: has no value; write section.field=value")
    return found


def _kind_first(found: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """A source of another kind drops the fields of the one before, but none that stand beside it, in whatever order."""
    return sorted(found, key=lambda entry: entry[1] != "source.kind")


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none: `64`, `false`, `["a", "b"]`, `earliest`."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(entry: Any, raw: Mapping[str, Any]) -> str:
    """One pydantic error in words: where, what, which value, remedy."""
    location = _location(entry)
    where = ".".join(location)
    match entry["type"]:
        case "extra_forbidden":
            return f"{where}: there is no such setting{_did_you_mean(location, raw)}"
        case "missing" if where == "source":
            return 'source: is missing; write [source] with kind = "kafka" and topic, or kind = "files" and paths'
        case "missing":
            return f"{where}: is missing; it must be given"
        case "union_tag_not_found" | "union_tag_invalid":
            return f'{where}.kind: must be "kafka" or "files"'
        case _:
            return f"{where}: {_wanted(entry)}{_shown(where, entry['input'])}"


def _wanted(entry: Any) -> str:
    """What a value should be, in the words of a TOML file; pydantic's own where they will do."""
    context = entry.get("ctx", {})
    match entry["type"]:
        case "tuple_type":
            return 'must be a list, such as ["a", "b"]'
        case "dict_type":
            return 'must be a table, such as {name = "field"}'
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "float_type" | "float_parsing" | "finite_number":
            return "must be a number, and finite"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "string_type" | "path_type":
            return "must be a text in quotes"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bound = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
            name, value = next(iter(context.items()))
            return f"must be {bound[name]} {value:g}"
        case "literal_error":
            choices = context["expected"].replace("'", '"')
            return f"must be {choices}{_nearest(entry['input'], choices)}"
        case _:
            return f"{entry['msg'][0].lower()}{entry['msg'][1:]}"


def _nearest(value: object, choices: str) -> str:
    """
    >>> _nearest("mixtur", '"mixture" or "transformer"')
    '; did you mean "mixture"?'
    """
    close = difflib.get_close_matches(str(value), re.findall('"([^"]*)"', choices), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _shown(where: str, value: object) -> str:
    return "" if where.endswith(("password", "token")) else f" (got {value!r})"


def _location(entry: Any) -> list[str]:
    return [str(part) for part in entry["loc"] if part not in ("kafka", "files")]


def _without(raw: Mapping[str, Any], wrong: list[list[str]]) -> dict[str, Any]:
    """What is written without the fields that are `wrong`, which are left at their defaults."""
    right = {name: dict(section) for name, section in raw.items() if isinstance(section, Mapping)}
    for section, *field in filter(None, wrong):
        if field:
            right.get(section, {}).pop(field[0], None)
        else:
            right.pop(section, None)
    source = right.get("source", {})
    right["source"] = {"paths": [], **source} if source.get("kind") == "files" else {"kind": "kafka", "topic": "any", **source}
    return right


def _did_you_mean(location: list[str], raw: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(location[-1], _known_names(location, raw), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else "; remove it"


def _known_names(location: list[str], raw: Mapping[str, Any]) -> list[str]:
    if len(location) == 1:
        return list(Settings.model_fields)
    if location[0] == "source":
        kind = raw.get("source", {}).get("kind")
        return list((KafkaSettings if kind == "kafka" else FilesSettings).model_fields)
    field = Settings.model_fields.get(location[0])
    section = field.annotation if field else None
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        return []
    return list(section.model_fields)

"""From `learnd.toml`, the environment and flags to checked `Settings`.

`LEARND_SECTION__FIELD` in the environment stands over the file, `--set section.field=value` over both. Every mistake is
told at once, each with its remedy.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from daemon.errors import ConfigError
from daemon.settings import Section, Settings
from daemon.settings.between import mistakes_between
from daemon.settings.fields import takes_text
from daemon.settings.mistakes import PREFIX, explain, located, unknown_variable
from daemon.state import JSON

# Variables of learnd that are no settings: for tests alone.
_NO_SETTINGS = ("LEARND_FAILPOINT", "LEARND_TEST_KAFKA")
# What Kubernetes tells every container of a service whose name begins with "learnd".
_OF_KUBERNETES = re.compile(r"LEARND_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_URL_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://")


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
    origins: dict[str, str] = {}
    for name, key, value in _kind_first(_from_environment(environ, mistakes)):
        _set(raw, key, value)
        origins[key] = name
    for flag, key, value in _kind_first(_from_flags(overrides, mistakes)):
        if "." not in key:
            mistakes.append(f"{flag}: names no field; write section.field=value")
            continue
        _set(raw, key, value)
        origins.pop(key, None)
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        mistakes += explain(error, origins)
        try:
            settings = Settings.model_validate(_without(raw, [located(entry) for entry in error.errors()]))
        except ValidationError:
            return None, mistakes
    return settings, mistakes + mistakes_between(settings)


def listed(mistakes: Sequence[str], path: Path | None) -> str:
    """All mistakes as one message."""
    where = f"{path}: " if path else ""
    return f"{where}{len(mistakes)} mistake(s) in the settings:\n" + "\n".join(f"  - {mistake}" for mistake in mistakes)


def fixed_settings(settings: Settings) -> dict[str, JSON]:
    """Dotted name -> value of every setting that may not change on resume."""
    return {name: value for name, resume, value in _declared(settings) if resume == "fixed"}


def journaled_settings(settings: Settings) -> dict[str, JSON]:
    """Dotted name -> value of every setting whose change is written to the ledger."""
    return {name: value for name, resume, value in _declared(settings) if resume == "journaled"}


def every_setting(settings: Settings) -> dict[str, JSON]:
    """Dotted name -> value of every setting but secrets."""
    return {name: value for name, _, value in _declared(settings)}


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


def _declared(section: Section, prefix: str = "") -> Iterable[tuple[str, str, JSON]]:
    """Dotted name, what it may do on resume, and value of each setting; secrets are left out."""
    dumped = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _declared(value, f"{prefix}{name}.")
        elif isinstance(field.json_schema_extra, dict) and not isinstance(value, SecretStr):
            yield f"{prefix}{name}", str(field.json_schema_extra["resume"]), dumped[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name the file with --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: not UTF-8 at byte {error.start}; name a text file with --config") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}; correct it there") from None


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


def _set(raw: dict[str, Any], key: str, value: str) -> None:
    section, _, field = key.partition(".")
    _merge(raw, {section: {field: _value(value, is_text=takes_text(section, field))}})


def _from_environment(environ: Mapping[str, str], mistakes: list[str]) -> list[tuple[str, str, str]]:
    found = []
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or _is_no_setting(name, value):
            continue
        if mistake := unknown_variable(name):
            mistakes.append(mistake)
        else:
            found.append((name, name.removeprefix(PREFIX).lower().replace("__", ".", 1), value))
    return found


def _is_no_setting(name: str, value: str) -> bool:
    """Whether a variable with the prefix of settings was never meant for one."""
    by_kubernetes = _OF_KUBERNETES.fullmatch(name) or (name.endswith("_PORT") and _URL_OF_KUBERNETES.match(value))
    return name in _NO_SETTINGS or bool(by_kubernetes)


def _from_flags(overrides: Iterable[str], mistakes: list[str]) -> list[tuple[str, str, str]]:
    found = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if equals:
            found.append((f"--set {key.strip()}", key.strip(), value.strip()))
        else:
            # What comes behind the name was meant for a value, which may be a secret.
            name = re.split(r"[^\w.-]", override, maxsplit=1)[0]
            mistakes.append(f"--set {name}: has no value; write section.field=value")
    return found


def _kind_first(found: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """A source of another kind drops the fields of the one before, but none that stand beside it, in whatever order."""
    return sorted(found, key=lambda entry: entry[1] != "source.kind")


def _value(text: str, *, is_text: bool) -> Any:
    """A TOML value, or the text itself where it is none: `64`, `false`, `["a", "b"]`, `earliest`. What is to be a text is taken
    as it stands, whatever it looks like, but for the quotes of a TOML string.

    >>> _value("64", is_text=False), _value("64", is_text=True), _value("'64'", is_text=True)
    (64, '64', '64')
    """
    try:
        written = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = written.pop("value")
    return text if written or (is_text and not isinstance(value, str)) else value


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

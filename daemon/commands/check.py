"""`learnd check`: everything that is wrong, at once, with the remedy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from daemon.assembly import sources
from daemon.config import examine, listed, secret
from daemon.errors import ConfigError, LearndError
from daemon.serving.security import choose_access, read_token
from daemon.serving.sockets import resolve
from daemon.settings import KafkaSettings, Settings
from streams.errors import StreamError
from streams.table import inspect

Check = Callable[[], object]


def run(arguments: argparse.Namespace) -> int:
    settings, mistakes = examine(arguments.config, overrides=arguments.overrides)
    if settings is not None:
        mistakes += unsound(settings)
    sys.stdout.write(f"{listed(mistakes, arguments.config)}\n" if mistakes else "the settings are sound\n")
    failures = _reach_out(settings) if arguments.live and settings is not None else 0
    return 2 if mistakes else 1 if failures else 0


def unsound(settings: Settings, *, but: Collection[str] = ()) -> list[str]:
    """What is wrong with settings that are each well-formed, as far as it shows without reaching for anything remote."""
    checks = [(name, check) for name, check in _at_hand(settings) if name not in but]
    return [_told(name, error) for name, check in checks if isinstance(error := _outcome(check), Exception)]


def _told(section: str, error: Exception) -> str:
    """An error by the name of its section, which it may say itself."""
    return str(error) if str(error).startswith((f"{section}:", f"{section}.")) else f"{section}: {error}"


def require_sound(settings: Settings, *, but: Collection[str] = ()) -> None:
    """Raise `ConfigError` that lists everything that is `unsound`, `but` for some of what is looked at."""
    if mistakes := unsound(settings, but=but):
        raise ConfigError(listed(mistakes, None))


def _at_hand(settings: Settings) -> list[tuple[str, Check]]:
    return [
        ("source", lambda: _source(settings)),
        ("training", lambda: _history(settings)),
        ("decoding", lambda: sources.fields(settings)),
        ("cap", lambda: _times(settings)),
        ("storage", lambda: _storage(settings)),
        ("serving", lambda: _access(settings)),
        ("telemetry.host", lambda: resolve(settings.telemetry.host, port=None)),
    ]


def _source(settings: Settings) -> None:
    chosen = settings.source
    if isinstance(chosen, KafkaSettings):
        sources.kafka_security(chosen)
    elif not chosen.paths:
        raise ConfigError("source.paths: names no file; name those to learn from")
    elif missing := [str(path) for path in chosen.paths if not path.exists()]:
        raise ConfigError(f"{', '.join(missing)}: no such file; check source.paths")
    elif folders := [str(path) for path in chosen.paths if path.is_dir()]:
        raise ConfigError(f"{', '.join(folders)}: is a folder; name the files in it in source.paths")


def _history(settings: Settings) -> None:
    history = settings.training.warm_start
    if not history:
        return
    if not Path(history).exists():
        if (settings.storage.folder / "ledger").exists():
            return  # it may be learned already: the trainer knows, and asks for it where it is not
        raise ConfigError(f"{history}: no such file; check training.warm_start")
    if Path(history).is_dir():
        raise ConfigError(f"{history}: is a folder; name a file in training.warm_start")
    try:
        fields = sources.fields(settings)
    except ConfigError:
        return  # told once, under decoding
    inspect(Path(history), fields=fields)


def _times(settings: Settings) -> None:
    """That the cap on sources has some, where records come from files."""
    chosen, history = settings.source, settings.training.warm_start
    try:
        sources.fields(settings)
    except ConfigError:
        return  # told once, under decoding
    if not isinstance(chosen, KafkaSettings):
        for path in filter(Path.is_file, chosen.paths):
            sources.require_times(settings, path, is_lines=True)
    if history and Path(history).is_file():
        sources.require_times(settings, Path(history), is_lines=False)


def _storage(settings: Settings) -> None:
    folder = settings.storage.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder in storage.folder")


def _access(settings: Settings) -> None:
    chosen = settings.serving
    choose_access(host=chosen.host, token=read_token(file=chosen.token_file, given=secret(chosen.token, "")))


def _reach_out(settings: Settings) -> int:
    """Say what each thing that learnd needs is found to be; how many are not as they should be."""
    from daemon.assembly import probes  # brings torch, which settings alone do not need

    failures = 0
    for name, probe in (
        ("source", probes.source),
        ("encoder", probes.encoder),
        ("device", probes.device),
        ("storage", probes.storage),
        ("dead_letters", probes.dead_letters),
    ):
        found = _outcome(partial(probe, settings))
        failures += isinstance(found, Exception)
        sys.stdout.write(f"{name}: {found}\n")
    return failures


def _outcome(check: Check) -> object:
    """What `check` returns, or the error that it raises."""
    try:
        return check()
    except (LearndError, StreamError, OSError) as error:
        return error

"""Writes docs/settings.md from the declarations in daemon/settings.py; `make docs` runs it, a test holds the two together."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from daemon.settings import FilesSettings, KafkaSettings, Section, Settings

INTRODUCTION = """# Settings

One TOML file, `learnd.toml`; `LEARND_SECTION__FIELD` in the environment stands over it, `--set section.field=value` over both.
Unknown keys are refused. All mistakes are told at once: `learnd check --config learnd.toml`.

*On resume* says what a setting may do once there is a checkpoint: **free** may change, **journaled** may change and the change
is written to the ledger, **fixed** may not (learnd refuses to start and names it).

This page is generated from the code: `make docs`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for title, section in (("source", KafkaSettings), ("source", FilesSettings)):
        kind = section.model_fields["kind"].default
        yield from _table(f'[{title}] with kind = "{kind}"', section)
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _table(f"[{name}]", field.annotation)


def _table(title: str, section: type[Section]) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{inspect.cleandoc(section.__doc__ or '')}\n"
    yield "| setting | default | on resume | what it is |"
    yield "|---|---|---|---|"
    for name, field in section.model_fields.items():
        extra = field.json_schema_extra
        resume = extra["resume"] if isinstance(extra, dict) else "free"
        yield f"| `{name}` | {_default(name, field)} | {resume} | {field.description} |"
    yield ""


def _default(name: str, field: FieldInfo) -> str:
    if name == "threads":
        return "number of CPUs"
    value: Any = field.default
    if value is PydanticUndefined or value is ...:
        return "required"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[]`" if not value else f"`{list(value)}`"
    if isinstance(value, str | Path):
        return f'`"{value}"`'
    return f"`{value}`"


if __name__ == "__main__":
    (Path(__file__).parent / "settings.md").write_text(page(), encoding="utf-8")

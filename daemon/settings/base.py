"""What every section of the settings is made of."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def setting(default: Any, description: str, *, resume: Literal["free", "journaled", "fixed"] = "free") -> Any:
    """A field with its description and what may happen to it on resume."""
    return Field(default, description=description, json_schema_extra={"resume": resume})


def fixed(default: Any, description: str) -> Any:
    """A field that decides what is learned, so it may not change on resume."""
    return setting(default, description, resume="fixed")


class Section(BaseModel):
    """One section: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

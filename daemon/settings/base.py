"""What every section of the settings is made of."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

# The type of an error whose message is learnd's own.
IN_WORDS = "in_words"


def _no_switch(value: Any) -> Any:
    """Python counts true as 1; a person who writes `port = true` does not."""
    if isinstance(value, bool):
        raise PydanticCustomError(IN_WORDS, "must be a number, not a switch")
    return value


Int = Annotated[int, BeforeValidator(_no_switch)]
PositiveInt = Annotated[Int, Field(gt=0)]
NonNegativeInt = Annotated[Int, Field(ge=0)]
Port = Annotated[Int, Field(ge=0, le=65535)]
Float = Annotated[float, BeforeValidator(_no_switch)]
PositiveFloat = Annotated[Float, Field(gt=0)]
NonNegativeFloat = Annotated[Float, Field(ge=0)]


def setting(default: Any, description: str, *, resume: Literal["free", "journaled", "fixed"] = "free") -> Any:
    """A field with its description and what may happen to it on resume."""
    return Field(default, description=description, json_schema_extra={"resume": resume})


def fixed(default: Any, description: str) -> Any:
    """A field that decides what is learned, so it may not change on resume."""
    return setting(default, description, resume="fixed")


def matching(pattern: str, wanted: str) -> AfterValidator:
    """Takes only a text that matches `pattern` as a whole; `wanted` says in words which ones these are."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise PydanticCustomError(IN_WORDS, "{wanted}", {"wanted": wanted})
        return value

    return AfterValidator(check)


class Section(BaseModel):
    """One section: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

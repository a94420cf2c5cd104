"""What the types of all documents share: frozen, strict, and what their validators ask for said as JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, LiteralString, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

LARGEST: Final = 2**53 - 1
"""Beyond it, programs that keep numbers as IEEE 754 doubles do not tell neighbours apart (RFC 8785, RFC 7493)."""
JsonSchema: TypeAlias = dict[str, JsonValue]


class Strict(BaseModel):
    """Frozen, strict, and unknown keys are errors.

    What validates it is built at its first use, which most types never see: their parts are built within the whole. A
    default that is such a type is made by `model_construct`, since to validate it would be a first use.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


Whole: TypeAlias = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
"""A whole number that canonical JSON can hold."""


def unfit(code: LiteralString, expected: str, fix: str) -> PydanticCustomError:
    """What a validator raises: the finding's code, what was expected, and what to do."""
    return PydanticCustomError(code, "{expected}", {"expected": expected, "fix": fix})


def given_key(key: str, bound: JsonSchema) -> JsonSchema:
    """The JSON Schema of a mapping that has a key, with a value that fits."""
    return {"required": [key], "properties": {key: bound}}


def _exactly_an_integer(value: Any) -> Any:
    """`Literal[1]` alone takes `true` and `1.0` as well, since they equal 1."""
    if type(value) is not int:
        raise unfit("wrong-type", "the whole number 1", "Write `schema_version: 1`.")
    return value


SchemaVersion: TypeAlias = Annotated[
    Literal[1], BeforeValidator(_exactly_an_integer), Field(description="the form of this file")
]

"""The answers of commands as JSON, by one conversion for all of them, so that it is stable.

1. A dataclass is an object of its fields, with `type`, the name of the class: so a reader tells a `Change` from a
   `Refusal`. A result itself also has its properties, such as `approved`, and `schema_version`, which grows when a
   field changes its meaning or goes away. New fields may appear.
2. A document (evidence, an entry of the audit log) is an object as it is stored; a criterion as its author wrote it.
3. A mapping is an object; a key of several parts is joined with `/`, as in `churn/Production`.
4. A moment is a text as in RFC 3339, a day `2026-12-31`, a duration seconds, a decimal a text, bytes a text read as
   UTF-8.
5. JSON has no NaN and no infinities, so these are the texts "NaN", "Infinity" and "-Infinity", as in evidence.
6. Keys are sorted, and everything beyond ASCII is written as `\\u....`, so that a terminal shows what is there; so is
   what a runner of GitHub would take for a command, `##[...]`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from bot.core.evidence import declared
from bot.core.spec import Criterion

SCHEMA_VERSION = 1


def as_json(result: object) -> str:
    """A result as JSON text. Raises TypeError for a value that none of the rules above covers."""
    answer = {"schema_version": SCHEMA_VERSION, **_properties(result), **_converted(result)}
    return json.dumps(answer, indent=2, sort_keys=True, allow_nan=False).replace("##[", "#\\u0023[")


def _properties(result: object) -> dict[str, Any]:
    names = (name for name, member in vars(type(result)).items() if isinstance(member, property))
    return {name: _converted(getattr(result, name)) for name in names}


def _converted(value: object) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return _number(value)
        case Criterion():
            return _converted(declared(value))
        case BaseModel():
            return _converted(value.model_dump(mode="json"))
        case Mapping():
            return {_key(key): _converted(item) for key, item in value.items()}
        case tuple() | list():
            return [_converted(item) for item in value]
        case _:
            return _scalar_or_dataclass(value)


def _scalar_or_dataclass(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        shown = {field.name: _converted(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **shown}
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"expected a value that JSON can hold, got {type(value).__name__}")


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _key(key: object) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)

"""From an OpenAPI 3.0 schema to a JSON Schema (2020-12) that is stricter: keys nobody declared are rejected.

1. `nullable: true` becomes the type "null".
2. An object with `properties` and no word on others is closed, by `unevaluatedProperties`, which also sees what the
   branches of `allOf`, `anyOf` and `oneOf` beside it declare.
3. So that the branches of an `allOf` do not reject each other's keys, they are left open and the whole is closed; the
   same for `anyOf` and `oneOf` that stand beside `properties`. So every component exists twice: closed, and open.
4. The format "email" is dropped: GitHub's own addresses of bots (`1+x[bot]@...`) do not have it.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
COMPONENTS = "urn:github-openapi"
_OPEN_SUFFIX = "--open"
_ANY_OF = ("oneOf", "anyOf")
_BRANCHES = (*_ANY_OF, "allOf")


def components(schemas: Mapping[str, Schema]) -> Schema:
    """One document with every component, closed under its name and open under `<name>--open`."""
    closed = {name: strict(schema) for name, schema in schemas.items()}
    opened = {name + _OPEN_SUFFIX: strict(schema, closed=False) for name, schema in schemas.items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": COMPONENTS, "$defs": closed | opened}


def strict(schema: Schema, *, closed: bool = True) -> Schema:
    """The strict form of a schema; `closed` False leaves its outermost object open for a whole that closes it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {"$ref": f"{COMPONENTS}#/$defs/{name}{'' if closed else _OPEN_SUFFIX}"}
    result = {key: value for key, value in schema.items() if key not in ("nullable", "discriminator", "example")}
    if result.get("format") == "email":
        del result["format"]
    _rewrite_children(result, closed=closed)
    if closed and _is_closable(schema):
        result["unevaluatedProperties"] = False
    return _or_null(result) if schema.get("nullable") else result


def _is_closable(schema: Schema) -> bool:
    return ("properties" in schema or "allOf" in schema) and "additionalProperties" not in schema


def _rewrite_children(result: Schema, *, closed: bool) -> None:
    if "properties" in result:
        result["properties"] = {name: strict(child) for name, child in result["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(result.get(key), dict):
            result[key] = strict(result[key])
    for key in _BRANCHES:
        if key in result:
            alone = key in _ANY_OF and "properties" not in result
            result[key] = [strict(branch, closed=closed and alone) for branch in result[key]]


def _or_null(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and not any(key in schema for key in _BRANCHES):
        nullable = schema | {"type": [schema["type"], "null"]}
        if "enum" in schema and None not in schema["enum"]:
            nullable["enum"] = [*schema["enum"], None]
        return nullable
    return {"anyOf": [schema, {"type": "null"}]}

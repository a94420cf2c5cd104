"""The documents as JSON Schemas (draft 2020-12), with which an editor completes, explains and checks.

1. A schema accepts every document that `stagewright validate` accepts.
2. It refuses what JSON Schema can say about one value and its neighbours. What takes more (a slot that another key
   manages, the file's own name, the form of a number, YAML itself) only `stagewright validate` finds.
3. What is said of a key comes from its field, and is called by the key as it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import DictSchema, ModelSchema

from bot.core.approval_policy import ApprovalPolicy
from bot.core.spec import AuditAnchor, ModelSpec, PromotionPolicy

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
TITLES: Final[Mapping[type[BaseModel], str]] = {
    ModelSpec: "models/<name>.yaml",
    PromotionPolicy: "policies/promotion.yaml",
    ApprovalPolicy: "policies/approvals.yaml",
    AuditAnchor: "policies/audit.yaml",
}
_NAMES: Final[Mapping[str, type[BaseModel]]] = {
    "model": ModelSpec,
    "promotion": PromotionPolicy,
    "approvals": ApprovalPolicy,
    "audit": AuditAnchor,
}

JsonSchema: TypeAlias = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """Pydantic's, but a mapping refuses the keys that its type does not have, and lists those that an editor offers."""

    schema_dialect = DRAFT

    def get_title_from_name(self, name: str) -> str:
        return name

    def dict_schema(self, schema: DictSchema) -> JsonSchema:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            return {**made, "additionalProperties": False}
        keys = made.get("propertyNames", {}).get("enum")
        if keys is None:
            return made
        properties = {key: {**made["additionalProperties"], "title": key} for key in keys}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def model_schema(self, schema: ModelSchema) -> JsonSchema:
        made = super().model_schema(schema)
        for key, value in made["properties"].items():
            value.setdefault("title", key)  # pydantic gives none beside a reference or a choice
        return made


def json_schema(document: type[BaseModel]) -> JsonSchema:
    """The schema of one kind of document."""
    made = document.model_json_schema(schema_generator=_Generator)
    return {"$schema": DRAFT, **made, "title": TITLES[document]}


def schema_files() -> Mapping[str, str]:
    """The schemas as files: name to content."""
    return {
        f"{name}.schema.json": json.dumps(json_schema(document), indent=2, ensure_ascii=False) + "\n"
        for name, document in _NAMES.items()
    }

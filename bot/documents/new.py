"""The text of a new model's file, in the layout of the examples."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.spec import Follows, ModelSpec
from bot.core.state import STAGES
from bot.documents.edit import rendered

_SCHEMA = "# yaml-language-server: $schema=../bot/schemas/model.schema.json"
"""Where an editor finds the keys of the file; the path is from `models/`."""


def model_text(spec: ModelSpec) -> str:
    """A file that says what `spec` says of slots, with a commented example of what else a person may want to add.

    Only the name, stages and aliases are written. Parse the result: a name may hold characters that no file can.
    """
    return "".join(f"{line}\n" for line in _lines(spec))


def _lines(spec: ModelSpec) -> Iterator[str]:
    yield from (_SCHEMA, "schema_version: 1", f"name: {rendered(spec.name, None)}", "")
    if spec.stages:
        yield "stages:"
        yield from (f"  {stage}: {rendered(version, None)}" for stage, version in spec.stages.items())
    if spec.aliases:
        yield "aliases:"
        yield from (_alias(alias, spec) for alias in spec.aliases)
    yield from ("", *_example_of_promotion(spec))


def _alias(alias: str, spec: ModelSpec) -> str:
    value, key = spec.aliases[alias], rendered(alias, None)
    if isinstance(value, Follows):
        return f"  {key}: {{follows: {value.follows}}}"
    agreeing = next((stage for stage, version in spec.stages.items() if version is not None and version == value), None)
    hint = f" # as {agreeing}; {{follows: {agreeing}}} makes it move along" if agreeing else ""
    return f"  {key}: {rendered(value, None)}{hint}"


def _example_of_promotion(spec: ModelSpec) -> Iterator[str]:
    slots = [*spec.stages, *(alias for alias, value in spec.aliases.items() if not isinstance(value, Follows))]
    slot = next((slot for slot in (*STAGES, "champion") if slot in slots), slots[0] if slots else STAGES[0])
    yield "# To have better versions proposed, uncomment this and name your own metrics; every key: docs/model-file.md"
    yield "# promotion:"
    yield f"#   slot: {rendered(slot, None)}"
    yield "#   criteria:"
    yield "#     - {metric: val_auc, goal: maximize, min_gain: 1%}"

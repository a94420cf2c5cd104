"""What a model is besides its numbers, and which differences forbid a comparison.

1. A difference is shown whatever the policy says; the policy says which ones forbid.
2. What is not known of a side is no difference, but with `must_match` or `must_not_narrow` what only one side tells is:
   nobody could say that the two agree.
3. An input signature is narrowed when a column or tensor that the incumbent takes is gone or has another type, or when
   the candidate requires what the incumbent did not: callers that work today would fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.core.spec import ComparabilityRules

_SHOWN = 5


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """One input of a model, as its signature names it. `kind` is the type in MLflow's words, e.g. `double`."""

    name: str
    kind: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a version; None where it is not known. `inputs`, `flavours`, `requirements` are sorted."""

    metric_definition: str | None = None
    inputs: tuple[Column, ...] | None = None
    flavours: tuple[str, ...] | None = None
    requirements: tuple[str, ...] | None = None


What: TypeAlias = Literal["metric definition", "input signature", "flavours", "requirements"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two versions differ, in one clause, and whether it forbids to compare them."""

    what: What
    text: str
    forbidden: bool


def differences(incumbent: Traits, candidate: Traits, rules: ComparabilityRules) -> tuple[Difference, ...]:
    """Every difference between the two sides (rules 1 to 3)."""
    return (
        *_definition(incumbent.metric_definition, candidate.metric_definition, rules),
        *_signature(incumbent.inputs, candidate.inputs, rules),
        *_lists("flavours", incumbent.flavours, candidate.flavours, forbidden=rules.flavour == "must_match"),
        *_lists(
            "requirements", incumbent.requirements, candidate.requirements, forbidden=rules.requirements == "must_match"
        ),
    )


def _definition(incumbent: str | None, candidate: str | None, rules: ComparabilityRules) -> Iterator[Difference]:
    if incumbent != candidate:
        sides = f"{_told(incumbent)} for the incumbent, {_told(candidate)} for the candidate"
        text = f"the tag {rules.metric_definition_tag} says that the metrics are computed differently: {sides}"
        yield Difference("metric definition", text, rules.metric_definition == "must_match")


def _told(value: str | None) -> str:
    return "nothing" if value is None else repr(value)


def _signature(
    incumbent: tuple[Column, ...] | None, candidate: tuple[Column, ...] | None, rules: ComparabilityRules
) -> Iterator[Difference]:
    if incumbent == candidate:
        return
    if incumbent is None or candidate is None:
        side = "incumbent" if incumbent is None else "candidate"
        text = f"the {side} has no input signature, so that nobody can say whether callers still work: log one with it"
        yield Difference("input signature", text, rules.signature != "may_differ")
        return
    narrowed = tuple(_narrowed(incumbent, candidate))
    if narrowed:
        text = f"the input signature is narrowed: {_listed(narrowed)}"
        yield Difference("input signature", text, rules.signature != "may_differ")
    else:
        added = [column.name for column in candidate if column not in incumbent]
        text = f"the input signature is wider: {_listed(added) or 'less is required'}"
        yield Difference("input signature", text, rules.signature == "must_match")


def _narrowed(incumbent: Sequence[Column], candidate: Sequence[Column]) -> Iterator[str]:
    """Rule 3."""
    after = {column.name: column for column in candidate}
    before = {column.name: column for column in incumbent}
    for column in incumbent:
        now = after.get(column.name)
        if now is None:
            yield f"{column.name} is gone"
        elif now.kind != column.kind:
            yield f"{column.name} was {column.kind} and is {now.kind}"
        elif now.required and not column.required:
            yield f"{column.name} is required now"
    for column in candidate:
        if column.required and column.name not in before:
            yield f"{column.name} is new and required"


def _lists(
    what: Literal["flavours", "requirements"],
    incumbent: tuple[str, ...] | None,
    candidate: tuple[str, ...] | None,
    *,
    forbidden: bool,
) -> Iterator[Difference]:
    if incumbent == candidate:
        return
    if incumbent is None or candidate is None:
        side = "incumbent" if incumbent is None else "candidate"
        yield Difference(what, f"the {what} of the {side} are not known", forbidden)
        return
    gone, new = sorted(set(incumbent) - set(candidate)), sorted(set(candidate) - set(incumbent))
    parts = [f"{_listed(names)} {verb}" for names, verb in ((gone, "gone"), (new, "new")) if names]
    yield Difference(what, f"{what}: {'; '.join(parts) or 'in another order'}", forbidden)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

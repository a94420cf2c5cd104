"""Which rules of the policy govern what a pull request changes (rule 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.core.approval.facts import NEW_MODEL, Scope, owner_key, team_key
from bot.core.approval_policy import ApprovalPolicy, ApprovalRule, Require, When
from bot.core.changes import SlotChange
from bot.core.folders import EVIDENCE_FOLDER, MODELS_FOLDER
from bot.core.globs import matches
from bot.core.spec import encoded, file_of_model
from bot.core.state import is_among


@dataclass(frozen=True, slots=True)
class Governed:
    """One thing that a rule governs: `text` in words, and the model that it belongs to, None for other files."""

    text: str
    model: str | None


def governed(rule: ApprovalRule, scope: Scope) -> tuple[Governed, ...]:
    """What a rule governs in a pull request, with the models that it belongs to; empty when it is not applicable
    (rule 2)."""
    return tuple(_paths(rule.when, scope) if rule.when.paths else _changes(rule.when, scope))


def _changes(when: When, scope: Scope) -> Iterator[Governed]:
    for change in scope.changes:
        of_slot = is_among(change.slot, when.slots)
        of_kind = not when.kinds or change.kind in when.kinds
        if of_slot and of_kind and _is_about(when, change.model, scope):
            yield Governed(text_of(change), change.model)


def _paths(when: When, scope: Scope) -> Iterator[Governed]:
    models = _models_by_folder_or_file(scope)
    for path in scope.paths:
        if any(matches(pattern, path) for pattern in when.paths):
            model = _model_of(path, models)
            if not when.is_about_models or (model is not None and _is_about(when, model, scope)):
                yield Governed(path, model)


def _models_by_folder_or_file(scope: Scope) -> Mapping[str, str]:
    names = {*scope.models, *(change.model for change in scope.changes)}
    return {place: name for name in names for place in (file_of_model(name), f"{EVIDENCE_FOLDER}/{encoded(name)}")}


def _model_of(path: str, models: Mapping[str, str]) -> str | None:
    """The model that a file belongs to; of a model's file that could not be read, the path stands for the name."""
    if path.startswith(f"{MODELS_FOLDER}/"):
        return models.get(path, path)
    return models.get("/".join(path.split("/")[:2]))


def files_of_models(paths: Iterable[str]) -> tuple[str, ...]:
    """The files of the models that these paths belong to: the models' own, and those beside whose evidence they are."""
    return tuple(dict.fromkeys(file for path in paths if (file := _file_of(path.split("/")))))


def _file_of(parts: Sequence[str]) -> str | None:
    if parts[0] == MODELS_FOLDER:
        return "/".join(parts)
    return f"{MODELS_FOLDER}/{parts[1]}.yaml" if parts[0] == EVIDENCE_FOLDER and len(parts) > 2 else None


def _is_about(when: When, model: str, scope: Scope) -> bool:
    at_base = scope.models.get(model, NEW_MODEL)
    owners = {owner_key(owner) for owner in at_base.owners}
    return (
        (not when.models or any(matches(pattern, model) for pattern in when.models))
        and (not when.owners or any(owner_key(owner) in owners for owner in when.owners))
        and (not when.risk or at_base.risk is None or at_base.risk in when.risk)
    )


def ungoverned(policy: ApprovalPolicy, scope: Scope) -> Iterator[str]:
    """What nobody can approve, since no rule governs it. A slot is governed with its model's file, too."""
    texts = {one.text for rule in policy.rules for one in governed(rule, scope)}
    for change in scope.changes:
        if texts.isdisjoint([text_of(change), file_of_model(change.model)]):
            yield f"no rule of the policy governs the {text_of(change)}"
    for path in scope.paths:
        if path not in texts:
            yield f"no rule of the policy governs {path}"
    if not scope.paths:
        yield "the pull request changes nothing"


def text_of(change: SlotChange) -> str:
    """A change of a slot in words."""
    return f"{change.kind} of {change.model} {change.slot}"


@dataclass(frozen=True, slots=True)
class Group:
    """What a rule governs that has the same owners: `owners` are as in the models' files, `models` their names."""

    owners: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


ALL_TOGETHER = Group()


def groups(require: Require, models: Iterable[str | None], scope: Scope, policy: ApprovalPolicy) -> tuple[Group, ...]:
    """The models that a rule governs, None for other files, by owners; one group where the rule does not ask for
    owners. A new model has none of its own: what its file says of owners comes from the pull request itself."""
    if not any(leaf.owners for leaf in require.leaves):
        return (ALL_TOGETHER,)
    found: dict[tuple[str, ...], dict[str, None]] = {}
    for model in models:
        of_model = scope.models.get(model, NEW_MODEL).owners if model is not None else ()
        owners = tuple(sorted({owner_key(owner) for owner in of_model or policy.default_owners}))
        found.setdefault(owners, {}).update({model: None} if model is not None else {})
    return tuple(Group(owners, tuple(of_owners)) for owners, of_owners in found.items())


def teams_to_read(policy: ApprovalPolicy, scope: Scope, *, in_emergency: bool = False) -> tuple[str, ...]:
    """The teams that the rules governing a pull request name, those among the owners of models included."""
    found: dict[str, None] = {}
    for rule in policy.rules:
        models = [one.model for one in governed(rule, scope)]
        if models:
            found.update(dict.fromkeys(_teams(rule.require, groups(rule.require, models, scope, policy))))
    if in_emergency and policy.break_glass:
        require = policy.break_glass.require
        changed = (change.model for change in scope.changes)
        found.update(dict.fromkeys(_teams(require, groups(require, changed, scope, policy))))
    return tuple(found)


def _teams(require: Require, of_groups: Iterable[Group]) -> Iterator[str]:
    for leaf in require.leaves:
        named = (*leaf.teams, *(owner for group in of_groups for owner in group.owners if leaf.owners))
        yield from (key for name in named if (key := team_key(name)))

"""`stagewright drift`: find out how the registry differs from what was approved, and lead one of the two ways out.

1. A quick look reads the list of all models, and wholly those that it shows otherwise than they were left. A deep look
   reads everything in bulk: models, versions and runs in a few requests, then one listing of files for each assigned
   version, the first 500 of them. Both ways out rest on a deep look.
2. `--adopt` opens one pull request for all slots whose value can say what is. The same content is open once; one that
   says something else is out of date, and is closed in its favour.
3. `--revert` is an apply that puts bases back and does nothing else; see `core/plan` rule 11.
4. `--post` keeps one issue: opened for a new spell of drift, edited when its body would read otherwise, closed when the
   registry is clean and was looked at deeply and wholly: what a quick look would close is looked at deeply first. An
   issue that was closed stays so: each spell of drift has its own. Each shard keeps an issue of its own, so that none
   closes what another one found. What only a deep look sees stays in the issue, and keeps it open, until a deep look
   says otherwise (see `core/standing`).
5. A shard looks at its part of the models, of those without a file too. Which files there are it reads off Git.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from bot.commands.apply import apply, preview
from bot.commands.gathering import Desired, read_desired, refuse_unsupported
from bot.commands.occasion import Occasion, Ports
from bot.commands.opening import (
    LABEL,
    SUPERSEDED,
    commit_message,
    edited_file,
    finish,
    free_branch,
    has_content,
    without_a_say,
)
from bot.commands.recording import Telling
from bot.commands.situation import Situation, past_of, present_of, situation
from bot.core.adoption import BRANCH_ROOT, Adopting, AdoptionFacts, adopting, edits_of
from bot.core.approval import Scope, models_at_base
from bot.core.approval.staffing import teams_of_policy
from bot.core.drift import DriftFacts, DriftReport, assigned, drift
from bot.core.folders import MODELS_FOLDER
from bot.core.listing import AsLeft, as_left
from bot.core.pulls import Issue, NewPull, PullRequest
from bot.core.recorded import Recorded
from bot.core.results import Adopted, ApplyResult, DriftResult, PlanResult, Posted
from bot.core.sharding import WHOLE, Shard
from bot.core.spec import model_of_file
from bot.core.standing import NOTHING_STANDS, Standing, standing_of
from bot.core.state import Artifacts, Identity, ModelVersion, RegisteredModel, RegistryState, Run
from bot.documents import model_files
from bot.errors import CouldNotTell, InvalidDocuments, RegistryForbidden
from bot.ports import AuditLog, Issues, PullRequests, Registry, Tree

ISSUE_TITLE: Final = "Drift between Git and the registry"
ISSUE_LABEL: Final = "drift"
LABELS: Final = (LABEL, ISSUE_LABEL)
ISSUE_MARKER: Final = "<!-- stagewright:drift -->"
CLEAN: Final = "The registry is what Git says again: no drift is left."
MOST_LISTINGS: Final = 500
"""Versions whose files are looked at in one run: each costs a request, which may take a second on a slow storage."""
_BRANCH: Final = re.compile(rf"{BRANCH_ROOT}/[0-9a-f]{{12}}(?:-after-[0-9]+)*")
_NOT_LISTED: Final = Artifacts("unknown", f"one run looks at the files of {MOST_LISTINGS} versions")


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, and what it was read off."""

    situation: Situation
    report: DriftReport
    shard: Shard = WHOLE


IssueWording: TypeAlias = Callable[[DriftResult, Standing], str]
"""Renders the body of the issue, with what a quick look puts back into it."""


@dataclass(frozen=True, slots=True)
class AdoptionWording:
    """Renders the pull request of `--adopt`: its title, and its body from the registry's address."""

    title: Callable[[Adopting], str]
    body: Callable[[Adopting, str], str]


def look(
    tree: Tree, registry: Registry, log: AuditLog, now: datetime, repository: str | None, shard: Shard = WHOLE
) -> Found:
    """Find the drift of the newest default branch. Raises CouldNotTell when its documents cannot be read."""
    survey = _Survey(registry)
    base = tree.default_branch_head()
    desired, others = _ground(tree, base, registry, shard)
    found = situation(desired, registry, log, now, repository, survey.state, _extent(shard))
    versions = {one: version for one, (_, version) in assigned(found.desired.specs, found.actual).items()}
    facts = DriftFacts(
        specs=found.desired.specs,
        actual=found.actual,
        listed=survey.listed,
        recorded=found.recorded,
        runs=_runs(registry, versions),
        artifacts=_artifacts(registry, tuple(versions.values())),
        repository=repository,
        shard=shard,
        others=others,
        differing=_differing(_as_left(registry, desired, found.recorded), survey.listed),
    )
    return Found(found, drift(facts), shard)


def quick_look(
    tree: Tree, registry: Registry, log: AuditLog, now: datetime, repository: str | None, shard: Shard = WHOLE
) -> DriftResult:
    """As `look`, by what the list of models shows (rule 1): says nothing of what only `look` sees."""
    base = tree.default_branch_head()
    desired, others = _ground(tree, base, registry, shard)
    past = past_of(log, desired, _extent(shard))
    expected, managed = _as_left(registry, desired, past.recorded), past.models(desired)
    listed = registry.models()
    differing = _differing(expected, listed)
    wholly = managed if differing is None else differing
    actual = registry.state(wholly).models if wholly else {}
    others_managed = managed - wholly
    known = RegistryState({model.name: model for model in listed if model.name in others_managed} | dict(actual))
    present = present_of(past, desired, known, log, registry.address, now, repository)
    facts = DriftFacts(
        specs=desired.specs,
        actual=RegistryState(actual),
        listed=listed,
        recorded=present.recorded,
        runs={},
        artifacts={},
        repository=repository,
        shard=shard,
        others=others,
        differing=differing,
        is_deep=False,
    )
    return DriftResult(registry.address, str(desired.commit), drift(facts), shard=_shard_text(shard))


_Ground: TypeAlias = tuple[Desired, frozenset[str]]
"""The documents of a commit, of models those of the shard; and which models other shards have a file of."""


def _ground(tree: Tree, base: str, registry: Registry, shard: Shard) -> _Ground:
    if shard == WHOLE:
        return _desired(tree, base, registry, None), frozenset()
    paths = model_files(tree.list(base, MODELS_FOLDER))
    others = (model_of_file(path) for path in paths if not shard.covers_file(path))
    ours = frozenset(filter(shard.covers_file, paths))
    return _desired(tree, base, registry, ours), frozenset(filter(None, others))


def _extent(shard: Shard) -> Shard | None:
    return None if shard == WHOLE else shard


def _as_left(registry: Registry, desired: Desired, recorded: Recorded) -> AsLeft | None:
    """What the list of models is to show; None where it shows nothing of slots."""
    return as_left(desired.specs, recorded) if registry.capabilities.listed else None


def _differing(expected: AsLeft | None, listed: Sequence[RegisteredModel]) -> frozenset[str] | None:
    return expected.differing(listed) if expected else None


@dataclass(slots=True)
class _Survey:
    """Reads the managed models and the list of all models together."""

    registry: Registry
    listed: Sequence[RegisteredModel] = ()

    def state(self, models: Collection[str]) -> RegistryState:
        state, self.listed = self.registry.survey(models)
        return state


def _desired(tree: Tree, commit: str, registry: Registry, only: Collection[str] | None) -> Desired:
    """Documents that are broken, or that this registry cannot do, say nothing of drift, so they are no "no"."""
    try:
        desired = read_desired(tree, commit, only)
        refuse_unsupported(desired, registry.capabilities)
        return desired
    except InvalidDocuments as error:
        raise CouldNotTell(
            f"The default branch says nothing that could be compared:\n{error}", fix="Run `stagewright validate`."
        ) from error


def _runs(registry: Registry, versions: Collection[Identity]) -> dict[str, Run] | None:
    ids = {identity.run_id for identity in versions if identity.run_id}
    try:
        return dict(registry.runs(ids)) if ids else {}
    except RegistryForbidden:
        return None


def _artifacts(registry: Registry, versions: Sequence[ModelVersion]) -> dict[Identity, Artifacts]:
    told = registry.artifacts(versions[:MOST_LISTINGS]) if versions else {}
    return {version.identity: told.get(version.identity, _NOT_LISTED) for version in versions}


def deep_look(
    tree: Tree, registry: Registry, log: AuditLog, now: datetime, repository: str | None, shard: Shard = WHOLE
) -> DriftResult:
    """What `look` finds."""
    return result_of(look(tree, registry, log, now, repository, shard))


def result_of(found: Found) -> DriftResult:
    """What was found, and nothing done about it."""
    commit = str(found.situation.desired.commit)
    return DriftResult(found.situation.registry, commit, found.report, shard=_shard_text(found.shard))


def _shard_text(shard: Shard) -> str | None:
    return None if shard == WHOLE else str(shard)


def adopt(
    found: Found, pulls: PullRequests, requesters: tuple[str, ...], wording: AdoptionWording, *, dry_run: bool
) -> DriftResult:
    """Open the pull request that makes the YAML say what is (rule 2). Running it twice opens nothing twice."""
    desired = found.situation.desired
    models = models_at_base(desired.specs, (one.key[0] for one in found.report.found))
    teams = teams_of_policy(desired.approvals, Scope((), (), {}, models))
    facts = AdoptionFacts(
        specs=desired.specs,
        actual=found.situation.actual,
        policy=desired.approvals,
        seen=found.situation.recorded.seen_versions,
        people=pulls.permissions(),
        asked_by=without_a_say(requesters, pulls),
        teams=pulls.teams(teams) if teams else {},
    )
    wanted = adopting(found.report, facts)
    adopted = _opened(wanted, found, pulls, requesters, wording, dry_run=dry_run) if wanted.slots else Adopted(wanted)
    return replace(result_of(found), wish="adopt", adopted=adopted, dry_run=dry_run)


def _opened(
    wanted: Adopting,
    found: Found,
    pulls: PullRequests,
    requesters: tuple[str, ...],
    wording: AdoptionWording,
    *,
    dry_run: bool,
) -> Adopted:
    there = pulls.open_proposals(f"{BRANCH_ROOT}/")
    same = next((pull for pull in there if has_content(pull, wanted.branch)), None)
    others = tuple(pull for pull in there if pull is not same and _is_ours(pull))
    if same:
        _close(pulls, others, same, dry_run=dry_run)
        if not dry_run:
            finish(pulls, same, LABELS)
        return Adopted(wanted, None, same, others)
    new = _new_pull(wanted, found, pulls, requesters, wording)
    if dry_run:
        return Adopted(wanted, new, None, others)
    pull = pulls.open_pull(new)
    _close(pulls, others, pull, dry_run=False)
    return Adopted(wanted, new, pull, others)


def _is_ours(pull: PullRequest) -> bool:
    """By its author and branch: a run that was cut off has opened it, but not labelled it."""
    return pull.author_is_bot and _BRANCH.fullmatch(pull.head_ref) is not None


def _close(pulls: PullRequests, outdated: Sequence[PullRequest], by: PullRequest, *, dry_run: bool) -> None:
    for pull in () if dry_run else outdated:
        pulls.supersede(pull.number, SUPERSEDED, f"Replaced by #{by.number}: the registry holds something else by now.")


def _new_pull(
    wanted: Adopting, found: Found, pulls: PullRequests, requesters: Sequence[str], wording: AdoptionWording
) -> NewPull:
    title = wording.title(wanted)
    desired = found.situation.desired
    return NewPull(
        branch=free_branch(pulls.last_of_branch, wanted.branch)[0],
        base="main",
        base_sha=str(desired.commit),
        message=commit_message(title, requesters),
        files=dict(_file(wanted, desired, model) for model in sorted({one.key[0] for one in wanted.slots})),
        title=title,
        body=wording.body(wanted, found.situation.registry),
        labels=LABELS,
    )


def _file(wanted: Adopting, desired: Desired, model: str) -> tuple[str, bytes]:
    document = desired.repository.models[model]
    return document.file, edited_file(document, edits_of(wanted.slots, model))


def revert(
    found: Found, ports: Ports, occasion: Occasion, telling: Telling, *, force: bool, repository: str | None
) -> DriftResult:
    """Put back what Git approved, and look again (rule 3)."""
    if not _is_to_revert(found):
        return replace(result_of(found), wish="revert")
    done: ApplyResult = apply(ports, replace(occasion, revert=True), telling, force=force)
    left = look(ports.tree, ports.registry, ports.log, occasion.now(), repository)
    return replace(result_of(left), wish="revert", reverted=done)


def _is_to_revert(found: Found) -> bool:
    """What a run that was cut off has begun to put back is no drift any more, but pending."""
    return any(one.revertable for one in found.report.found) or any(
        change.resumes for change in found.situation.plan.changes
    )


def preview_revert(
    found: Found,
    tree: Tree,
    registry: Registry,
    pulls: PullRequests,
    log: AuditLog,
    occasion: Occasion,
    *,
    force: bool,
) -> DriftResult:
    """What `revert` would do now. Changes nothing."""
    planned: PlanResult | None = None
    if _is_to_revert(found):
        planned = preview(tree, registry, pulls, log, replace(occasion, revert=True), force=force)
    return replace(result_of(found), wish="revert", reverted=planned, dry_run=True)


def post(
    issues: Issues, result: DriftResult, body: IssueWording, deeply: Callable[[], DriftResult], *, dry_run: bool
) -> DriftResult:
    """Keep the one issue (rule 4). Of several that are open, as two runs at once leave them, the oldest is kept that
    tells of what only a deep look sees, or else the oldest; the others are closed.

    `deeply` looks deeply, which is asked of a quick look before it closes the issue; the answer is of that look then.
    """
    marker = _marker(result)
    ours = issues.open_ours(marker, ISSUE_LABEL)
    kept = min(ours, key=lambda one: not standing_of(one.body).keeps_open, default=None)
    for extra in ours:
        if kept and extra is not kept and not dry_run:
            issues.close_issue(extra, marker, f"There is one issue about drift: #{kept.number}.")
    result = deeply() if kept and _may_close(result, kept) else result
    posted = _posted(issues, kept, result, body, dry_run=dry_run)
    return replace(result, posted=posted, dry_run=result.dry_run or dry_run)


def _may_close(result: DriftResult, kept: Issue) -> bool:
    """Whether a quick look found nothing, and the issue tells of nothing that such a look cannot see."""
    return not (result.report.is_deep or result.report.found or standing_of(kept.body).keeps_open)


def _marker(result: DriftResult) -> str:
    return f"<!-- stagewright:drift {result.shard} -->" if result.shard else ISSUE_MARKER


def _title(result: DriftResult) -> str:
    return f"{ISSUE_TITLE}, shard {result.shard}" if result.shard else ISSUE_TITLE


def _posted(issues: Issues, kept: Issue | None, result: DriftResult, body: IssueWording, *, dry_run: bool) -> Posted:
    standing = NOTHING_STANDS if result.report.is_deep or kept is None else standing_of(kept.body)
    if not result.report.found and not standing.differences:
        if kept and (not result.report.is_whole or standing.keeps_open):
            return Posted("unchanged", kept)
        if kept and not dry_run:
            issues.close_issue(kept, _marker(result), CLEAN)
        return Posted("closed" if kept else "nothing to tell", kept)
    text, title, marker = body(result, standing), _title(result), _marker(result)
    if kept is None:
        made = None if dry_run else issues.open_issue(marker, ISSUE_LABEL, title, text)
        return Posted("opened", made)
    if (kept.title, kept.body.rstrip()) == (title, text.rstrip()):
        return Posted("unchanged", kept)
    return Posted("edited", kept if dry_run else issues.edit_issue(kept, marker, title, text))

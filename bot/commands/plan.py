"""`stagewright plan`: what apply would do, before anybody is asked. Changes nothing.

1. Without a pull request: the files as they lie in the working tree.
2. Of a pull request: what merging it into the default branch as it is now would give. Git merges the two in memory, so
   the pull request is data: nothing of it is checked out or executed. Only the models whose files it changes are
   looked at, unless it changes a policy: see `core/extent`. So it asks as little however many models there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Final

from bot.commands.approvals import open_pull
from bot.commands.gathering import Desired, chain_beside, desired_of, read_desired
from bot.commands.situation import situation
from bot.core.chain import Chain
from bot.core.extent import Extent, extent_of
from bot.core.guards import GuardFacts, guarded
from bot.core.plan import InSync, Plan, Refusal, writes
from bot.core.pulls import PullRequest
from bot.core.results import Place, PlanResult, ValidateResult
from bot.core.state import SlotKey, section_of
from bot.documents import Repository, read_repository
from bot.errors import InvalidDocuments, Refused
from bot.ports import AuditLog, PullRequests, Registry, Tree

MOST_PLACES: Final = 50
"""Of refusals, and of everything else. To find a place a file is read again, and GitHub shows ten of a kind."""


def plan_working_tree(
    tree: Tree, registry: Registry, log: AuditLog, now: datetime, this_repository: str | None = None
) -> PlanResult:
    """What the working tree asks for. Mandates are not checked: nothing here needs to be merged yet.

    `this_repository` is `owner/name`; without it, models that another repository owns are not told.
    """
    return _planned(read_desired(tree, None), registry, log, now, this_repository)


def plan_pull_request(
    tree: Tree, registry: Registry, log: AuditLog, pulls: PullRequests, number: int, now: datetime
) -> PlanResult | ValidateResult:
    """What merging a pull request would ask for; its findings when one of them is an error.

    Raises Refused when it conflicts with the default branch, Misuse when it is closed or goes to another branch.
    """
    pull = open_pull(pulls, number)
    with chain_beside(log) as known:
        merge, changed = _merged(tree, pull)
        extent = extent_of(changed)
        repository = read_repository(tree, merge, extent.files if extent else None)
    if repository.errors:
        return ValidateResult(repository.findings, len(repository.models))
    desired = desired_of(repository, merge)
    try:
        chain = known(desired.audit)
        return _planned(desired, registry, log, now, pulls.repository, pull, changed.__contains__, extent, chain)
    except InvalidDocuments as invalid:  # the registry cannot have a slot that a file asks for
        return ValidateResult(tuple(sorted({*repository.findings, *invalid.findings})), len(repository.models))


def _merged(tree: Tree, pull: PullRequest) -> tuple[str, Collection[str]]:
    """The commit that merging would make, and the paths that it changes."""
    tip = tree.default_branch_head()
    tree.fetch_pull(pull.number, pull.head_sha)
    merge = tree.merged(tip, pull.head_sha)
    if merge is None:
        raise Refused(
            f"Pull request #{pull.number} conflicts with {pull.base_ref}.",
            fix=f"Merge {pull.base_ref} into its branch and resolve the conflict; a proposal is better closed.",
        )
    return merge, frozenset(tree.changed_paths(tip, merge))


def _planned(
    desired: Desired,
    registry: Registry,
    log: AuditLog,
    now: datetime,
    this_repository: str | None,
    pull: PullRequest | None = None,
    shows: Callable[[str], bool] = lambda _: True,
    extent: Extent | None = None,
    known: Chain | None = None,
) -> PlanResult:
    found = situation(desired, registry, log, now, this_repository, extent=extent, known=known)
    checked = guarded(
        found.plan,
        GuardFacts(
            actual=found.actual,
            specs=found.desired.specs,
            policy=found.desired.promotion,
            mandates=None,
            evidence={},
            runs={},
            seen=found.recorded.seen,
            held=found.recorded.held,
            today=now.date(),
            repository=this_repository,
            elsewhere=found.elsewhere,
        ),
    )
    return PlanResult(
        pull.head_sha if pull else None,
        found.registry,
        checked,
        writes(checked.changes, found.actual),
        found.settled,
        mandates_checked=False,
        pull_request=pull.number if pull else None,
        warnings=desired.repository.findings,
        places=dict(_places(checked, desired.repository, shows)),
        not_looked_at=found.elsewhere,
    )


def _places(plan: Plan, repository: Repository, shows: Callable[[str], bool]) -> Iterator[tuple[SlotKey, Place]]:
    in_files = [item for item in plan.items if not isinstance(item, InSync) and _is_shown(item.key, repository, shows)]
    refused = [item.key for item in in_files if isinstance(item, Refusal)]
    others = [item.key for item in in_files if not isinstance(item, Refusal)]
    for key in (*refused[:MOST_PLACES], *others[:MOST_PLACES]):
        document = repository.models[key[0]]
        yield key, Place(document.file, *document.position(section_of(key[1]), key[1]))


def _is_shown(key: SlotKey, repository: Repository, shows: Callable[[str], bool]) -> bool:
    document = repository.models.get(key[0])
    return document is not None and shows(document.file)

"""`stagewright policy`: what the approval policy would ask for, and whether it says what its tests expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.commands.gathering import read_desired, read_log, recorded_of
from bot.commands.judging import Judge
from bot.core.approval import Scope, models_at_base, requirements, teams_to_read
from bot.core.approval.rehearsal import Rehearsal, difference, rehearsed
from bot.core.approval.staffing import teams_of_policy, understaffed
from bot.core.approval.timing import frozen
from bot.core.approval_policy import ApprovalPolicy
from bot.core.changes import SlotChange, changes_between
from bot.core.results import ExplainResult, PolicyTestResult
from bot.core.spec import APPROVAL_POLICY, ModelSpec, desired_state, file_of_model, followed_stages
from bot.documents import parse_approval_policy, parse_policy_tests
from bot.errors import Finding, Misuse, PolicyUnreadable
from bot.ports import AuditLog, PullRequests, Tree


def explain(
    tree: Tree, pulls: PullRequests, log: AuditLog, model: str, slot: str, to: int, now: datetime
) -> ExplainResult:
    """Which rules would govern moving a slot to a version, and who could approve that, by the default branch.

    Raises Misuse where that changes nothing.
    """
    base = tree.default_branch_head()
    desired = read_desired(tree, base)
    spec = desired.specs.get(model)
    seen = recorded_of(read_log(log, desired.audit)).seen_versions
    changes = _changes(model, slot, to, spec, seen)
    judge = Judge(pulls, tree, seen)
    scope = Scope(changes, (file_of_model(model),), judge.people(), models_at_base(desired.specs, [model]))
    named = (*teams_to_read(desired.approvals, scope), *teams_of_policy(desired.approvals, scope))
    scope = replace(scope, teams=judge.teams(tuple(dict.fromkeys(named))))
    needs = requirements(desired.approvals, scope, ())
    findings = judge.policy_document(base).findings(understaffed(desired.approvals, scope))
    return ExplainResult(changes[0], base, needs, tuple(frozen(desired.approvals, changes, now)), findings)


def _changes(
    model: str, slot: str, to: int, spec: ModelSpec | None, seen: Mapping[tuple[str, str], frozenset[int]]
) -> tuple[SlotChange, ...]:
    """The slot's own change first, then those of the aliases that follow it."""
    specs = {model: spec} if spec else {}
    follows, before = followed_stages(specs), desired_state(specs)
    if (model, slot) in follows:
        raise Misuse(f"{slot} of {model} follows {follows[model, slot][1]}.", fix="Name the stage that it follows.")
    followers = {key: to for key, stage in follows.items() if stage == (model, slot)}
    changes = changes_between(before, {**before, (model, slot): to, **followers}, seen, follows)
    if not changes:
        raise Misuse(f"Version {to} is in {slot} of {model} already.", fix="Name another version with --to.")
    return tuple(sorted(changes, key=lambda change: change.slot != slot))


def rehearse(tree: Tree, files: Sequence[tuple[str, bytes]]) -> PolicyTestResult:
    """Rehearse every test of these files, given as path and content, with the approval policy of the working tree.

    Raises PolicyUnreadable. A file that is none is findings.
    """
    policy = _policy(tree)
    outcomes: list[Rehearsal] = []
    findings: list[Finding] = []
    for file, content in files:
        parsed = parse_policy_tests(file, content)
        findings += parsed.findings
        if parsed.document is None:
            continue
        for index, test in enumerate(parsed.document.value.tests):
            line, _ = parsed.document.position("tests", index)
            evaluation = rehearsed(policy, parsed.document.value, test)
            outcomes.append(Rehearsal(file, line, test.name, evaluation, difference(test, evaluation)))
    return PolicyTestResult(tuple(outcomes), tuple(findings))


def _policy(tree: Tree) -> ApprovalPolicy:
    content = tree.read(None, APPROVAL_POLICY)
    if content is None:
        raise PolicyUnreadable(f"{APPROVAL_POLICY} does not exist.", fix="Name the repository with --repo.")
    parsed = parse_approval_policy(APPROVAL_POLICY, content)
    if parsed.document is None:
        raise PolicyUnreadable("\n".join(str(finding) for finding in parsed.findings))
    return parsed.document.value

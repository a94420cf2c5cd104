"""Whether there are enough people for what the policy asks: for each requirement one more than it wants, since nobody
approves their own change. Warnings: people come and go, and the policy is right before they do.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.approval.asking import Voters
from bot.core.approval.facts import Scope, team_key
from bot.core.approval.governing import Group
from bot.core.approval_policy import ApprovalPolicy, Require
from bot.core.checks import Path, Problem, shown


def understaffed(policy: ApprovalPolicy, scope: Scope) -> tuple[Problem, ...]:
    """What is wrong with each requirement, for the people, teams and models of a scope; its changes do not matter."""
    voters = Voters.of(scope, (), ())
    return tuple(
        problem
        for place, require in _requirements(policy)
        for path, leaf in _leaves(place, require)
        for problem in (*_teams(path, leaf, scope), *_people(path, leaf, voters, policy))
    )


def teams_of_policy(policy: ApprovalPolicy, scope: Scope) -> tuple[str, ...]:
    """Every team that the policy names, and those among the owners of the scope's models where it asks for owners."""
    leaves = [leaf for _, require in _requirements(policy) for leaf in require.leaves]
    owners = [owner for model in scope.models.values() for owner in (*model.owners, *policy.default_owners)]
    named = [name for leaf in leaves for name in (*leaf.teams, *(owners if leaf.owners else ()))]
    return tuple(dict.fromkeys(key for name in named if (key := team_key(name))))


def _requirements(policy: ApprovalPolicy) -> Iterator[tuple[Path, Require]]:
    for index, rule in enumerate(policy.rules):
        yield ("rules", index, "require"), rule.require
    if policy.break_glass:
        yield ("break_glass", "require"), policy.break_glass.require


def _leaves(path: Path, require: Require) -> Iterator[tuple[Path, Require]]:
    if not require.parts:
        yield path, require
    key = "all" if require.all else "any"
    for index, part in enumerate(require.parts):
        yield from _leaves((*path, key, index), part)


def _teams(path: Path, leaf: Require, scope: Scope) -> Iterator[Problem]:
    for index, name in enumerate(leaf.teams):
        team = scope.teams.get(team_key(name) or "")
        if team and team.problem:
            message = f"Found {shown(name)}: {team.problem}."
            fix = "Until that is put right nothing that the rule governs is approved."
            yield Problem((*path, "teams", index), "team-unreadable", message, fix, "warning")


def _people(path: Path, leaf: Require, voters: Voters, policy: ApprovalPolicy) -> Iterator[Problem]:
    for about, group in _groups(leaf, voters.scope, policy):
        people, wanted = len(voters.people(leaf, group)), leaf.approvals or 0
        if people <= wanted:
            message = (
                f"Found {people} who could approve{about}, where it takes {wanted}; nobody approves their own change."
            )
            fix = "Ask for fewer, accept more people, or give somebody the role that it asks for."
            yield Problem(path, "too-few-people", message, fix, "warning")


def _groups(leaf: Require, scope: Scope, policy: ApprovalPolicy) -> Iterator[tuple[str, Group]]:
    if not leaf.owners:
        yield "", Group()
        return
    for model, at_base in sorted(scope.models.items()):
        yield f" for {model}", Group(at_base.owners or policy.default_owners)

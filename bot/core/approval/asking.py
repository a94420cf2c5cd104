"""What a rule asks for, and of whom: who could give it, who did, and who counts where people must be different."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, product
from typing import Literal

from bot.core.approval.answer import Asked
from bot.core.approval.facts import Scope, owner_key, same, team_key
from bot.core.approval.governing import ALL_TOGETHER, Governed, Group, governed, groups
from bot.core.approval.matching import Demand, Placed, place
from bot.core.approval_policy import LEVELS, ApprovalPolicy, ApprovalRule, Require


@dataclass(frozen=True, slots=True)
class Voters:
    """The people of a repository: roles and teams by login in one spelling, who never counts, and who approved.

    `approved` maps the spelling for comparing to the one that GitHub shows.
    """

    scope: Scope
    roles: Mapping[str, str]
    out: frozenset[str]
    approved: Mapping[str, str]

    @classmethod
    def of(cls, scope: Scope, out: Iterable[str], approved: Iterable[str]) -> Voters:
        """The people of a scope."""
        roles = {same(login): role for login, role in scope.people.items()}
        return cls(scope, roles, frozenset(map(same, out)), {same(login): login for login in approved})

    def may(self, login: str, leaf: Require, group: Group) -> bool:
        """Whether a person has the role that a requirement asks for, and is one of those whom it names (rule 4)."""
        role = self.roles.get(same(login))
        has_role = role in LEVELS and LEVELS.index(role) >= LEVELS.index(leaf.permission)
        return has_role and (leaf.is_open or same(login) in self._named(leaf, group))

    def _named(self, leaf: Require, group: Group) -> frozenset[str]:
        owners = group.owners if leaf.owners else ()
        logins = {owner_key(name) for name in (*leaf.users, *owners) if not team_key(name)}
        teams = (key for name in (*leaf.teams, *owners) if (key := team_key(name)))
        return frozenset(chain(logins, *(self._members(key) for key in teams)))

    def _members(self, key: str) -> Iterator[str]:
        team = self.scope.teams.get(key)
        return map(same, team.members if team else ())

    def people(self, leaf: Require, group: Group) -> frozenset[str]:
        """Everybody whose approval a requirement counts or would count."""
        return frozenset(login for login in self.roles if login not in self.out and self.may(login, leaf, group))

    def could(self, people: Iterable[str]) -> tuple[str, ...]:
        """Those who have not approved yet, as GitHub spells them."""
        wanted = set(people) - set(self.approved)
        return tuple(sorted(login for login in self.scope.people if same(login) in wanted))

    def spelled(self, logins: Iterable[str]) -> tuple[str, ...]:
        """Those who approved, as GitHub spells them."""
        return tuple(sorted(self.approved[login] for login in logins))


@dataclass(frozen=True, slots=True)
class Governing:
    """A rule that governs, what it governs, and by owners."""

    rule: ApprovalRule
    governs: tuple[Governed, ...]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, rule: ApprovalRule, scope: Scope, policy: ApprovalPolicy) -> Governing:
        """What a rule governs in a scope; it may be nothing."""
        found = governed(rule, scope)
        return cls(rule, found, groups(rule.require, (one.model for one in found), scope, policy))

    def trees(self, voters: Voters, placed: Sequence[Mapping[int, Placed] | None]) -> Iterator[Asked]:
        """What the rule asks for, per group of owners; `placed` as `different_people` tells it for the rule."""
        for group, of_group in zip(self.groups, placed, strict=True):
            yield _Asking(voters, group, of_group).tree(self.rule.require, count(), _about(group))


@dataclass(frozen=True, slots=True)
class _Asking:
    """Builds the tree of a requirement. Without `placed` each requirement counts everybody whom it may count."""

    voters: Voters
    group: Group
    placed: Mapping[int, Placed] | None

    def tree(self, require: Require, numbers: Iterator[int], about: str = "") -> Asked:
        if not require.parts:
            return self._leaf(require, next(numbers))
        parts = tuple(self.tree(part, numbers) for part in require.parts)
        return joined("all" if require.all else "any", parts, about)

    def _leaf(self, leaf: Require, number: int) -> Asked:
        people = self.voters.people(leaf, self.group)
        whom, needed = self._whom(leaf), leaf.approvals or 0
        if self.placed is None:
            approvers = self.voters.spelled(people & self.voters.approved.keys())
            return Asked(whom, needed, approvers, self.voters.could(people))
        found = self.placed.get(number, Placed((), needed, people))
        return Asked(whom, needed, self.voters.spelled(found.approvers), self.voters.could(found.helpful))

    def _whom(self, leaf: Require) -> str:
        named = [*leaf.users, *leaf.teams]
        if leaf.owners:
            owners = ", ".join(f"@{owner}" for owner in self.group.owners) or "nobody: its file names no owner"
            named.append(f"an owner of {', '.join(self.group.models) or 'the files'} ({owners})")
        role = "" if leaf.permission == "write" else f" with the role {leaf.permission} or more"
        listed = " or ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))
        return f"{listed or 'anybody'}{role}" if listed or role else ""


def _about(group: Group) -> str:
    return f"for {', '.join(group.models)}" if group.models else ""


def joined(how: Literal["all", "any"], parts: Sequence[Asked], whom: str = "") -> Asked:
    """Several requirements as one."""
    approvers = tuple(sorted({login for part in parts for login in part.approvers}))
    open_parts = [part for part in parts if part.missing]
    could = tuple(sorted({login for part in open_parts or parts for login in part.could_approve}))
    made = Asked(whom, 0, approvers, could, how, tuple(parts))
    return replace(made, needed=len(approvers) + made.missing)


def different_people(rules: Sequence[Governing], voters: Voters) -> Sequence[Sequence[Mapping[int, Placed] | None]]:
    """For each rule and each of its groups of owners, who counts for which of its requirements, numbered by `leaves`.

    None for rules without `distinct`. Those with it share their approvers out, so that nobody counts twice; where they
    ask for owners, for the models of each owner anew. Of the ways to meet an `any` the one that misses least is taken.
    """
    found: list[list[Mapping[int, Placed] | None]] = [[None] * len(one.groups) for one in rules]
    distinct = [number for number, one in enumerate(rules) if one.rule.distinct and one.governs]
    of_rules = [group for number in distinct for group in rules[number].groups]
    for owners in dict.fromkeys(group.owners for group in of_rules if group != ALL_TOGETHER) or [()]:
        chosen = [(n, at) for n in distinct for at, group in enumerate(rules[n].groups) if _shares(group, owners)]
        for (number, at), placed in zip(chosen, _shared_out(rules, chosen, voters), strict=True):
            before = found[number][at]
            if before is None or _missing(before) < _missing(placed):
                found[number][at] = placed
    return found


def _shares(group: Group, owners: tuple[str, ...]) -> bool:
    return group.owners == owners or group == ALL_TOGETHER


def _missing(placed: Mapping[int, Placed]) -> int:
    return sum(one.missing for one in placed.values())


def _shared_out(
    rules: Sequence[Governing], chosen: Sequence[tuple[int, int]], voters: Voters
) -> Sequence[Mapping[int, Placed]]:
    """The best way to meet the rules with different people, rule by rule."""
    leaves = [tuple(rules[number].rule.require.leaves) for number, _ in chosen]
    at = [rules[number].groups[group] for number, group in chosen]
    best: Sequence[Mapping[int, Placed]] = ()
    fewest = None
    for way in product(*(_ways(rules[number].rule.require, 0) for number, _ in chosen)):
        asked = [(rule, leaf) for rule, of_rule in enumerate(way) for leaf in of_rule]
        demands = [Demand(leaves[r][n].approvals or 0, voters.people(leaves[r][n], at[r])) for r, n in asked]
        placed = place(demands, frozenset(voters.approved))
        missing = sum(one.missing for one in placed)
        if fewest is None or missing < fewest:
            fewest = missing
            best = [{n: p for (r, n), p in zip(asked, placed, strict=True) if r == rule} for rule in range(len(chosen))]
    return best


def _ways(require: Require, first: int) -> Sequence[tuple[int, ...]]:
    """The ways to meet a requirement, each as the numbers of the leaves that must hold; `first` is the first one's."""
    if not require.parts:
        return [(first,)]
    of_parts = []
    for part in require.parts:
        of_parts.append(_ways(part, first))
        first += len(tuple(part.leaves))
    if require.any:
        return [way for ways in of_parts for way in ways]
    return [tuple(chain(*ways)) for ways in product(*of_parts)]

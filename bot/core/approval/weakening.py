"""Where a policy is less strict than another one. What cannot be shown to be as strict is named.

1. Of every rule there was, one of the same name governs all that it governed and asks for as much; or one that is the
   same in all but its name.
2. A requirement is as strict if whatever meets it meets the other one: as many approvals or more, the same role or a
   higher one, and no people who did not count before.
3. What no rule governed could not be approved, so a rule that governs some of that makes it less strict.
4. The options are as strict: no new login of the bot or of another App, no evidence dispensed with, no contributors and
   no older approvals counted, no other default owners, no freeze less, no way to break the glass that was not there.
5. Slots, owners and logins are compared as the rules compare them: in any letter case, with or without an `@`.
6. A model's file is less strict with a lower risk and with owners whom it did not name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from bot.core.approval.facts import owner_key, same
from bot.core.approval_policy import LEVELS, ApprovalPolicy, ApprovalRule, Freeze, Require, When
from bot.core.checks import Path, Problem, shown
from bot.core.spec import ModelSpec
from bot.core.state import same_slot

CODE = "policy-weakened"
_RISKS = ("low", "medium", "high")
_EVERYTHING = ("**", "**/*")
_GLOBS = ("models", "paths")
_FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "slots": same_slot,
    "owners": owner_key,
    "kinds": str,
    "risk": str,
    "models": str,
    "paths": str,
}
"""The lists of `when`, each with what two spellings of one thing have in common."""


def weakenings(before: ApprovalPolicy, after: ApprovalPolicy) -> tuple[Problem, ...]:
    """Rules 1 to 5. Each is about a value of the policy afterwards."""
    return (*_options(before, after), *_freezes(before, after), *_glass(before, after), *_rules(before, after))


def weakenings_of_model(before: ModelSpec, after: ModelSpec) -> tuple[Problem, ...]:
    """Rule 6."""
    found = []
    risks = [_RISKS.index(spec.risk) if spec.risk else len(_RISKS) for spec in (before, after)]
    if risks[1] < risks[0]:
        was = before.risk or "none, which falls under the rules of every risk"
        found.append(_problem(("risk",), f"The risk is {after.risk}, and was {was}"))
    new = _beyond(after.owners, before.owners)
    if new:
        found.append(_problem(("owners",), f"{', '.join(map(shown, new))} may approve as owner, and could not before"))
    return tuple(found)


def _problem(path: Path, what: str) -> Problem:
    return Problem(path, CODE, f"{what}.", "", "warning")


def _beyond(after: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    known = set(map(owner_key, before))
    return tuple(name for name in after if owner_key(name) not in known)


def _options(before: ApprovalPolicy, after: ApprovalPolicy) -> Iterator[Problem]:
    if same(before.bot) != same(after.bot):
        yield _problem(("bot",), f"{shown(after.bot)} is trusted as the bot, and was not before")
    if new := _beyond(after.other_apps, before.other_apps):
        yield _problem(
            ("other_apps",), f"What {', '.join(map(shown, new))} writes may be approved, and could not before"
        )
    if (before.promotion_without_evidence, after.promotion_without_evidence) == ("forbid", "allow"):
        yield _problem(("promotion_without_evidence",), "A promotion needs no evidence")
    if after.allow_contributors and not before.allow_contributors:
        yield _problem(("allow_contributors",), "Contributors to the branch may approve it")
    if (before.unsigned_commits, after.unsigned_commits) == ("forbid", "allow"):
        yield _problem(("unsigned_commits",), "Commits need no signature")
    if (before.approvals_survive, after.approvals_survive) == ("nothing", "base_merges"):
        yield _problem(("approvals_survive",), "Approvals survive a merge of the base branch")
    if new := _beyond(after.default_owners, before.default_owners):
        named = ", ".join(map(shown, new))
        yield _problem(("default_owners",), f"{named} may approve as owner of models that name none")


def _freezes(before: ApprovalPolicy, after: ApprovalPolicy) -> Iterator[Problem]:
    for freeze in before.freeze:
        if not any(_holds_as_much(other, freeze) for other in after.freeze):
            yield _problem(("freeze",), f"The freeze {shown(freeze.name)} is gone or another one")


def _holds_as_much(after: Freeze, before: Freeze) -> bool:
    alike = after.model_copy(update={"name": before.name, "slots": before.slots}) == before
    return alike and not any(_left_out(after.slots, before.slots, same_slot))


def _glass(before: ApprovalPolicy, after: ApprovalPolicy) -> Iterator[Problem]:
    if after.break_glass is None:
        return
    if before.break_glass is None:
        yield _problem(("break_glass",), "The rules can be passed by in an emergency")
    elif not _is_as_strict(after.break_glass.require, before.break_glass.require, distinct=False):
        what = _in_what(after.break_glass.require, before.break_glass.require)
        yield _problem(("break_glass", "require"), f"Breaking the glass asks for {what}")


def _rules(before: ApprovalPolicy, after: ApprovalPolicy) -> Iterator[Problem]:
    """Rules 1 and 3."""
    for rule in before.rules:
        if any(_is_the_same(rule, other) for other in after.rules):
            continue
        named = [index for index, other in enumerate(after.rules) if other.name == rule.name]
        if not named:
            yield _problem(("rules",), f"The rule {shown(rule.name)} is gone")
        elif not any(_governs_as_much(after.rules[index].when, rule.when) for index in named):
            path, less = ("rules", named[0], "when"), "; ".join(_ungoverned(after.rules[named[0]].when, rule.when))
            yield _problem(path, f"The rule {shown(rule.name)} does not govern all that it governed: {less}")
        else:
            yield from _asks_for_less(named, rule, after)
    yield from _newly_governed(before, after)


def _is_the_same(one: ApprovalRule, other: ApprovalRule) -> bool:
    return one.model_copy(update={"name": other.name}) == other


def _asks_for_less(named: Sequence[int], rule: ApprovalRule, after: ApprovalPolicy) -> Iterator[Problem]:
    candidates = [
        (index, after.rules[index]) for index in named if _governs_as_much(after.rules[index].when, rule.when)
    ]
    found = [list(_less(index, other, rule)) for index, other in candidates]
    yield from min(found, key=len)


def _less(index: int, rule: ApprovalRule, was: ApprovalRule) -> Iterator[Problem]:
    if not _is_as_strict(rule.require, was.require, distinct=was.distinct):
        what = _in_what(rule.require, was.require)
        yield _problem(("rules", index, "require"), f"The rule {shown(rule.name)} asks for {what}")
    if was.distinct and not rule.distinct:
        yield _problem(("rules", index), f"The rule {shown(rule.name)} does not ask for different people")
    if rule.min_open_hours < was.min_open_hours:
        path = ("rules", index, "min_open_hours")
        yield _problem(path, f"The rule {shown(rule.name)} waits {rule.min_open_hours} h, not {was.min_open_hours} h")


def _newly_governed(before: ApprovalPolicy, after: ApprovalPolicy) -> Iterator[Problem]:
    if any(_is_everything(rule.when) for rule in before.rules):
        return
    for index, rule in enumerate(after.rules):
        if not any(_governs_as_much(other.when, rule.when) for other in before.rules):
            what = f"The rule {shown(rule.name)} governs what no rule governed, which nobody could approve"
            yield _problem(("rules", index, "when"), what)


def _is_everything(when: When) -> bool:
    return not when.is_about_models and any(pattern in _EVERYTHING for pattern in when.paths)


def _governs_as_much(after: When, before: When) -> bool:
    """Whether a rule governs all that another one governs: every list is as wide."""
    return not any(_ungoverned(after, before))


def _ungoverned(after: When, before: When) -> Iterator[str]:
    """What a rule does not govern of what another one governs, in words, list by list."""
    if bool(after.paths) != bool(before.paths):
        yield "files instead of slots" if after.paths else "slots instead of files"
        return
    for key, form in _FORMS.items():
        given = getattr(after, key)
        if not (key in _GLOBS and "**" in given):
            yield from _left_out(given, getattr(before, key), form)


def _left_out(after: Sequence[str], before: Sequence[str], form: Callable[[str], str]) -> Iterator[str]:
    """What a list leaves out of another one; an empty one leaves nothing out."""
    kept = set(map(form, after))
    lost = [one for one in before if form(one) not in kept]
    if after and not before:
        yield f"only {', '.join(map(shown, after))}"
    elif after and lost:
        yield f"not {', '.join(map(shown, lost))}"


def _is_as_strict(after: Require, before: Require, *, distinct: bool) -> bool:
    """Rule 2. Where people have to be different, the parts must be alike one by one."""
    if after == before:
        return True
    if distinct and (after.parts or before.parts):
        alike = bool(after.all) == bool(before.all) and len(after.parts) == len(before.parts)
        pairs = zip(after.parts, before.parts, strict=False)
        return alike and all(_is_as_strict(*pair, distinct=True) for pair in pairs)
    if after.any:
        return all(_is_as_strict(part, before, distinct=False) for part in after.any)
    if before.all:
        return all(_is_as_strict(after, part, distinct=False) for part in before.all)
    if before.any:
        return any(_is_as_strict(after, part, distinct=False) for part in before.any)
    if after.all:
        return any(_is_as_strict(part, before, distinct=False) for part in after.all)
    return not any(_losses(after, before))


def _in_what(after: Require, before: Require) -> str:
    """In what a requirement is less strict, in words; of what combines several, not shown to be as strict."""
    losses = () if after.parts or before.parts else _losses(after, before)
    return f"less: {'; '.join(losses)}" if losses else "less, or other people"


def _losses(after: Require, before: Require) -> Iterator[str]:
    """Rule 2, of requirements that combine no others."""
    fewer, more = after.approvals or 0, before.approvals or 0
    if fewer < more:
        yield f"{fewer} instead of {more} approvals"
    if LEVELS.index(after.permission) < LEVELS.index(before.permission):
        yield f"the role {after.permission} instead of {before.permission}"
    if before.is_open:
        return
    if after.is_open:
        yield "of anybody with the role"
    new = [*map(shown, (*_beyond(after.users, before.users), *_beyond(after.teams, before.teams)))]
    if after.owners and not before.owners:
        new.append("the model's owners")
    if new:
        yield f"also of {', '.join(new)}"

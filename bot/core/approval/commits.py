"""What the commits of a pull request say of people: who contributed, who asked, and which the bot made (rules 4, 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from bot.core.approval.facts import PullFacts, same
from bot.core.approval_policy import ApprovalPolicy
from bot.core.pulls import PullCommit

REQUESTER_TRAILER: Final = "Stagewright-Requested-By"
EVIDENCE_TRAILER: Final = "Stagewright-Evidence"

_CO_AUTHOR = re.compile(r"^[ \t]*co-authored-by[ \t]*:(?P<who>.*)$", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"<([^<>]*)>")
_NOREPLY = re.compile(r"(?:\d+\+)?(?P<login>[a-z0-9_\[\]-]+)@users\.noreply\.[a-z0-9.-]+", re.IGNORECASE)


def contributors(commits: Iterable[PullCommit]) -> Iterator[str]:
    """The logins of every author, committer and co-author."""
    for commit in commits:
        yield from (login for login in (commit.author, commit.committer) if login)
        yield from (login for login in _co_authors(commit.message) if login)


def _co_authors(message: str) -> Iterator[str | None]:
    """The login of each address in a co-author trailer, None where that is not GitHub's noreply form."""
    for trailer in _CO_AUTHOR.finditer(message):
        for address in _ADDRESS.findall(trailer["who"]) or [""]:
            login = _NOREPLY.fullmatch(address.strip())
            yield login["login"] if login else None


def requester(policy: ApprovalPolicy, facts: PullFacts) -> str | None:
    """Who made the bot open this pull request, from the trailer of the bot's own commits (rule 5)."""
    return next(bot_trailers(policy, facts, REQUESTER_TRAILER), None)


def bot_trailers(policy: ApprovalPolicy, facts: PullFacts, name: str) -> Iterator[str]:
    """The values of a trailer in the last paragraph of the bot's own commits.

    Who asked is believed of every commit in the bot's name that is verified: that can only rule people out.
    """
    pattern = re.compile(rf"^{name}:[ \t]*(\S.*?)\s*$", re.MULTILINE)
    for commit in facts.commits:
        is_trusted = name == REQUESTER_TRAILER or _made_by_bot(policy, facts, commit)
        if is_trusted and _in_bots_name(policy, commit):
            yield from pattern.findall(re.split(r"\n\s*\n", commit.message.strip())[-1])


_GITHUB_ITSELF: Final = "web-flow"
"""The committer that GitHub writes where it signs for an App that gave no committer."""


_OPENED_WITHIN: Final = timedelta(seconds=10)
"""By how much GitHub's clocks may differ between a commit and the pull request that is opened for it."""


def _in_bots_name(policy: ApprovalPolicy, commit: PullCommit) -> bool:
    bot = same(policy.bot)
    author, committer = same(commit.author or ""), same(commit.committer or "")
    return commit.verified and author == bot and committer in (bot, _GITHUB_ITSELF)


def _made_by_bot(policy: ApprovalPolicy, facts: PullFacts, commit: PullCommit) -> bool:
    """Squashing the bot's pull request into some branch is a commit in the bot's name too, with whatever message.

    It is committed by GitHub. So one that GitHub committed is the bot's only on the bot's own pull request, which is
    never pushed to: it was there when the pull request was opened.
    """
    if not _in_bots_name(policy, commit):
        return False
    if same(commit.committer or "") == same(policy.bot):
        return True
    opened = facts.pull.created_at + _OPENED_WITHIN
    return _is_bots(policy, facts) and commit.committed_at is not None and commit.committed_at <= opened


def _is_bots(policy: ApprovalPolicy, facts: PullFacts) -> bool:
    return same(facts.pull.author) == same(policy.bot)


def commit_problems(policy: ApprovalPolicy, facts: PullFacts) -> Iterator[str]:
    """Rule 5."""
    if not facts.commits:
        yield "GitHub names no commit of this pull request"
    yield from _renamed(policy, facts)
    yield from _of_other_apps(policy, facts)
    for commit in facts.commits:
        short = commit.sha[:7]
        if _is_bots(policy, facts) and not _made_by_bot(policy, facts, commit):
            again = "close this pull request and run `stagewright propose --again`"
            yield f"commit {short} on the bot's branch was not made by the bot; {again}"
        elif commit.author is None or commit.committer is None:
            yield f"commit {short} has an author or committer that GitHub cannot attribute; amend its e-mail address"
        elif None in tuple(_co_authors(commit.message)):
            yield f"commit {short} names a co-author without a GitHub noreply address; amend the trailer"
        if policy.unsigned_commits == "forbid" and not commit.verified:
            yield f"commit {short} has no signature that GitHub verified, so it may name anybody; sign it, push again"


def _of_other_apps(policy: ApprovalPolicy, facts: PullFacts) -> Iterator[str]:
    """Any workflow of a branch can write as `github-actions[bot]`: who is behind an App is told of the bot's only."""
    known = {same(app) for app in (policy.bot, *policy.other_apps)}
    writers = dict.fromkeys(login for commit in facts.commits for login in (commit.author, commit.committer) if login)
    apps = {same(login): login for login in writers if same(login).endswith("[bot]")}
    if facts.pull.author_is_bot:
        apps[same(facts.pull.author)] = facts.pull.author
    for app in sorted(apps.keys() - known):
        behind = "whoever made it do so could approve that too; list it in the policy's `other_apps` if nobody can"
        yield f"{apps[app]} wrote this, and {behind}"


def _renamed(policy: ApprovalPolicy, facts: PullFacts) -> Iterator[str]:
    """People whom only a text names: GitHub renames them everywhere but there, and the new name would count."""
    known = {same(login) for login in facts.people}
    asked = {same(login): f"{login} asked for this change" for login in bot_trailers(policy, facts, REQUESTER_TRAILER)}
    wrote = {
        same(login): f"{login} is a co-author"
        for commit in facts.commits
        for login in _co_authors(commit.message)
        if login
    }
    for login, what in (wrote | asked).items():
        if login not in known and not login.endswith("[bot]"):
            yield f"{what}, but nobody with access has that login now: a renamed account could approve its own change"

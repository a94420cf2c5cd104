"""The qualifiers of GitHub's issue search that can be answered from one repository's issues."""

import shlex
from collections.abc import Callable

from bot.sandbox.forge.failures import unsupported
from bot.sandbox.forge.records import Issue
from bot.sandbox.forge.store import Store


def _kinds(issue: Issue) -> dict[str, bool]:
    merged = issue.pull is not None and issue.pull.merged_at is not None
    is_pull = issue.pull is not None
    return {
        "pr": is_pull,
        "pull-request": is_pull,
        "issue": not is_pull,
        "open": issue.state == "open",
        "closed": issue.state == "closed",
        "merged": merged,
        "unmerged": is_pull and not merged,
    }


def _is(issue: Issue, value: str) -> bool:
    if value not in _kinds(issue):
        raise unsupported(f"the search qualifier is:{value}")
    return _kinds(issue)[value]


_QUALIFIERS: dict[str, Callable[[Issue, str], bool]] = {
    "is": _is,
    "type": _is,
    "state": _is,
    "head": lambda issue, value: issue.pull is not None and issue.pull.head_ref.startswith(value),
    "base": lambda issue, value: issue.pull is not None and issue.pull.base_ref == value,
    "author": lambda issue, value: issue.author.lower() in (value.lower(), _app_login(value)),
    "label": lambda issue, value: value.lower() in (name.lower() for name in issue.labels),
}


def _app_login(value: str) -> str:
    return value.lower().removeprefix("app/") + "[bot]"


def matching(store: Store, query: str) -> list[Issue]:
    """Issues and pull requests that every term of a query fits; a plain word is looked for in title and body."""
    terms = shlex.split(query)
    return [issue for issue in store.issues.values() if all(_fits(store, issue, term) for term in terms)]


def _fits(store: Store, issue: Issue, term: str) -> bool:
    plain = term.removeprefix("-")
    name, colon, value = plain.partition(":")
    if not colon:
        return plain.lower() in f"{issue.title}\n{issue.body or ''}".lower()
    if name == "repo":
        return value.lower() == store.repository.lower()
    if name not in _QUALIFIERS:
        raise unsupported(f"the search qualifier {name}:")
    return _QUALIFIERS[name](issue, value) != (plain != term)

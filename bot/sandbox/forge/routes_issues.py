"""Issues, comments and labels (a pull request is an issue too), and the search over them."""

from collections.abc import Iterable
from typing import Any

from bot.sandbox.forge import events
from bot.sandbox.forge.api import NO_CONTENT, Answer, Call, Routes
from bot.sandbox.forge.failures import invalid, not_found, unprocessable
from bot.sandbox.forge.records import Comment, Issue, Label
from bot.sandbox.forge.represent_pulls import comment_json, issue_json, issue_listed, retargeting_json
from bot.sandbox.forge.represent_repository import label as label_json
from bot.sandbox.forge.represent_repository import labels_of
from bot.sandbox.forge.routes_pulls import (
    demand_author_or_role,
    edit_texts,
    in_order,
    refuse_long_body,
    set_state,
)
from bot.sandbox.forge.search import matching

routes = Routes("issues", "pull_requests")


@routes.on("POST", "/issues", "issues", role="read")
def create_issue(call: Call) -> Answer:
    """Open an issue; unknown labels are made. Raises the 422 of GitHub, e.g. for an assignee without read access."""
    title, body = call.required("title", str, "Issue"), call.field("body", str)
    refuse_long_body("Issue", body)
    store, now = call.store, call.store.now()
    issue = Issue(store.next_id(), store.next_number(), title, body, call.login, now, now)
    _assign(call, issue)
    _label(call, issue, _label_names(call.field("labels", list, []) or []))
    store.issues[issue.number] = issue
    return Answer(issue_json(call.scope, issue), 201)


def _assign(call: Call, issue: Issue) -> None:
    assignees = call.field("assignees", list)
    if assignees is not None:
        if not all(call.store.may(login, "read") for login in assignees):
            raise invalid("Issue", "assignees")
        issue.assignees = [call.store.user(login).login for login in assignees]


@routes.on("GET", "/issues", "issues")
def list_issues(call: Call) -> Answer:
    """Issues and pull requests, open unless `state` says otherwise, that hold all of the comma-separated `labels`."""
    state, wanted = call.query("state", "open"), {name for name in call.query("labels").lower().split(",") if name}
    creator = call.query("creator")
    found = [
        issue
        for issue in call.store.issues.values()
        if state in ("all", issue.state)
        and wanted <= {name.lower() for name in issue.labels}
        and creator in ("", issue.author)
    ]
    return call.page(in_order(call, found), issue_listed)


@routes.on("GET", "/issues/<int:number>")
def get_issue(call: Call, number: int) -> Answer:
    """An issue, or a pull request in the form of one. Raises the 404 of GitHub."""
    return Answer(issue_json(call.scope, call.store.issue(number)))


@routes.on("PATCH", "/issues/<int:number>", role="read")
def update_issue(call: Call, number: int) -> Answer:
    """Change texts and state, replace labels and assignees. Raises GitHub's 403 (not author or writer), 404, 422."""
    issue = call.store.issue(number)
    demand_author_or_role(call, issue.author)
    labels = call.field("labels", list)
    if labels is not None:
        names = _label_names(labels)
        _unlabel(call, issue, [name for name in issue.labels if name not in names])
        _label(call, issue, names)
    _assign(call, issue)
    edit_texts(call, issue)
    set_state(call, issue, call.field("state", str), call.field("state_reason", str))
    return Answer(issue_json(call.scope, issue))


@routes.on("GET", "/issues/<int:number>/comments")
def list_comments(call: Call, number: int) -> Answer:
    """The comments under an issue or pull request, oldest first. Raises the 404 of GitHub."""
    call.store.issue(number)
    return call.page([c for c in call.store.comments.values() if c.issue == number], comment_json)


@routes.on("GET", "/issues/<int:number>/events")
def list_events(call: Call, number: int) -> Answer:
    """Of all that happened to an issue, the changes of a pull request's base branch. Raises the 404 of GitHub."""
    pull = call.store.issue(number).pull
    return call.page(pull.retargetings if pull else [], retargeting_json)


@routes.on("POST", "/issues/<int:number>/comments", role="read")
def create_comment(call: Call, number: int) -> Answer:
    """Comment, with its event. Raises the 404 of GitHub, and its 422 for a blank body or one that is too long."""
    issue, store, body = call.store.issue(number), call.store, _comment_body(call)
    now = store.now()
    comment = Comment(store.next_id(), number, call.login, body, now, now)
    store.comments[comment.id] = comment
    issue.updated_at = now
    shown = comment_json(call.scope, comment)
    events.issue_comment(store, shown, issue_json(call.scope, issue), "created", call.login)
    return Answer(shown, 201)


def _comment_body(call: Call) -> str:
    body = call.required("body", str, "IssueComment")
    if not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    refuse_long_body("IssueComment", body)
    return body


@routes.on("GET", "/issues/comments/<int:comment_id>")
def get_comment(call: Call, comment_id: int) -> Answer:
    """A comment by its id alone, whichever issue it stands under. Raises the 404 of GitHub."""
    return Answer(comment_json(call.scope, _comment(call, comment_id)))


def _comment(call: Call, comment_id: int) -> Comment:
    if comment_id not in call.store.comments:
        raise not_found()
    return call.store.comments[comment_id]


@routes.on("PATCH", "/issues/comments/<int:comment_id>", role="read")
def update_comment(call: Call, comment_id: int) -> Answer:
    """Replace the body; no event tells of it. Raises GitHub's 403 (neither author nor writer), 404 and 422."""
    comment = _comment(call, comment_id)
    demand_author_or_role(call, comment.author)
    comment.body, comment.updated_at = _comment_body(call), call.store.now()
    return Answer(comment_json(call.scope, comment))


@routes.on("DELETE", "/issues/comments/<int:comment_id>", role="read")
def delete_comment(call: Call, comment_id: int) -> Answer:
    """Delete for good; no event tells of it. Raises GitHub's 403 (neither author nor writer) and 404."""
    demand_author_or_role(call, _comment(call, comment_id).author)
    del call.store.comments[comment_id]
    return NO_CONTENT


# labels


def _label_names(asked: Iterable[Any]) -> list[str]:
    names = [item.get("name") if isinstance(item, dict) else item for item in asked]
    texts = [name for name in names if isinstance(name, str) and name]
    if len(texts) != len(names):
        raise invalid("Label", "name")
    return texts


def _label(call: Call, issue: Issue, names: Iterable[str]) -> None:
    for label in (call.store.label(name) for name in names):
        if label.name not in issue.labels:
            issue.labels.append(label.name)
            _tell(call, issue, "labeled", label)


def _unlabel(call: Call, issue: Issue, names: Iterable[str]) -> None:
    for label in (call.store.label(name) for name in names):
        issue.labels.remove(label.name)
        _tell(call, issue, "unlabeled", label)


def _tell(call: Call, issue: Issue, action: str, label: Label) -> None:
    issue.updated_at = call.store.now()
    if issue.pull is not None:
        events.pull_request(call.store, issue, action, call.login, {"label": label_json(call.scope, label)})


@routes.on("GET", "/issues/<int:number>/labels")
def list_issue_labels(call: Call, number: int) -> Answer:
    """The labels that an issue or pull request holds, in the order they were added. Raises the 404 of GitHub."""
    names = call.store.issue(number).labels
    return call.page([call.store.label(name) for name in names], label_json)


@routes.on("POST", "/issues/<int:number>/labels", role="triage")
def add_labels(call: Call, number: int) -> Answer:
    """Add to the labels held, making unknown ones, and answer all. As on GitHub the body may be a bare list."""
    issue = call.store.issue(number)
    _label(call, issue, _label_names(call.required("labels", list, "Label")))
    return Answer(labels_of(call.scope, issue))


@routes.on("DELETE", "/issues/<int:number>/labels/<path:name>", role="triage")
def remove_label(call: Call, number: int, name: str) -> Answer:
    """Take off one label, named in any case, and answer the rest. Raises the 404 of GitHub if it is not held."""
    issue = call.store.issue(number)
    known = next((held for held in issue.labels if held.lower() == name.lower()), None)
    if known is None:
        raise not_found()
    _unlabel(call, issue, [known])
    return Answer(labels_of(call.scope, issue))


@routes.on("GET", "/labels")
def list_labels(call: Call) -> Answer:
    """The labels of the repository, in order of name."""
    return call.page(sorted(call.store.labels.values(), key=lambda label: label.name), label_json)


@routes.on("POST", "/labels")
def create_label(call: Call) -> Answer:
    """Create a label. Raises the 422 of GitHub (already_exists) for a name that exists in any case."""
    name, color = call.required("name", str, "Label"), call.field("color", str, "ededed") or "ededed"
    if name.lower() in call.store.labels:
        raise invalid("Label", "name", "already_exists")
    label = call.store.label(name)
    label.color, label.description = color.removeprefix("#"), call.field("description", str, "") or ""
    return Answer(label_json(call.scope, label), 201)


def _known_label(call: Call, name: str) -> Label:
    if name.lower() not in call.store.labels:
        raise not_found()
    return call.store.labels[name.lower()]


@routes.on("GET", "/labels/<path:name>")
def get_label(call: Call, name: str) -> Answer:
    """A label, named in any case. Raises the 404 of GitHub."""
    return Answer(label_json(call.scope, _known_label(call, name)))


@routes.on("PATCH", "/labels/<path:name>")
def update_label(call: Call, name: str) -> Answer:
    """Change color and description; a `new_name` reaches every issue. Raises GitHub's 404, and 422 for a taken name."""
    label = _known_label(call, name)
    label.color = call.field("color", str, label.color) or label.color
    label.description = call.field("description", str, label.description) or ""
    new_name = call.field("new_name", str, label.name) or label.name
    if new_name != label.name:
        _rename(call, label, new_name)
    return Answer(label_json(call.scope, label))


def _rename(call: Call, label: Label, new_name: str) -> None:
    if new_name.lower() in call.store.labels and new_name.lower() != label.name.lower():
        raise unprocessable("Name has already been taken")
    for issue in call.store.issues.values():
        issue.labels = [new_name if held == label.name else held for held in issue.labels]
    del call.store.labels[label.name.lower()]
    label.name = new_name
    call.store.labels[new_name.lower()] = label


@routes.on("GET", "/search/issues", "metadata", root="")
def search_issues(call: Call) -> Answer:
    """What `q` matches, nothing for a caller without read access. Raises 501 for a qualifier that is not known here."""
    query = call.query("q")
    visible = call.caller.is_bot or call.store.may(call.login, "read")
    found = in_search_order(call, matching(call.store, query) if visible else [])
    chosen, headers = call.slice(found)
    items = [issue_listed(call.scope, issue) | {"score": 1.0, "body": issue.body or ""} for issue in chosen]
    body = {"total_count": len(found), "incomplete_results": False, "search_type": "lexical", "items": items}
    return Answer(body, headers=headers)


def in_search_order(call: Call, issues: list[Issue]) -> list[Issue]:
    """As `sort` and `order` ask; best match, the default, is newest first here."""
    by_update, order = call.query("sort") == "updated", call.query("order", "desc")
    ordered = sorted(issues, key=lambda issue: (issue.updated_at if by_update else issue.created_at, issue.number))
    return ordered if order == "asc" else ordered[::-1]

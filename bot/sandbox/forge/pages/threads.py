"""The pages of pull requests and issues."""

from dataclasses import dataclass
from datetime import datetime

from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot.sandbox.forge.failures import Refusal, not_found
from bot.sandbox.forge.git import EMPTY_TREE
from bot.sandbox.forge.pages.acting import act, actor_of, in_words, on_issue, on_pull
from bot.sandbox.forge.pages.checks import checks_of
from bot.sandbox.forge.pages.diff import file_diffs
from bot.sandbox.forge.pages.page import Addresses, Page
from bot.sandbox.forge.protection import DECISIONS
from bot.sandbox.forge.records import Issue, Pull, Review

addresses = Addresses()
_VERBS = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "requested changes",
    "COMMENTED": "reviewed",
    "DISMISSED": "gave a review that was dismissed",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a conversation; a review is `stale` when it was given for another head than today's."""

    anchor: str
    author: str
    verb: str
    when: datetime
    body: str = ""
    tone: str = ""
    stale: bool = False


# pull requests


@addresses.on("/pulls")
def pulls(page: Page) -> Response:
    """Pull requests, newest first: the open ones, or all (`?state=all`)."""
    shown = [issue for issue, _ in page.store.pulls(_state(page))]
    return page.render("threads.html", title="Pull requests", area="pull", listed=shown[::-1], state=_state(page))


def _state(page: Page) -> str:
    return "all" if page.request.args.get("state") == "all" else "open"


@addresses.on("/pull/<int:number>")
def pull(page: Page, number: int) -> Response:
    """A pull request: what is said of it, what was checked, what it changes, and a form to act on it."""
    return _pull_page(page, number)


@addresses.on("/pull/<int:number>", "POST")
def act_on_pull(page: Page, number: int) -> Response:
    """A button was pressed: the page again, or, when GitHub would have refused, with the reason on it."""
    page.store.pull(number)
    try:
        act(page, number, on_pull(page))
    except Refusal as refusal:
        return _pull_page(page, number, refusal)
    return _back(page)


def _back(page: Page) -> Response:
    return redirect(f"{page.request.path}?as={actor_of(page)}", 303)


def _pull_page(page: Page, number: int, refusal: Refusal | None = None) -> Response:
    issue, pulled = page.store.pull(number)
    commits = page.store.git.commits(page.store.commits_of(pulled))
    return page.render(
        "pull.html",
        refusal.status if refusal else 200,
        title=issue.title,
        issue=issue,
        pull=pulled,
        entries=_entries(page, issue),
        reviewers=_reviewers(pulled),
        checks=checks_of(page.store, issue, pulled),
        commits=commits,
        files=file_diffs(page.store.files_of(pulled)),
        **_form(page, refusal),
        **(page.reloading() if refusal is None else {}),
    )


def _form(page: Page, refusal: Refusal | None) -> dict[str, object]:
    """What was picked and written, so that a refusal loses neither."""
    return {
        "people": page.people,
        "picked": page.request.form.get("as") or page.request.args.get("as", ""),
        "written": page.request.form.get("text", "") if refusal else "",
        "refusal": in_words(refusal) if refusal else None,
    }


def _entries(page: Page, issue: Issue) -> list[Entry]:
    comments = [
        Entry(f"issuecomment-{c.id}", c.author, "commented", c.created_at, c.body)
        for c in page.store.comments.values()
        if c.issue == issue.number
    ]
    reviews = [_review(review, issue.pull) for review in issue.pull.reviews] if issue.pull else []
    return sorted([*comments, *reviews, *_ends(issue)], key=lambda entry: entry.when)


def _review(review: Review, pulled: Pull) -> Entry:
    stale = review.commit_id != pulled.head_sha and pulled.merged_at is None
    anchor, verb = f"pullrequestreview-{review.id}", _VERBS[review.state]
    return Entry(anchor, review.author, verb, review.submitted_at, review.body, review.state.lower(), stale)


def _ends(issue: Issue) -> list[Entry]:
    pulled = issue.pull
    if pulled is not None and pulled.merged_at is not None and pulled.merged_by is not None:
        merged = f"merged this into {pulled.base_ref} as {(pulled.merge_commit_sha or '')[:10]}"
        return [Entry("merged", pulled.merged_by, merged, pulled.merged_at, tone="merged")]
    if issue.closed_at is not None and issue.closed_by is not None:
        return [Entry("closed", issue.closed_by, "closed this", issue.closed_at, tone="closed")]
    return []


def _reviewers(pulled: Pull) -> list[Entry]:
    """The latest decision of each reviewer."""
    latest = {review.author: review for review in pulled.reviews if review.state in DECISIONS}
    return [_review(review, pulled) for review in latest.values()]


@addresses.on("/pull/<int:number>/files")
def pull_files(page: Page, number: int) -> Response:
    """What a pull request changes."""
    issue, pulled = page.store.pull(number)
    files = file_diffs(page.store.files_of(pulled))
    return page.render("pull_files.html", title=f"Files changed · {issue.title}", issue=issue, pull=pulled, files=files)


@addresses.on("/pull/<int:number>/commits")
def pull_commits(page: Page, number: int) -> Response:
    """The commits of a pull request, oldest first."""
    issue, pulled = page.store.pull(number)
    commits = page.store.git.commits(page.store.commits_of(pulled))
    title = f"Commits · {issue.title}"
    return page.render("pull_commits.html", title=title, issue=issue, pull=pulled, commits=commits)


@addresses.on("/pull/<int:number>.diff")
def pull_diff(page: Page, number: int) -> Response:
    """What a pull request changes, as git writes it."""
    _, pulled = page.store.pull(number)
    base = page.store.git.merge_base(pulled.base_sha, pulled.head_sha) or EMPTY_TREE
    return _plain(page.store.git.run("diff-tree", "-r", "-M", "-p", base, pulled.head_sha))


@addresses.on("/pull/<int:number>.patch")
def pull_patch(page: Page, number: int) -> Response:
    """The commits of a pull request, as git writes them to be mailed."""
    _, pulled = page.store.pull(number)
    return _plain(page.store.git.run("format-patch", "--stdout", f"{pulled.base_sha}..{pulled.head_sha}"))


def _plain(content: bytes) -> Response:
    return Response(content, mimetype="text/plain")


# issues


@addresses.on("/issues")
def issues(page: Page) -> Response:
    """Issues that are no pull requests, newest first: the open ones, or all (`?state=all`)."""
    state = _state(page)
    listed = [i for i in page.store.issues.values() if i.pull is None and state in ("all", i.state)]
    return page.render("threads.html", title="Issues", area="issues", listed=listed[::-1], state=state)


@addresses.on("/issues/<int:number>")
def issue(page: Page, number: int) -> Response:
    """An issue, or the way to the pull request of that number."""
    if page.store.issue(number).pull is not None:
        return redirect(page.scope.repo_web("pull", number), 302)
    return _issue_page(page, number)


@addresses.on("/issues/<int:number>", "POST")
def act_on_issue(page: Page, number: int) -> Response:
    """A button was pressed: the page again, or, when GitHub would have refused, with the reason on it."""
    if page.store.issue(number).pull is not None:
        raise not_found()
    try:
        act(page, number, on_issue(page))
    except Refusal as refusal:
        return _issue_page(page, number, refusal)
    return _back(page)


def _issue_page(page: Page, number: int, refusal: Refusal | None = None) -> Response:
    shown = page.store.issue(number)
    return page.render(
        "issue.html",
        refusal.status if refusal else 200,
        title=shown.title,
        issue=shown,
        entries=_entries(page, shown),
        **_form(page, refusal),
        **(page.reloading() if refusal is None else {}),
    )

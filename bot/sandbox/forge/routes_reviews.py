"""Reviews of pull requests, and whom they are asked of."""

from bot.sandbox.forge import events
from bot.sandbox.forge.api import Answer, Call, Routes
from bot.sandbox.forge.failures import not_found, simply_unprocessable, unprocessable, unsupported
from bot.sandbox.forge.records import Issue, Pull, Review
from bot.sandbox.forge.represent_pulls import pull_listed, review_json
from bot.sandbox.forge.represent_repository import user_of

routes = Routes("pull_requests")
_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
_OWN = {"APPROVE": "approve", "REQUEST_CHANGES": "request changes on"}


@routes.on("POST", "/pulls/<int:number>/reviews", role="read")
def create_review(call: Call, number: int) -> Answer:
    """Anyone who can read may review; whether it counts is the branch's protection's business."""
    issue, pull = call.store.pull(number)
    event, body = call.field("event", str), call.field("body", str, "") or ""
    commit_id = call.field("commit_id", str, pull.head_sha) or pull.head_sha
    lines = call.field("comments", list)
    if event is None or lines:
        raise unsupported("pending reviews and comments on lines: send an event and a body")
    _refuse_review(call, issue, event, body)
    if commit_id not in (pull.head_sha, *call.store.commits_of(pull)):
        raise simply_unprocessable("commit_id is not part of the pull request")
    given = Review(call.store.next_id(), call.login, _STATES[event], body, commit_id, call.store.now())
    pull.reviews.append(given)
    pull.reviewers = [login for login in pull.reviewers if login != call.login]
    issue.updated_at = given.submitted_at
    events.review(call.store, issue, given, "submitted", call.login)
    return Answer(review_json(call.scope, issue, given))


def _refuse_review(call: Call, issue: Issue, event: str, body: str) -> None:
    if event not in _STATES:
        raise simply_unprocessable("Variable $event of type PullRequestReviewEvent was provided invalid value")
    if call.login == issue.author and event in _OWN:
        raise simply_unprocessable(f"Can not {_OWN[event]} your own pull request")
    if event != "APPROVE" and not body.strip():
        raise simply_unprocessable("Body can't be blank")


@routes.on("GET", "/pulls/<int:number>/reviews")
def list_reviews(call: Call, number: int) -> Answer:
    """All reviews of a pull request, dismissed ones too, oldest first. Raises the 404 of GitHub."""
    issue, pull = call.store.pull(number)
    return call.page(pull.reviews, lambda scope, review: review_json(scope, issue, review))


@routes.on("GET", "/pulls/<int:number>/reviews/<int:review_id>")
def get_review(call: Call, number: int, review_id: int) -> Answer:
    """One review. Raises the 404 of GitHub, also for a review of another pull request."""
    issue, pull = call.store.pull(number)
    return Answer(review_json(call.scope, issue, _review(pull, review_id)))


def _review(pull: Pull, review_id: int) -> Review:
    found = next((review for review in pull.reviews if review.id == review_id), None)
    if found is None:
        raise not_found()
    return found


@routes.on("PUT", "/pulls/<int:number>/reviews/<int:review_id>/dismissals")
def dismiss_review(call: Call, number: int, review_id: int) -> Answer:
    """Dismiss an approval or a change request. Raises GitHub's 404, and 422 for any other state or no message."""
    issue, pull = call.store.pull(number)
    review = _review(pull, review_id)
    call.required("message", str, "PullRequestReview")
    call.field("event", str)
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise simply_unprocessable(f"Can not dismiss a {review.state.lower()} pull request review")
    review.state = "DISMISSED"
    events.review(call.store, issue, review, "dismissed", call.login)
    return Answer(review_json(call.scope, issue, review))


@routes.on("GET", "/pulls/<int:number>/requested_reviewers")
def list_requested(call: Call, number: int) -> Answer:
    """Whose review is still awaited: a review given ends its request. Raises the 404 of GitHub."""
    _, pull = call.store.pull(number)
    return Answer({"users": [user_of(call.scope, login) for login in pull.reviewers], "teams": []})


@routes.on("POST", "/pulls/<int:number>/requested_reviewers")
def request_reviewers(call: Call, number: int) -> Answer:
    """Ask for reviews: of all or, with the 422 of GitHub, of none (the author, a team, someone without access)."""
    issue, pull = call.store.pull(number)
    asked, teams = call.field("reviewers", list, []) or [], call.field("team_reviewers", list, [])
    if issue.author in asked:
        raise unprocessable("Review cannot be requested from pull request author.")
    if teams or not all(call.store.may(login, "read") for login in asked):
        raise unprocessable(
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is "
            f"not a collaborator of the {call.store.repository} repository."
        )
    for login in (call.store.user(name).login for name in asked if name not in pull.reviewers):
        pull.reviewers.append(login)
        more = {"requested_reviewer": user_of(call.scope, login)}
        events.pull_request(call.store, issue, "review_requested", call.login, more)
    return Answer(pull_listed(call.scope, issue), 201)


@routes.on("DELETE", "/pulls/<int:number>/requested_reviewers")
def remove_requested(call: Call, number: int) -> Answer:
    """Withdraw requests; one that was never made is no error, and no event tells of it. Raises the 404 of GitHub."""
    issue, pull = call.store.pull(number)
    removed = call.required("reviewers", list)
    call.field("team_reviewers", list)
    pull.reviewers = [login for login in pull.reviewers if login not in removed]
    return Answer(pull_listed(call.scope, issue))

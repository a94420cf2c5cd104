"""What a protected branch demands, numbered as the code applies it.

1. A review counts when it is its author's latest that is not a comment and its author has write access or more.
2. As many approvals as required must count. A push does not dismiss them.
3. A change request that counts blocks.
4. Every required status must have succeeded on the head SHA: a commit status of that context, or a job of that name.
5. A direct update that is not a fast-forward is refused unless force pushes are allowed; so is deleting the branch.
6. Any direct update is refused unless direct pushes are allowed. Merging a pull request is not one.
"""

from bot.sandbox.forge.records import Protection, Pull, Review
from bot.sandbox.forge.store import Store
from bot.sandbox.forge.update_hook import refusal

DECISIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
_PASSED = ("success", "neutral", "skipped")
_NOTHING_REQUIRED = Protection(allow_force_push=True)


def counting_reviews(store: Store, pull: Pull) -> list[Review]:
    """Rule 1."""
    latest = {review.author: review for review in pull.reviews if review.state in DECISIONS}
    return [review for review in latest.values() if store.may(review.author, "write")]


def unmet(store: Store, pull: Pull) -> str | None:
    """The first demand that a pull request does not meet, in GitHub's words; None when it may be merged."""
    protection = store.protections.get(pull.base_ref, _NOTHING_REQUIRED)
    states = [review.state for review in counting_reviews(store, pull)]
    if states.count("APPROVED") < protection.required_approvals:
        return _too_few(protection.required_approvals)
    if protection.required_approvals and "CHANGES_REQUESTED" in states:
        return "Changes have been requested."
    missing = [name for name in protection.required_statuses if name not in _succeeded(store, pull.head_sha)]
    return f'Required status check "{missing[0]}" is expected.' if missing else None


def _too_few(required: int) -> str:
    reviews = "approving review is" if required == 1 else "approving reviews are"
    return f"At least {required} {reviews} required by reviewers with write access."


def _succeeded(store: Store, sha: str) -> set[str]:
    """Rule 4."""
    contexts = {status.context for status in store.latest_statuses(sha) if status.state == "success"}
    runs = [run for run in store.runs.values() if run.head_sha == sha and run.status == "completed"]
    return contexts | {job.name for run in runs for job in run.jobs if job.conclusion in _PASSED}


def rules(store: Store) -> dict[str, dict[str, bool]]:
    """What may be done directly to each protected branch, and to the default branch, which can never be deleted."""
    protections = {store.default_branch: _NOTHING_REQUIRED} | store.protections
    return {name: {"force": p.allow_force_push, "direct": p.allow_direct_push} for name, p in protections.items()}


def refusal_to_move(store: Store, branch: str, old: str, new: str) -> str | None:
    """Why a branch may not be moved or deleted directly; None when it may. Rules 5 and 6."""
    rule = rules(store).get(branch)
    return refusal(rule, old, new, lambda: store.git.is_ancestor(old, new)) if rule else None

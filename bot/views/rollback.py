"""What the pull request of a rollback says, and the sentences that it shares with the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bot.core.approval import RuleResult
from bot.core.history import Period
from bot.core.results import RollbackResult
from bot.core.rollback import LONGEST_REASON, NoRollback, PassedOver, Rollback, RollbackCase, Wish
from bot.core.spec import APPROVAL_POLICY, file_of_model
from bot.core.state import is_stage
from bot.views import answers, words
from bot.views.escape import Markdown, exact, inert, link, printable, prose, reference
from bot.views.markdown import BODY_BUDGET, PATH, PEOPLE, capped, could_approve, filled, limited, people

_LENGTHS: Final = (50, 10, 3)
FORCE: Final = (
    "Together with what else is to be done now, apply will refuse this as `too-many`: run the workflow `apply` with"
    " `force` ticked, or `stagewright apply --force`."
)


def rollback_title(rollback: Rollback) -> str:
    """The title of a rollback's pull request and the subject of its commit: plain text, nothing in it acts."""
    slot, target = f"{inert(rollback.model)} {inert(rollback.slot, 60)}", words.version_text(rollback.target)
    if rollback.live == rollback.target:
        return f"Roll back {slot} to {target}, which is still live"
    return f"Roll back {slot} from {words.version_text(rollback.live)} to {target}"


def rollback_why(wish: Wish) -> str:
    """The sentence of the commit that says why: one line, which the words of nobody else begin."""
    return f"Reason: {inert(' '.join(wish.reason.split()), 2 * LONGEST_REASON)}"


def rollback_body(case: RollbackCase) -> Markdown:
    """The body of a rollback's pull request, for a reviewer who was woken up.

    Within 60,000 characters: where not all slots, writes, rules and other lists fit, it says how many are left out.
    """
    values = _values(case)
    bodies = (filled("rollback.md.j2", **values, **_lists(case, most)) for most in _LENGTHS)
    return next(body for body in bodies if len(body) <= BODY_BUDGET)


def _values(case: RollbackCase) -> dict[str, object]:
    """Everything in a body that is never shed."""
    rollback, wish = case.rollback, case.wish
    return {
        "model": rollback.model,
        "slot": rollback.slot,
        "target": words.version_text(rollback.target),
        "left": left_text(rollback),
        "requesters": people(wish.requesters),
        "follower": follower(case),
        "reason": prose(wish.reason, LONGEST_REASON),
        "live": _period(rollback.since) if rollback.since and rollback.live else None,
        "pending": pending_text(rollback),
        "before": _period(rollback.before) if rollback.before is not rollback.since else None,
        "registry": case.registry,
        "archived": is_stage(rollback.slot) and bool(left_text(rollback)),
        "force": FORCE if rollback.needs_force else "",
        "policy_file": APPROVAL_POLICY,
        "policy_commit": words.short_sha(case.policy_commit),
        "aftermath": aftermath_text(rollback),
        "undo": undo_text(rollback),
        "edits": [edit.undone for edit in edit_texts(rollback)],
        "lift": lift_text(rollback) if rollback.aftermath == "held" else "",
    }


def _lists(case: RollbackCase, most: int) -> dict[str, object]:
    rollback, needs = case.rollback, case.needs
    return capped(
        most,
        passed_over=[passed_over_text(one) for one in rollback.passed_over],
        slots=slot_texts(rollback),
        writes=[words.write_text(write) for write in rollback.writes],
        rules=[_rule(rule, most) for rule in needs.rules],
        ungoverned=needs.ungoverned,
    )


def _period(period: Period) -> dict[str, object]:
    text = answers.period_text(period)
    url = period.mandate.url if period.mandate else ""
    return {
        "version": text.version,
        "since": text.since,
        "until": text.until,
        "found": period.adopted,
        "pull": link(reference(text.pull_request), url) if text.pull_request else "",
        "approvers": people(text.approvers),
    }


def _rule(rule: RuleResult, most: int) -> dict[str, object]:
    return {
        "name": rule.name,
        "count": words.counted(rule.needed, "approval"),
        "governs": limited([prose(text, PATH) for text in rule.governs], most),
        "could": could_approve(rule.could_approve),
    }


def left_text(rollback: Rollback) -> str:
    """The version that leaves the slot; empty when none does."""
    return words.version_text(rollback.live) if rollback.live and rollback.live != rollback.target else ""


def follower(case: RollbackCase) -> str:
    """The alias that was asked for, where that follows the slot; else empty."""
    asked = case.wish.slot
    return asked if asked and asked != case.rollback.slot else ""


def slot_texts(rollback: Rollback) -> list[words.SlotText]:
    """The slots that move, each with what it follows, and those that apply leaves alone although Git wants a move."""
    texts = (words.item_text(item) for item in words.items_to_show(rollback.plan.items))
    return [
        replace(text, result=f"{text.result}, follows {rollback.slot}") if text.slot in rollback.followers else text
        for text in texts
    ]


def edit_texts(rollback: Rollback) -> tuple[words.EditText, ...]:
    """The edits of a rollback."""
    return tuple(
        words.EditText(section, slot, words.yaml_text(rollback.undo[section, slot]), words.yaml_text(value))
        for (section, slot), value in rollback.edits.items()
    )


def pending_text(rollback: Rollback) -> str:
    """That Git wants something else than what is live; empty when it does not."""
    live = rollback.live.version if rollback.live else None
    if rollback.wanted == live:
        return ""
    wanted = "nothing there" if rollback.wanted is None else f"v{rollback.wanted}"
    return f"Git wants {wanted}, which apply has not written yet; merging this withdraws it"


def passed_over_text(one: PassedOver) -> str:
    """A version that is not gone back to, and why."""
    return f"{words.version_text(one.identity)} is passed over: {one.why}"


def lift_text(rollback: Rollback) -> str:
    """The line under `holds` that lifts the hold of the version that is left."""
    return f"{{version: {rollback.live.version if rollback.live else 0}, lift: true}}"


def aftermath_text(rollback: Rollback) -> str:
    """What becomes of the version that is left; empty when none is."""
    left, slot, file = left_text(rollback), rollback.slot, f"`{file_of_model(rollback.model)}`"
    match rollback.aftermath:
        case "held":
            return (
                f"{left} is held: it is not proposed for {slot} again until `holds` in {file} says"
                f" `{lift_text(rollback)}`."
            )
        case "lifted":
            return (
                f"{left} is not held, since `holds` in {file} lifts that: it may be proposed for {slot} again."
                " To keep it out, take that line out by another pull request."
            )
        case "forward":
            return (
                f"{left} is not held, since {words.version_text(rollback.target)} was rolled back itself before:"
                f" this goes forward. To keep {left} out, add it to `holds` in {file}."
            )
        case _:
            return ""


def undo_text(rollback: Rollback) -> str:
    """How to take a merged rollback back, followed by the lines to write."""
    file = f"`{file_of_model(rollback.model)}`"
    if rollback.aftermath == "held":
        return f"A `git revert` alone is refused as `held`. In one pull request, write in {file}:"
    return f"Revert this pull request (`git revert` of its merge), or write in {file}:"


def facts_texts(case: RollbackCase) -> Iterator[tuple[str, str]]:
    """What a rollback rests on, each with its name: who, why, what is live, what was before."""
    rollback, wish = case.rollback, case.wish
    author = "the author of the pull request, whose approval does not count"
    yield "asked for by", ", ".join(map(exact, wish.requesters)) or author
    yield "reason", printable(wish.reason, LONGEST_REASON)
    if follower(case):
        yield "slot", f"{follower(case)} follows {rollback.slot}, so the stage goes back"
    yield "live", _live(rollback)
    if pending_text(rollback):
        yield "pending", pending_text(rollback)
    if rollback.before is not rollback.since:
        before = answers.period_text(rollback.before)
        found = "found " if rollback.before.adopted else ""
        yield "before", f"{before.version}, {found}{before.since} to {before.until} UTC{_by(before)}"
    for one in rollback.passed_over:
        yield "passed over", f"{words.version_text(one.identity)}: {one.why}"


def _live(rollback: Rollback) -> str:
    if not rollback.live or not rollback.since:
        return f"{words.version_text(rollback.live)}"
    text = answers.period_text(rollback.since)
    since = "found there on" if rollback.since.adopted else "since"
    return f"{text.version}, {since} {text.since} UTC{_by(text)}"


def _by(text: answers.PeriodText) -> str:
    approvers = f", approved by {', '.join(map(exact, text.approvers))}" if text.approvers else ""
    return f", by #{text.pull_request}{approvers}" if text.pull_request else ""


def after_texts(rollback: Rollback) -> Iterator[tuple[str, str]]:
    """What holds once it is merged, each with its name: what becomes of the version that is left, and how to undo."""
    if aftermath_text(rollback):
        yield "Afterwards", aftermath_text(rollback)
    lines = [f"`{edit.section}.{edit.slot}: {edit.before}`" for edit in edit_texts(rollback)]
    lift = [f"`holds: [{lift_text(rollback)}]`"] if rollback.aftermath == "held" else []
    yield "To undo", f"{undo_text(rollback)} {', '.join((*lines, *lift))}."


def outcome_text(result: RollbackResult) -> tuple[str, str]:
    """What became of the wish, and what to do next."""
    outcome = result.outcome
    if isinstance(outcome, NoRollback):
        return "refused", f"{_sentence(outcome.reason)} {outcome.way_out}"
    if isinstance(outcome, RollbackCase):
        return _case_text(result, outcome)
    target = words.version_text(outcome.target)
    if outcome.live == outcome.target:
        return "nothing to do", f"{target} is live, and Git wants it."
    live = words.version_text(outcome.live)
    return "nothing to do", (
        f"Git wants {target} already, but the slot holds {live} still: `stagewright apply` moves it, or says why not."
    )


def _case_text(result: RollbackResult, case: RollbackCase) -> tuple[str, str]:
    move = _move(case.rollback)
    if result.pull is None:
        return "would open a pull request", f"{move}. Run it again without `--dry-run` to open it."
    what, rest = ("opened", "") if result.new else ("already open", " Close it to have a new one.")
    return what, f"{move}. {next_step(case, result.pull.author)}{rest}"


def _move(rollback: Rollback) -> str:
    if rollback.live == rollback.target:
        wanted = "empty" if rollback.wanted is None else f"v{rollback.wanted}"
        return f"{wanted} → {words.version_text(rollback.target)} in Git alone, as the registry holds that still"
    return words.move_text(rollback.live, rollback.target)


def next_step(case: RollbackCase, author: str) -> str:
    """Whom to wake up, so that it can be merged: anybody but the author, whoever that came to be."""
    if case.needs.ungoverned or not case.needs.rules:
        return f"Nobody can approve it before `{APPROVAL_POLICY}` says who may."
    rule = max(case.needs.rules, key=lambda rule: rule.needed)
    could = [login for login in rule.could_approve if login.lower() != author.lower()]
    if len(could) < rule.needed:
        return f"Too few people can approve it by rule '{rule.name}': give somebody the permission that it asks for."
    who = ", ".join(map(exact, could[:PEOPLE]))
    return f"Get {words.counted(rule.needed, 'approval')} for rule '{rule.name}', from: {who}. Then merge it."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."

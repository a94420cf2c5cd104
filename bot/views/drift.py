"""What is said of drift: sentences for the terminal and Markdown, the pull request of `--adopt`, and the issue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.core.adoption import Adopting
from bot.core.approval import RuleResult
from bot.core.drift import Drift, Pending
from bot.core.results import ApplyResult, DriftResult, PlanResult
from bot.core.spec import APPROVAL_POLICY, file_of_model
from bot.core.standing import Standing
from bot.core.state import Identity
from bot.views import answers, words
from bot.views.escape import Markdown, inert, prose, reference
from bot.views.markdown import BODY_BUDGET, LINES, PATH, capped, could_approve, filled

_LENGTHS: Final = (LINES, 50, 10, 3)
_STILL_DRIFT: Final = "refused: drift"
_MOST_STANDING: Final = BODY_BUDGET // 2
PENDING: Final = "Not drift, but pending; the next apply does it, or says why not:"


def headline(result: DriftResult) -> str:
    """How much drift there is, in one clause."""
    left = " left" if isinstance(result.reverted, ApplyResult) else ""
    return _headline(result, len(result.report.found), left)


def _headline(result: DriftResult, differences: int, left: str = "") -> str:
    managed = words.counted(result.report.slots, "managed slot") + (f" of shard {result.shard}" if result.shard else "")
    if not differences:
        return f"no drift in {managed}"
    return f"{words.counted(differences, 'difference')}{left}, {managed}"


def holding_text(holding: Sequence[Identity]) -> str:
    """`v3`, `v3 and v5`, `empty`."""
    return " and ".join(map(words.version_text, holding)) or "empty"


def desired_text(found: Drift | Pending) -> str:
    """What Git says of a slot."""
    if found.desired == "unmanaged":
        return "not managed"
    return "empty" if found.desired is None else f"v{found.desired}"


def found_texts(found: Sequence[Drift]) -> list[words.SlotText]:
    """Each difference with why and the way out."""
    return [_found_text(one) for one in found]


def _found_text(one: Drift) -> words.SlotText:
    model, slot = one.key
    holds = holding_text(one.holds) if slot else words.MISSING
    return words.SlotText(model, slot or words.MISSING, holds, one.code, one.sentence, one.way_out)


def pending_texts(pending: Sequence[Pending]) -> list[words.SlotText]:
    """Each slot that the next apply changes, adopts or stops managing."""
    return [words.SlotText(*one.key, holding_text(one.holds), f"Git: {desired_text(one)}") for one in pending]


def done_text(result: DriftResult) -> str:
    """What `--adopt` or `--revert` did, or would do; empty when nobody asked for it."""
    if result.wish == "look":
        return ""
    if result.wish == "revert":
        return _reverted_text(result)
    adopted = result.adopted
    if adopted is None or not adopted.adopting.slots:
        return "Nothing to adopt: no slot's value can say what drifted."
    slots = words.counted(len(adopted.adopting.slots), "slot")
    if adopted.pull and adopted.new is None:
        return f"The pull request that adopts this in {slots} is open already: #{adopted.pull.number}. Review it."
    if adopted.pull:
        return f"Opened #{adopted.pull.number}, which adopts {slots}. Review it; it says what merging does."
    return f"Would open a pull request that adopts {slots}. Run `stagewright drift --adopt` to open it."


def _reverted_text(result: DriftResult) -> str:
    if result.reverted is None:
        return "Nothing to revert: no base of a drifted slot can be put back."
    if isinstance(result.reverted, ApplyResult):
        done = result.reverted
        more = (answers.untold_text(done), answers.unnoted_text(done))
        return " ".join(filter(None, (f"Reverted: {answers.applied_text(done)}.", *more)))
    changes = len(result.reverted.plan.changes)
    return f"Would revert {words.counted(changes, 'slot')}. Run `stagewright drift --revert` to do it."


def evidence_text(wanted: Adopting) -> str:
    """That promotions are among what is adopted, and what that means; empty when none is."""
    if not wanted.promotions:
        return ""
    slots = ", ".join(f"{one.key[0]} {one.key[1]}" for one in wanted.promotions[:3])
    more = f" and {len(wanted.promotions) - 3:,} more" if len(wanted.promotions) > 3 else ""
    what = f"The log never saw these versions in their slots, so this promotes them: {slots}{more}."
    if not wanted.lacks_evidence:
        return f"{what} The policy allows promotions without evidence."
    return (
        f"{what} The policy asks for evidence, which no edit can bring, so this cannot be approved as it is. Either run"
        " `stagewright drift --revert` and let `stagewright propose` open the promotion; or take the slot out of the"
        " model's file by one pull request, let apply run, and put it back with the version that it holds by another."
    )


def posted_text(result: DriftResult) -> str:
    """What became of the issue; empty when `--post` was not asked for."""
    posted = result.posted
    if posted is None:
        return ""
    number = f" #{posted.issue.number}" if posted.issue else ""
    would = "would be " if result.dry_run else ""
    match posted.what:
        case "nothing to tell":
            return "Issue: none is open, and none is needed."
        case "unchanged":
            return f"Issue{number}: says this already."
        case _:
            return f"Issue{number}: {would}{posted.what}."


def next_step(result: DriftResult) -> str:
    """What to do now."""
    if not result.report.found and not result.report.is_whole:
        return "That is no answer yet: not everything could be looked at. Run `stagewright drift` again."
    if result.report.pending and not result.report.found:
        return "Nothing drifted. What is pending waits for `stagewright apply`."
    if not result.report.found and not result.report.is_deep:
        return "As far as this looked, the registry is what Git says."
    if not result.report.found:
        return "The registry is what Git says."
    if result.wish == "look":
        return "Follow the way out of each. `--dry-run` with `--revert` or `--adopt` shows what they would do."
    if result.remains:
        return "Follow the way out of what is left."
    if result.adopted and result.adopted.adopting.lacks_evidence:
        return "There is no other drift. But the pull request cannot be approved as it is: it lacks evidence."
    return "There is no other drift."


def quick_text(result: DriftResult) -> str:
    """What a quick look left out; empty after a deep one."""
    if result.report.is_deep:
        return ""
    return (
        "Not looked at: runs, files, and what the list of models does not show, such as an older version in the same"
        " stage. `stagewright drift --deep` looks at these too."
    )


def adoption_title(wanted: Adopting) -> str:
    """The title of the pull request, which is also the subject of its commit: plain text, nothing in it acts."""
    if len(wanted.slots) > 1:
        return f"Adopt what the registry holds in {words.counted(len(wanted.slots), 'slot')}"
    (one,) = wanted.slots
    return f"Adopt what the registry holds: {inert(one.key[0])} {inert(one.key[1], 60)} {holding_text(one.holds)}"


def adoption_body(wanted: Adopting, registry: str) -> Markdown:
    """The body of the pull request. Within 60,000 characters: it says how much of a long list is left out."""
    bodies = (_adoption_body(wanted, registry, most) for most in _LENGTHS)
    return next(body for body in bodies if len(body) <= BODY_BUDGET)


def _adoption_body(wanted: Adopting, registry: str, most: int) -> Markdown:
    return filled(
        "adopt.md.j2",
        registry=registry,
        count=words.counted(len(wanted.slots), "slot"),
        evidence=evidence_text(wanted),
        policy_file=APPROVAL_POLICY,
        ungoverned=[prose(problem, PATH) for problem in wanted.needs.ungoverned[:most]],
        **capped(
            most,
            slots=[_adopted_row(one) for one in wanted.slots],
            followers=wanted.followers,
            rules=[_rule(rule) for rule in wanted.needs.rules],
            left_out=found_texts(wanted.left_out),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    model: str
    slot: str
    git: str
    holds: str
    left: Markdown
    kind: str
    file: str


def _adopted_row(one: Drift) -> _Row:
    kind = "demotion" if not one.holds else "promotion" if one.is_promotion else "rollback"
    file = file_of_model(one.key[0])
    return _Row(*one.key, desired_text(one), holding_text(one.holds), _left(one), kind, file)


def _left(one: Drift) -> Markdown:
    """What the log left in the slot. When somebody moved it since, nobody knows: MLflow does not tell."""
    if one.left_at is None:
        return prose("never")
    text = f"{words.version_text(one.base)} on {words.moment_text(one.left_at)}"
    return Markdown(f"{prose(text)}{f' by {reference(one.left_by)}' if one.left_by else ''}")


def _rule(rule: RuleResult) -> dict[str, object]:
    needed = words.counted(rule.needed, "approval")
    return {"name": rule.name, "needed": needed, "could": could_approve(rule.could_approve)}


def issue_body(result: DriftResult, standing: Standing) -> Markdown:
    """The body of the issue: the same text for the same drift, so that it is edited only when that changes.

    `standing`: what a quick look puts back; a deep one writes that part anew.
    """
    kept = _deep_part(result) if result.report.is_deep else standing.within(_MOST_STANDING)
    bodies = (_issue_body(result, kept, most) for most in _LENGTHS)
    return next(body for body in bodies if len(body) <= BODY_BUDGET)


def _issue_body(result: DriftResult, kept: Standing, most: int) -> Markdown:
    seen = [one for one in result.report.found if not one.is_hidden]
    return filled(
        "drift-issue.md.j2",
        registry=result.registry,
        headline=_headline(result, len(seen) + (kept.differences or 0)),
        standing=Markdown(kept.framed()),
        **capped(most, found=found_texts(seen)),
    )


def _deep_part(result: DriftResult) -> Standing:
    """What only a deep look sees, and what it could not look at."""
    hidden = [one for one in result.report.found if one.is_hidden]
    texts = (
        filled("drift-deep.md.j2", **capped(most, found=found_texts(hidden), unchecked=result.report.unchecked))
        for most in _LENGTHS
    )
    nobody_knows = not hidden and not result.report.is_whole
    text = next(text for text in texts if len(text) <= _MOST_STANDING).strip()
    return Standing(None if nobody_knows else len(hidden), text)


def drift_page(result: DriftResult, most: int = LINES) -> Markdown:
    """The answer of the command in Markdown."""
    planned = result.reverted.writes if isinstance(result.reverted, PlanResult) else ()
    return filled(
        "drift.md.j2",
        registry=result.registry,
        commit=words.short_sha(result.commit),
        headline=headline(result),
        done=done_text(result),
        evidence=evidence_text(result.adopted.adopting) if result.adopted else "",
        posted=posted_text(result),
        pending_heading=PENDING,
        next=next_step(result),
        quick=quick_text(result),
        **capped(
            most,
            found=found_texts(result.report.found),
            pending=pending_texts(result.report.pending),
            unchecked=result.report.unchecked,
            reverted=reverted_texts(result),
            writes=[words.write_text(write) for write in planned],
        ),
    )


def reverted_texts(result: DriftResult) -> list[words.SlotText]:
    """What a revert did or would do, slot by slot, with its refusals; what stays drift is told as that."""
    if isinstance(result.reverted, ApplyResult):
        texts = answers.applied_slots(result.reverted)
    elif isinstance(result.reverted, PlanResult):
        texts = tuple(map(words.item_text, words.items_to_show(result.reverted.plan.items)))
    else:
        texts = ()
    return [text for text in texts if text.result != _STILL_DRIFT]

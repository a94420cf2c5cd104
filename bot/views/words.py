"""Says values of the core in words that the terminal and Markdown share. Who prints them escapes them."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bot.core.audit import Entry
from bot.core.comparison import Comparison, Measured, Row, is_known
from bot.core.plan import Adoption, Change, InSync, Item, Refusal, Unmanagement
from bot.core.proposal import Examined, Proposal
from bot.core.state import DeleteAlias, Identity, SetAlias, Write
from bot.views.escape import exact

MISSING = "–"
GAINS = "↑ higher is better, ↓ lower is better. A positive gain is better, whichever way the metric counts."
NOISE = (
    "Noise is unknown: each side is one number, so luck is not ruled out. "
    "The more candidates are compared, the likelier one of them looks better by luck alone"
)


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 slot`, `3 slots`, `5,000 candidates`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def version_text(identity: Identity | None) -> str:
    """`v3`, or `empty` for a slot that holds nothing."""
    return f"v{identity.version}" if identity else "empty"


def move_text(before: Identity | None, after: Identity | None) -> str:
    """`v3 → v5`, `empty → v1`."""
    return f"{version_text(before)} → {version_text(after)}"


@dataclass(frozen=True, slots=True)
class RowText:
    """One row of a comparison table, as text."""

    metric: str
    direction: str
    incumbent: str
    candidate: str
    gain: str
    needed: str
    outcome: str
    is_guardrail: bool


def row_texts(comparison: Comparison, limit: int = sys.maxsize) -> list[RowText]:
    """The first rows of a comparison: numbers as short as tells them apart, gains in the unit of the margin."""
    return [_row_text(row, compared=comparison.incumbent is not None) for row in comparison.rows[:limit]]


def _row_text(row: Row, *, compared: bool) -> RowText:
    incumbent, candidate = _told_apart(row.incumbent, row.candidate)
    return RowText(
        metric=row.criterion.metric,
        direction="↑" if row.criterion.goal == "maximize" else "↓",
        incumbent=incumbent,
        candidate=candidate,
        gain=gain_text(row),
        needed=row.required,
        outcome=row.outcome if compared or row.outcome != "unknown" else "not compared",
        is_guardrail=row.criterion.max_loss is not None and row.criterion.min_gain is None,
    )


def gain_text(row: Row) -> str:
    """`+1.2%` when a margin of the criterion is relative, `+0.012` otherwise, MISSING when there is none."""
    margins = (row.criterion.min_gain, row.criterion.max_loss)
    if any(margin and margin.relative for margin in margins) and row.relative_gain is not None:
        return f"{row.relative_gain * 100 + 0.0:+.4g}%"
    return MISSING if row.gain is None else f"{row.gain + 0.0:+.4g}"


def _told_apart(one: float | None, other: float | None) -> tuple[str, str]:
    short = _short(one), _short(other)
    return (repr(one), repr(other)) if is_known(one) and one != other and short[0] == short[1] else short


def _short(number: float | None) -> str:
    if number is None:
        return MISSING
    if is_known(number):
        return f"{number:.6g}"
    return "NaN" if math.isnan(number) else "∞" if number > 0 else "-∞"


def headings(slot: str, comparison: Comparison) -> tuple[str, str]:
    """What the columns of the two sides are called: `Production v3`, `Candidate v5`."""
    return f"{slot} {side_text(comparison.incumbent)}", f"Candidate {side_text(comparison.candidate)}"


def side_text(side: Measured | None) -> str:
    """`v3`, or `empty`."""
    return version_text(side.identity if side else None)


def winner(proposal: Proposal) -> str:
    """Which version won what."""
    verb = "is better for" if proposal.incumbent else "qualifies for the empty slot"
    return f"{version_text(proposal.candidate)} {verb} {proposal.slot}"


def decision(proposal: Proposal) -> str:
    """Why the proposal is made, in one clause."""
    rows = proposal.comparison.rows
    if proposal.incumbent is None:
        floors = sum(row.outcome == "pass" for row in rows)
        return f"{_all_hold(floors, 'absolute floor')}; nothing was compared, as the slot is empty"
    holds = f"{_all_hold(len(rows), 'criterion', 'criteria')} against {version_text(proposal.incumbent)}"
    return holds if rows[0].gain is None else f"{_on_first(rows[0], rows[0].gain)}, and {holds}"


def _on_first(row: Row, gain: float) -> str:
    what = "a gain" if gain > 0 else "a loss" if gain < 0 else "a difference"
    return f"{what} of {gain_text(row).lstrip('+-')} on `{row.criterion.metric}`"


def _all_hold(count: int, noun: str, plural: str = "") -> str:
    if count == 1:
        return f"its only {noun} holds"
    return f"{'both' if count == 2 else f'all {count:,}'} {plural or noun + 's'} hold"


def propose_command(proposal: Proposal, *options: str) -> str:
    """The command that proposes for the same model."""
    return f"`{' '.join(('stagewright propose', *options, shell_word(proposal.model)))}`"


_LONGEST_WORD = 1_000


def shell_word(name: str) -> str:
    """A name as the last words of a command in bash: none of it is run, or taken for an option.

    What cannot be seen in it is an escape that bash reads.
    """
    shown = exact(name, _LONGEST_WORD)
    quoted = shlex.quote(name) if shown == name else "$'{}'".format(shown.replace("'", "\\'"))
    return f"-- {quoted}" if name.startswith("-") else quoted


def verdict_text(examined: Examined) -> str:
    """The verdict, or `not compared`."""
    return examined.verdict or "not compared"


def why_text(examined: Examined) -> str:
    """Why a candidate was not chosen, without repeating that it was not compared."""
    return examined.why.removeprefix("not compared: ")


def compared_count(examined: Sequence[Examined]) -> int:
    """How many candidates were compared."""
    return sum(one.verdict is not None for one in examined)


@dataclass(frozen=True, slots=True)
class EditText:
    """One value of a model's file that a pull request changes: where it is, and both values as YAML."""

    section: str
    slot: str
    before: str
    after: str

    @property
    def undone(self) -> EditText:
        """The edit that takes this one back."""
        return EditText(self.section, self.slot, self.after, self.before)


def edit_texts(proposal: Proposal) -> tuple[EditText, ...]:
    """The edits of a proposal. Besides its slot it can only empty the Staging that its candidate leaves."""
    before = {proposal.slot: proposal.incumbent}
    return tuple(
        EditText(
            section=section,
            slot=slot,
            before=yaml_text(_number_of(before.get(slot, proposal.candidate))),
            after=yaml_text(value),
        )
        for (section, slot), value in proposal.edits.items()
    )


def _number_of(identity: Identity | None) -> int | None:
    return identity.version if identity else None


def yaml_text(value: int | None) -> str:
    """A slot's value as a model's file has it."""
    return "null" if value is None else str(value)


def write_text(write: Write) -> str:
    """One write to the registry, as an imperative."""
    model = exact(write.model)
    match write:
        case SetAlias():
            return f"{model}: point the alias {write.alias} at v{write.version}"
        case DeleteAlias():
            return f"{model}: remove the alias {write.alias}"
        case _:
            rest = ", and archive what it holds" if write.archive_existing else ""
            return f"{model}: move v{write.version} to {write.stage}{rest}"


@dataclass(frozen=True, slots=True)
class SlotText:
    """One slot and what happens or happened to it. `result` begins with one word; `detail` may be empty."""

    model: str
    slot: str
    move: str
    result: str
    detail: str = ""
    way_out: str = ""
    pull_request: int | None = None


Shown: TypeAlias = Change | Adoption | Unmanagement | Refusal


def items_to_show(items: Sequence[Item]) -> tuple[Shown, ...]:
    """What of a plan is not in sync."""
    return tuple(item for item in items if not isinstance(item, InSync))


def item_text(item: Shown) -> SlotText:
    """One item of a plan."""
    model, slot = item.key
    match item:
        case Change():
            detail = "goes on with what an interrupted run intended" if item.resumes else ""
            return SlotText(model, slot, move_text(item.before, item.after), item.kind, detail)
        case Adoption():
            known = "the log is told, as somebody moved it there already" if item.known else "the log learns of it"
            return SlotText(
                model, slot, version_text(item.after), "adoption", f"the registry holds it already; {known}"
            )
        case Unmanagement():
            detail = "Git no longer manages it; the registry keeps what it holds"
            return SlotText(model, slot, version_text(item.before), "unmanage", detail)
        case Refusal():
            move = move_text(item.before, item.after) if item.before or item.after else MISSING
            return SlotText(model, slot, move, f"refused: {item.guard}", item.reason, item.way_out)


def entry_text(entry: Entry) -> SlotText:
    """One entry of the audit log. Why a slot was refused stands in the log together with the way out."""
    model, slot = entry.key
    after, before = entry.identity_after, entry.identity_before
    move = version_text(after) if entry.event == "adopted" else move_text(before, after)
    if entry.kind == "unmanage":
        move = version_text(before)
    way_out = "Run `stagewright apply` again, or wait for its schedule." if entry.event == "failed" else ""
    return SlotText(model, slot, move, _result(entry), entry.reason or _silent(entry), way_out, entry.pull_request)


def _result(entry: Entry) -> str:
    if entry.event == "refused" and entry.guard:
        return f"refused: {entry.guard}"
    return f"{entry.event}: {entry.kind}" if entry.event == "applied" and entry.kind else entry.event


def _silent(entry: Entry) -> str:
    """What an entry without a reason means, where that is not plain."""
    if entry.event == "adopted":
        return "the registry held it already; nothing was written there"
    if entry.kind == "unmanage":
        return "Git no longer manages it; the registry keeps what it holds"
    return ""


def moment_text(moment: str) -> str:
    """A time of the log, to the minute: `2026-11-03 12:00`."""
    return moment[:16].replace("T", " ")


def short_sha(sha: str) -> str:
    """The seven characters by which people know a commit."""
    return sha[:7]

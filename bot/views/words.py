"""Says values of the core in words that the terminal and Markdown share. Who prints them escapes them."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bot.core.audit import Entry
from bot.core.comparison import Comparison, Measured, Row, has_margin, is_known, margin_text, name_of
from bot.core.examination import Examined
from bot.core.noise import Judged, Unknown, if_one_by_one
from bot.core.plan import Adoption, Change, InSync, Item, Refusal, Unmanagement
from bot.core.proposal import Proposal
from bot.core.spec import NoisePolicy
from bot.core.state import DeleteAlias, Identity, SetAlias, Write
from bot.views.escape import exact
from bot.views.findings import counted as counted

MISSING = "–"
GAINS = "↑ higher is better, ↓ lower is better. A positive gain is better, whichever way the metric counts."
SLICE = "slice"
_SHOWN = 5


def version_text(identity: Identity | None) -> str:
    """`v3`, or `empty` for a slot that holds nothing."""
    return name_of(identity) if identity else "empty"


def move_text(before: Identity | None, after: Identity | None) -> str:
    """`v3 → v5`, `empty → v1`."""
    return f"{version_text(before)} → {version_text(after)}"


@dataclass(frozen=True, slots=True)
class RowText:
    """One row of a comparison table, as text.

    `interval` is empty where nothing is compared. `needed_now` is the gain that this noise asks for, empty where it is
    not known. `marks` say what is special: a guardrail, a slice and so on.
    """

    metric: str
    direction: str
    incumbent: str
    candidate: str
    gain: str
    interval: str
    needed: str
    needed_now: str
    outcome: str
    marks: tuple[str, ...]


def row_texts(comparison: Comparison, limit: int = sys.maxsize) -> list[RowText]:
    """The first rows of a comparison: numbers as short as tells them apart, gains in the unit of the margin."""
    return [_row_text(row, compared=comparison.incumbent is not None) for row in comparison.rows[:limit]]


def _row_text(row: Row, *, compared: bool) -> RowText:
    incumbent, candidate = _told_apart(row.incumbent, row.candidate)
    judged = row.judged
    return RowText(
        metric=row.metric,
        direction="↑" if row.criterion.goal == "maximize" else "↓",
        incumbent=incumbent,
        candidate=candidate,
        gain=gain_text(row),
        interval=interval_text(row),
        needed=row.required or MISSING,
        needed_now=_needed_now(judged) if judged else "",
        outcome=row.outcome if compared or row.outcome != "unknown" else "not compared",
        marks=tuple(_marks(row)),
    )


def _marks(row: Row) -> Iterator[str]:
    criterion = row.criterion
    if criterion.max_loss is not None and criterion.min_gain is None:
        yield "guardrail"
    if row.metric != criterion.metric:
        yield SLICE
    if criterion.source != "run":
        yield "from a version tag"
    if not criterion.required:
        yield "only informs"
    if row.acknowledged:
        yield "acknowledged"


def gain_text(row: Row) -> str:
    """`+1.2%` when it is judged in % of the incumbent, `+0.012` otherwise, MISSING when there is none."""
    if _in_percent(row) and row.relative_gain is not None:
        return _signed(row.relative_gain, relative=True)
    return MISSING if row.gain is None else _signed(row.gain, relative=False)


def _in_percent(row: Row) -> bool:
    margins = (row.criterion.min_gain, row.criterion.max_loss)
    return row.judged.margin.relative if row.judged else any(margin and margin.relative for margin in margins)


def _signed(number: float, *, relative: bool) -> str:
    return f"{number * 100 + 0.0:+.4g}%" if relative else f"{number + 0.0:+.4g}"


def interval_text(row: Row) -> str:
    """`+0.4% to +2.1%`; why there is none where a gain has no interval; empty where nothing was to be tested."""
    judged = row.judged
    if judged is None:
        return "noise unknown" if has_margin(row.criterion) and row.gain is not None else ""
    lower, upper = (_bound(bound, judged) for bound in (judged.lower, judged.upper))
    return f"{lower} to {upper}" if judged.lower is not None or judged.upper is not None else "no bounds"


def _bound(bound: float | None, judged: Judged) -> str:
    return "no bound" if bound is None else _signed(bound, relative=judged.margin.relative)


def _needed_now(judged: Judged) -> str:
    return (
        "no gain is enough" if judged.needed is None else f"≥ {_signed(judged.needed, relative=judged.margin.relative)}"
    )


def _told_apart(one: float | None, other: float | None) -> tuple[str, str]:
    short = number_text(one), number_text(other)
    return (repr(one), repr(other)) if is_known(one) and one != other and short[0] == short[1] else short


def number_text(number: float | None) -> str:
    """A number as short as a table needs it."""
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
    rows = [row for row in proposal.comparison.rows if row.criterion.required]
    if proposal.incumbent is None:
        limits = sum(row.outcome == "pass" for row in rows)
        return f"{_all_hold(limits, 'absolute limit')}; nothing was compared, as the slot is empty"
    criteria = len({row.index for row in rows})
    slices = f" on all {len(rows):,} metrics and slices" if len(rows) > criteria else ""
    which = "required " if len(rows) < len(proposal.comparison.rows) else ""
    held = _all_hold(criteria, f"{which}criterion", f"{which}criteria")
    holds = f"{held} against {version_text(proposal.incumbent)}{slices}"
    return holds if rows[0].gain is None else f"{_on_first(rows[0], rows[0].gain)}, and {holds}"


def _on_first(row: Row, gain: float) -> str:
    what = "a gain" if gain > 0 else "a loss" if gain < 0 else "a difference"
    said = f"{what} of {gain_text(row).lstrip('+-')} on `{row.metric}`"
    judged = row.judged
    if judged is None or judged.lower is None:
        return f"{said} ({interval_text(row)})" if has_margin(row.criterion) else said
    sure = _signed(judged.lower, relative=judged.margin.relative)
    return f"{said} ({sure} or more with {percent(1 - judged.level)} confidence)"


@dataclass(frozen=True, slots=True)
class NoiseText:
    """How the noise of some gains is known, or why not, and the p of the least sure of them."""

    metrics: tuple[str, ...]
    noise: str
    p: str


def noise_texts(comparison: Comparison) -> list[NoiseText]:
    """How the noise of each gain is known, in the order of the rows, those that share it together."""
    found: dict[str, list[Row]] = {}
    for row in comparison.rows:
        if has_margin(row.criterion) and row.gain is not None:
            said = row.estimate.reason if isinstance(row.estimate, Unknown) else row.estimate.method
            found.setdefault(said, []).append(row)
    return [NoiseText(tuple(row.metric for row in rows), said, _largest_p(rows)) for said, rows in found.items()]


def _largest_p(rows: Sequence[Row]) -> str:
    p_values = [row.judged.p for row in rows if row.judged]
    return f"{max(p_values):.2g}" if p_values else MISSING


def bounds_text(comparison: Comparison) -> str:
    """What the intervals mean; empty where there is none."""
    if not any(row.judged for row in comparison.rows):
        return ""
    return f"Each bound of an interval holds by itself with {percent(1 - comparison.level)} confidence."


def acknowledged_texts(comparison: Comparison) -> Iterator[str]:
    """Which gains somebody looked into although they seem too good, and what that somebody says."""
    for row in comparison.rows:
        if row.acknowledged and row.criterion.max_gain:
            gain, most = gain_text(row), margin_text(row.criterion.max_gain)
            yield f"The gain of {gain} on `{row.metric}` (`max_gain` {most}) is acknowledged: {row.acknowledged}"


def percent(share: float) -> str:
    """`95%`, `99.67%`."""
    return f"{share * 100:.4g}%"


def _all_hold(count: int, noun: str, plural: str = "") -> str:
    if count == 1:
        return f"its only {noun} holds"
    return f"{'both' if count == 2 else f'all {count:,}'} {plural or noun + 's'} hold"


def luck_texts(proposal: Proposal) -> Iterator[str]:
    """What luck alone would give, in sentences. Of n equal versions and an equal incumbent each is the best equally
    often, so that one of the n looks better than the incumbent in n of n + 1 cases.
    """
    evidence, comparison = proposal.evidence, proposal.comparison
    if evidence.incumbent is None:
        yield "Nothing was compared, so that nothing says whether another version would do better."
        return
    count, days = len(evidence.family) + 1, counted(evidence.noise.window_days, "day")
    theirs = version_text(evidence.incumbent)
    if count == 1:
        yield f"This is the only version that was looked at since {days} before it was registered."
        yield f"Were it exactly as good as {theirs}, it would still look better in 1 of 2 such cases."
    else:
        yield f"{count:,} versions were looked at: this one, and what was registered from {days} before it until now."
        yield (
            f"Were all of them exactly as good as {theirs}, the best would still look better than {theirs} in "
            f"{100 * count // (count + 1)} of 100 such cases."
        )
    yield from _tested_text(comparison, evidence.noise, count)
    yield from _unknown_noise(comparison)


def _tested_text(comparison: Comparison, noise: NoisePolicy, count: int) -> Iterator[str]:
    if comparison.p is None:
        return
    accepted, expected = 1 - noise.confidence, noise.expected_candidates
    together = (
        f"the {expected:,} versions that the policy expects in {counted(noise.window_days, 'day')}"
        if count < expected
        else "them together"
    )
    share = f", its share of the {percent(accepted)} that are accepted for all of {together} (Holm)"
    yield (
        f"Tested at {percent(comparison.level)}{share if max(count, expected) > 1 else ''}: so seldom at most would a"
        f" version pass that is no better than its margins ask. The least sure of its gains has p = {comparison.p:.2g}."
    )
    if count > expected:
        yield (
            f"The policy expects {expected:,} versions: had these been judged one by one,"
            f" {percent(if_one_by_one(accepted, count, expected))} would have been accepted."
        )


def _unknown_noise(comparison: Comparison) -> Iterator[str]:
    rows = [row for row in comparison.rows if row.criterion.required and has_margin(row.criterion) and not row.judged]
    if rows:
        yield f"Noise is unknown for {named([row.metric for row in rows])}: luck is not ruled out there."


def named(metrics: Sequence[str]) -> str:
    """Metrics by name; of many the first, and how many more there are."""
    more = f" and {len(metrics) - _SHOWN:,} more" if len(metrics) > _SHOWN else ""
    return ", ".join(f"`{metric}`" for metric in metrics[:_SHOWN]) + more


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


def rollback_command(proposal: Proposal) -> str:
    """The command that takes the promotion back once it is merged."""
    model, slot = shlex.quote(proposal.model), shlex.quote(proposal.slot)
    return f'`stagewright rollback {model} --slot {slot} --reason "..."`'


def verdict_text(examined: Examined) -> str:
    """The verdict, or `not compared`."""
    return examined.verdict or "not compared"


def why_text(examined: Examined) -> str:
    """Why a candidate was not chosen, without repeating that it was not compared."""
    return examined.why.removeprefix("not compared: ")


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
            rest = ", and archive whatever is there" if write.archive_existing else ""
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
            return SlotText(
                model, slot, _refused_text(item.before, item.after), f"refused: {item.guard}", item.reason, item.way_out
            )


def entry_text(entry: Entry) -> SlotText:
    """One entry of the audit log. Why a slot was refused stands in the log together with the way out."""
    model, slot = entry.key
    after, before = entry.identity_after, entry.identity_before
    move = version_text(after) if entry.event == "adopted" else move_text(before, after)
    if entry.event == "refused":
        move = _refused_text(before, after)
    if entry.kind == "unmanage":
        move = version_text(before)
    way_out = "Run `stagewright apply` again, or wait for its schedule." if entry.event == "failed" else ""
    return SlotText(model, slot, move, _result(entry), entry.reason or _silent(entry), way_out, entry.pull_request)


def _refused_text(before: Identity | None, after: Identity | None) -> str:
    """What was not moved; MISSING where the guard refused before either side was known."""
    return move_text(before, after) if before or after else MISSING


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

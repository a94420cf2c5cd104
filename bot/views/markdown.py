"""The Markdown that GitHub shows to reviewers: a proposal's title and body, and what a merged pull request is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bot.core.audit import Entry, Link
from bot.core.comparison import Comparison
from bot.core.proposal import Examined, Proposal
from bot.core.spec import file_of_model
from bot.core.state import Identity, Run, is_stage
from bot.views import answers, words
from bot.views.addresses import run_address, side_by_side_address, version_address
from bot.views.escape import Markdown, cell, code, inert, joined, link, prose

BODY_BUDGET: Final = 60_000
"""Characters; GitHub refuses a body of more than 65,536."""
PATH: Final = 300
LINES: Final = 200
"""Of a long list in the answer of a command; the job summary has 1 MiB."""
PEOPLE: Final = 20
_FOLLOWERS: Final = 20
_DATA_DIGESTS: Final = 3
_OPEN_OTHERS: Final = 10
_ENTRIES: Final = (100, 30, 10, 5)


@dataclass(frozen=True, slots=True)
class _Length:
    """How many other candidates and how many rows a body shows."""

    others: int = sys.maxsize
    rows: int = sys.maxsize


_SHEDDING: Final = (
    _Length(),
    _Length(others=100),
    _Length(others=10),
    _Length(others=10, rows=100),
    _Length(others=3, rows=10),
)


def filled(template: str, **values: object) -> Markdown:
    """A template, filled; Jinja2 is imported only now, so that text and JSON do not wait for it."""
    from bot.views import templating  # noqa: PLC0415 - see the docstring

    return templating.filled(template, **values)


def proposal_title(proposal: Proposal) -> str:
    """The title of a proposal's pull request, which is also the subject of its commit: plain text, nothing in it acts.

    At most 256 characters, as GitHub allows.
    """
    instead = f"replacing {words.version_text(proposal.incumbent)}" if proposal.incumbent else "the first version there"
    model, slot = inert(proposal.model), inert(proposal.slot, 60)
    return f"Promote {model} {words.version_text(proposal.candidate)} to {slot}, {instead}"


def proposal_body(proposal: Proposal, runs: Mapping[str, Run], registry: str) -> str:
    """The body of a proposal's pull request, for a reviewer with two minutes.

    `runs` maps run ids to the runs of both sides; one that is absent is shown by its id. `registry` is the address
    without credentials; links to the MLflow UI need it to be http(s). The body stays within 60,000 characters whatever
    the input. What does not fit is shed in this order, and the body says what it left out and where it is found:
    1. other candidates but the newest 100, 2. other candidates but the newest 10, 3. criteria but the first 100,
    4. criteria but the first 10 and other candidates but the newest 3. Names, sentences and the few other lists are
    always bounded.
    """
    values = _body_values(proposal, runs, registry)
    bodies = (_body(proposal, values, registry, length) for length in _SHEDDING)
    return next(body for body in bodies if len(body) <= BODY_BUDGET)


def apply_comment(entries: Sequence[Entry], head: Link) -> str:
    """What a merged pull request is told: per slot what became of it, each refusal with its reason and way out.

    `entries` are those of this pull request, `intended` ones excluded; `head` is the newest entry of the whole log.
    Within 60,000 characters: of more entries than fit the newest are shown, and the comment says how many are not.
    """
    comments = (_comment(entries, entries[-most:], head) for most in _ENTRIES)
    return next(comment for comment in comments if len(comment) <= BODY_BUDGET)


def _comment(entries: Sequence[Entry], shown: Sequence[Entry], head: Link) -> Markdown:
    return filled(
        "comment.md.j2",
        headline=answers.headline(entries),
        slots=[words.entry_text(entry) for entry in shown],
        left_out=len(entries) - len(shown),
        approval=_approval(entries),
        runs=_runs_of(entries),
        first=entries[0].seq if entries else head.entry.seq,
        last=entries[-1].seq if entries else head.entry.seq,
        head=head,
    )


def comparison_table(slot: str, comparison: Comparison, limit: int = sys.maxsize) -> Markdown:
    """The rows of a comparison as a Markdown table, at most `limit` of them."""
    incumbent, candidate = words.headings(slot, comparison)
    rows = words.row_texts(comparison, limit)
    return filled("comparison.md.j2", incumbent=incumbent, candidate=candidate, rows=rows)


def _body(proposal: Proposal, values: Mapping[str, object], registry: str, length: _Length) -> Markdown:
    others, rows = proposal.others, proposal.comparison.rows
    return filled(
        "proposal.md.j2",
        **values,
        table=comparison_table(proposal.slot, proposal.comparison, length.rows),
        others=[other_row(one, registry) for one in others[: length.others]],
        fold_others=len(others) > _OPEN_OTHERS,
        left_out=tuple(
            _left_out(("other candidates", len(others), length.others), ("criteria", len(rows), length.rows))
        ),
    )


def _left_out(*lists: tuple[str, int, int]) -> Iterator[str]:
    for what, total, shown in lists:
        if total > shown:
            yield f"{total - shown:,} of {total:,} {what}"


def _body_values(proposal: Proposal, runs: Mapping[str, Run], registry: str) -> dict[str, object]:
    """Everything in a body that is never shed."""
    evidence = proposal.evidence
    sides = [side for side in (proposal.incumbent, proposal.candidate) if side]
    compared = words.compared_count(proposal.others) + 1
    return {
        "model": proposal.model,
        "slot": proposal.slot,
        "candidate": words.version_text(proposal.candidate),
        "incumbent": words.version_text(proposal.incumbent) if proposal.incumbent else "",
        "decision": words.decision(proposal),
        "comparison": proposal.comparison,
        "noise": f"{words.NOISE}; {'one was' if compared == 1 else f'{compared:,} were'} compared here.",
        "sides": [
            _side(side, evidence_data, commit, runs, registry) for side, evidence_data, commit in _sides(proposal)
        ],
        "side_by_side": _side_by_side(sides, registry),
        "moves": tuple(_moves(proposal)),
        "archived": is_stage(proposal.slot) and proposal.incumbent is not None,
        "edits": words.edit_texts(proposal),
        "model_file": code(file_of_model(proposal.model), PATH),
        "evidence_file": code(evidence.path, PATH),
        "evidence": evidence,
        "content_digest": proposal.content_digest,
        "number": proposal.candidate.version,
    }


def other_row(one: Examined, registry: str) -> dict[str, str]:
    """One row of the table of other candidates."""
    version = link(prose(words.version_text(one.identity)), version_address(registry, one.identity) or "")
    return {"version": version, "verdict": words.verdict_text(one), "why": words.why_text(one)}


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of the comparison in the table of links."""

    heading: str
    version: Markdown
    run: Markdown
    trained: Markdown
    code: Markdown
    data: Markdown


def _sides(proposal: Proposal) -> Iterator[tuple[Identity, tuple[str, ...], str | None]]:
    evidence = proposal.evidence
    if proposal.incumbent:
        yield proposal.incumbent, evidence.evaluation_data.incumbent, evidence.incumbent_git_commit
    yield proposal.candidate, evidence.evaluation_data.candidate, evidence.candidate_git_commit


def _side(
    identity: Identity, data: tuple[str, ...], commit: str | None, runs: Mapping[str, Run], registry: str
) -> _Side:
    run = runs.get(identity.run_id or "")
    version = words.version_text(identity)
    return _Side(
        heading=version,
        version=link(prose(version), version_address(registry, identity) or ""),
        run=_run(identity, run, registry),
        trained=_trained(run),
        code=cell(commit) if commit else prose(words.MISSING),
        data=limited([cell(digest) for digest in data], _DATA_DIGESTS),
    )


def _run(identity: Identity, run: Run | None, registry: str) -> Markdown:
    if identity.run_id is None:
        return prose("registered without a run")
    return link(cell(run.name if run and run.name else identity.run_id), run_address(registry, identity) or "")


def _trained(run: Run | None) -> Markdown:
    if run is None or not 0 < run.started_at < 253_402_300_800_000:  # the end of the year 9999
        return prose(words.MISSING)
    started = datetime.fromtimestamp(run.started_at // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return joined([prose(started), cell(run.user)], " by ") if run.user else prose(started)


def limited(parts: Sequence[Markdown], limit: int) -> Markdown:
    """Parts in a row; of more than `limit`, how many are left out."""
    if not parts:
        return prose(words.MISSING)
    more = [prose(f"and {len(parts) - limit:,} more")] if len(parts) > limit else []
    return joined([*parts[:limit], *more])


def people(logins: Sequence[str], form: Callable[[str], Markdown] = code) -> Markdown:
    """Logins in code spans, so that nobody is notified; in a table their form is `cell`. Nothing for nobody."""
    return limited([form(login) for login in logins], PEOPLE) if logins else Markdown("")


def could_approve(logins: Sequence[str]) -> Markdown:
    """Whom to ask for an approval, or what to do where there is nobody."""
    nobody = "nobody could approve: give somebody the permission that the rule asks for"
    return Markdown(f"could approve: {people(logins)}") if logins else prose(nobody)


def capped(most: int, **lists: Sequence[Any]) -> dict[str, Any]:
    """The first of each list, and as `more_<name>` how many are left out."""
    shown: dict[str, Any] = {name: items[:most] for name, items in lists.items()}
    return shown | {f"more_{name}": max(0, len(items) - most) for name, items in lists.items()}


def _side_by_side(sides: Sequence[Identity], registry: str) -> Markdown | str:
    address = side_by_side_address(registry, *sides) if len(sides) == 2 else None
    return link(prose("Both side by side in MLflow"), address) if address else ""


def _moves(proposal: Proposal) -> Iterator[tuple[str, str, str, str]]:
    """Slot, what it holds now, what it will hold, and why; the slots that move when the proposal is merged."""
    before, after = words.version_text(proposal.incumbent), words.version_text(proposal.candidate)
    yield proposal.slot, before, after, "this proposal"
    followers = proposal.evidence.followers
    for alias in followers[:_FOLLOWERS]:
        yield alias, before, after, f"follows {proposal.slot}"
    if len(followers) > _FOLLOWERS:
        yield "…", before, after, f"{len(followers) - _FOLLOWERS:,} more aliases follow {proposal.slot}"
    if ("stages", "Staging") in proposal.edits and proposal.slot != "Staging":
        yield "Staging", after, "empty", f"{after} leaves it, as a version has one stage"


def _approval(entries: Sequence[Entry]) -> Markdown | str:
    mandate = next((entry.mandate for entry in reversed(entries) if entry.mandate), None)
    if mandate is None:
        return ""
    approvers = limited([code(login) for login in mandate.approvers], _FOLLOWERS)
    merged = f", merged by {code(mandate.merged_by)}" if mandate.merged_by else ""
    return Markdown(f"Approved by {approvers}{merged}.")


def _runs_of(entries: Sequence[Entry]) -> Markdown | str:
    """Links to the workflow runs that wrote these entries."""
    addresses = list(dict.fromkeys(entry.run for entry in entries if entry.run))[-3:]
    names = ["this run"] if len(addresses) == 1 else [f"run {number}" for number in range(1, len(addresses) + 1)]
    return joined([link(prose(name), run) for name, run in zip(names, addresses, strict=True)])

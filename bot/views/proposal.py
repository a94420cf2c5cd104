"""What the pull request of a proposal says: its title, and a body that a reviewer can decide on in two minutes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bot.core.approval import RuleResult
from bot.core.merging import ProposalCase
from bot.core.proposal import Proposal
from bot.core.pulls import UNMADE
from bot.core.spec import APPROVAL_POLICY, file_of_model
from bot.core.state import Identity, Run, is_stage
from bot.views import words
from bot.views.addresses import (
    artifacts_address,
    commits_address,
    file_address,
    is_sha,
    run_address,
    side_by_side_address,
    version_address,
)
from bot.views.differences import commit_of, data_texts, param_texts, repository_of
from bot.views.escape import Markdown, cell, code, image, inert, joined, link, prose
from bot.views.markdown import BODY_BUDGET, PATH, filled, limited, other_row, rows_table

_FEW: Final = 5
_OPEN: Final = 10
"""Rows of a table beyond which it is folded."""
_PEOPLE: Final = 20
_SLOTS: Final = 20
_LONGEST_VALUE: Final = 60


@dataclass(frozen=True, slots=True)
class _Length:
    """How many of each a body shows."""

    others: int = sys.maxsize
    params: int = sys.maxsize
    noise: int = sys.maxsize
    rows: int = sys.maxsize


_SHEDDING: Final = (
    _Length(),
    _Length(others=100),
    _Length(others=100, params=50),
    _Length(others=10, params=50),
    _Length(others=10, params=10),
    _Length(others=10, params=10, noise=10),
    _Length(others=10, params=10, noise=10, rows=100),
    _Length(others=3, params=3, noise=3, rows=10),
)


def proposal_title(proposal: Proposal) -> str:
    """The title of a proposal's pull request, which is also the subject of its commit: plain text, nothing in it acts.

    At most 256 characters, as GitHub allows.
    """
    instead = f"replacing {words.version_text(proposal.incumbent)}" if proposal.incumbent else "the first version there"
    model, slot = inert(proposal.model), inert(proposal.slot, 60)
    return f"Promote {model} {words.version_text(proposal.candidate)} to {slot}, {instead}"


def proposal_body(case: ProposalCase) -> Markdown:
    """The body of a proposal's pull request.

    Links to the MLflow UI need an http(s) registry. The body stays within 60,000 characters whatever the input. What
    does not fit is shed in this order, and the body says what it left out and where it is found:
    1. other candidates but the newest 100, 2. parameters but the first 50, 3. other candidates but the newest 10,
    4. parameters but the first 10, 5. how the noise is known, but the first 10 ways, 6. metrics but the first 100,
    7. metrics but the first 10, and of everything else but 3. Names, sentences and the few other lists are always
    bounded.
    """
    values = _body_values(case)
    params = param_texts(case.proposal, case.runs)
    bodies = (_body(case, values, params, length) for length in _SHEDDING)
    return next(body for body in bodies if len(body) <= BODY_BUDGET)


def _body(
    case: ProposalCase,
    values: Mapping[str, object],
    params: Sequence[tuple[str, str | None, str | None]],
    length: _Length,
) -> Markdown:
    proposal, registry = case.proposal, case.registry
    rows = words.row_texts(proposal.comparison)
    shown = rows[: length.rows]
    folded = _folded(shown)
    noise = words.noise_texts(proposal.comparison)
    others = proposal.others
    return filled(
        "proposal.md.j2",
        **values,
        table=rows_table(proposal.slot, proposal.comparison, [row for row in shown if row not in folded]),
        folded=rows_table(proposal.slot, proposal.comparison, folded) if folded else "",
        count_folded=len(folded),
        noise=[_noise(one) for one in noise[: length.noise]],
        others=[other_row(one, registry) for one in others[: length.others]],
        fold_others=len(others) > _OPEN,
        params=[tuple(map(_value, one)) for one in params[: length.params]],
        count_params=len(params),
        fold_params=len(params) > _OPEN,
        left_out=tuple(
            _left_out(
                ("other candidates", len(others), length.others),
                ("parameters", len(params), length.params),
                ("sorts of noise", len(noise), length.noise),
                ("metrics", len(rows), length.rows),
            )
        ),
    )


def _folded(rows: Sequence[words.RowText]) -> Sequence[words.RowText]:
    """Slices that pass, where they are so many that they would hide the rest."""
    slices = [row for row in rows if words.SLICE in row.marks and row.outcome == "pass"]
    return slices if len(slices) > _OPEN else []


def _value(param: str | None) -> Markdown:
    return prose(words.MISSING) if param is None else cell(param, _LONGEST_VALUE)


def _noise(text: words.NoiseText) -> dict[str, object]:
    return {"metrics": limited([cell(name) for name in text.metrics], _FEW), "said": text.noise, "p": text.p}


def _left_out(*lists: tuple[str, int, int]) -> Iterator[str]:
    for what, total, shown in lists:
        if total > shown:
            yield f"{total - shown:,} of {total:,} {what}"


def _body_values(case: ProposalCase) -> dict[str, object]:
    """Everything in a body that is never shed."""
    proposal, registry = case.proposal, case.registry
    evidence = proposal.evidence
    sides = [side for side in (proposal.incumbent, proposal.candidate) if side]
    return {
        "model": proposal.model,
        "slot": proposal.slot,
        "candidate": words.version_text(proposal.candidate),
        "incumbent": words.version_text(proposal.incumbent) if proposal.incumbent else "",
        "decision": words.decision(proposal),
        "requesters": limited([code(login) for login in case.requesters], _PEOPLE) if case.requesters else "",
        "owners": limited([code(owner) for owner in case.owners], _PEOPLE) if case.owners else "",
        "picture": _picture(case),
        "bounds": words.bounds_text(proposal.comparison),
        "acknowledged": list(words.acknowledged_texts(proposal.comparison))[:_OPEN],
        "luck": " ".join(words.luck_texts(proposal)),
        "data": list(data_texts(proposal, case.runs)),
        "commits": _commits(case),
        "differences": proposal.comparison.differences,
        "sides": [_side(side, case) for side in sides],
        "side_by_side": _side_by_side(sides, registry),
        "edits": words.edit_texts(proposal),
        "rollback": words.rollback_command(proposal),
        "model_file": code(file_of_model(proposal.model), PATH),
        "evidence_file": code(evidence.path, PATH),
        "evidence": evidence,
        "evidence_digest": evidence.digest,
        "content_digest": proposal.content_digest,
        "number": proposal.candidate.version,
        **_merging(case),
        **_approvals(case),
    }


def _picture(case: ProposalCase) -> Markdown | str:
    """The picture of the proposal's own commit, which gets its SHA only when it is made."""
    address = file_address(case.repository, UNMADE, case.picture) if case.picture else None
    return image("The gains with their bounds, and the first metric over versions", address) if address else ""


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of the comparison in the table of links."""

    heading: str
    version: Markdown
    run: Markdown
    artifacts: Markdown
    trained: Markdown


def _side(identity: Identity, case: ProposalCase) -> _Side:
    run = case.runs.get(identity.run_id or "")
    version = words.version_text(identity)
    artifacts = artifacts_address(case.registry, run) if run else None
    return _Side(
        heading=version,
        version=link(prose(version), version_address(case.registry, identity) or ""),
        run=_run(identity, run, case.registry),
        artifacts=link(prose("files"), artifacts) if artifacts else prose(words.MISSING),
        trained=_trained(run),
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


def _side_by_side(sides: Sequence[Identity], registry: str) -> Markdown | str:
    address = side_by_side_address(registry, *sides) if len(sides) == 2 else None
    return link(prose("Both side by side in MLflow"), address) if address else ""


def _commits(case: ProposalCase) -> Markdown:
    """The training code of both sides, linked where both name the same repository on the web."""
    before, after = (
        case.runs.get(side.run_id or "") if side else None
        for side in (case.proposal.incumbent, case.proposal.candidate)
    )
    old, new = commit_of(before), commit_of(after)
    repository = repository_of(after) if before is None or repository_of(before) == repository_of(after) else ""
    if not old or not new or old == new:
        shown = _commit(new or old) if new or old else prose("not known")
        same = prose(", the same for both") if old and old == new else Markdown("")
        address = commits_address(repository, "", new) if new else None
        return joined([link(shown, address or ""), same], "")
    shown = joined([_commit(old), _commit(new)], " → ")
    address = commits_address(repository, old, new)
    return joined([shown, link(prose("the commits between them"), address)]) if address else shown


def _commit(sha: str) -> Markdown:
    return code(words.short_sha(sha) if is_sha(sha) else sha)


def _merging(case: ProposalCase) -> dict[str, object]:
    """What apply will do, in the words of `plan`."""
    merging, proposal = case.merging, case.proposal
    items = [item for item in words.items_to_show(merging.plan.items) if item.key[0] == proposal.model]
    return {
        "slots": [words.item_text(item) for item in items[:_SLOTS]],
        "more_slots": max(0, len(items) - _SLOTS),
        "writes": [words.write_text(write) for write in merging.writes[:_SLOTS]],
        "more_writes": max(0, len(merging.writes) - _SLOTS),
        "archived": is_stage(proposal.slot) and proposal.incumbent is not None,
        "needs_force": merging.needs_force,
    }


def _approvals(case: ProposalCase) -> dict[str, object]:
    needs = case.merging.needs
    return {
        "policy_file": APPROVAL_POLICY,
        "policy_commit": words.short_sha(case.policy_commit),
        "rules": [_rule(rule) for rule in needs.rules[:_OPEN]],
        "more_rules": max(0, len(needs.rules) - _OPEN),
        "ungoverned": needs.ungoverned[:_OPEN],
        "more_ungoverned": max(0, len(needs.ungoverned) - _OPEN),
    }


def _rule(rule: RuleResult) -> dict[str, object]:
    return {
        "name": rule.name,
        "count": words.counted(rule.needed, "approval"),
        "governs": limited([prose(text, PATH) for text in rule.governs], _FEW),
        "could": limited([code(login) for login in rule.could_approve], _PEOPLE) if rule.could_approve else "",
    }

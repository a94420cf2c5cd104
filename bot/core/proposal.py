"""Whether one model has a version that should replace the incumbent, and the edits that would say so.

1. Who is compared, and who is the best, says `bot.core.examination`.
2. Nothing is proposed for a slot that is not in agreement: Git's desired version is the one and only version that the
   registry holds there. The same goes for a managed Staging that the winner would leave.
3. The edits set the slot's version. A winner that leaves a managed Staging also empties Staging. Aliases that follow
   the slot need no edit.
4. The same identities, slot and criteria have the same content digest and the same branch, so that a proposal that
   was declined is recognised; what runs measured since is not part of it.
5. A branch has four segments whatever the names hold. A name that is not plain is shortened, and gets a dot and a
   digest of the whole name; no plain name has a dot, so two models never share a branch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from bot.core.canonical import canonical, digest
from bot.core.comparison import Comparison
from bot.core.details import Details
from bot.core.evidence import Circumstances, Evidence, OtherCandidate, freeze, pair_name
from bot.core.examination import Examined, best_of, examine, incumbent_of
from bot.core.holds import held_versions
from bot.core.spec import Follows, FromStage, ModelSpec, NewerThan, Promotion, PromotionPolicy, WithAlias
from bot.core.state import Digest, Identity, ModelVersion, RegisteredModel, Run, section_of
from bot.core.strictness import effective

BRANCH_ROOT: Final = "stagewright"

Edits: TypeAlias = Mapping[tuple[str, ...], int | None]
"""The path of a value in a model's file, e.g. ("stages", "Production"), to its new value."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one pull request would say. `others` are the candidates that were not chosen, newest first.

    `content_digest` is that of rule 4, not the evidence's.
    """

    model: str
    slot: str
    incumbent: Identity | None
    candidate: Identity
    comparison: Comparison
    others: tuple[Examined, ...]
    evidence: Evidence
    edits: Edits
    branch: str
    content_digest: Digest


@dataclass(frozen=True, slots=True)
class NothingToPropose:
    """Why a model gets no proposal, with the candidates that were looked at, newest first."""

    model: str
    reason: str
    examined: tuple[Examined, ...] = ()


def propose(
    spec: ModelSpec,
    model: RegisteredModel | None,
    runs: Mapping[str, Run],
    policy: PromotionPolicy,
    *,
    held: Mapping[int, str],
    registry: str,
    now: datetime,
    details: Details | None = None,
    winners: Sequence[Comparison] | None = None,
) -> Proposal | NothingToPropose:
    """What to propose for one model, or why nothing.

    `model` is None when the registry does not have it; it comes with all its versions. `runs` maps run ids to the runs
    of the incumbent and of the candidates; one that is absent does not exist. `held` maps the versions that the audit
    log keeps out of the slot to why; the holds of the model's file count on the day of `now` in UTC. `registry` is an
    address without credentials. `details` answers what `questions` asked of `winners`, those by
    their numbers, which are found again where they are not given. Raises ValueError when `now` has no time
    zone.
    """
    if now.tzinfo is None:
        raise ValueError("expected a moment with a time zone")
    if spec.promotion is None:
        return NothingToPropose(spec.name, "its file has no promotion section: add one to have versions proposed")
    if model is None:
        return NothingToPropose(spec.name, "the registry has no such model: register a version, or correct the name")
    slot = spec.promotion.slot
    problem = _unfit_slot(spec, slot) or _disagreement(spec, model, slot)
    if problem:
        return NothingToPropose(spec.name, problem)
    holds = held_versions(spec, slot, held, now.astimezone(UTC).date())
    policy = effective(policy, spec.promotion)
    examined = examine(spec, model, runs, policy, holds, now, details or Details(), winners)
    winner = best_of(examined)
    best = winner.comparison if winner else None
    if winner is None or best is None:
        return NothingToPropose(spec.name, _nothing(spec.promotion, incumbent_of(model, slot), examined), examined)
    leaves_staging = _leaves_staging(spec, slot, model.versions[best.candidate.identity.version])
    if leaves_staging and (problem := _disagreement(spec, model, "Staging")):
        return NothingToPropose(spec.name, problem, examined)
    others = tuple(one for one in examined if one.identity != best.candidate.identity)
    circumstances = Circumstances(
        slot=slot,
        followers=followers(spec, slot),
        registry=registry,
        decided_at=now,
        policy=policy,
        runs=runs,
        others=tuple(map(_other, others)),
        acknowledged=spec.promotion.acknowledged,
        family=winner.family,
    )
    return _proposal(best, others, freeze(best, circumstances), leaves_staging=leaves_staging)


def branches_of(model: str) -> str:
    """What the branches of all proposals for a model begin with, and no other branches do (rule 5)."""
    return f"{BRANCH_ROOT}/{_segment(model)}/"


def branch_prefix(model: str, slot: str) -> str:
    """What the branches of all proposals for a slot begin with, and no other branches do (rule 5)."""
    return branch_folder(BRANCH_ROOT, model, slot)


def branch_folder(root: str, model: str, slot: str) -> str:
    """What the branches below a root begin with that are about a slot, and no others (rule 5)."""
    return f"{root}/{_segment(model)}/{_segment(slot)}/"


# Rule 2


def _unfit_slot(spec: ModelSpec, slot: str) -> str | None:
    follows = spec.aliases.get(slot)
    if isinstance(follows, Follows):
        return f"{slot} follows {follows.follows}: set promotion.slot to {follows.follows}"
    if slot not in spec.desired():
        return f"{slot} is not managed: add it to `{section_of(slot)}`, with the version that it holds or null"
    return None


def _disagreement(spec: ModelSpec, model: RegisteredModel, slot: str) -> str | None:
    desired = spec.desired()[slot]
    actual = [version.identity.version for version in model.holding(slot)]
    if actual == ([] if desired is None else [desired]):
        return None
    held = " and ".join(f"v{number}" for number in actual) or "nothing"
    wanted = "nothing" if desired is None else f"v{desired}"
    return f"resolve drift first: {slot} should hold {wanted} and holds {held} in the registry"


def _leaves_staging(spec: ModelSpec, slot: str, winner: ModelVersion) -> bool:
    """Whether a winner for Production is in a managed Staging, by Git or by the registry."""
    if slot != "Production" or "Staging" not in spec.stages:
        return False
    return winner.stage == "Staging" or spec.stages["Staging"] == winner.identity.version


def _nothing(promotion: Promotion, incumbent: ModelVersion | None, examined: Sequence[Examined]) -> str:
    if not examined:
        return f"no candidate: {_why_no_candidate(promotion, incumbent)}"
    aim = f"is better than v{incumbent.identity.version}" if incumbent else "qualifies for the empty slot"
    return f"no candidate out of {len(examined)} {aim}"


def _why_no_candidate(promotion: Promotion, incumbent: ModelVersion | None) -> str:
    source = promotion.candidates
    but = f" other than v{incumbent.identity.version}" if incumbent else ""
    match source:
        case FromStage():
            return f"{source.from_} holds no version{but}"
        case NewerThan():
            return f"no version is newer than v{incumbent.identity.version}" if incumbent else "there is no version"
        case WithAlias():
            return f"the alias {source.alias} points at no version{but}"
        case _:
            return f"no version{but} has the tags {', '.join(f'{key}={value}' for key, value in source.tags.items())}"


# Rules 3 and 4


def followers(spec: ModelSpec, slot: str) -> tuple[str, ...]:
    """The aliases that follow a slot, in order."""
    following = (alias for alias, value in spec.aliases.items() if isinstance(value, Follows) and value.follows == slot)
    return tuple(sorted(following))


def _other(one: Examined) -> OtherCandidate:
    return OtherCandidate(identity=one.identity, verdict=one.verdict, why=one.why)


def _proposal(best: Comparison, others: tuple[Examined, ...], evidence: Evidence, *, leaves_staging: bool) -> Proposal:
    content = _content_digest(evidence)
    pair = pair_name(evidence.candidate.version, evidence.version_before)
    return Proposal(
        model=evidence.model,
        slot=evidence.slot,
        incumbent=evidence.incumbent,
        candidate=evidence.candidate,
        comparison=best,
        others=others,
        evidence=evidence,
        edits=_edits(evidence, leaves_staging=leaves_staging),
        branch=f"{branch_prefix(evidence.model, evidence.slot)}{pair}-{short_digest(content)}",
        content_digest=content,
    )


def _edits(evidence: Evidence, *, leaves_staging: bool) -> Edits:
    edit: dict[tuple[str, ...], int | None] = {(section_of(evidence.slot), evidence.slot): evidence.candidate.version}
    return {**edit, ("stages", "Staging"): None} if leaves_staging else edit


def _content_digest(evidence: Evidence) -> Digest:
    content = evidence.model_dump(mode="json", include={"model", "slot", "candidate", "incumbent", "criteria_digest"})
    return digest(canonical(content))


# Rule 5

_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,49}")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9_]+")


def _segment(name: str) -> str:
    """A name as one segment of a branch: at most 50 characters, none of which git or GitHub gives a meaning."""
    if _PLAIN.fullmatch(name):
        return name
    readable = _NOT_PLAIN.sub("-", name)[:40].strip("-") or "_"
    return f"{readable}.{short_digest(digest(name.encode()))}"


def short_digest(full: Digest) -> str:
    """Eight digits of a digest, as branches bear them."""
    return full.removeprefix("sha256:")[:8]

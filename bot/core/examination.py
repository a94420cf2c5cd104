"""Which versions are candidates, what each is worth against the incumbent, and which of them is the best.

1. Candidates come from the source that the model's file names, newest first, the incumbent itself excepted.
2. A candidate is not compared when its status is not READY, when it is held, when its run is gone, when it lacks what
   the policy or the model's file asks of a candidate (see `bot.core.eligibility`), or when it is in Production while
   the slot is Staging: a version has one stage, so the move would empty Production.
3. Of several winners the best on the first required criterion is chosen; equally good ones yield to the newest. Every
   other candidate is listed with its verdict and why not.
4. Chance is shared out among all that was looked at: the family of a candidate is every version of the model that was
   registered from one window before it was, up to now, the incumbent excepted. Whether it is a candidate today does
   not matter: somebody registered it for its numbers, and tagged or moved the best of them. A version that would not
   be promoted if it were the only one, or whose noise is unknown, counts with p = 1.
5. What costs a request of its own (noise, artifacts, signatures) is asked for only where the numbers alone win. Of the
   others nothing of the kind is known, and nothing of it counts against them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from bot.core.comparison import (
    Comparison,
    Measured,
    Row,
    Verdict,
    at_level,
    compare,
    has_margin,
    measured,
    metrics_of,
    signed,
)
from bot.core.details import Details, Questions, histories_of, noise_of
from bot.core.eligibility import missing_artifacts, unmet
from bot.core.evidence import FamilyMember, level_in_family
from bot.core.holds import held_versions
from bot.core.noise import looked_at_with
from bot.core.spec import FromStage, ModelSpec, NewerThan, Promotion, PromotionPolicy, WithAlias
from bot.core.state import Identity, ModelVersion, RegisteredModel, Run, moment
from bot.core.strictness import by_numbers, effective, eligibility_rules
from bot.core.traits import Traits


@dataclass(frozen=True, slots=True)
class Examined:
    """One candidate that was looked at. `verdict` and `comparison` are None when it was not compared (rule 3).

    `why` says why it is not the one that is proposed, or for the winner why it is.
    """

    identity: Identity
    verdict: Verdict | None
    why: str
    comparison: Comparison | None = None
    family: tuple[FamilyMember, ...] = ()


def candidates(spec: ModelSpec, model: RegisteredModel, incumbent: ModelVersion | None) -> tuple[ModelVersion, ...]:
    """The versions that might replace the incumbent, newest first (rule 1). None without a promotion section."""
    if spec.promotion is None:
        return ()
    found = (version for version in _from_source(spec.promotion, model, incumbent) if version != incumbent)
    return tuple(sorted(found, key=lambda version: version.identity.version, reverse=True))


def winners_by_numbers(
    spec: ModelSpec,
    model: RegisteredModel | None,
    runs: Mapping[str, Run],
    policy: PromotionPolicy,
    *,
    held: Mapping[int, str],
    now: datetime,
) -> tuple[Comparison, ...]:
    """The candidates whose numbers alone win; the arguments are those of `propose` (rule 5)."""
    if spec.promotion is None or model is None:
        return ()
    holds = held_versions(spec, spec.promotion.slot, held, now.astimezone(UTC).date())
    return _by_numbers(spec, spec.promotion, model, runs, effective(policy, spec.promotion), holds, now)


def questions(
    spec: ModelSpec,
    model: RegisteredModel | None,
    runs: Mapping[str, Run],
    policy: PromotionPolicy,
    winners: Sequence[Comparison],
) -> Questions:
    """What has to be known besides the runs before anything is proposed (rule 5).

    Only for candidates whose numbers win, and for the incumbent that they win against.
    """
    if spec.promotion is None or model is None:
        return Questions()
    return _questions(spec.promotion, model, winners, runs, effective(policy, spec.promotion))


def _by_numbers(
    spec: ModelSpec,
    promotion: Promotion,
    model: RegisteredModel,
    runs: Mapping[str, Run],
    policy: PromotionPolicy,
    held: Mapping[int, str],
    now: datetime,
) -> tuple[Comparison, ...]:
    """The candidates whose numbers alone win."""
    looks = _looks(spec, promotion, model, runs, policy, held, now, None)
    return tuple(look.comparison for look in looks if look.comparison and look.comparison.verdict == "promote")


def _questions(
    promotion: Promotion,
    model: RegisteredModel,
    winners: Sequence[Comparison],
    runs: Mapping[str, Run],
    policy: PromotionPolicy,
) -> Questions:
    artifacts = any(rules.artifacts for rules in eligibility_rules(policy, promotion))
    return replace(
        noise_questions(promotion, winners, runs, policy),
        artifacts=frozenset(one.candidate.identity.run_id or "" for one in winners) if artifacts else frozenset(),
        traits={side: model.versions[side.version].source for side in _sides(winners)},
    )


def noise_questions(
    promotion: Promotion, winners: Sequence[Comparison], runs: Mapping[str, Run], policy: PromotionPolicy
) -> Questions:
    """What has to be known of the noise of these comparisons; nothing where there is no incumbent."""
    found = [runs[side.run_id] for side in _sides(winners) if side.run_id and side.run_id in runs]
    metrics = {
        metric
        for one in winners
        for criterion in promotion.criteria
        if criterion.source == "run" and has_margin(criterion)
        for metric in metrics_of(criterion, policy.noise, one.incumbent, one.candidate)
    }
    asked = {run.run_id: {of for one in metrics for of in histories_of(one, run, policy.noise)} for run in found}
    table = policy.noise.examples
    return Questions(
        histories={run_id: frozenset(names) for run_id, names in asked.items() if names},
        tables={run.run_id: table.artifact for run in found} if table and table.metrics.keys() & metrics else {},
    )


def _sides(winners: Sequence[Comparison]) -> tuple[Identity, ...]:
    """Both sides of each pair."""
    sides = [side.identity for one in winners if one.incumbent for side in (one.incumbent, one.candidate)]
    return tuple(dict.fromkeys(sides))


def examine(
    spec: ModelSpec,
    model: RegisteredModel,
    runs: Mapping[str, Run],
    policy: PromotionPolicy,
    held: Mapping[int, str],
    now: datetime,
    details: Details,
    winners: Sequence[Comparison] | None = None,
) -> tuple[Examined, ...]:
    """Every candidate for a slot that holds at most one version, newest first, compared or with why not.

    `held` are all holds for the slot, those of the file included. `winners` are those by their numbers, where that is
    known already. Empty without a promotion section.
    """
    if spec.promotion is None:
        return ()
    if winners is None:
        winners = _by_numbers(spec, spec.promotion, model, runs, policy, held, now)
    asked = {one.candidate.identity for one in winners}
    looks = _looks(spec, spec.promotion, model, runs, policy, held, now, details, asked)
    members = _members(spec.promotion, model, looks)
    families = (_family(look.version.identity, members, policy) if look.comparison else () for look in looks)
    examined = tuple(_examined(look, family, spec.promotion) for look, family in zip(looks, families, strict=True))
    winner = best_of(examined)
    return tuple(_explained(one, winner) for one in examined)


@dataclass(frozen=True, slots=True)
class _Look:
    """One candidate, with what keeps it from being compared, or the comparison at the level of a single candidate.

    `policy` is the one that it is compared by.
    """

    version: ModelVersion
    obstacles: tuple[str, ...]
    comparison: Comparison | None
    policy: PromotionPolicy


def _looks(
    spec: ModelSpec,
    promotion: Promotion,
    model: RegisteredModel,
    runs: Mapping[str, Run],
    policy: PromotionPolicy,
    held: Mapping[int, str],
    now: datetime,
    details: Details | None,
    asked: Collection[Identity] = (),
) -> tuple[_Look, ...]:
    """What `details` tell, noise and traits, counts of those who were `asked` only (rule 5)."""
    incumbent = incumbent_of(model, promotion.slot)
    against = measured_with(incumbent, runs, policy, details) if incumbent else None
    of_numbers = by_numbers(policy)
    looks = []
    for version in candidates(spec, model, incumbent):
        candidate = measured_with(version, runs, policy, details)
        versus, judging = against, policy
        if version.identity not in asked:
            candidate, versus = _without_traits(candidate), _without_traits(against) if against else None
            judging = of_numbers
        obstacles = (
            *_obstacles(spec, promotion.slot, version, candidate, held),
            *_ineligible(version, promotion, policy, now),
        )
        comparison = None if obstacles else _compared(promotion, versus, candidate, judging)
        if comparison and details and comparison.verdict == "promote":
            obstacles = tuple(_without_artifacts(version, promotion, policy, details))
        looks.append(_Look(version, obstacles, None if obstacles else comparison, judging))
    return tuple(looks)


def _without_traits(side: Measured) -> Measured:
    """All of a side but what was not asked of the other one; both have the tag on the definition of metrics."""
    return replace(side, traits=Traits(metric_definition=side.traits.metric_definition))


def _compared(
    promotion: Promotion, incumbent: Measured | None, candidate: Measured, policy: PromotionPolicy
) -> Comparison:
    return compare(promotion.criteria, incumbent, candidate, policy, acknowledged=promotion.acknowledged)


def measured_with(
    version: ModelVersion, runs: Mapping[str, Run], policy: PromotionPolicy, details: Details | None
) -> Measured:
    """A version with everything that is known of it; without `details` nothing of its noise and traits."""
    run = _run_of(version, runs)
    if run is None or details is None:
        return measured(version, run, policy)
    known = details.traits.get(version.identity, Traits())
    tag = policy.comparability.metric_definition_tag
    traits = replace(known, metric_definition=version.tags.get(tag, run.tags.get(tag)))
    noise = {metric: found for metric in run.metrics if (found := noise_of(metric, run, policy.noise, details))}
    return measured(version, run, policy, noise, traits)


# Rule 4


def _members(promotion: Promotion, model: RegisteredModel, looks: Sequence[_Look]) -> Mapping[Identity, float]:
    """Every version that may be in a family, with its p."""
    incumbent = incumbent_of(model, promotion.slot)
    p_values = {version.identity: 1.0 for version in model.versions.values() if version != incumbent}
    alone = {one.candidate.identity: one.p for look in looks if (one := look.comparison) and one.verdict == "promote"}
    return p_values | {identity: p for identity, p in alone.items() if p is not None}


def _family(
    candidate: Identity, members: Mapping[Identity, float], policy: PromotionPolicy
) -> tuple[FamilyMember, ...]:
    """The others that were looked at with a candidate, newest first."""
    looks = {one: moment(one.created_at) for one in {*members, candidate}}
    family = looked_at_with(looks, candidate, timedelta(days=policy.noise.window_days)) - {candidate}
    return tuple(FamilyMember(identity=one, p=members[one]) for one in sorted(family, reverse=True))


def incumbent_of(model: RegisteredModel, slot: str) -> ModelVersion | None:
    """The version in a slot that holds at most one."""
    return next(iter(model.holding(slot)), None)


# Rule 1


def _from_source(
    promotion: Promotion, model: RegisteredModel, incumbent: ModelVersion | None
) -> Iterator[ModelVersion]:
    source = promotion.candidates
    match source:
        case FromStage():
            yield from model.holding(source.from_)
        case NewerThan():
            floor = incumbent.identity.version if incumbent else 0
            yield from (version for number, version in model.versions.items() if number > floor)
        case WithAlias():
            yield from model.holding(source.alias)
        case _:
            wanted = source.tags.items()
            yield from (version for version in model.versions.values() if wanted <= version.tags.items())


# Rule 2


def _run_of(version: ModelVersion, runs: Mapping[str, Run]) -> Run | None:
    return runs.get(version.identity.run_id or "")


def _obstacles(
    spec: ModelSpec, slot: str, version: ModelVersion, candidate: Measured, held: Mapping[int, str]
) -> Iterator[str]:
    number = version.identity.version
    if version.status != "READY":
        yield f"its status is {version.status}, not READY"
    if number in held:
        yield held[number]
    if candidate.unreadable is not None:
        yield candidate.unreadable
    if slot == "Staging" and (version.stage == "Production" or spec.stages.get("Production") == number):
        yield "it is in Production, which a move to Staging would empty"


def _ineligible(version: ModelVersion, promotion: Promotion, policy: PromotionPolicy, now: datetime) -> Iterator[str]:
    for rules in eligibility_rules(policy, promotion):
        yield from unmet(version, rules, now)


def _without_artifacts(
    version: ModelVersion, promotion: Promotion, policy: PromotionPolicy, details: Details
) -> Iterator[str]:
    artifacts = details.artifacts.get(version.identity.run_id or "", frozenset())
    for rules in eligibility_rules(policy, promotion):
        yield from missing_artifacts(artifacts, rules)


def _examined(look: _Look, family: tuple[FamilyMember, ...], promotion: Promotion) -> Examined:
    """The comparison once more, at the level that the family leaves."""
    identity, once = look.version.identity, look.comparison
    if once is None:
        return Examined(identity, None, f"not compared: {'; '.join(look.obstacles)}")
    level = level_in_family(once.p, [member.p for member in family], look.policy)
    comparison = at_level(once, level, look.policy, promotion.acknowledged)
    return Examined(identity, comparison.verdict, "; ".join(comparison.reasons), comparison, family)


# Rule 3


def best_of(examined: Sequence[Examined]) -> Examined | None:
    """The winner (rule 3); None where none wins."""
    winners = [(one.comparison, one) for one in examined if one.comparison and one.verdict == "promote"]
    _, best = max(winners, key=lambda pair: (_merit(pair[0]), pair[1].identity.version), default=(None, None))
    return best


def _first(comparison: Comparison) -> Row:
    """The row that winners are ranked by: the first that is required, which has a number in each of them."""
    return next(row for row in comparison.rows if row.criterion.required and row.candidate is not None)


def _value(comparison: Comparison) -> float:
    return _first(comparison).candidate or 0.0


def _merit(comparison: Comparison) -> Fraction:
    """The value on the first criterion. All gains are over the same incumbent, so the order of values is theirs."""
    return signed(_first(comparison).criterion, _value(comparison))


def _explained(one: Examined, winner: Examined | None) -> Examined:
    """A candidate that could be promoted, with why it is or is not the one."""
    best = winner.comparison if winner else None
    if best is None or one.comparison is None or one.verdict != "promote":
        return one
    first, number = _first(best).metric, best.candidate.identity.version
    ours, theirs = _value(one.comparison), _value(best)
    if one.comparison is best:
        why = f"the best on {first} ({ours:.6g}): {one.why}"
    elif _merit(one.comparison) == _merit(best):
        why = f"also better, and as good on {first} ({ours:.6g}) as v{number}, which is newer"
    else:
        why = f"also better, but less good on {first} ({ours:.6g}) than v{number} ({theirs:.6g})"
    return replace(one, why=why)

"""The runs of an experiment against the incumbent of a slot, before anything is registered.

1. The criteria and the policy are those of the model's file. What is asked of versions only (tags, a description, time
   in Staging, signatures) is asked once a run is registered, and so are criteria on tags of the version: a run that has
   no version lacks them.
2. A run that is registered goes by its version, any other by its run id. The incumbent's own run is not compared.
3. Chance is shared out among the runs of the experiment that started from one window before a run did, up to now: the
   best of 200 runs looks better than production by luck (see `bot.core.examination`, rule 4).
4. Runs are ranked by any metric, in the direction of the criterion that names it. NaN, infinite and missing come last,
   of equal ones the newest comes first. The rank decides nothing: the verdict does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.comparison import Comparison, Verdict, at_level, compare, is_known
from bot.core.details import Details, Questions
from bot.core.evidence import level_in_family
from bot.core.examination import incumbent_of, measured_with, noise_questions
from bot.core.globs import matches
from bot.core.noise import looked_at_with
from bot.core.spec import Criterion, Promotion, PromotionPolicy
from bot.core.state import Experiment, Identity, ModelVersion, RegisteredModel, Run, moment
from bot.core.strictness import by_numbers, effective


@dataclass(frozen=True, slots=True)
class Ranking:
    """The metric that runs are ranked by, the largest first or the lowest."""

    metric: str
    lowest_first: bool


@dataclass(frozen=True, slots=True)
class ExaminedRun:
    """One run; `ranked_by` is its value of the metric that is ranked by, None when it has none.

    The version of `identity` is 0 when the run is not registered. `verdict` and `comparison` are None for the
    incumbent's own run.
    """

    identity: Identity
    name: str
    ranked_by: float | None
    verdict: Verdict | None
    why: str
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """What runs are compared for: a slot of a model, None when the registry does not have the model yet.

    `runs` holds the run of the incumbent by its id, when there is one. The policy is that of the repository.
    """

    name: str
    promotion: Promotion
    model: RegisteredModel | None
    runs: Mapping[str, Run]
    policy: PromotionPolicy

    @property
    def incumbent(self) -> ModelVersion | None:
        """The version in the slot."""
        return incumbent_of(self.model, self.promotion.slot) if self.model else None


def ranking(promotion: Promotion, metric: str | None, *, lowest_first: bool = False) -> Ranking:
    """Rule 4; without a metric that of the first required criterion. What no criterion names is best when largest."""
    first = next((criterion for criterion in promotion.criteria if criterion.required), promotion.criteria[0])
    named = metric or first.metric
    goal = next((criterion.goal for criterion in promotion.criteria if _names(criterion, named)), "maximize")
    return Ranking(named, lowest_first or goal == "minimize")


def questions_on_runs(contest: Contest, experiment: Experiment) -> Questions:
    """What has to be known of the noise of the runs whose numbers win, and of the incumbent's."""
    policy = effective(contest.policy, contest.promotion)
    winners = tuple(_winners(contest, experiment, policy).values())
    runs = {**contest.runs, **{run.run_id: run for run in experiment.runs}}
    return noise_questions(contest.promotion, winners, runs, policy)


def examine_runs(contest: Contest, experiment: Experiment, details: Details, by: Ranking) -> tuple[ExaminedRun, ...]:
    """Every run of an experiment with its verdict, ranked. `details` answers what `questions_on_runs` asked."""
    policy = effective(contest.policy, contest.promotion)
    asked = _winners(contest, experiment, policy)
    looks = _looks(contest, experiment, policy, details, asked)
    levels = _levels(experiment.runs, looks, policy)
    examined = (
        _examined(contest, run, looks.get(run.run_id), levels.get(run.run_id, 0.0), _judging(policy, run, asked), by)
        for run in sorted(experiment.runs, key=lambda run: (run.started_at, run.run_id), reverse=True)
    )
    return tuple(sorted(examined, key=lambda one: _place(one.ranked_by, by)))


def _winners(contest: Contest, experiment: Experiment, policy: PromotionPolicy) -> Mapping[str, Comparison]:
    """The runs whose numbers alone win."""
    looks = _looks(contest, experiment, policy, None)
    return {run_id: look for run_id, look in looks.items() if look.verdict == "promote"}


def _judging(policy: PromotionPolicy, run: Run, asked: Collection[str]) -> PromotionPolicy:
    """What a run is judged by: nothing is known of the noise of those that were not asked."""
    return policy if run.run_id in asked else by_numbers(policy)


def _looks(
    contest: Contest,
    experiment: Experiment,
    policy: PromotionPolicy,
    details: Details | None,
    asked: Collection[str] = (),
) -> Mapping[str, Comparison]:
    """Each run but the incumbent's against the incumbent, as if it were the only one."""
    incumbent = contest.incumbent
    against = measured_with(incumbent, contest.runs, policy, details) if incumbent else None
    promotion = contest.promotion
    return {
        run.run_id: compare(
            promotion.criteria,
            against,
            measured_with(_version_of(contest, run), {run.run_id: run}, policy, details),
            _judging(policy, run, asked),
            acknowledged=promotion.acknowledged,
        )
        for run in experiment.runs
        if incumbent is None or run.run_id != incumbent.identity.run_id
    }


def _version_of(contest: Contest, run: Run) -> ModelVersion:
    """Rule 2: the newest version of the run."""
    versions = contest.model.versions.values() if contest.model else ()
    registered = [version for version in versions if version.identity.run_id == run.run_id]
    unregistered = ModelVersion(Identity(contest.name, 0, run.run_id, run.started_at))
    return max(registered, key=lambda version: version.identity.version, default=unregistered)


def _levels(runs: Sequence[Run], looks: Mapping[str, Comparison], policy: PromotionPolicy) -> Mapping[str, float]:
    """Rule 3: what is left of 1 - confidence to each run."""
    started = {run.run_id: moment(run.started_at) for run in runs if run.run_id in looks}
    window = timedelta(days=policy.noise.window_days)
    p_values = {run_id: one.p for run_id, one in looks.items() if one.verdict == "promote" and one.p is not None}
    return {
        run_id: level_in_family(
            one.p,
            [p_values.get(other, 1.0) for other in looked_at_with(started, run_id, window) if other != run_id],
            policy,
        )
        for run_id, one in looks.items()
    }


def _examined(
    contest: Contest, run: Run, once: Comparison | None, level: float, policy: PromotionPolicy, by: Ranking
) -> ExaminedRun:
    value = run.metrics.get(by.metric)
    if once is None:
        identity = _version_of(contest, run).identity
        return ExaminedRun(identity, run.name, value, None, "it is the run of the incumbent")
    now = at_level(once, level, policy, contest.promotion.acknowledged)
    return ExaminedRun(now.candidate.identity, run.name, value, now.verdict, "; ".join(now.reasons), now)


def _names(criterion: Criterion, metric: str) -> bool:
    return metric == criterion.metric or (criterion.slices is not None and matches(criterion.slices, metric))


def _place(value: float | None, by: Ranking) -> tuple[bool, float]:
    """Rule 4."""
    if not is_known(value):
        return True, math.inf
    return False, value if by.lowest_first else -value

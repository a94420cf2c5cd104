"""Drift for the tests of the views, made by the core itself."""

from __future__ import annotations

from dataclasses import replace

from bot.core.adoption import Adopting, AdoptionFacts, adopting
from bot.core.drift import DriftFacts, drift
from bot.core.listing import as_left
from bot.core.plan import Plan, Refusal, plan, reverting, writes
from bot.core.pulls import Issue, NewPull
from bot.core.results import Adopted, DriftResult, PlanResult, Posted
from bot.core.standing import Standing
from bot.core.state import Artifacts, RegistryState
from bot.views.drift import adoption_body, adoption_title
from tests.core.builders import (
    RUNS,
    adopted,
    applied,
    identity,
    policy,
    recorded,
    registered,
    spec,
    specs,
)
from tests.views.samples import HEAD, REGISTRY, apply_result, pull_of

FOLLOWING = {"champion": {"follows": "Production"}}
PEOPLE = {"alice": "write", "bob": "write", "carol": "write"}


def facts(name: str = "demand", why: str = "models:/m-1 holds nothing") -> DriftFacts:
    """A version that was there before in Production, two in Staging, one lost, one pending, one not managed."""
    files = specs(
        spec({"Production": 5, "Staging": 6}, FOLLOWING, name),
        spec({"Production": 2}, name="wine"),
        spec({"Production": 1}, name="gone"),
        spec({"Production": 3}, name="calm"),
    )
    models = (
        registered({3: "Production", 5: "Archived", 6: "Staging", 7: "Staging"}, {"champion": 5}, name),
        registered({1: "Production", 2: "None"}, model="wine"),
        registered({3: "Production"}, model="calm"),
        registered({9: "Production"}, model="stray model"),
    )
    log = (
        adopted((name, "Production"), identity(3, name)),
        adopted((name, "champion"), identity(3, name)),
        adopted((name, "Staging"), identity(6, name)),
        adopted(("wine", "Production"), identity(1, "wine")),
        adopted(("calm", "Production"), identity(3, "calm")),
        applied((name, "Production"), identity(3, name), identity(5, name), pull_request=12),
        applied((name, "champion"), identity(3, name), identity(5, name), pull_request=12),
    )
    runs = {f"run{number}": replace(RUNS["run3"], run_id=f"run{number}") for number in range(10)}
    files_of = {
        identity(3, name): Artifacts("missing", why),
        identity(1, "wine"): Artifacts("unknown", "the server cannot list them where they lie"),
    }
    there = {one: Artifacts("there") for one in (identity(5, name), identity(6, name), identity(7, name))}
    told = {**there, **files_of, identity(3, "calm"): Artifacts("there")}
    state = RegistryState({model.name: model for model in models})
    return DriftFacts(files, state, models, recorded(*log), runs, told)


def found(name: str = "demand", why: str = "models:/m-1 holds nothing", registry: str = REGISTRY) -> DriftResult:
    return DriftResult(registry, HEAD, drift(facts(name, why)))


def short() -> DriftResult:
    """One slot in the wrong place, and nothing else to tell."""
    whole = found()
    wrong = tuple(one for one in whole.report.found if one.code == "wrong-version")
    return replace(whole, report=replace(whole.report, found=wrong, pending=(), unchecked=()))


def clean() -> DriftResult:
    """Nothing drifted, and the issue is closed."""
    given = facts()
    report = replace(drift(given), found=(), pending=(), unchecked=())
    return DriftResult(REGISTRY, HEAD, report, posted=Posted("closed", issue()))


def quick() -> DriftResult:
    """What a quick look sees of it."""
    given = facts()
    apart = as_left(given.specs, given.recorded).differing(given.listed)
    actual = RegistryState({name: model for name, model in given.actual.models.items() if name in apart})
    seen = replace(given, actual=actual, runs={}, artifacts={}, differing=apart, is_deep=False)
    return DriftResult(REGISTRY, HEAD, drift(seen))


def quick_and_clean() -> DriftResult:
    """A quick look that saw nothing, while the issue says what a deep one found."""
    report = replace(quick().report, found=(), pending=())
    return DriftResult(REGISTRY, HEAD, report, posted=Posted("unchanged", issue()))


STANDING = Standing(1, "- **`wine` `Production`:** the files of version 1 are not there")


def unclear() -> DriftResult:
    """Nothing was found, and not everything was looked at."""
    report = replace(drift(facts()), found=(), pending=(), is_whole=False)
    return DriftResult(REGISTRY, HEAD, report, posted=Posted("unchanged", issue()))


def issue() -> Issue:
    return Issue(41, "Drift", "https://github.com/acme/models/issues/41", "")


def wanted(name: str = "demand", *, evidence: str = "forbid") -> Adopting:
    given = facts(name)
    rules = policy(promotion_without_evidence=evidence)
    return adopting(
        drift(given),
        AdoptionFacts(given.specs, given.actual, rules, given.recorded.seen_versions, PEOPLE, ("carol",)),
    )


def never_there(name: str = "demand") -> Adopting:
    """The version in Production was never there, so that it is a promotion; and an alias that was emptied."""
    files = specs(spec({"Production": 3}, {"shadow": 3}, name))
    state = RegistryState({name: registered({3: "Archived", 4: "Production"}, {}, name)})
    log = recorded(adopted((name, "Production"), identity(3, name)), adopted((name, "shadow"), identity(3, name)))
    given = DriftFacts(files, state, (), log, None, {})
    return adopting(drift(given), AdoptionFacts(files, state, policy(), log.seen_versions, PEOPLE, ("carol",)))


def new_pull(adopting_: Adopting, registry: str = REGISTRY) -> NewPull:
    title = adoption_title(adopting_)
    body = adoption_body(adopting_, registry)
    return NewPull(adopting_.branch, "main", HEAD, title, {}, title, body, ("stagewright", "drift"))


def would_adopt(name: str = "demand") -> DriftResult:
    result = Adopted(wanted(name), new_pull(wanted(name)), None, (pull_of(11),))
    return replace(found(name), wish="adopt", adopted=result, dry_run=True)


def adopted_now() -> DriftResult:
    return replace(short(), wish="adopt", adopted=Adopted(wanted(), new_pull(wanted()), pull_of(13)))


def adopted_before() -> DriftResult:
    """It is open already, and holds promotions."""
    return replace(short(), wish="adopt", adopted=Adopted(never_there(), None, pull_of(13)))


def nothing_to_adopt() -> DriftResult:
    return replace(short(), wish="adopt", adopted=Adopted(replace(wanted(), slots=(), followers=())))


def would_revert() -> DriftResult:
    given = facts()
    unreverted = plan(given.specs, given.actual, given.recorded.bases, given.recorded.seen, {})
    whole = reverting(unreverted, given.specs, given.actual)
    refusal = Refusal(("wine", "Production"), "no-mandate", "nobody approved it", "`git revert` the commit.")
    would_be = Plan((*whole.items, refusal))
    reverted = PlanResult(HEAD, REGISTRY, would_be, writes(would_be.changes, given.actual), (), mandates_checked=True)
    posted = Posted("edited", issue())
    return replace(found(), wish="revert", reverted=reverted, posted=posted, dry_run=True)


def reverted_now() -> DriftResult:
    report = replace(short().report, found=found().report.found[-1:])
    return replace(short(), wish="revert", report=report, reverted=apply_result(), posted=Posted("opened", issue()))


def nothing_to_revert() -> DriftResult:
    return replace(short(), wish="revert", posted=Posted("nothing to tell", None))

"""Answers of commands for the tests of the views, made by the core itself from small inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.core.approval import (
    EVIDENCE_TRAILER,
    Evaluation,
    ModelAtBase,
    PullFacts,
    Scope,
    evaluate,
    requirements,
)
from bot.core.approval.rehearsal import Rehearsal
from bot.core.approval_policy import ApprovalPolicy
from bot.core.audit import Draft, Entry, Link, Mandate, record, stamp
from bot.core.chain import chained
from bot.core.changes import SlotChange
from bot.core.history import Period
from bot.core.importing import LeftOut, NewFile, Passed
from bot.core.merging import MergingFacts, ProposalCase, merging, picture_path
from bot.core.plan import Plan, plan, settle, writes
from bot.core.proposal import NothingToPropose, Proposal, propose
from bot.core.pulls import NewPull, PullCommit, PullRequest, Review, Team
from bot.core.recorded import fold
from bot.core.report import Figures, Report, spread
from bot.core.results import (
    ApplyResult,
    ApprovalsResult,
    ExplainResult,
    ImportResult,
    Opened,
    PlanResult,
    PolicyTestResult,
    VerifyResult,
)
from bot.core.spec import ModelSpec, PromotionPolicy, desired_state
from bot.core.state import Dataset, Identity, ModelVersion, RegisteredModel, RegistryState, Run, is_stage
from bot.core.verification import Explained, Verdict
from bot.errors import Finding
from bot.views.proposal import proposal_body, proposal_title

NOON = datetime(2026, 11, 3, 12, 0, 30, tzinfo=UTC)
REGISTRY = "https://mlflow.example.com/base"
POLICY = PromotionPolicy(schema_version=1)
HEAD = "1234567890abcdef1234567890abcdef12345678"
BASE = "fedcba0987654321fedcba0987654321fedcba09"

CRITERIA: Sequence[Mapping[str, object]] = (
    {"metric": "val_rmse", "goal": "minimize", "min_gain": "1%"},
    {"metric": "latency_p95_ms", "goal": "minimize", "max_loss": "5%"},
    {"metric": "val_r2", "goal": "maximize", "at_least": 0.8},
)
INCUMBENT = {"val_rmse": 0.2134567, "latency_p95_ms": 48.0, "val_r2": 0.84}
WINNER = {"val_rmse": 0.2012345, "latency_p95_ms": 49.5, "val_r2": 0.86}
WORSE = {"val_rmse": 0.2534, "latency_p95_ms": 41.0, "val_r2": 0.79}
SLOW = {"val_rmse": 0.19, "latency_p95_ms": 80.0, "val_r2": 0.87}
NOT_A_NUMBER = {"val_rmse": float("nan"), "latency_p95_ms": 40.0, "val_r2": 0.8}


def spec_of(name: str = "demand", **changes: object) -> ModelSpec:
    """A model whose winners go to Production, with an alias that follows."""
    document: dict[str, object] = {
        "schema_version": 1,
        "name": name,
        "stages": {"Production": 3},
        "aliases": {"champion": {"follows": "Production"}},
        "promotion": {"slot": "Production", "criteria": tuple(CRITERIA)},
        **changes,
    }
    return ModelSpec.model_validate(document)


def identity_of(model: str, version: int) -> Identity:
    return Identity(model, version, f"run{version}", 1_000 + version)


def model_of(name: str, stages: Mapping[int, str], aliases: Mapping[str, int] | None = None) -> RegisteredModel:
    """A registered model: its versions with their stages."""
    found = {number: ModelVersion(identity_of(name, number), stage=stage) for number, stage in stages.items()}
    return RegisteredModel(name, aliases=aliases or {}, versions=found)


def run_of(version: int, metrics: Mapping[str, float], **changes: Any) -> Run:
    known: dict[str, Any] = {
        "experiment_id": "7",
        "name": f"gentle-crane-{version}",
        "params": {},
        "tags": {"mlflow.source.git.commit": f"c0ffee{version}"},
        "datasets": (Dataset("holdout", "d1g3st", "evaluation"),),
        "started_at": 1_762_000_000_000 + version * 86_400_000,
        "user": "ana",
    }
    return Run(run_id=f"run{version}", metrics=metrics, **(known | changes))


def proposed(spec: ModelSpec, model: RegisteredModel, runs: Mapping[str, Run], **changes: Any) -> Proposal:
    outcome = outcome_of(spec, model, runs, **changes)
    assert isinstance(outcome, Proposal), outcome
    return outcome


def outcome_of(
    spec: ModelSpec, model: RegisteredModel, runs: Mapping[str, Run], **changes: Any
) -> Proposal | NothingToPropose:
    known: dict[str, Any] = {"held": {}, "registry": REGISTRY, "now": NOON}
    return propose(spec, model, runs, POLICY, **(known | changes))


WINNER_RUNS = {
    "run3": run_of(3, INCUMBENT),
    "run4": run_of(4, WORSE),
    "run5": run_of(5, WINNER),
    "run6": run_of(6, SLOW),
    "run7": run_of(7, NOT_A_NUMBER),
    "run8": run_of(8, WINNER),
}
LOSERS = {4: "None", 6: "None", 7: "None", 8: "None"}


def winner() -> Proposal:
    """v5 beats v3 and leaves a managed Staging; worse, slow, NaN and held candidates lose."""
    return proposed(
        spec_of(stages={"Production": 3, "Staging": 5}),
        model_of("demand", {3: "Production", 5: "Staging", **LOSERS}, {"champion": 3}),
        WINNER_RUNS,
        held={8: "rolled back from Production on 2026-10-30 by pull request #8"},
    )


def nobody_wins() -> NothingToPropose:
    """Three candidates, of which none is better."""
    outcome = outcome_of(spec_of(), model_of("demand", {3: "Production", 4: "None", 6: "None", 7: "None"}), WINNER_RUNS)
    assert isinstance(outcome, NothingToPropose)
    return outcome


def first_deployment() -> Proposal:
    """The slot is empty: floors only, and a criterion that has nothing to compare with."""
    criteria = (*CRITERIA[1:], {"metric": "val_r2", "goal": "maximize", "at_most": 0.99})
    return proposed(
        spec_of("wine", stages={"Production": None}, promotion={"slot": "Production", "criteria": criteria}),
        model_of("wine", {1: "None"}),
        {"run1": run_of(1, WINNER)},
    )


HOSTILE = (
    "a|b `c` ``d`` [x](http://evil.example) <b onclick=x>y</b> @octocat #1 fixes #2 GH-3 o/r#4 "
    "www.evil.example http://evil.example a@b.example \x1b[31mred\x1b[0m \u202eevil\u2066\r\n\n# head\n- item\n"
    "![i](x) <!-- stagewright:apply --> $x$ **b** ~~s~~ [skip ci] ../../etc \\| \\"
)


def hostile() -> Proposal:
    """Everything that somebody else names bears a name that tries something."""
    return with_texts(HOSTILE)


def hostile_runs(text: str) -> Mapping[str, Run]:
    """The runs that go with `with_texts`: names, users, commits and digests are this text."""
    data = (Dataset(text, text, "evaluation"),)
    changes: dict[str, Any] = {"name": text, "user": text, "tags": {"mlflow.source.git.commit": text}, "datasets": data}
    metrics = [{text: 1.0}, {text: 2.0}, {text: 3.0}]
    return {f"run{number}": run_of(number, found, **changes) for number, found in zip((3, 4, 5), metrics, strict=True)}


def with_texts(text: str, registry: str = REGISTRY) -> Proposal:
    """A proposal in which this text is the name of the model, the metric, the run, the user, a reason and more."""
    name = text[:256]
    spec = spec_of(
        name, promotion={"slot": "Production", "criteria": ({"metric": text, "goal": "maximize", "max_loss": 1},)}
    )
    stages = {3: "Production", 4: "None", 5: "None", 6: "None"}
    return proposed(spec, model_of(name, stages), hostile_runs(text), held={6: text}, registry=registry)


# Pull requests and their approvals


def pull_of(number: int, **changes: Any) -> PullRequest:
    known: dict[str, Any] = {
        "title": "Promote demand v5 to Production, replacing v3",
        "url": f"https://github.com/acme/models/pull/{number}",
        "state": "open",
        "draft": False,
        "author": "stagewright[bot]",
        "author_is_bot": True,
        "head_ref": "stagewright/demand/Production/v5-vs-v3-0a1b2c3d",
        "head_sha": HEAD,
        "base_ref": "main",
        "base_sha": BASE,
        "merged_at": None,
        "merged_by": None,
        "merge_sha": None,
        "created_at": NOON,
        "labels": ("stagewright",),
    }
    return PullRequest(number=number, **(known | changes))


def case_of(proposal: Proposal, runs: Mapping[str, Run], registry: str = REGISTRY, **changes: Any) -> ProposalCase:
    """What the pull request of a proposal says, in a repository whose log knows what is there, moved by nobody."""
    slot, before = proposal.slot, proposal.incumbent
    held: dict[str, Identity | None] = {slot: before, **dict.fromkeys(proposal.evidence.followers, before)}
    if ("stages", "Staging") in proposal.edits and slot != "Staging":
        held["Staging"] = proposal.candidate
    stages = {name: it.version if it else None for name, it in held.items() if is_stage(name)}
    follow = {"follows": slot} if is_stage(slot) else None
    aliases = {name: follow or (it.version if it else None) for name, it in held.items() if not is_stage(name)}
    criteria = proposal.evidence.criteria
    spec = spec_of(proposal.model, stages=stages, aliases=aliases, promotion={"slot": slot, "criteria": criteria})
    versions = {name: it.version if it else None for name, it in held.items()}
    adopted = [draft("adopted", proposal.model, name, None, number) for name, number in versions.items()]
    facts = MergingFacts(
        specs={proposal.model: spec},
        actual=RegistryState({proposal.model: _holding(proposal, held)}),
        recorded=fold(link.entry for link in links(*adopted)),
        policy=POLICY,
        approvals=APPROVALS,
        people=PEOPLE,
        requesters=("ana",),
        today=NOON.date(),
    )
    known: dict[str, Any] = {
        "owners": ("@acme/demand-ml", "@bob"),
        "merging": merging(proposal, facts, (proposal.evidence.path,)),
        "requesters": ("ana",),
        "policy_commit": BASE,
        "repository": "https://github.com/acme/models",
        "picture": picture_path(proposal),
    }
    return ProposalCase(proposal=proposal, runs=runs, registry=registry, **(known | changes))


def _holding(proposal: Proposal, held: Mapping[str, Identity | None]) -> RegisteredModel:
    """The registry in which each of these slots holds what it is said to hold."""
    stages = {it: name for name, it in held.items() if it and is_stage(name)}
    sides = [side for side in (proposal.incumbent, proposal.candidate) if side]
    versions = {side.version: ModelVersion(side, stage=stages.get(side, "None")) for side in sides}
    aliases = {name: it.version for name, it in held.items() if it and not is_stage(name)}
    return RegisteredModel(proposal.model, aliases=aliases, versions=versions)


def opened(proposal: Proposal, runs: Mapping[str, Run], *, dry_run: bool) -> Opened:
    title = proposal_title(proposal)
    new = NewPull(
        branch=proposal.branch,
        base="main",
        base_sha=BASE,
        message=title,
        files={proposal.evidence.path: proposal.evidence.to_bytes()},
        title=title,
        body=proposal_body(case_of(proposal, runs)),
        labels=("stagewright", "promotion"),
        reviewers=("ana",),
    )
    return Opened(proposal, new, None if dry_run else pull_of(12, title=title))


APPROVALS = ApprovalPolicy.model_validate(
    {
        "schema_version": 1,
        "rules": (
            {"name": "production", "when": {"slots": ("Production",)}, "require": {"approvals": 2}},
            {"name": "staging", "when": {"slots": ("Staging",)}, "require": {"approvals": 1}},
            {"name": "everything", "when": {"paths": ("**",)}, "require": {"approvals": 1}},
        ),
    }
)
PEOPLE = {"ana": "write", "bob": "write", "carol": "maintain", "dave": "admin", "eve": "read"}


def review(reviewer: str, state: Any = "APPROVED", commit: str = HEAD) -> Review:
    return Review(reviewer, reviewer_is_bot=False, state=state, commit_id=commit, submitted_at=NOON)


def evaluation_of(
    reviews: Sequence[Review], requester: str = "ana", policy: ApprovalPolicy | None = None, **changes: Any
) -> Evaluation:
    """What the policy says of the pull request of `winner`, which `requester` asked the bot for."""
    evidence = winner().evidence
    trailers = f"{EVIDENCE_TRAILER}: {evidence.digest}\nStagewright-Requested-By: {requester}\n"
    message = f"Promote demand v5\n\n{trailers}"
    commit = PullCommit(HEAD, "stagewright[bot]", "stagewright[bot]", verified=True, message=message, committed_at=NOON)
    known: dict[str, Any] = {
        "pull": pull_of(12),
        "reviews": tuple(reviews),
        "commits": (commit,),
        "changes": (SlotChange("demand", "Production", 3, 5, "promotion"),),
        "paths": ("models/demand.yaml", evidence.path),
        "people": PEOPLE,
        "evidence": {evidence.path: evidence.to_bytes()},
        "unreadable": (),
        "policy_commit": BASE,
        "at": NOON,
    }
    return evaluate(policy or APPROVALS, PullFacts(**(known | changes)))


def approvals() -> ApprovalsResult:
    """One valid approval of two; a stale one, the requester's, a reader's; and changes requested on another."""
    reviews = (review("bob"), review("carol", commit=BASE), review("ana"), review("eve"))
    blocked = evaluation_of((review("dave", "CHANGES_REQUESTED"), review("bob"), review("carol")))
    approved = evaluation_of((review("bob"), review("carol")))
    return ApprovalsResult((pull_of(12), pull_of(13), pull_of(14)), (evaluation_of(reviews), blocked, approved))


FOUR_EYES = ApprovalPolicy.model_validate_json(
    json.dumps(
        {
            "schema_version": 1,
            "freeze": [{"name": "autumn", "zone": "Europe/Zurich", "days": {"from": "2026-11-01", "to": "2026-11-30"}}],
            "break_glass": {"require": {"approvals": 1, "users": ["carol"]}},
            "rules": [
                {
                    "name": "four eyes",
                    "when": {"slots": ["Production"]},
                    "distinct": True,
                    "min_open_hours": 24,
                    "require": {
                        "all": [
                            {"approvals": 1, "owners": True},
                            {
                                "any": [
                                    {"approvals": 1, "teams": ["@acme/model-risk"]},
                                    {"approvals": 2, "users": ["zoe"], "permission": "admin"},
                                ]
                            },
                        ]
                    },
                },
                {"name": "everything", "when": {"paths": ["**"]}, "require": {"approvals": 1}},
            ],
        }
    )
)
RISK = "acme/model-risk"
OWNED = {"demand": ModelAtBase(("@bob",), "high")}


def four_eyes() -> ApprovalsResult:
    """What a policy with all that there is says: of one supposed, one in an emergency, and one past the rules."""
    known: dict[str, Any] = {"policy": FOUR_EYES, "models": OWNED, "teams": {RISK: Team(RISK, frozenset({"carol"}))}}
    weakens = ("policies/approvals.yaml:4:3: A promotion needs no evidence. [policy-weakened]",)
    waiting = evaluation_of((review("bob"),), weakens=weakens, pull=pull_of(12, labels=("break-glass",)), **known)
    reason = replace(review("carol"), body="Break-Glass: it returns NaN")
    broken = evaluation_of((reason, review("bob")), pull=pull_of(13, labels=("break-glass",)), **known)
    objected = evaluation_of((review("carol", "CHANGES_REQUESTED"),), **(known | {"teams": {}}))
    supposing = ("bob takes back every review", "carol approves the head")
    return ApprovalsResult((pull_of(12), pull_of(13), pull_of(14)), (waiting, broken, objected), supposing)


def explained() -> ExplainResult:
    """Who could approve a promotion, by a policy that too few people can meet."""
    change = SlotChange("demand", "Production", 3, 5, "promotion")
    problem = Team(RISK, problem="the team @acme/model-risk does not exist; correct its name in the policy")
    scope = Scope((change,), ("models/demand.yaml",), PEOPLE, OWNED, {RISK: problem})
    place = ("policies/approvals.yaml", 9, 5)
    finding = Finding(*place, "too-few-people", "Found 1 who could.", "Ask for fewer.", "warning")
    frozen = ("the freeze 'autumn' holds Production until 2026-12-01 00:00 Europe/Zurich",)
    return ExplainResult(change, BASE, requirements(FOUR_EYES, scope, ()), frozen, (finding,))


def policy_tested() -> PolicyTestResult:
    """One test that holds and one that does not, and a file that is none."""
    evaluation = evaluation_of((review("bob"),))
    lines = ("- verdict: approved", "+ verdict: pending", "  because rule production has 1 of 2 approvals: pending")
    place = "policies/tests/shipped.yaml"
    finding = Finding("policies/tests/b.yaml", 1, 1, "missing-key", "The key `tests` is missing.", "Add `tests:`.")
    outcomes = (
        Rehearsal(place, 4, "one is too few", evaluation, ()),
        Rehearsal(place, 9, "one is enough", evaluation, lines),
    )
    return PolicyTestResult(outcomes, (finding,))


# Plans, entries of the log


def mandate_of(number: int, **changes: Any) -> Mandate:
    known: dict[str, Any] = {
        "url": f"https://github.com/acme/models/pull/{number}",
        "head_sha": HEAD,
        "merge_sha": BASE,
        "author": "stagewright[bot]",
        "requester": "ana",
        "approvers": ("bob", "carol"),
        "merged_by": "dave",
        "policy_commit": BASE,
        "evidence": None,
    }
    return Mandate(pull_request=number, **(known | changes))


def draft(event: str, model: str, slot: str, before: int | None, after: int | None, **changes: Any) -> Draft:
    known: dict[str, Any] = {
        "event": event,
        "time": stamp(NOON),
        "registry": REGISTRY,
        "actor": "dave",
        "run": "https://github.com/acme/models/actions/runs/99",
        "model": model,
        "slot": slot,
        "before": record(identity_of(model, before)) if before else None,
        "after": record(identity_of(model, after)) if after else None,
        "commit": HEAD,
        "mandate": mandate_of(12),
        "pull_request": 12,
    }
    return Draft.model_validate(known | changes)


def links(*drafts: Draft) -> tuple[Link, ...]:
    genesis = Draft(event="genesis", time="2026-11-01T08:00:00Z", reason="the audit log of acme/models")
    return chained((genesis, *drafts), None, "2026-11").links


def applied_links() -> tuple[Link, ...]:
    """A promotion that was applied with its alias, a slot that was refused, one that failed."""
    drift = "the registry holds version 2, but it was left with version 1 and Git wants version 3"
    return links(
        draft("adopted", "demand", "Production", None, 3, kind="adoption", mandate=None, pull_request=None),
        draft("intended", "demand", "Production", 3, 5, kind="promotion"),
        draft("refused", "wine", "Production", 1, 3, guard="drift", reason=f"{drift}. Put version 1 back."),
        draft("applied", "demand", "Production", 3, 5, kind="promotion", time="2026-11-04T09:30:00Z", intended=2),
        draft("applied", "demand", "champion", 3, 5, kind="promotion", time="2026-11-04T09:30:00Z"),
        draft(
            "failed", "iris", "Production", 1, 2, kind="promotion", reason="MLflow said no; the slot holds version 1"
        ),
        draft("applied", "demand", "Production", 5, 3, kind="rollback", time="2026-11-05T10:00:00Z"),
    )


def applied_entries() -> tuple[Entry, ...]:
    """What the pull request is told: no `intended`, nothing of others."""
    return tuple(link.entry for link in applied_links()[3:7])


def history_periods() -> tuple[Period, ...]:
    return fold(link.entry for link in applied_links()).periods


SPECS = {
    "demand": spec_of(stages={"Production": 5}),
    "iris": spec_of("iris", stages={"Production": 2}, aliases={}),
    "tips": spec_of("tips", stages={"Production": 4}, aliases={}),
    "wine": spec_of("wine", stages={"Production": 3}, aliases={"champion": {"follows": "Production"}}),
}
ACTUAL = RegistryState(
    {
        "demand": model_of("demand", {3: "Production", 5: "None"}, {"champion": 3}),
        "iris": model_of("iris", {2: "Production"}),
        "tips": model_of("tips", {4: "Production"}),
        "wine": model_of("wine", {1: "None", 2: "Production", 3: "None"}, {"champion": 1}),
    }
)
BASES = {
    ("demand", "Production"): identity_of("demand", 3),
    ("demand", "champion"): identity_of("demand", 3),
    ("old", "Production"): identity_of("old", 7),
    ("tips", "Production"): identity_of("tips", 4),
    ("wine", "Production"): identity_of("wine", 1),
    ("wine", "champion"): identity_of("wine", 1),
}


def plan_value() -> Plan:
    """A promotion with its alias, an adoption, one slot in sync, drift with an alias that hangs on it, un-managed."""
    return plan(SPECS, ACTUAL, BASES, {}, {})


def plan_result(*, mandates_checked: bool = False) -> PlanResult:
    """With an intent of an interrupted run that the registry shows as done."""
    found = plan_value()
    intent = links(draft("intended", "tips", "Production", 3, 4, kind="promotion"))[-1].entry
    settled = settle({intent.key: intent}, ACTUAL, desired_state(SPECS)).settled
    done = writes(found.changes, ACTUAL)
    return PlanResult(HEAD if mandates_checked else None, REGISTRY, found, done, settled, mandates_checked)


def nothing_to_do() -> PlanResult:
    specs = {"tips": SPECS["tips"]}
    found = plan(specs, ACTUAL, {("tips", "Production"): identity_of("tips", 4)}, {}, {})
    return PlanResult(HEAD, REGISTRY, found, (), (), mandates_checked=True)


def apply_result() -> ApplyResult:
    return ApplyResult(HEAD, plan_value(), tuple(link.entry for link in applied_links()[1:]), in_sync=1)


def import_result() -> ImportResult:
    """Two files, a slot and a model that no file can say, and one model skipped for each reason."""
    written = (
        NewFile("models/demand.yaml", spec_of(stages={"Production": 5}, promotion=None)),
        NewFile("models/wine.yaml", spec_of("wine", stages={}, aliases={"champion": 3, "old": 1}, promotion=None)),
    )
    refused = (
        LeftOut("iris", "Production", "versions 1 and 2 are in it, and a file can name one", "Archive one of them."),
        LeftOut("Wine", None, "its file differs by letter case only", "Rename one of the two models."),
    )
    skipped = (
        Passed("churn", "has-file"),
        Passed("forecast", "owned-elsewhere", "acme/other"),
        Passed("idle", "nothing-to-manage"),
    )
    return ImportResult(REGISTRY, written, refused, skipped, dry_run=False)


def verify_result() -> VerifyResult:
    """Every verdict, with and without a pull request."""
    text = "#12 was approved by carol, who may not approve it today"
    digest = "sha256:" + "b" * 64
    slots = (
        _explained("Production", 5, "verified", pull=12, evidence=digest),
        _explained("champion", 3, "wrong", pull=11, why=("moved",)),
        _explained("challenger", 2, "unproven", pull=10, why=(text,)),
        _explained("Staging", None, "not checked", adopted=True),
        Explained(("churn", "Production"), None, "", False, None, (), None, None, "unproven"),
    )
    moved = "champion of demand holds version 4 in the registry; the log left version 3 there"
    return VerifyResult(13, digest, (moved,), (), slots=slots, judged=3, unproven=(text,))


def _explained(
    slot: str,
    version: int | None,
    verdict: Verdict,
    *,
    pull: int | None = None,
    evidence: str | None = None,
    adopted: bool = False,
    why: tuple[str, ...] = (),
) -> Explained:
    return Explained(
        key=("demand", slot),
        identity=identity_of("demand", version) if version else None,
        since="2026-11-03T12:00:00Z",
        adopted=adopted,
        pull_request=pull,
        approvers=("bob", "carol") if pull else (),
        evidence=evidence,
        entry=7,
        verdict=verdict,
        why=why,
    )


def delivery_report() -> Report:
    """Two models in a month: one promoted twice and rolled back, one that only waits."""
    hours = [timedelta(hours=hour) for hour in (20, 90)]
    back, served = spread([timedelta(minutes=12)]), spread([timedelta(hours=5), timedelta(days=3)])
    demand = Figures("demand", 2, 2, 1, 1, 1, spread(hours), served, back)
    wine = Figures("wine", 0, 0, 0, 0, 1, None, None, None)
    return Report(
        NOON,
        NOON + timedelta(days=30),
        replace(demand, model="", active=2),
        (demand, wine),
        (("bob", 3), ("carol", 1)),
        ("when the training of 1 of 2 promoted versions began",),
    )

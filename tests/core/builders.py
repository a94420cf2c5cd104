"""Short ways to build the values of the core. Each default is the plain case; a test states only what it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bot.core.approval import EVIDENCE_TRAILER, REQUESTER_TRAILER, PullFacts
from bot.core.approval_policy import ApprovalPolicy
from bot.core.audit import Draft, Entry, Event, Link, Mandate, record
from bot.core.canonical import digest
from bot.core.chain import Chain, chained
from bot.core.changes import SlotChange
from bot.core.comparison import compare, measured
from bot.core.evidence import Circumstances, Evidence, freeze
from bot.core.log import LogContent, LogSegment
from bot.core.plan import Plan, plan
from bot.core.pulls import PullCommit, PullRequest, Review, TreeCommit
from bot.core.recorded import Recorded, fold
from bot.core.spec import Criterion, ModelSpec, PromotionPolicy
from bot.core.state import (
    ChangeKind,
    Dataset,
    Identity,
    ModelVersion,
    RegisteredModel,
    RegistryState,
    Run,
    SlotKey,
)

MODEL = "churn"
PRODUCTION: SlotKey = (MODEL, "Production")
STAGING: SlotKey = (MODEL, "Staging")
CHAMPION: SlotKey = (MODEL, "champion")
BOT = "stagewright[bot]"
HEAD = "a" * 40
BASE = "b" * 40
MERGE = "c" * 40
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
TIME = "2026-11-03T12:00:00Z"
PROMOTION_POLICY = PromotionPolicy(schema_version=1)
CRITERIA = ({"metric": "auc", "goal": "maximize", "min_gain": "1%"},)


# Registries


def identity(number: int, model: str = MODEL, run: str | None = "") -> Identity:
    """Version `number`; `run` tells apart a re-created version of the same number."""
    return Identity(model, number, f"run{number}" if run == "" else run, 1_000 + number)


def version(number: int, stage: str = "None", model: str = MODEL, **changes: Any) -> ModelVersion:
    return replace(ModelVersion(identity(number, model), stage), **changes)


def registered(
    stages: Mapping[int, str], aliases: Mapping[str, int] | None = None, model: str = MODEL
) -> RegisteredModel:
    """A model whose versions are in these stages."""
    return RegisteredModel(
        model, aliases or {}, versions={number: version(number, stage, model) for number, stage in stages.items()}
    )


def registry(*models: RegisteredModel) -> RegistryState:
    return RegistryState({model.name: model for model in models})


def holding(stages: Mapping[int, str], aliases: Mapping[str, int] | None = None) -> RegistryState:
    """A registry with only the usual model."""
    return registry(registered(stages, aliases))


# Documents


def spec(
    stages: Mapping[str, int | None] | None = None,
    aliases: Mapping[str, Any] | None = None,
    name: str = MODEL,
    **more: Any,
) -> ModelSpec:
    content = {"schema_version": 1, "name": name, "stages": stages or {}, "aliases": aliases or {}, **more}
    return ModelSpec.model_validate_json(json.dumps(content))


def specs(*of_models: ModelSpec) -> Mapping[str, ModelSpec]:
    return {one.name: one for one in of_models}


def rule(
    name: str, approvals: int, *, permission: str = "write", users: Sequence[str] = (), **when: Sequence[str]
) -> Mapping[str, Any]:
    return {
        "name": name,
        "when": when,
        "require": {"approvals": approvals, "permission": permission, "users": list(users)},
    }


TWO_FOR_PRODUCTION = rule("production", 2, slots=["Production", "champion"])
ONE_FOR_THE_REST = rule("everything else", 1, paths=["**"])


def policy(*rules: Mapping[str, Any], **more: Any) -> ApprovalPolicy:
    """The rules that are shipped, in short, unless others are given."""
    given = list(rules) or [TWO_FOR_PRODUCTION, ONE_FOR_THE_REST]
    return ApprovalPolicy.model_validate_json(json.dumps({"schema_version": 1, "bot": BOT, "rules": given, **more}))


# Logs


def draft(
    event: Event,
    key: SlotKey = PRODUCTION,
    before: Identity | None = None,
    after: Identity | None = None,
    kind: ChangeKind | None = "promotion",
    **more: Any,
) -> Draft:
    model, slot = key
    fields = {"time": TIME, **more}
    return Draft(event=event, model=model, slot=slot, kind=kind, before=record(before), after=record(after), **fields)


def applied(
    key: SlotKey = PRODUCTION,
    before: Identity | None = None,
    after: Identity | None = None,
    kind: ChangeKind = "promotion",
    **more: Any,
) -> Draft:
    return draft("applied", key, before, after, kind, **more)


def adopted(key: SlotKey = PRODUCTION, after: Identity | None = None, **more: Any) -> Draft:
    return draft("adopted", key, None, after, "adoption", **more)


def intended(
    key: SlotKey = PRODUCTION,
    before: Identity | None = None,
    after: Identity | None = None,
    kind: ChangeKind = "promotion",
    **more: Any,
) -> Draft:
    return draft("intended", key, before, after, kind, **more)


def outcome(event: Event, intent: Entry, **more: Any) -> Draft:
    """What became of an intent: the same change, and the intent's number."""
    fields = {name: getattr(intent, name) for name in Draft.model_fields}
    return Draft.model_validate({**fields, "event": event, "intended": intent.seq, **more})


GENESIS = Draft(event="genesis", time=TIME, reason="the audit log of acme/models")


def chain(*drafts: Draft) -> Chain:
    """The log of these drafts after a genesis."""
    appended = chained((GENESIS, *drafts), None, "2026-11")
    return Chain(HEAD, appended.links)


def entries(*drafts: Draft) -> tuple[Entry, ...]:
    return chain(*drafts).entries


def recorded(*drafts: Draft) -> Recorded:
    """What the log of these drafts comes to."""
    return chain(*drafts).recorded


def content(*segments: tuple[str, bytes]) -> LogContent:
    return LogContent(HEAD, tuple(LogSegment(name, data) for name, data in segments))


def mandate(**changes: Any) -> Mandate:
    usual: Mapping[str, Any] = {
        "pull_request": 12,
        "url": "https://github.com/acme/models/pull/12",
        "head_sha": HEAD,
        "merge_sha": MERGE,
        "author": BOT,
        "requester": "rita",
        "approvers": ("alice", "bob"),
        "merged_by": "alice",
        "policy_commit": BASE,
        "evidence": "sha256:" + "e" * 64,
    }
    return Mandate.model_validate({**usual, **changes})


def anchor_tag(link: Link) -> str:
    return f"{link.entry.seq}:{link.digest}"


# Plans


def planned(
    of_models: ModelSpec | Mapping[str, ModelSpec],
    actual: RegistryState,
    known: Iterable[Entry] = (),
    resumable: Mapping[SlotKey, Entry] | None = None,
) -> Plan:
    """The plan from a log's entries."""
    given = specs(of_models) if isinstance(of_models, ModelSpec) else of_models
    past = fold(known)
    return plan(given, actual, past.bases, past.seen, resumable or {})


# Evidence


def run(number: int, auc: float, model: str = MODEL) -> Run:
    return Run(
        run_id=f"run{number}",
        experiment_id="1",
        name="r",
        metrics={"auc": auc},
        params={},
        tags={},
        datasets=(Dataset("test", "d1", "evaluation"),),
        started_at=0,
    )


RUNS = {f"run{number}": run(number, 0.5 + number / 10) for number in range(5)}
"""The higher the number of the version, the better it is."""


def evidence(
    candidate: int = 4,
    incumbent: int | None = 3,
    model: str = MODEL,
    slot: str = "Production",
    followers: tuple[str, ...] = (),
) -> Evidence:
    """What `stagewright propose` would freeze for this pair, on RUNS."""
    sides = [
        measured(version(number, model=model), RUNS[f"run{number}"], PROMOTION_POLICY) if number else None
        for number in (incumbent, candidate)
    ]
    assert sides[1] is not None
    criteria = tuple(Criterion.model_validate(criterion) for criterion in CRITERIA)
    circumstances = Circumstances(slot, followers, "http://mlflow", NOON, PROMOTION_POLICY, RUNS)
    return freeze(compare(criteria, sides[0], sides[1], PROMOTION_POLICY), circumstances)


# Pull requests


def pull(**changes: Any) -> PullRequest:
    """An open pull request of the bot."""
    usual = PullRequest(
        number=12,
        title="Promote churn 4",
        url="https://github.com/acme/models/pull/12",
        state="open",
        draft=False,
        author=BOT,
        author_is_bot=True,
        head_ref="stagewright/churn",
        head_sha=HEAD,
        base_ref="main",
        base_sha=BASE,
        merged_at=None,
        merged_by=None,
        merge_sha=None,
        created_at=NOON,
        labels=(),
    )
    return replace(usual, **changes)


def merged(**changes: Any) -> PullRequest:
    return pull(**{"state": "closed", "merged_at": NOON, "merged_by": "alice", "merge_sha": MERGE, **changes})


def review(reviewer: str, state: str = "APPROVED", **changes: Any) -> Review:
    """A review on the head, an hour before noon."""
    usual: Mapping[str, Any] = {
        "reviewer": reviewer,
        "reviewer_is_bot": False,
        "state": state,
        "commit_id": HEAD,
        "submitted_at": NOON.replace(hour=11),
    }
    return Review(**{**usual, **changes})


def reviews(*reviewers: str) -> tuple[Review, ...]:
    """Each of these approves the head."""
    return tuple(review(reviewer) for reviewer in reviewers)


def commit(author: str | None = BOT, message: str = "Promote churn 4", **changes: Any) -> PullCommit:
    """A commit by `author`; the bot's are signed by GitHub."""
    usual: Mapping[str, Any] = {
        "sha": HEAD,
        "author": author,
        "committer": author,
        "verified": author == BOT,
        "message": message,
        "committed_at": NOON.replace(hour=10),
    }
    return PullCommit(**{**usual, **changes})


def bot_commit(*files: bytes, requester: str | None = "rita", **changes: Any) -> PullCommit:
    """The bot's own commit, vouching for evidence files and naming who asked."""
    trailers = [f"{EVIDENCE_TRAILER}: {digest(data)}" for data in files]
    trailers += [f"{REQUESTER_TRAILER}: {requester}"] if requester else []
    return commit(message="\n".join(["Promote churn 4", "", *trailers, ""]), **changes)


def tree_commit(
    sha: str, parent: str | None, subject: str = "Promote churn 4", committed_at: datetime = NOON
) -> TreeCommit:
    return TreeCommit(sha, parent, subject, committed_at)


PROMOTION = SlotChange(MODEL, "Production", 3, 4, "promotion")
ROLLBACK = SlotChange(MODEL, "Production", 4, 3, "rollback")
PEOPLE = {
    "alice": "write",
    "bob": "maintain",
    "carol": "admin",
    "rita": "write",
    "tom": "triage",
    "eve": "read",
    "mallory": "write",
}


def facts(**changes: Any) -> PullFacts:
    """The bot's promotion of churn from 3 to 4 with its evidence, which Rita asked for; nobody has reviewed it yet."""
    files = {evidence().path: evidence().to_bytes()}
    usual = PullFacts(
        pull=pull(),
        reviews=(),
        commits=(bot_commit(*files.values()),),
        changes=(PROMOTION,),
        paths=(*files, "models/churn.yaml"),
        people=PEOPLE,
        evidence=files,
        unreadable=(),
        policy_commit=BASE,
        at=NOON,
    )
    return replace(usual, **changes)


def by_hand(author: str = "mallory", **changes: Any) -> PullFacts:
    """A person's pull request that rolls churn back from 4 to 3."""
    usual: Mapping[str, Any] = {
        "pull": pull(author=author, author_is_bot=False),
        "commits": (commit(author, "Roll churn back"),),
        "changes": (ROLLBACK,),
        "paths": ("models/churn.yaml",),
        "evidence": {},
    }
    return facts(**{**usual, **changes})

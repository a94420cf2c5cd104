"""A GitOps repository in memory with its registry, pull requests, audit log and clock, and what people do there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.commands.apply import apply
from bot.commands.audit import audit_init
from bot.commands.occasion import Occasion, Ports
from bot.commands.propose import Request, Wording, propose_models
from bot.commands.recording import Comment, Telling
from bot.core.anchors import Anchor, LogName, anchor_problems, anchors
from bot.core.audit import Entry, Link
from bot.core.chain import read_chain
from bot.core.details import Details, Questions
from bot.core.log import LogContent, LogSegment, LogTip
from bot.core.pulls import PullRequest
from bot.core.results import ApplyResult, Opened, ProposeResult
from bot.core.state import (
    Artifacts,
    Capabilities,
    Changes,
    Dataset,
    Experiment,
    Identity,
    ModelVersion,
    RegisteredModel,
    RegistryState,
    Run,
    SlotKey,
)
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.pull_requests import FakePullRequests, MergeMethod
from tests.fakes.registry import FakeRegistry
from tests.fakes.tree import FakeTree

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RUN_URL = "https://github.com/acme/models/actions/runs/7"

DEMAND = """\
# Demand in units per day.
schema_version: 1
name: demand
stages:
  Production: 3 # since spring
aliases:
  champion: {follows: Production}
promotion:
  slot: Production
  criteria:
    - {metric: val_rmse, goal: minimize, min_gain: 1%}
"""
WINE = DEMAND.replace("demand", "wine").replace("Demand", "Wine").replace("Production: 3", "Production: 1")

APPROVALS = """\
schema_version: 1
rules:
  - name: production
    when: {slots: [Production, champion]}
    require: {approvals: 2}
  - name: policies
    when: {paths: ["policies/**"]}
    require: {approvals: 2}
  - name: everything
    when: {paths: ["**"]}
    require: {approvals: 1}
"""
PROMOTION = "schema_version: 1\n"
ANCHOR = "schema_version: 1\ngenesis: null # not begun\n"
FILES = {
    "models/demand.yaml": DEMAND,
    "models/wine.yaml": WINE,
    "policies/approvals.yaml": APPROVALS,
    "policies/promotion.yaml": PROMOTION,
    "policies/audit.yaml": ANCHOR,
}


def identity_of(model: str, version: int) -> Identity:
    return Identity(model, version, f"{model}-run{version}", 1_000 + version)


def model_of(name: str, stages: Mapping[int, str], aliases: Mapping[str, int]) -> RegisteredModel:
    versions = {number: ModelVersion(identity_of(name, number), stage=stage) for number, stage in stages.items()}
    return RegisteredModel(name, aliases=aliases, versions=versions)


def run_of(model: str, version: int, rmse: float) -> Run:
    return Run(
        run_id=f"{model}-run{version}",
        experiment_id="1",
        name=f"crane-{version}",
        metrics={"val_rmse": rmse},
        params={},
        tags={},
        datasets=(Dataset("holdout", "d1", "evaluation"),),
        started_at=1_762_000_000_000,
    )


def registry_of(capabilities: Capabilities | None = None) -> FakeRegistry:
    """demand: v3 serves, v4 is worse, v5 better. wine: v1 serves, v2 is better."""
    models = (
        model_of("demand", {3: "Production", 4: "None", 5: "None"}, {"champion": 3}),
        model_of("wine", {1: "Production", 2: "None"}, {"champion": 1}),
    )
    measured = (("demand", 3, 0.20), ("demand", 4, 0.25), ("demand", 5, 0.18), ("wine", 1, 0.5), ("wine", 2, 0.4))
    runs = [run_of(*one) for one in measured]
    state = RegistryState({model.name: model for model in models})
    return FakeRegistry(state, {run.run_id: run for run in runs}, capabilities)


class Scene:
    """The fakes, and the words for what people do with them. `begin` starts the log, as a repository does once."""

    def __init__(self, files: Mapping[str, str] | None = None, *, begun: bool = True) -> None:
        self.tree = FakeTree(FILES | dict(files or {}))
        self.registry = registry_of()
        self.log = FakeAuditLog()
        self.pulls = FakePullRequests(self.tree)
        self._now = NOON
        self.waited: list[float] = []
        self.told: list[ApplyResult] = []
        if begun:
            self.begin()

    def begin(self) -> None:
        audit_init(self.tree, self.tree, self.log, "acme/models", "alice", self.now())
        self.tree.commit({"policies/audit.yaml": self.tree.working["policies/audit.yaml"]}, "Begin the audit log")

    def now(self) -> datetime:
        """A clock that goes on by a second each time that it is read."""
        self._now += timedelta(seconds=1)
        return self._now

    @property
    def occasion(self) -> Occasion:
        return Occasion("github-actions[bot]", RUN_URL, self.now, self.waited.append)

    def propose(
        self,
        *models: str,
        again: bool = False,
        dry_run: bool = False,
        requester: str | None = None,
        wording: Wording | None = None,
    ) -> ProposeResult:
        request = Request(models, again, dry_run, (requester,) if requester else (), self.now())
        return propose_models(self.tree, self.registry, self.log, self.pulls, request, wording or WORDING)

    def proposed(self, model: str) -> PullRequest:
        """The pull request that `propose` opens for a model."""
        (outcome,) = self.propose(model).outcomes
        assert isinstance(outcome, Opened)
        assert outcome.pull
        return outcome.pull

    def promoted(
        self, *models: str, approvers: Sequence[str] = ("bob", "carol"), method: MergeMethod = "merge"
    ) -> list[int]:
        """Proposed by the bot, approved and merged; returns the numbers."""
        pulls = [self.proposed(model) for model in models]
        for pull in pulls:
            self.pulls.review(pull.number, *approvers)
            self.pulls.merge(pull.number, method=method)
        return [pull.number for pull in pulls]

    def edited(
        self,
        author: str,
        changes: Mapping[str, str | bytes | None],
        *,
        approvers: Sequence[str] = ("bob", "carol"),
        method: MergeMethod = "merge",
    ) -> int:
        """Edited by a person, approved and merged; returns the number."""
        pull = self.pulls.open_by(author, f"edit-{len(self.pulls.pulls)}", changes)
        self.pulls.review(pull.number, *approvers)
        self.pulls.merge(pull.number, method=method)
        return pull.number

    def file(self, path: str, old: str, new: str) -> dict[str, str]:
        """A file of main with a text replaced."""
        text = self.tree.commits[self.tree.branches["main"]].files[path].decode()
        assert old in text
        return {path: text.replace(old, new)}

    def apply(
        self,
        *,
        force: bool = False,
        take_over: Sequence[str] = (),
        comment: Comment | None = None,
        changed: bool = False,
    ) -> ApplyResult:
        ports = Ports(self.tree, self.registry, self.pulls, self.log)
        occasion = replace(self.occasion, take_over=tuple(take_over), changed=changed)
        return apply(ports, occasion, Telling(comment or comment_of, self.told.append), force=force)

    def adopted(self) -> None:
        """The first apply: the log learns what is in each slot."""
        assert not self.apply().refused
        self.registry.written.clear()
        self.registry.tagged.clear()
        self.pulls.comments.clear()

    def entries(self) -> tuple[Entry, ...]:
        """The log's entries, after checking the chain and the registry's anchors."""
        assert self.log.content
        chain = read_chain(self.log.content, None)
        assert chain.problems == ()
        ours = LogName.of(chain.links[0].digest, self.pulls.repository)
        assert anchor_problems(chain, anchors(self.state(), ours)) == ()
        return chain.entries

    def anchors(self) -> tuple[Anchor, ...]:
        """The anchors of any log, on the usual models."""
        return anchors(self.state(), LogName(""))

    def events(self, since: int = 0) -> list[str]:
        """Each entry in short, from a `seq` on."""
        return [short(entry) for entry in self.entries()[since:]]

    def state(self) -> RegistryState:
        return self.registry.state(["demand", "wine"])

    def held(self) -> dict[SlotKey, tuple[int, ...]]:
        """The numbers in each slot."""
        keys = [(model, slot) for model in ("demand", "wine") for slot in ("Production", "champion")]
        return {key: tuple(identity.version for identity in self.state().holding(key)) for key in keys}


def short(entry: Entry) -> str:
    target = entry.after.version if entry.after else None
    return f"{entry.event} {entry.model} {entry.slot} {target}"


def comment_of(entries: Sequence[Entry], head: Link) -> str:
    return "\n".join(short(entry) for entry in entries)


WORDING = Wording(
    title=lambda proposal: f"Promote {proposal.model} v{proposal.candidate.version}",
    body=lambda case: f"{sorted(case.runs)} at {case.registry} with {case.picture}",
)


NAMES = tuple(f"m{number}" for number in range(6))
TEXT = "schema_version: 1\nname: {}\nstages: {{Production: {}}}\naliases: {{champion: {{follows: Production}}}}\n"


def fleet(models: int) -> Scene:
    """demand, wine, and so many models that have v1 in Production, of which the first are `NAMES`; all are adopted."""
    names = [*NAMES, *(f"other{number}" for number in range(models - len(NAMES)))]
    files = {f"models/{name}.yaml": TEXT.format(name, 1) for name in names}
    scene = Scene({**files, "policies/approvals.yaml": APPROVALS + "promotion_without_evidence: allow\n"})
    stages = {1: "Production", 2: "None", 3: "None"}
    there = {name: model_of(name, stages, {"champion": 1}) for name in names}
    others = scene.registry.state({"demand", "wine"}).models
    runs = {run.run_id: run for name in names for run in (run_of(name, version, 0.2) for version in stages)}
    scene.registry = FakeRegistry(RegistryState({**others, **there}), runs)
    scene.apply()
    return scene


class CountingTree(FakeTree):
    """Notes which files of commits are read."""

    def __init__(self, tree: FakeTree) -> None:
        vars(self).update(vars(tree))
        self.read_paths: list[str] = []

    def read(self, commit: str | None, path: str) -> bytes | None:
        self.read_paths.append(path)
        return super().read(commit, path)


class CountingRegistry(FakeRegistry):
    """Notes which models are asked for."""

    def __init__(self, registry: FakeRegistry) -> None:
        vars(self).update(vars(registry))
        self.asked_for: list[set[str]] = []

    def state(self, models: Collection[str]) -> RegistryState:
        self.asked_for.append(set(models))
        return super().state(models)


class ReadOnlyRegistry:
    """A registry without any method that writes."""

    def __init__(self, registry: FakeRegistry) -> None:
        self._registry = registry

    @property
    def address(self) -> str:
        return self._registry.address

    @property
    def capabilities(self) -> Capabilities:
        return self._registry.capabilities

    def ahead(self, models: int, *, versions: bool) -> AbstractContextManager[None]:
        return self._registry.ahead(models, versions=versions)

    def state(self, models: Collection[str]) -> RegistryState:
        return self._registry.state(models)

    def artifacts(self, versions: Collection[ModelVersion]) -> Mapping[Identity, Artifacts]:
        return self._registry.artifacts(versions)

    def survey(self, models: Collection[str]) -> tuple[RegistryState, Sequence[RegisteredModel]]:
        return self._registry.survey(models)

    def models(self) -> Sequence[RegisteredModel]:
        return self._registry.models()

    def changes(self, since: int) -> Changes | None:
        return self._registry.changes(since)

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        return self._registry.aliases(models)

    def versions_with(self, key: str, value: str | None) -> Mapping[str, Mapping[int, str]] | None:
        return self._registry.versions_with(key, value)

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        return self._registry.runs(run_ids)

    def runs_in_parts(self, run_ids: Iterable[str]) -> Iterator[Mapping[str, Run]]:
        return self._registry.runs_in_parts(run_ids)

    def runs_of(self, experiment: str) -> Experiment | None:
        return self._registry.runs_of(experiment)

    def details(self, questions: Questions) -> Details:
        return self._registry.details(questions)


class ReadOnlyLog:
    """An audit log without `append`."""

    def __init__(self, log: FakeAuditLog) -> None:
        self._log = log

    def head(self) -> str | None:
        return self._log.head()

    def tip(self) -> LogTip | None:
        return self._log.tip()

    def segment(self, head: str, name: str) -> LogSegment:
        return self._log.segment(head, name)

    def read(self) -> LogContent | None:
        return self._log.read()


class ReadOnlyPullRequests(FakePullRequests):
    """Pull requests of another object, in which everything that writes fails."""

    def __init__(self, pulls: FakePullRequests) -> None:
        super().__init__(pulls.tree, pulls.people)
        self.pulls = pulls.pulls
        self.members = pulls.members
        self._reviews = pulls._reviews
        self._retargeted = pulls._retargeted
        self._associated = pulls._associated
        self.before_write = _refuse


def _refuse(what: str) -> None:
    raise AssertionError(f"{what} writes")

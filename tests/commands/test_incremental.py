"""Looking at what may have changed finds what looking at everything finds, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.audit import audit_init
from bot.commands.comparing import scan
from bot.commands.propose import Request, propose_models
from bot.commands.scanning import Sight, Sources, Watching, look
from bot.core.proposal import NothingToPropose, Proposal
from bot.core.results import Coverage, ProposeResult, Skipped
from bot.core.sharding import Shard
from bot.core.state import Dataset, Identity, ModelVersion, RegisteredModel, RegistryState, Run
from bot.core.watermark import Watermark, milliseconds, watermark_of
from bot.errors import ForgeUnavailable, InvalidDocuments, Misuse
from tests.commands.scene import ANCHOR, APPROVALS, DEMAND, WORDING, Scene
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.registry import FakeRegistry
from tests.fakes.tree import FakeTree

MODELS = ("staged", "newer", "aliased", "tagged", "aged")
POLICY = "schema_version: 1\nevaluation_data: may_differ\nnoise: {expected_candidates: 1}\n"


def file_of(name: str, version: int | None = 1, *, gain: str = "1%", hold: str = "") -> str:
    """Each model has another source of candidates."""
    source = {
        "staged": "{from: Staging}",
        "newer": "{newer_than: incumbent}",
        "aliased": "{alias: challenger}",
        "tagged": "{tags: {validation: passed}}",
        "aged": "{from: Staging}",
    }[name]
    slot = "champion" if name == "aliased" else "Production"
    value = "null" if version is None else version
    section = f"aliases: {{champion: {value}}}" if name == "aliased" else f"stages: {{Production: {value}}}"
    aged = "  eligibility: {min_hours_in_staging: 10}\n" if name == "aged" else ""
    return (
        f"schema_version: 1\nname: {name}\n{section}\n{hold}promotion:\n  slot: {slot}\n  candidates: {source}\n{aged}"
        f"  criteria:\n    - {{metric: auc, goal: maximize, min_gain: {gain}}}\n"
    )


class Store:
    """A WatermarkStore in memory."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.written = 0

    def read(self) -> bytes | None:
        return self.content

    def write(self, content: bytes) -> None:
        self.content = content
        self.written += 1

    @property
    def watermark(self) -> Watermark:
        assert self.content
        found = watermark_of(self.content)
        assert found
        return found


@dataclass
class World:
    """A registry and a repository in which things happen, with a clock. The registry's clock is 20 minutes behind."""

    tree: FakeTree = field(init=False)
    registry: FakeRegistry = field(init=False)
    log: FakeAuditLog = field(default_factory=FakeAuditLog)
    store: Store = field(default_factory=Store)
    now: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC)
    runs: dict[str, Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        files = {f"models/{name}.yaml": file_of(name) for name in MODELS}
        policies = {"promotion": POLICY, "approvals": APPROVALS, "audit": ANCHOR}
        self.tree = FakeTree(files | {f"policies/{name}.yaml": text for name, text in policies.items()})
        self.registry = FakeRegistry(RegistryState({}))
        for name in MODELS:
            self.registry.add(RegisteredModel(name, aliases={"champion": 1} if name == "aliased" else {}))
            self.register(name, 50)
            if name != "aliased":
                self.move(name, 1, "Production")
        self.later(48)

    @property
    def clock(self) -> int:
        return milliseconds(self.now - timedelta(minutes=20))

    def model(self, name: str) -> RegisteredModel:
        return self.registry.state([name]).models[name]

    # What happens

    def later(self, hours: float) -> None:
        self.now += timedelta(hours=hours)

    def register(self, name: str, auc: int, *, running: bool = False, minutes_ago: int = 0) -> None:
        """A version whose transaction began some minutes ago."""
        model = self.model(name)
        number = max(model.versions, default=0) + 1
        at = self.clock - minutes_ago * 60_000
        run = Run(f"{name}-{len(self.runs)}", "1", "r", {"auc": auc / 100}, {}, {}, (_DATA,), 0, running=running)
        self.runs[run.run_id] = run
        made = ModelVersion(Identity(name, number, run.run_id, at), last_updated=at)
        self.registry.add(replace(model, versions={**model.versions, number: made}), run)
        self.registry.touch(name, at)

    def finish(self, name: str, auc: int) -> None:
        """The newest run of a model that has not ended yet."""
        running = [run for run in self.runs.values() if run.running and run.run_id.startswith(f"{name}-")]
        for run in running[-1:]:
            self.runs[run.run_id] = replace(run, running=False, metrics={"auc": auc / 100})
            self.registry.add(self.model(name), self.runs[run.run_id])

    def _change(self, name: str, number: int, **changes: Any) -> None:
        model = self.model(name)
        if number in model.versions:
            changed = replace(model.versions[number], **changes)
            self.registry.add(replace(model, versions={**model.versions, number: changed}))

    def move(self, name: str, number: int, stage: str) -> None:
        self._change(name, number, stage=stage, last_updated=self.clock)
        self.registry.touch(name, self.clock)

    def describe(self, name: str, number: int) -> None:
        self._change(name, number, description="edited", last_updated=self.clock)

    def tag(self, name: str, number: int, value: str | None) -> None:
        """No change by its time."""
        model = self.model(name)
        if number in model.versions:
            others = {key: old for key, old in model.versions[number].tags.items() if key != "validation"}
            self._change(name, number, tags=others if value is None else {**others, "validation": value})

    def point(self, name: str, alias: str, number: int) -> None:
        """No change by its time."""
        model = self.model(name)
        aliases = {key: old for key, old in model.aliases.items() if key != alias}
        self.registry.add(replace(model, aliases=aliases | ({alias: number} if number in model.versions else {})))

    def delete(self, name: str, number: int) -> None:
        model = self.model(name)
        versions = {key: version for key, version in model.versions.items() if key != number}
        aliases = {key: old for key, old in model.aliases.items() if old != number}
        self.registry.add(replace(model, versions=versions, aliases=aliases))
        self.registry.touch(name, self.clock)

    def recreate(self, name: str) -> None:
        self.registry.add(RegisteredModel(name))
        self.registry.touch(name, self.clock)

    def edit(self, name: str, version: int | None, gain: str, hold_days: int) -> None:
        """With a hold of version 2 for so many days, this one too."""
        until = (self.now + timedelta(days=hold_days - 1)).date()
        hold = f"holds: [{{version: 2, reason: r, until: {until}}}]\n" if hold_days else ""
        self.tree.commit({f"models/{name}.yaml": file_of(name, version, gain=gain, hold=hold)})

    # Looking

    def sources(self) -> Sources:
        return Sources(self.tree, self.registry, self.log, self.tree.branches["main"], "acme/models")

    def look(self, *, shard: Shard | None = None, full: bool = False, tool: str = "1.0") -> Sight:
        watching = Watching(shard or Shard(1, 1), self.store, full, tool)
        sight = look(self.sources(), watching, (), self.now)
        if sight.watermark:
            self.store.write(sight.watermark.to_bytes())
        return sight

    def coverage(self, **named: Any) -> Coverage:
        found = self.look(**named).coverage
        assert found
        return found

    def looked_at(self) -> set[str]:
        """The models that an incremental look reads."""
        sight = self.look()
        assert sight.coverage
        assert sight.coverage.sweep is None
        return {outcome.model for outcome in sight.found.outcomes}

    def everything(self) -> Mapping[str, Proposal | NothingToPropose]:
        found = scan(self.tree, self.registry, self.log, (), self.now, self.tree.branches["main"], "acme/models")
        return {outcome.model: outcome for outcome in found.outcomes}

    def agrees(self) -> Sight:
        """Assert that an incremental look and one at everything find the same."""
        whole, sight = self.everything(), self.look()
        part = {outcome.model: outcome for outcome in sight.found.outcomes}
        assert part == {model: whole[model] for model in part}
        assert {m for m, one in whole.items() if isinstance(one, Proposal)} <= part.keys()
        return sight


_DATA = Dataset("holdout", "d1", "evaluation")
Event: TypeAlias = tuple[str, tuple[Any, ...]]


def events() -> st.SearchStrategy[Event]:
    name, number = st.sampled_from(MODELS), st.integers(1, 4)
    stage = st.sampled_from(["Production", "Staging", "None", "Archived"])

    def event(what: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
        return st.tuples(st.just(what), st.tuples(*arguments))

    return st.one_of(
        event("register", name, st.integers(40, 60)),
        event("begin", name, st.integers(40, 60), st.integers(0, 35)),
        event("finish", name, st.integers(40, 60)),
        event("move", name, number, stage),
        event("describe", name, number),
        event("tag", name, number, st.sampled_from(["passed", "failed", None])),
        event("point", name, st.sampled_from(["champion", "challenger"]), number),
        event("delete", name, number),
        event("recreate", name),
        event("edit", name, st.sampled_from([1, 2, None]), st.sampled_from(["1%", "9%"]), st.sampled_from([0, 1, 2])),
        event("later", st.sampled_from([0.02, 0.5, 3.0, 7.0])),
        event("look"),
        event("look"),
    )


def happen(world: World, event: Event) -> None:
    what, arguments = event
    if what == "look":
        world.agrees()
    elif what == "begin":
        name, auc, minutes = arguments
        world.register(name, auc, running=auc % 2 == 0, minutes_ago=minutes)
    else:
        deed: Callable[..., None] = getattr(world, what)
        deed(*arguments)


BETTER: Mapping[str, Sequence[Event]] = {
    "a version that is moved to Staging": [
        ("register", ("staged", 60)),
        ("look", ()),
        ("move", ("staged", 2, "Staging")),
    ],
    "a new version": [("look", ()), ("register", ("newer", 60))],
    "an alias of candidates": [("register", ("aliased", 60)), ("look", ()), ("point", ("aliased", "challenger", 2))],
    "an alias that is the slot": [
        ("register", ("aliased", 60)),
        ("point", ("aliased", "challenger", 2)),
        ("point", ("aliased", "champion", 2)),
        ("look", ()),
        ("point", ("aliased", "champion", 1)),
    ],
    "a tag": [("register", ("tagged", 60)), ("look", ()), ("tag", ("tagged", 2, "passed"))],
    "a tag with another value": [
        ("register", ("tagged", 60)),
        ("tag", ("tagged", 2, "failed")),
        ("look", ()),
        ("tag", ("tagged", 2, "passed")),
    ],
    "long enough in Staging": [
        ("register", ("aged", 60)),
        ("move", ("aged", 2, "Staging")),
        ("look", ()),
        ("later", (5.0,)),
        ("look", ()),
        ("later", (3.0,)),
    ],
    "the end of a hold": [
        ("register", ("newer", 60)),
        ("edit", ("newer", 1, "1%", 1)),
        ("look", ()),
        ("later", (5.0,)),
        ("look", ()),
        ("later", (3.0,)),
    ],
    "an edited file": [
        ("register", ("newer", 54)),
        ("edit", ("newer", 1, "9%", 0)),
        ("look", ()),
        ("edit", ("newer", 1, "1%", 0)),
    ],
    "a run that ends": [("begin", ("newer", 40, 0)), ("later", (7.0,)), ("look", ()), ("finish", ("newer", 60))],
    "a deleted version that was in the slot too": [
        ("register", ("newer", 60)),
        ("register", ("newer", 50)),
        ("move", ("newer", 3, "Production")),
        ("look", ()),
        ("delete", ("newer", 3)),
    ],
}


@pytest.mark.parametrize("what", BETTER)
def test_what_makes_a_version_win_is_seen(what: str) -> None:
    world = World()
    world.look()
    *before, last = BETTER[what]
    for event in before:
        world.later(1.1)
        happen(world, event)
    assert not any(isinstance(one, Proposal) for one in world.everything().values())
    happen(world, last)
    assert [type(one) for one in world.agrees().found.outcomes if isinstance(one, Proposal)] == [Proposal]
    assert world.coverage().sweep is None


def test_a_version_whose_transaction_began_before_the_last_look() -> None:
    world = World()
    world.register("staged", 50)
    world.look()
    world.register("newer", 61, minutes_ago=35)
    assert world.model("newer").versions[2].last_updated < world.store.watermark.newest
    assert any(isinstance(one, Proposal) for one in world.agrees().found.outcomes)


@given(st.lists(events(), max_size=30))
@settings(max_examples=80)
def test_looking_at_what_may_have_changed_finds_what_looking_at_everything_finds(happened: list[Event]) -> None:
    world = World()
    world.look()
    for event in happened:
        happen(world, event)
    world.agrees()


# What makes all of them due


def looked(world: World) -> tuple[int, str | None]:
    found = world.coverage()
    return found.looked_at, found.sweep


def test_the_first_look_is_at_everything_and_the_next_at_nothing() -> None:
    world = World()
    assert looked(world) == (5, "there is no watermark that can be read")
    assert looked(world) == (0, None)


def test_nothing_that_is_not_due_is_read() -> None:
    world = World()
    audit_init(world.tree, world.tree, world.log, "acme/models", "alice", world.now)
    world.tree.commit({"policies/audit.yaml": world.tree.working["policies/audit.yaml"]})
    world.look()
    assert world.log.segments_read
    world.registry.reads = 0
    world.log.segments_read.clear()
    parsed: list[str] = []
    world.tree.before_read = parsed.append
    assert world.looked_at() == set()
    assert (world.log.segments_read, [path for path in parsed if path.startswith("models/")]) == ([], [])
    world.edit("newer", 1, "2%", 0)
    assert world.looked_at() == {"newer"}
    assert [path for path in parsed if path.startswith("models/")] == ["models/newer.yaml"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00"])
def test_a_corrupt_watermark_costs_one_full_sweep(content: bytes) -> None:
    world = World()
    world.look()
    world.store.content = content
    assert looked(world) == (5, "there is no watermark that can be read")
    assert looked(world) == (0, None)


def test_a_sweep_that_is_asked_for_and_one_a_day() -> None:
    world = World()
    world.look()
    assert world.coverage(full=True).sweep == "a full sweep was asked for"
    world.later(23)
    assert looked(world) == (0, None)
    world.later(1)
    assert looked(world) == (5, "the last full sweep is a day old")
    assert looked(world) == (0, None)


def test_another_version_of_the_program_and_another_policy() -> None:
    world = World()
    world.look()
    assert world.coverage(tool="1.1").sweep == "the watermark is from another version of Stagewright"
    for path, content in (("policies/promotion.yaml", POLICY + "max_open_proposals: 3\n"), ("bot/core/x.py", "x = 1")):
        assert world.coverage(tool="1.1").sweep is None
        world.tree.commit({path: content})
        assert world.coverage(tool="1.1").sweep == "the watermark is from before a change of policies/ or bot/"


def test_a_registry_that_went_back_in_time() -> None:
    world = World()
    world.register("newer", 40)
    world.look()
    older = world.model("newer")
    world.registry.add(replace(older, versions={1: older.versions[1]}))
    world.registry.touch("newer", older.versions[1].last_updated)
    assert looked(world) == (5, "the registry is older than the watermark, as after a restored backup")


def test_a_registry_that_cannot_say_what_was_changed_is_read_whole_each_time() -> None:
    world = World()
    world.look()
    written = world.store.written
    world.registry.is_mute = True
    assert looked(world) == (5, "this registry cannot say what was changed")
    assert world.coverage(full=True).sweep == "a full sweep was asked for"
    assert world.store.written == written


def test_a_registry_that_cannot_be_asked_for_a_tag_is_read_whole_each_time() -> None:
    world = World()
    world.registry.unaskable = {"validation"}
    world.look()
    assert looked(world) == (5, "this registry cannot be asked for a tag that a file or the policy names")


def test_what_is_not_a_model_s_file_is_a_finding_when_nothing_is_due_too() -> None:
    world = World()
    world.look()
    world.tree.commit({"models/README.md": "x", "models/.hidden.yaml": "x"})
    assert looked(world) == (0, None)
    world.tree.commit({"models/notes.txt": "x"})
    with pytest.raises(InvalidDocuments):
        world.look()


def test_a_file_that_is_gone_is_forgotten() -> None:
    world = World()
    world.look()
    world.tree.commit({"models/newer.yaml": None})
    assert looked(world) == (0, None)
    assert len(world.store.watermark.models) == 4
    world.tree.commit({"models/newer.yaml": file_of("newer")})
    assert world.looked_at() == {"newer"}


# With pull requests and a log


class Watched(Scene):
    """The usual scene, proposed from with a watermark."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        super().__init__(files)
        self.store = Store()

    def run(self, *models: str, dry_run: bool = False, shard: Shard | None = None, full: bool = False) -> ProposeResult:
        watching = Watching(shard or Shard(1, 1), self.store, full, "1.0")
        request = Request(models, False, dry_run, (), self.now(), watching=watching)
        return propose_models(self.tree, self.registry, self.log, self.pulls, request, WORDING)

    def models(self, **named: Any) -> list[str]:
        return [
            one.model if isinstance(one, NothingToPropose) else one.proposal.model for one in self.run(**named).outcomes
        ]


def test_what_is_open_declined_or_waiting_is_looked_at_every_time() -> None:
    scene = Watched({"policies/promotion.yaml": "schema_version: 1\nmax_open_proposals: 1\n"})
    assert [type(one).__name__ for one in scene.run().outcomes] == ["Opened", "Skipped"]
    assert [one.why for one in scene.run().outcomes if isinstance(one, Skipped)] == ["open", "limit"]
    scene.pulls.close(scene.pulls.open_proposals("stagewright/")[0].number)
    assert [type(one).__name__ for one in scene.run().outcomes] == ["Skipped", "Opened"]
    assert scene.models() == ["demand", "wine"]


def test_a_dry_run_reads_the_watermark_and_leaves_it() -> None:
    scene = Watched()
    scene.run(dry_run=True)
    assert scene.store.written == 0
    scene.run()
    assert scene.store.written == 1
    coverage = scene.run(dry_run=True).coverage
    assert coverage
    assert (coverage.sweep, scene.store.written) == (None, 1)


def test_a_run_that_fails_leaves_the_watermark() -> None:
    scene = Watched()

    def refuse(what: str) -> None:
        raise ForgeUnavailable(f"{what} fails")

    scene.pulls.before_write = refuse
    with pytest.raises(ForgeUnavailable):
        scene.run()
    assert scene.store.written == 0
    scene.pulls.before_write = None
    assert [type(one).__name__ for one in scene.run().outcomes] == ["Opened", "Opened"]


def test_named_models_are_looked_at_whole_and_the_watermark_is_left() -> None:
    scene = Watched()
    scene.run()
    result = scene.run("wine")
    assert (len(result.outcomes), result.coverage, scene.store.written) == (1, None, 1)


def test_what_the_log_holds_since_a_rollback_is_seen_and_its_lift_too() -> None:
    scene = Watched()
    scene.adopted()
    scene.promoted("demand")
    scene.apply()
    assert "demand" in scene.models()
    assert "demand" not in scene.models()
    scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
    assert "demand" in scene.models()
    assert "demand" not in scene.models()
    scene.apply()
    assert "demand" in scene.models()
    held = {one.name: bool(one.held) for one in scene.store.watermark.models.values()}
    assert held == {"demand": True, "wine": False}
    assert "demand" not in scene.models()
    scene.edited("alice", {"models/demand.yaml": DEMAND + "holds:\n  - {version: 5, lift: true}\n"})
    assert "demand" in scene.models()


# Shards


def shards(count: int) -> list[Shard]:
    return [Shard(index, count) for index in range(1, count + 1)]


def test_shards_look_at_each_model_once_and_each_has_its_watermark() -> None:
    world = World()
    sights = [world.look(shard=shard) for shard in shards(3)]
    assert sorted(one.model for sight in sights for one in sight.found.outcomes) == sorted(MODELS)
    assert world.coverage(shard=Shard(3, 3)).sweep is None
    assert world.coverage(shard=Shard(1, 3)).sweep == "the watermark is from another shard"
    assert sum(sight.coverage.models for sight in sights if sight.coverage) == 5


def test_without_a_watermark_a_shard_is_looked_at_whole() -> None:
    world = World()
    (first, second) = (look(world.sources(), Watching(shard), (), world.now) for shard in shards(2))
    assert first.coverage
    assert (first.coverage.shard, first.coverage.looked_at, first.coverage.since) == (
        "1/2",
        first.coverage.models,
        None,
    )
    assert len(first.found.outcomes) + len(second.found.outcomes) == 5
    assert first.found.elsewhere == len(second.found.outcomes)
    assert sorted([*first.others, *second.others]) == sorted(MODELS)


def test_named_models_of_other_shards_are_left_out() -> None:
    world = World()
    found = [look(world.sources(), Watching(shard), ["newer"], world.now).found.outcomes for shard in shards(2)]
    assert sorted(map(len, found)) == [0, 1]


def many(count: int, most: int) -> Watched:
    """Models with a better candidate each."""
    files = {f"models/demand{n}.yaml": DEMAND.replace("name: demand", f"name: demand{n}") for n in range(count)}
    scene = Watched({**files, "policies/promotion.yaml": f"schema_version: 1\nmax_open_proposals: {most}\n"})
    demand = scene.state().models["demand"]
    for n in range(count):
        name = f"demand{n}"
        own = {k: replace(v, identity=replace(v.identity, model=name)) for k, v in demand.versions.items()}
        scene.registry.add(replace(demand, name=name, versions=own))
    return scene


def test_shards_together_open_no_more_than_the_policy_allows_and_none_twice() -> None:
    scene = many(20, 7)
    for _ in range(2):
        for shard in shards(3):
            scene.store.content = None
            scene.run(shard=shard)
    branches = [pull.head_ref for pull in scene.pulls.open_proposals("stagewright/")]
    assert len(branches) == len(set(branches)) == 7


def test_a_shard_does_not_wait_for_another_one() -> None:
    scene = many(20, 6)
    scene.run(shard=Shard(2, 3))
    assert len(scene.pulls.open_proposals("stagewright/")) == 2
    scene.run(shard=Shard(1, 3))
    assert len(scene.pulls.open_proposals("stagewright/")) == 4


def test_a_proposal_of_a_model_that_no_file_is_for_counts_in_every_shard() -> None:
    scene = many(20, 3)
    scene.pulls.open_by("stagewright[bot]", "stagewright/gone/Production/v5-vs-v3-00000000", {})
    for shard in shards(3):
        scene.store.content = None
        scene.run(shard=shard)
    assert len(scene.pulls.open_proposals("stagewright/")) == 1


def test_more_shards_than_open_proposals_are_refused() -> None:
    with pytest.raises(Misuse, match="allows 10 open proposals, fewer than there are shards: 11"):
        Watched().run(shard=Shard(1, 11))

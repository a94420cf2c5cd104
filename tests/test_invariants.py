"""The ten invariants of apply and its log, each in a test that bears its number, on fakes and from the outside.

What each says, and where it is tested in depth:

- 7_1: all is per slot; drift blocks its slot only; without a base it has to be empty, or equal (core/test_plan.py)
- 7_2: no mandate, no change; once recorded, the record counts (commands/test_apply_mandate.py, core/test_mandate.py)
- 7_3: a promotion's numbers are read again (core/test_guards.py, core/test_evidence.py)
- 7_4: intents in one append before the first write, outcomes after reading back (commands/test_write_order.py)
- 7_5: killed anywhere, the next run completes; twice does nothing (commands/test_apply.py)
- 7_6: too much at once needs `--force`, in dry runs too (test_guarding.py)
- 7_7: chain, genesis, anchors; evidence is looked up at its merge (core/test_audit.py, commands/test_audit.py)
- 7_8: the pull request is told, and so are further jobs (test_guarding.py, core/test_results.py)
- 7_9: what left by rollback is held; a rollback needs no evidence (core/test_guards.py, commands/test_rollback.py)
- 7_10: one job writes, and one that reverts drift (test_workflows.py)
"""

from __future__ import annotations

import hashlib
import json

import pytest
import rfc8785

from bot.core.audit import Entry, Mandate
from bot.core.state import SlotKey, TransitionStage
from bot.errors import LogUnavailable
from tests.commands.scene import Scene, model_of, run_of
from tests.commands.test_apply import Fuse, Killed
from tests.test_cli import SceneConnections, run
from tests.test_workflows import JOBS, WRITER

PATH = "models/demand.yaml"
PRODUCTION: SlotKey = ("demand", "Production")


@pytest.fixture
def scene() -> Scene:
    """The log has adopted what the registry holds."""
    found = Scene()
    found.adopted()
    return found


def guards(scene: Scene) -> dict[SlotKey, str]:
    return {refusal.key: refusal.guard for refusal in scene.apply().plan.refusals}


def set_production(scene: Scene, old: object, new: object) -> int:
    return scene.edited("alice", scene.file(PATH, f"Production: {old}", f"Production: {new}"))


def test_7_1_a_drifted_staging_never_blocks_a_rollback_of_production_and_a_new_slot_is_adopted_or_refused() -> None:
    scene = Scene({PATH: Scene().tree.working[PATH].decode().replace("stages:\n", "stages:\n  Staging: 4\n")})
    scene.registry.change(TransitionStage("demand", 4, "Staging", archive_existing=True))
    scene.adopted()
    set_production(scene, 3, "null")
    scene.registry.change(TransitionStage("demand", 5, "Staging", archive_existing=True))
    scene.registry.add(model_of("same", {1: "Production"}, {}))
    scene.registry.add(model_of("other", {1: "Production", 2: "None"}, {}))
    text = "schema_version: 1\nname: {}\nstages:\n  Production: {}\n"
    scene.edited("alice", {"models/same.yaml": text.format("same", 1), "models/other.yaml": text.format("other", 2)})
    refused = guards(scene)
    assert refused == {("demand", "Staging"): "drift", ("other", "Production"): "import-first"}
    assert scene.held()[PRODUCTION] == ()
    assert "adopted same Production 1" in scene.events()


def test_7_2_a_value_belongs_to_the_commit_that_set_it_and_a_recorded_mandate_counts(scene: Scene) -> None:
    pushed = scene.tree.commit(scene.file(PATH, "Production: 3", "Production: null"), author="bob")
    scene.edited("alice", scene.file(PATH, "# since spring", "# since March"))
    assert guards(scene)[PRODUCTION] == "no-mandate", f"{pushed} set it, and nobody approved that"
    (number,) = scene.promoted("wine")
    Fuse(scene, 1)
    with pytest.raises(Killed):
        scene.apply()
    Fuse.remove(scene)
    scene.pulls.forget_commits()
    scene.apply()
    assert scene.held()["wine", "Production"] == (2,), "GitHub was not asked again"
    assert [mandate_of(entry).pull_request for entry in applied(scene)] == [number, number]


def applied(scene: Scene) -> list[Entry]:
    return [entry for entry in scene.entries() if entry.event == "applied"]


def mandate_of(entry: Entry) -> Mandate:
    assert entry.mandate
    return entry.mandate


def test_7_3_the_numbers_that_were_approved_are_read_again(scene: Scene) -> None:
    scene.promoted("demand")
    good = scene.registry.runs(["demand-run5"])["demand-run5"]
    model = scene.state().models["demand"]
    scene.registry.add(model, run_of("demand", 5, 0.19))
    assert guards(scene)[PRODUCTION] == "evidence-changed"
    scene.registry.add(model, good)
    assert guards(scene) == {}
    assert scene.held()[PRODUCTION] == (5,)


def test_7_4_intents_are_durable_before_the_first_write_and_outcomes_follow_what_is_read_back(scene: Scene) -> None:
    scene.promoted("demand", "wine")
    durable: list[int] = []
    scene.registry.before_write = lambda effect: durable.append(len(scene.log.appended))
    before, reads = len(scene.log.appended), scene.registry.reads
    scene.apply()
    first, last = scene.log.appended[before:]
    assert {json.loads(line)["event"] for line in first} == {"intended"}
    assert {json.loads(line)["event"] for line in last} == {"applied"}
    assert (len(first), len(last)) == (4, 4)
    assert durable[0] == before + 1
    assert scene.registry.reads > reads + 1, "the registry was read back"


@pytest.mark.parametrize("at", [0, 1, 2, 5, 6, 8])
def test_7_5_killed_anywhere_the_next_run_completes_and_the_one_after_does_nothing(scene: Scene, at: int) -> None:
    scene.promoted("demand", "wine")
    Fuse(scene, at)
    with pytest.raises(Killed):
        scene.apply()
    Fuse.remove(scene)
    for entry in applied(scene):
        assert scene.state().holding(entry.key) == (entry.identity_after,), "the log claims nothing that is not so"
    assert not scene.apply().refused
    assert set(scene.held().values()) == {(5,), (2,)}
    assert len(applied(scene)) == 4
    written, appended = len(scene.registry.written), len(scene.log.appended)
    assert scene.apply().plan.is_empty
    assert (len(scene.registry.written), len(scene.log.appended)) == (written, appended)


def test_7_6_too_much_at_once_is_refused_without_force_in_a_dry_run_too() -> None:
    names = [f"m{number}" for number in range(6)]
    text = "schema_version: 1\nname: {}\nstages:\n  Production: {}\n"
    scene = Scene({f"models/{name}.yaml": text.format(name, 1) for name in names})
    for name in names:
        scene.registry.add(model_of(name, {1: "Production"}, {}))
    scene.adopted()
    scene.edited("alice", {f"models/{name}.yaml": text.format(name, "null") for name in names})
    assert run(SceneConnections(scene), "apply", "--dry-run").exit_code == 1
    assert set(guards(scene).values()) == {"too-many"}
    assert run(SceneConnections(scene), "apply", "--force").exit_code == 0
    assert {(entry.reason, entry.actor) for entry in applied(scene)} == {("forced", "alice")}


def test_7_7_entries_are_chained_anchored_and_begin_with_the_known_genesis(scene: Scene) -> None:
    (number,) = scene.promoted("demand")
    revert = scene.tree.commits[scene.tree.branches["main"]]
    evidence = next(path for path in revert.files if path.startswith("evidence/demand/"))
    scene.tree.commit({evidence: None}, "Take the evidence away again")
    assert not scene.apply().refused, "evidence is looked up at the merge"
    assert scene.log.content
    lines = b"".join(segment.content for segment in scene.log.content.segments).splitlines()
    previous = None
    for seq, line in enumerate(lines):
        entry = json.loads(line)
        assert (entry["seq"], entry["previous"], rfc8785.dumps(entry)) == (seq, previous, line)
        previous = f"sha256:{hashlib.sha256(line).hexdigest()}"
    newest = scene.anchors()[-1]
    assert (newest.seq, newest.digest) == (len(lines) - 1, previous)
    assert mandate_of(applied(scene)[0]).pull_request == number
    whole = scene.log.content
    scene.log.rewrite(lambda text: text.rstrip(b"\n").rpartition(b"\n")[0] + b"\n")
    with pytest.raises(LogUnavailable, match="is missing"):
        scene.apply()
    scene.log.content = None
    with pytest.raises(LogUnavailable, match="the branch `audit-log` does not exist"):
        scene.apply()
    scene.log.content = whole
    assert scene.apply().plan.is_empty


def test_7_8_the_pull_request_hears_the_result_or_the_refusal_and_further_jobs_what_changed(scene: Scene) -> None:
    (good,) = scene.promoted("wine")
    bad = set_production(scene, 3, 99)
    connections = SceneConnections(scene)
    assert run(connections, "apply").exit_code == 1
    assert "promotion" in "".join(scene.pulls.comments[good].values())
    refused = "".join(scene.pulls.comments[bad].values())
    assert "version-missing" in refused
    assert "Name a version that exists" in refused
    (production, _) = connections.actions.written["changed"]
    assert (production["model"], production["slot"], production["pull_request"]) == ("wine", "Production", good)
    assert (production["version"], production["run_id"], production["previous_version"]) == (2, "wine-run2", 1)


def test_7_9_what_left_by_rollback_is_held_until_it_is_lifted(scene: Scene) -> None:
    scene.promoted("demand")
    scene.apply()
    set_production(scene, 5, 3)
    assert guards(scene) == {}, "a rollback needs no evidence"
    set_production(scene, 3, 5)
    assert guards(scene)[PRODUCTION] == "held"
    text = scene.tree.commits[scene.tree.branches["main"]].files[PATH].decode()
    scene.edited("alice", {PATH: f"{text}holds:\n  - {{version: 5, lift: true}}\n"})
    assert guards(scene) == {}
    assert scene.held()[PRODUCTION] == (5,)


def test_7_10_apply_and_nobody_else_but_a_revert_of_drift_sees_the_identity_that_writes() -> None:
    writing = {job for job, expected in JOBS.items() if set(expected.secrets) & WRITER}
    assert writing == {("apply", "apply"), ("drift", "revert")}
    assert {JOBS[job].environment for job in writing} == {"production"}

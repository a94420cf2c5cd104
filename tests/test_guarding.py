"""Each refusal of `apply`, and everything that has to be seen of it at once.

In each case one slot is refused while wine is promoted by another pull request. The refusal names the guard, the reason
and the way out on the terminal, in the audit log and on the merged pull request; it touches nothing of its slot; the
other model goes on; and the exit code says so. A dry run says the same and does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.core.ownership import OWNER_TAG
from bot.core.state import (
    Artifacts,
    Identity,
    RegisteredModel,
    SetAlias,
    SlotKey,
    TransitionStage,
)
from tests.commands.scene import Scene, identity_of, model_of, run_of
from tests.fakes.registry import ModelTag
from tests.test_cli import SceneConnections, run

PATH = "models/demand.yaml"
PRODUCTION: SlotKey = ("demand", "Production")
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Case:
    """What was done, in whose pull request, and what apply has to say of which slot."""

    pull: int
    reason: str
    way_out: str
    key: SlotKey = PRODUCTION


def changed(scene: Scene, change: Callable[[RegisteredModel], RegisteredModel]) -> None:
    scene.registry.add(change(scene.state().models["demand"]))


def with_version(number: int, **changes: object) -> Callable[[RegisteredModel], RegisteredModel]:
    def change(model: RegisteredModel) -> RegisteredModel:
        version = replace(model.versions[number], **changes)  # type: ignore[arg-type]  # names of its fields
        return replace(model, versions={**model.versions, number: version})

    return change


def promoted(scene: Scene) -> int:
    return scene.promoted("demand")[0]


def set_production(scene: Scene, old: object, new: object, *approvers: str) -> int:
    edit = scene.file(PATH, f"Production: {old}", f"Production: {new}")
    return scene.edited("alice", edit, approvers=approvers or ("bob", "carol"))


def served_by_5(scene: Scene) -> None:
    """demand went from v3 to v5, so that going back to v3 is a rollback."""
    promoted(scene)
    assert not scene.apply().refused


def owned_elsewhere(scene: Scene) -> Case:
    pull = promoted(scene)
    scene.registry.retag(ModelTag("demand", OWNER_TAG, "acme/other"))
    return Case(pull, "the repository 'acme/other' owns demand", "Delete its file here")


def no_mandate(scene: Scene) -> Case:
    pull = set_production(scene, 3, "null", "bob")
    return Case(pull, "was merged without the approvals it needed: 1 of 2", "`git revert` the commit")


def no_evidence(scene: Scene) -> Case:
    pull = scene.edited("alice", scene.file(PATH, "aliases:\n", "aliases:\n  shadow: 4\n"))
    return Case(pull, "brought no evidence", "Write `null` for the slot", ("demand", "shadow"))


def identity_changed(scene: Scene) -> Case:
    served_by_5(scene)
    changed(scene, with_version(3, identity=Identity("demand", 3, "demand-run4", 99)))
    pull = set_production(scene, 5, 3)
    return Case(
        pull, "version 3 is not the version of that number that was in this slot before", "Find out which it is"
    )


def version_not_ready(scene: Scene) -> Case:
    pull = promoted(scene)
    changed(scene, with_version(5, status="PENDING_REGISTRATION"))
    return Case(pull, "version 5 is PENDING_REGISTRATION, not READY", "Wait until it is")


def run_missing(scene: Scene) -> Case:
    pull = promoted(scene)
    scene.registry.purge("demand-run5")
    return Case(pull, "the run demand-run5 of version 5 does not exist any more", "promote a version whose run exists")


def run_deleted(scene: Scene) -> Case:
    pull = promoted(scene)
    scene.registry.add(scene.state().models["demand"], replace(run_of("demand", 5, 0.18), deleted=True))
    return Case(pull, "the run demand-run5 of version 5 is deleted", "Restore the run in MLflow")


def artifacts_missing(scene: Scene) -> Case:
    pull = promoted(scene)
    scene.registry.lost[identity_of("demand", 5)] = Artifacts("missing", "runs:/demand-run5/model holds nothing")
    return Case(pull, "the files of version 5 are not there: runs:/demand-run5/model holds nothing", "Restore them")


def evidence_changed(scene: Scene) -> Case:
    pull = promoted(scene)
    scene.registry.add(scene.state().models["demand"], run_of("demand", 5, 0.9))
    return Case(pull, "the registry no longer shows what was approved: val_rmse", "`git revert` the commit and let")


def held(scene: Scene) -> Case:
    served_by_5(scene)
    set_production(scene, 5, 3)
    assert not scene.apply().refused
    pull = set_production(scene, 3, 5)
    return Case(pull, "version 5: rolled back from Production on 2026-11-20 by pull request #12", "Lift the hold")


def drift(scene: Scene) -> Case:
    pull = promoted(scene)
    scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
    return Case(
        pull, "the registry holds version 4, but it was left with version 3", "Put version 3 back in Production"
    )


def hangs_on_refused(scene: Scene) -> Case:
    pull = drift(scene).pull
    return Case(pull, "it moves together with Production, which is refused", "See Production.", ("demand", "champion"))


def import_first(scene: Scene) -> Case:
    scene.registry.add(model_of("stray", {6: "None", 7: "Production"}, {}))
    pull = scene.edited("alice", {"models/stray.yaml": file_of("stray", "Production: 6")})
    said = "the log knows nothing of this slot yet, Git wants version 6 and the registry holds version 7"
    return Case(pull, said, "First make the YAML say what the registry holds", ("stray", "Production"))


def empties_production(scene: Scene) -> Case:
    """Nobody wrote `null` for Production: the file takes its version to Staging and does not name it."""
    scene.registry.add(model_of("stray", {7: "Production"}, {}))
    pull = scene.edited("alice", {"models/stray.yaml": file_of("stray", "Staging: 7")})
    said = "version 7 is in Production, which stray's file does not manage: moving it empties that"
    return Case(pull, said, "Manage Production in the model's file first", ("stray", "Staging"))


def version_missing(scene: Scene) -> Case:
    pull = set_production(scene, 3, 99)
    return Case(pull, "models/demand.yaml:5:15: version 99 of demand does not exist in the registry", "Name a version")


def model_missing(scene: Scene) -> Case:
    pull = set_production(scene, 3, 4)
    scene.registry.remove("demand")
    return Case(
        pull, "models/demand.yaml:5:15: the registry has no model named demand", "If it was renamed there, rename"
    )


def file_of(model: str, stages: str) -> str:
    return f"schema_version: 1\nname: {model}\nstages:\n  {stages}\n"


CASES: Mapping[str, Callable[[Scene], Case]] = {
    "owned-elsewhere": owned_elsewhere,
    "no-mandate": no_mandate,
    "no-evidence": no_evidence,
    "identity-changed": identity_changed,
    "version-not-ready": version_not_ready,
    "run-missing": run_missing,
    "run-deleted": run_deleted,
    "artifacts-missing": artifacts_missing,
    "evidence-changed": evidence_changed,
    "held": held,
    "drift": drift,
    "import-first": import_first,
    "model-missing": model_missing,
    "version-missing": version_missing,
    "hangs-on-refused": hangs_on_refused,
    "empties-production": empties_production,
}


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    found.adopted()
    return found


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("guard", CASES)
def test_all_that_has_to_be_seen_of_a_refusal(scene: Scene, guard: str) -> None:
    case = CASES[guard](scene)
    scene.promoted("wine")
    before = scene.registry.state([case.key[0]])
    entries = len(scene.entries())
    scene.registry.written.clear()
    beforehand = run(SceneConnections(scene), "apply", "--dry-run")
    assert (beforehand.exit_code, scene.registry.written, len(scene.entries())) == (1, [], entries)
    connections = SceneConnections(scene)

    said = run(connections, "apply")

    assert said.exit_code == 1
    assert connections.actions.written["refused"] is True
    for output in (beforehand.output, said.output):
        assert f"refused: {guard}" in output
        assert case.reason in one_line(output)
        assert case.way_out in one_line(output)
    refusals = [one for one in scene.entries()[entries:] if (one.event, one.key) == ("refused", case.key)]
    assert [(one.guard, one.pull_request) for one in refusals] == [(guard, case.pull)]
    assert case.reason in refusals[0].reason
    assert case.way_out in refusals[0].reason
    (comment,) = scene.pulls.comments[case.pull].values()
    told = one_line(re.sub(r"[`\\]", "", comment))
    assert guard in told
    assert one_line(re.sub(r"[`\\]", "", case.way_out)) in told
    after = scene.registry.state([case.key[0]])
    assert after.holding(case.key) == before.holding(case.key)
    assert {write.model for write in scene.registry.written} == {"wine"}
    assert scene.held()["wine", "Production"] == (2,)
    assert [one["model"] for one in connections.actions.written["changed"]] == ["wine", "wine"]


def test_too_many_at_once_refuses_all_changes_and_lets_the_rest_go_on() -> None:
    names = [f"m{number}" for number in range(6)]
    scene = Scene({f"models/{name}.yaml": file_of(name, "Production: 1") for name in names})
    for name in (*names, "new"):
        scene.registry.add(model_of(name, {1: "Production"}, {}))
    scene.adopted()
    emptied = {f"models/{name}.yaml": file_of(name, "Production: null") for name in names}
    pull = scene.edited("alice", {**emptied, "models/new.yaml": file_of("new", "Production: 1")})
    dry = run(SceneConnections(scene), "apply", "--dry-run")
    assert (dry.exit_code, dry.output.count("refused: too-many")) == (1, 6)
    said = run(SceneConnections(scene), "apply")
    assert (said.exit_code, said.output.count("refused: too-many"), scene.registry.written) == (1, 6, [])
    assert "6 of 11 managed slots would change at once" in one_line(said.output)
    assert "Way out: If that is meant, run `stagewright apply --force`" in one_line(said.output)
    assert "adopted new Production 1" in scene.events()
    assert "too-many" in "".join(scene.pulls.comments[pull].values())
    assert run(SceneConnections(scene), "apply", "--dry-run", "--force").exit_code == 0
    assert scene.registry.written == []
    assert run(SceneConnections(scene), "apply", "--force").exit_code == 0
    forced = [entry for entry in scene.entries() if entry.event in ("intended", "applied")]
    assert {(entry.reason, entry.actor) for entry in forced} == {("forced", "alice")}
    assert len(forced) == 12


def test_force_that_was_not_needed_is_not_claimed(scene: Scene) -> None:
    promoted(scene)
    assert run(SceneConnections(scene), "apply", "--force").exit_code == 0
    assert {entry.reason for entry in scene.entries() if entry.event == "applied"} == {""}


def test_every_refusal_that_is_documented_has_its_case() -> None:
    page = (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8")
    table = page.partition("## What apply refuses")[2].partition("\n## ")[0].partition("\n###")[0]
    listed = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    assert sorted(listed) == sorted([*CASES, "too-many"])


def test_a_refused_stage_leaves_what_follows_it_alone(scene: Scene) -> None:
    """The alias is not moved to a version that did not become Production."""
    drift(scene)
    scene.registry.change(SetAlias("demand", "champion", 3))
    assert run(SceneConnections(scene), "apply").exit_code == 1
    assert scene.held()["demand", "champion"] == (3,)

"""What `docs/operations.md` promises of a registry that is not the one of yesterday, on a real MLflow server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.openapi import Contract
from tests.recovery.world import Registry, World, model_file, production

pytestmark = [pytest.mark.mlflow]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    found = Registry(tmp_path_factory.mktemp("mlflow"))
    yield found
    found.server.stop()


@pytest.fixture
def name() -> str:
    return f"churn{next(_numbers)}"


Open = Callable[..., World]


@pytest.fixture
def opened(registry: Registry, tmp_path: Path, contract: Contract) -> Iterator[Open]:
    with ExitStack() as stack:

        def world(files: Mapping[str, str], repository: str = "acme/models") -> World:
            folder = tmp_path / repository.replace("/", "-")
            return stack.enter_context(World(registry, folder, files, contract, repository))

        yield world


def test_what_cannot_serve_is_refused_and_the_others_go_on(registry: Registry, opened: Open, name: str) -> None:
    models = [f"{name}-{what}" for what in ("files", "run", "pending", "fine")]
    runs = {model: registry.register(model, 2) for model in models}
    registry.register(f"{name}-emptied", 1)
    world = opened({path: text for model in models for path, text in production(model, 1).items()})
    world.applies()
    pull = world.merge_files({path: text for model in models for path, text in production(model, 2).items()})
    emptying = {f"models/{name}-emptied.yaml": model_file(f"{name}-emptied", "stages:\n  Staging: 1")}
    world.merge_files(emptying)
    registry.lose_files(runs[models[0]][1])
    registry.post("runs/delete", run_id=runs[models[1]][1])
    registry.set_status(models[2], 2, "PENDING_REGISTRATION")
    dry = world.applies("--dry-run", exit_code=1)
    said = world.applies(exit_code=1)
    told = world.comment(pull)
    for model, guard in zip(models, ("artifacts-missing", "run-deleted", "version-not-ready"), strict=False):
        assert f"{model} Production v1 → v2 refused: {guard}" in dry
        assert f"{model} Production v1 → v2 refused: {guard}" in said
        assert guard in told
        assert registry.in_production(model) == ["1"]
    assert "refused: empties-production" in said
    assert registry.in_production(f"{name}-emptied") == ["1"]
    assert registry.in_production(models[3]) == ["2"]
    note = registry.tags(models[3], 2)["stagewright.decision"]
    assert note.startswith("entered Production by promotion, in place of version 1; pull request http")
    assert "approved by bob, carol" in note
    registry.post("runs/restore", run_id=runs[models[1]][1])
    registry.set_status(models[2], 2, "READY")
    world.applies(exit_code=1)
    assert [registry.in_production(model) for model in models] == [["1"], ["2"], ["2"], ["2"]]


def test_a_model_that_was_deleted_and_created_anew(registry: Registry, opened: Open, name: str) -> None:
    registry.register(name, 2)
    world = opened(production(name, 1))
    world.applies()
    world.merge_files(production(name, 2))
    world.applies()
    registry.post("registered-models/delete", "DELETE", name=name)
    assert "refused: model-missing" in world.applies(exit_code=1)
    registry.register(name, 3, serving=False)
    assert "refused: drift" in world.applies(exit_code=1)
    assert "version-recreated" in world.says("drift").output
    registry.move(name, 2)
    assert "refused: identity-changed" in world.applies(exit_code=1)
    assert registry.in_production(name) == ["2"]
    world.merge_files({f"models/{name}.yaml": None})
    world.applies()
    world.merge_files(production(name, 2))
    world.applies()
    world.merge_files(production(name, 1))
    world.applies()
    assert registry.in_production(name) == ["1"], "version 1 of the new model is new, whatever the old one had"
    assert [line for line in world.told() if not line.startswith(("intended", "refused"))][-3:] == [
        f"applied {name} Production None unmanage",
        f"adopted {name} Production 2 adoption",
        f"applied {name} Production 1 promotion",
    ]


def test_a_model_that_was_renamed_in_mlflow(registry: Registry, opened: Open, name: str) -> None:
    registry.register(name, 1)
    world = opened(production(name, 1))
    world.applies()
    registry.post("registered-models/rename", name=name, new_name=f"{name}-2")
    said = world.applies(exit_code=1)
    assert "refused: model-missing" in said
    assert f"If it was renamed there, rename models/{name}.yaml" in said
    assert f"'{name}-2' has the version that was left here, so that it was renamed" in world.says("drift").output
    world.merge_files({f"models/{name}.yaml": None, **production(f"{name}-2", 1)})
    world.applies()
    assert world.told()[-2:] == [
        f"applied {name} Production None unmanage",
        f"adopted {name}-2 Production 1 adoption",
    ]
    assert name not in world.says("drift").output


def test_mlflow_restored_from_an_older_backup(registry: Registry, opened: Open, name: str) -> None:
    registry.register(name, 2)
    registry.register(f"{name}-later", 1)
    world = opened({**production(name, 1), **production(f"{name}-later", 1)})
    world.applies()
    backup = registry.back_up()
    registry.add_version(f"{name}-later")
    world.merge_files({**production(name, 2), **production(f"{name}-later", 2)})
    world.applies()
    before = len(world.entries())
    registry.restore(backup)
    said = world.applies(exit_code=1)
    assert f"{name} Production v2 → v2 refused: drift" in said
    assert "the registry holds version 1, but it was left with version 2" in said
    assert "refused: version-missing" in said
    assert registry.in_production(name) == ["1"], "nothing is applied again on its own"
    assert {entry.event for entry in world.entries()[before:]} == {"refused"}
    reverted = world.says("drift", "--revert")
    assert "Reverted: 1 slot applied" in reverted.output, reverted.output
    assert registry.in_production(name) == ["2"]
    assert world.entries()[-1].reason == "reverted drift: the registry held version 1"
    world.merge_files(production(f"{name}-later", 1))
    world.applies()
    assert name not in world.says("drift").output, "other tests left other models there"


def test_two_repositories_on_one_registry(registry: Registry, opened: Open, name: str) -> None:
    registry.register(name, 2)
    registry.register(f"{name}-other", 2)
    one = opened(production(name, 1))
    one.applies()
    other = opened({**production(f"{name}-other", 1), **production(name, 1)}, "acme/other")
    said = other.applies(exit_code=1)
    assert "refused: owned-elsewhere" in said
    assert "the repository 'acme/models' owns" in said
    other.merge_files(production(f"{name}-other", 2))
    other.applies(exit_code=1)
    assert registry.in_production(f"{name}-other") == ["2"]
    one.applies()
    assert one.says("audit", "verify").exit_code == 0
    one.merge_files({f"models/{name}.yaml": None})
    one.applies()
    other.applies()
    assert other.told()[-1] == f"adopted {name} Production 1 adoption"
    other.merge_files(production(name, 2))
    other.applies()
    assert registry.in_production(name) == ["2"]
    assert registry.tags(name, 2)["stagewright.audit_head"].endswith(":acme/other")
    one.applies()


def test_the_audit_branch_restored_from_a_clone(registry: Registry, opened: Open, name: str) -> None:
    registry.register(name, 2)
    world = opened(production(name, 1))
    world.applies()
    older = world.branch("audit-log")
    world.merge_files(production(name, 2))
    world.applies()
    newest = world.branch("audit-log")
    world.set_branch("audit-log", None)
    assert "the branch `audit-log` does not exist" in world.applies(exit_code=3)
    world.set_branch("audit-log", older)
    said = world.applies(exit_code=3)
    assert "is missing: the registry's tag stagewright.audit_head on" in said
    assert "Restore the branch `audit-log` from a clone" in said
    assert world.says("audit", "verify").exit_code == 1
    world.set_branch("audit-log", newest)
    world.applies()
    world.merge_files(production(name, 1))
    world.applies()
    assert registry.in_production(name) == ["1"]

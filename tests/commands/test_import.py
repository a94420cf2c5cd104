"""What `import` writes into the working tree, and that merging it moves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bot.commands.import_models import ImportRequest, import_models
from bot.core.ownership import OWNER_TAG
from bot.core.results import ImportResult
from bot.core.state import Capabilities, RegisteredModel, RegistryState
from bot.documents import read_repository
from bot.errors import Misuse
from bot.views.markdown import apply_comment
from bot.views.render import rendered
from tests.commands.scene import DEMAND, FILES, ReadOnlyRegistry, Scene, model_of
from tests.fakes.registry import FakeRegistry, ModelTag
from tests.fakes.tree import FakeTree

POLICIES = {path: text for path, text in FILES.items() if path.startswith("policies/")}


def registered(*models: RegisteredModel) -> FakeRegistry:
    return FakeRegistry(RegistryState({model.name: model for model in models}))


def serving(name: str) -> RegisteredModel:
    return model_of(name, {1: "Archived", 2: "Production"}, {"champion": 2})


def run(
    registry: FakeRegistry, files: Mapping[str, str] | None = None, request: ImportRequest | None = None
) -> tuple[ImportResult, FakeTree]:
    tree = FakeTree({**POLICIES, **(files or {})})
    return import_models(tree, tree, ReadOnlyRegistry(registry), request or ImportRequest()), tree


def models_in(tree: FakeTree) -> list[str]:
    return [path for path in tree.working if path.startswith("models/")]


class TestWriting:
    def test_one_file_per_model_without_a_finding(self) -> None:
        result, tree = run(registered(serving("churn"), serving("true"), model_of("idle", {1: "None"}, {})))
        assert models_in(tree) == [new.file for new in result.written] == ["models/churn.yaml", "models/true.yaml"]
        assert [(one.model, one.why) for one in result.skipped] == [("idle", "nothing-to-manage")]
        read = read_repository(tree, None)
        assert read.findings == ()
        assert {name: document.value for name, document in read.models.items()} == {
            new.spec.name: new.spec for new in result.written
        }

    def test_again_writes_nothing_new_and_touches_no_file(self) -> None:
        registry = registered(serving("churn"))
        result, tree = run(registry, {"models/churn.yaml": "# somebody is at work here\n"})
        assert (result.written, [one.why for one in result.skipped]) == ((), ["has-file"])
        assert tree.working["models/churn.yaml"] == b"# somebody is at work here\n"

    def test_what_was_cut_off_is_completed(self) -> None:
        registry = registered(serving("a"), serving("b"))
        _, tree = run(registry)
        whole = dict(tree.working)
        del tree.working["models/b.yaml"]
        result = import_models(tree, tree, registry, ImportRequest())
        assert [new.file for new in result.written] == ["models/b.yaml"]
        assert tree.working == whole

    def test_a_dry_run_says_the_same_and_writes_nothing(self) -> None:
        registry = registered(serving("churn"))
        dry, tree = run(registry, request=ImportRequest(dry_run=True))
        assert models_in(tree) == []
        assert replace(dry, dry_run=False) == run(registry)[0]

    def test_a_glob_says_which(self) -> None:
        result, _ = run(registered(serving("churn_eu"), serving("wine")), request=ImportRequest(glob="churn_*"))
        assert [new.spec.name for new in result.written] == ["churn_eu"]

    def test_a_glob_that_matches_nothing_is_a_mistake(self) -> None:
        with pytest.raises(Misuse, match=r"None of the 1 models in https://mlflow.example.com matches 'x\*'"):
            run(registered(serving("churn")), request=ImportRequest(glob="x*"))

    def test_an_empty_registry_is_none(self) -> None:
        assert run(registered())[0].written == ()

    def test_an_alias_that_is_named_follows(self) -> None:
        result, _ = run(registered(serving("churn")), request=ImportRequest(follow=("champion",)))
        assert '"follows":"Production"' in result.written[0].spec.model_dump_json()


class TestRefusing:
    def test_two_versions_in_production_though_a_listing_shows_one(self) -> None:
        result, tree = run(registered(model_of("two", {1: "Production", 2: "Production"}, {"champion": 1})))
        assert [(one.model, one.slot) for one in result.refused] == [("two", "Production")]
        assert b"stages" not in tree.working["models/two.yaml"]
        assert b"champion: 1\n" in tree.working["models/two.yaml"]

    @pytest.mark.parametrize("name", ["a\x7fb", "a\u2028b", "a\u202eb"])
    def test_a_name_that_nobody_would_see_in_a_review(self, name: str) -> None:
        result, tree = run(registered(serving(name)))
        assert models_in(tree) == []
        (refused,) = result.refused
        assert "no file can hold it: Found the control character U+" in refused.reason
        assert not refused.reason.endswith(".")

    def test_a_model_of_another_repository_is_skipped(self) -> None:
        registry = registered(serving("churn"), serving("wine"))
        registry.retag(ModelTag("wine", OWNER_TAG, "acme/other"))
        result, _ = run(registry, request=ImportRequest(repository="acme/models"))
        assert [new.spec.name for new in result.written] == ["churn"]
        assert [(one.model, one.owner) for one in result.skipped] == [("wine", "acme/other")]


class TestWithoutStages:
    def test_aliases_only_and_from_what_each_model_says_itself(self) -> None:
        registry = FakeRegistry(RegistryState({"churn": serving("churn")}), capabilities=Capabilities(stages=False))
        result, _ = run(registry)
        assert result.written[0].spec.desired() == {"champion": 2}
        assert (registry.listings, registry.reads) == (1, 1)


class TestAdoptingWhatWasImported:
    def test_the_first_apply_records_it_and_moves_nothing(self) -> None:
        scene = Scene({"models/demand.yaml": DEMAND})
        scene.tree.commit({"models/demand.yaml": None, "models/wine.yaml": None})
        scene.tree.check_out()
        before = scene.state()
        result = import_models(scene.tree, scene.tree, scene.registry, ImportRequest(repository="acme/models"))
        files = {new.file: scene.tree.working[new.file] for new in result.written}
        assert sorted(files) == ["models/demand.yaml", "models/wine.yaml"]
        scene.edited("alice", dict(files))
        applied = scene.apply()
        assert not applied.refused
        assert [entry.event for entry in applied.entries] == ["adopted"] * 4
        assert scene.registry.written == []
        assert scene.held() == {
            key: tuple(identity.version for identity in before.holding(key)) for key in scene.held()
        }
        assert scene.apply().entries == ()


class TestAdoptingMany:
    def test_what_the_first_apply_says_stays_within_the_limits_of_github(self) -> None:
        scene = Scene()
        names = [f"{number:03d} {'<model>' * 30}" for number in range(220)]
        scene.registry = registered(*map(serving, names))
        scene.tree.commit({"models/demand.yaml": None, "models/wine.yaml": None})
        scene.tree.check_out()
        import_models(scene.tree, scene.tree, scene.registry, ImportRequest())
        number = scene.edited("alice", {path: scene.tree.working[path] for path in models_in(scene.tree)})
        result = scene.apply(comment=apply_comment)
        assert [entry.event for entry in result.entries] == ["adopted"] * 440
        assert scene.registry.written == []
        assert len(scene.registry.tagged) == 20
        (comment,) = scene.pulls.comments[number].values()
        assert "older results are left out" in comment
        assert len(comment) <= 60_000
        assert len(rendered(result, "markdown").encode()) < 1_048_576
        message = scene.log.messages[-1]
        assert message.startswith("Append entries 1 to 440\n\n- entry 1 (adopted 000 ")
        assert message.endswith("\n- and 340 more")
        assert len(message) < 60_000

"""Beginning and verifying the audit log, and reading history off it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.commands.audit import audit_init
from bot.commands.history import history
from bot.core.audit import stamp
from bot.core.chain import read_chain
from bot.core.results import InitResult
from bot.errors import LogMoved, LogUnavailable, Misuse, PolicyUnreadable, Refused
from tests.commands.scene import ANCHOR, NOON, ReadOnlyLog, Scene

FILE = "policies/audit.yaml"


def init(scene: Scene) -> InitResult:
    return audit_init(scene.tree, scene.tree, scene.log, "acme/models", "alice", NOON)


@pytest.fixture
def fresh() -> Scene:
    return Scene(begun=False)


@pytest.fixture
def scene() -> Scene:
    """Adopted, demand promoted, rolled back."""
    found = Scene()
    found.tree.check_out()
    found.adopted()
    found.promoted("demand")
    found.apply()
    found.edited("alice", found.file("models/demand.yaml", "Production: 5", "Production: 3"))
    found.apply()
    return found


class TestInit:
    def test_writes_the_genesis_and_names_it(self, fresh: Scene) -> None:
        result = init(fresh)
        assert result.created
        assert fresh.log.content
        chain = read_chain(fresh.log.content, result.genesis)
        assert chain.problems == ()
        (entry,) = chain.entries
        assert (entry.event, entry.actor, entry.reason) == ("genesis", "alice", "the audit log of acme/models")
        assert fresh.tree.working[FILE].decode() == ANCHOR.replace("null", result.genesis)

    def test_after_a_crash_half_way_it_finishes(self, fresh: Scene) -> None:
        first = init(fresh)
        fresh.tree.working[FILE] = ANCHOR.encode()
        again = init(fresh)
        assert again == InitResult(first.genesis, created=False)
        assert len(fresh.log.appended) == 1
        assert first.genesis in fresh.tree.working[FILE].decode()

    def test_already_begun(self, fresh: Scene) -> None:
        init(fresh)
        with pytest.raises(Refused, match=r"policies/audit.yaml already names a genesis. .*audit verify"):
            init(fresh)
        assert len(fresh.log.appended) == 1

    def test_a_log_with_entries_is_never_begun_again(self, scene: Scene) -> None:
        scene.tree.working[FILE] = ANCHOR.encode()
        with pytest.raises(Refused, match=r"already holds 13 entries, .* Restore policies/audit.yaml"):
            init(scene)
        assert scene.tree.working[FILE] == ANCHOR.encode()

    def test_somebody_else_begins_at_the_same_moment(self, fresh: Scene) -> None:
        def other() -> None:
            fresh.log.append_at_once("2026-11.jsonl", [b"{}"])

        fresh.log.before_append = other
        with pytest.raises(LogMoved):
            init(fresh)
        assert fresh.tree.working[FILE] == ANCHOR.encode()

    def test_without_the_policy_file(self, fresh: Scene) -> None:
        del fresh.tree.working[FILE]
        with pytest.raises(PolicyUnreadable, match=r"policies/audit.yaml does not exist"):
            init(fresh)

    def test_with_a_broken_one(self, fresh: Scene) -> None:
        fresh.tree.working[FILE] = b"schema_version: 1\ngenesis: sha256:no\n"
        with pytest.raises(PolicyUnreadable, match=r"policies/audit.yaml:2:10"):
            init(fresh)
        assert fresh.log.appended == []


class TestHistory:
    def versions(self, scene: Scene, moment: datetime | None = None) -> list[tuple[str, int | None]]:
        found = history(scene.tree, ReadOnlyLog(scene.log), "demand", moment).periods
        return [(one.key[1], one.identity.version if one.identity else None) for one in found]

    def test_of_one_model(self, scene: Scene) -> None:
        assert self.versions(scene) == [
            *[("Production", 3), ("Production", 5), ("Production", 3)],
            *[("champion", 3), ("champion", 5), ("champion", 3)],
        ]
        by = [one.mandate.approvers for one in history(scene.tree, scene.log, "demand", None).periods if one.mandate]
        assert by == [("bob", "carol")] * 4

    def test_of_all_models(self, scene: Scene) -> None:
        assert {one.key[0] for one in history(scene.tree, scene.log, None, None).periods} == {"demand", "wine"}

    def test_at_a_moment(self, scene: Scene) -> None:
        promoted = datetime.fromisoformat(scene.entries()[7].time)
        assert self.versions(scene, promoted) == [("Production", 5), ("champion", 5)]
        before = promoted - timedelta(seconds=1)
        assert self.versions(scene, before) == [("Production", 3), ("champion", 3)]
        result = history(scene.tree, scene.log, "demand", before)
        assert result.at == stamp(before)

    def test_before_everything(self, scene: Scene) -> None:
        assert self.versions(scene, datetime(2020, 1, 1, tzinfo=UTC)) == []

    def test_of_a_model_that_nobody_knows(self, scene: Scene) -> None:
        with pytest.raises(Misuse, match=r"knows 'deamnd'. Name one of: demand, wine\."):
            history(scene.tree, scene.log, "deamnd", None)

    def test_of_a_model_that_has_a_file_only(self, scene: Scene) -> None:
        scene.tree.write("models/beer.yaml", b"schema_version: 1\nname: beer\n")
        assert history(scene.tree, scene.log, "beer", None).periods == ()

    def test_of_a_model_that_the_log_alone_knows(self, scene: Scene) -> None:
        del scene.tree.working["models/demand.yaml"]
        assert len(self.versions(scene)) == 6

    def test_without_a_log(self, fresh: Scene) -> None:
        with pytest.raises(LogUnavailable, match="There is no audit log yet"):
            history(fresh.tree, fresh.log, None, None)

"""Attacks on what is merged: who approved the value that lies on main? Judged as apply does, without a registry."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.attacks.faults import Answer, Faults
from tests.attacks.field import BACK, CHURN, MODEL, POLICY, Content, Field, unmandated
from tests.core.builders import CHAMPION, evidence

LENIENT = """\
schema_version: 1
rules: [{name: anything goes, when: {paths: ["**"]}, require: {approvals: 1}}]
"""
FORTH: dict[str, Content] = {MODEL: CHURN}
"""Back to what was, after a rollback; it held the slot before, so that it is a rollback too."""


def merged(field: Field, *approvers: str, name: str = "edit", **how: str) -> int:
    """mallory rolls the model back (or forth again), and dave merges."""
    now = field.tree.read(field.tree.default_branch_head(), MODEL)
    number = field.edit("mallory", BACK if now == CHURN.encode() else FORTH, name)
    field.review(number, *approvers)
    field.merge(number, **how)
    return number


def control(field: Field) -> int:
    return merged(field, "bob", "carol", name="control")


def test_a_merge_past_the_rules(field: Field) -> None:
    found = unmandated(field, lambda: control(field), lambda: merged(field, "bob"))
    assert found.reason.endswith("without the approvals it needed: 1 of 2 approvals for rule 'production'")


def test_reviews_after_an_administrators_merge(field: Field) -> None:
    def attack() -> None:
        number = merged(field, "bob")
        field.wait()
        field.review(number, "carol", "alice")

    unmandated(field, lambda: control(field), attack)


def test_a_direct_push(field: Field) -> None:
    def attack() -> None:
        field.move("mallory", "main", field.commit("mallory", FORTH, field.main))

    found = unmandated(field, lambda: control(field), attack)
    assert "without a pull request" in found.reason


def test_a_direct_push_hidden_below_an_approved_edit_of_another_line(field: Field) -> None:
    def attack() -> None:
        field.move("mallory", "main", field.commit("mallory", FORTH, field.main))
        number = field.edit("alice", {MODEL: CHURN.replace("# since spring", "# since March")}, "innocent")
        field.review(number, "bob", "carol")
        field.merge(number)

    unmandated(field, lambda: control(field), attack)


def test_a_direct_push_that_a_squash_passes_off_as_rebased(field: Field, faults: Faults) -> None:
    """GitHub goes on listing a commit that was pushed past the pull request; what is merged bears its subject, too."""

    def attack() -> None:
        pushed = field.commit("mallory", FORTH, field.main, "Note one thing")
        field.branch("mallory", "notes", pushed)
        number = field.open("mallory", "notes")
        field.push("mallory", number, {"two.md": "2\n"}, "Note another")
        listed = field.api("alice", "GET", f"/pulls/{number}/commits")
        field.move("mallory", "main", pushed)
        field.review(number, "bob", "carol")
        merge = field.merge(number, merge_method="squash", commit_title="Note another")
        brought = field.api("alice", "GET", f"/commits/{merge}/pulls")
        faults.answers[f"/pulls/{number}/commits"] = Answer("200 OK", json.dumps(listed).encode())
        faults.answers[f"/commits/{pushed}/pulls"] = Answer("200 OK", json.dumps(brought).encode())

    found = unmandated(field, lambda: control(field), attack)
    assert "only looks like its commits" in found.reason, found


def test_the_policy_that_a_merge_brings_does_not_judge_it(field: Field) -> None:
    def attack() -> None:
        number = field.edit("mallory", FORTH | {POLICY: LENIENT}, "attack")
        field.review(number, "bob")
        field.merge(number)

    unmandated(field, lambda: control(field), attack)


def test_a_policy_that_was_pushed_past_the_rules(field: Field) -> None:
    """It governs nothing: what is merged under it has no mandate until the approved policy is back."""

    def attack() -> None:
        field.move("mallory", "main", field.commit("mallory", {POLICY: LENIENT}, field.main))
        merged(field, "bob")

    found = unmandated(field, lambda: control(field), attack)
    assert "policies/approvals.yaml" in found.reason


def test_two_pull_requests_that_merge_into_a_state_nobody_saw(field: Field) -> None:
    """One lets an alias follow another stage, one moves that stage: together they move the alias where no head does."""
    arrive(field, {MODEL: following("Staging")}, "begin")

    def attack() -> None:
        arrive(field, {MODEL: following("Staging")}, "again")
        field.branch(
            "mallory", "stage", field.commit("mallory", {MODEL: following("Staging", production=2)}, field.main)
        )
        field.branch("mallory", "alias", field.commit("mallory", {MODEL: following("Production")}, field.main))
        for name in ("stage", "alias"):
            number = field.open("mallory", name)
            field.review(number, "bob", "carol")
            field.merge(number)

    found = unmandated(field, lambda: arrive(field, {MODEL: following("Production")}, "control"), attack, CHAMPION)
    assert found.reason.endswith("was approved with version 3 for champion, but merging it made that version 2")


def test_a_value_that_was_changed_and_restored(field: Field) -> None:
    """The pull request that changed nothing of it in the end is not who approved it."""

    def attack() -> None:
        field.move("mallory", "main", field.commit("mallory", FORTH, field.main))
        number = field.edit("mallory", BACK, "there")
        field.push("mallory", number, FORTH)
        field.push("mallory", number, {"README.md": "# More\n"})
        field.review(number, "bob", "carol")
        field.merge(number, merge_method="rebase")

    unmandated(field, lambda: control(field), attack)


def test_the_bots_change_is_squashed_elsewhere_with_other_trailers(field: Field) -> None:
    """bob asked for it. On a side branch GitHub writes what bob says, in the bot's name, and signs that."""
    path = evidence().path

    def proposed(name: str, requester: str) -> int:
        return field.propose(requester=requester, branch=f"stagewright/churn/Production/{name}")

    def control() -> int:
        number = proposed("control", "alice")
        field.review(number, "bob", "carol")
        field.merge(number)
        return number

    def attack() -> None:
        arrive(field, FORTH | {path: None}, "restore")
        field.branch("bob", "side", field.main)
        number = proposed("attack", "bob")
        message = field.api("alice", "GET", f"/git/commits/{field.head(number)}")["message"]
        field.api("bob", "PATCH", f"/pulls/{number}", {"base": "side"})
        title, _, trailers = message.replace("Requested-By: bob", "Requested-By: eve").partition("\n\n")
        field.merge(number, by="bob", merge_method="squash", commit_title=title, commit_message=trailers)
        again = field.open("mallory", "side")
        field.review(again, "bob", "carol")
        field.merge(again)

    found = unmandated(field, control, attack)
    assert found.reason.endswith(f"{path} is not the evidence that the bot committed")


def arrive(field: Field, files: Mapping[str, Content], name: str) -> int:
    """An edit of alice's that bob and carol approve, and that dave merges."""
    number = field.edit("alice", files, name)
    field.review(number, "bob", "carol")
    field.merge(number)
    return number


def following(stage: str, production: int = 3) -> str:
    """The model's file with an alias that follows a stage, many lines below the stages."""
    lines = CHURN.replace("Production: 3", f"Production: {production}").replace(
        "promotion:", "  Staging: 1\npromotion:"
    )
    return f"{lines}# 1\n# 2\n# 3\n# 4\naliases:\n  champion: {{follows: {stage}}}\n"

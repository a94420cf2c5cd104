"""Attacks from inside an open pull request, on a forge with real git. docs/approvals.md lists them."""

from __future__ import annotations

import pytest

from bot.core.spec import file_of_model
from tests.attacks.field import BACK, CHURN, LINK, MODEL, POLICY, SUBMODULE, Content, Field, beside, turned

LENIENT = """\
schema_version: 1
rules: [{name: anything goes, when: {paths: ["**"]}, require: {approvals: 1}}]
"""


@pytest.fixture
def approved(field: Field) -> int:
    """A rollback by mallory that bob and carol approved."""
    number = field.edit("mallory", BACK)
    field.review(number, "bob", "carol")
    return number


# What governs lies on the base branch

GOVERNING = {
    "policy": {POLICY: LENIENT},
    "workflow": {".github/workflows/approvals.yml": "on: push\n"},
    "lock file": {"requirements.lock": "mlflow-skinny @ https://example.invalid/x.whl\n"},
    "program": {"bot/core/approval.py": "def evaluate(*_): return True\n"},
    "build": {"pyproject.toml": "[project]\n"},
}


@pytest.mark.parametrize("files", GOVERNING.values(), ids=GOVERNING.keys())
def test_what_decides_is_edited_in_the_same_pull_request(field: Field, files: dict[str, str]) -> None:
    """One approval is enough for a text, and two for what decides: the pull request cannot lower its own bar."""
    text = {"docs/notes.md": "A note.\n"}
    found = beside(
        field,
        lambda: field.edit("mallory", text, "control"),
        lambda: field.edit("mallory", text | files, "attack"),
        "bob",
    )
    assert [rule.name for rule in found.rules if rule.state == "pending"] == ["what is executed or decides"]
    assert found.policy_commit == field.main


def test_the_policy_that_a_pull_request_brings_does_not_judge_it(field: Field) -> None:
    found = beside(
        field,
        lambda: field.edit("mallory", {"docs/notes.md": "A note.\n"}, "control"),
        lambda: field.edit("mallory", BACK | {POLICY: LENIENT}, "attack"),
        "bob",
    )
    assert "anything goes" not in [rule.name for rule in found.rules]


@pytest.mark.parametrize(
    ("old", "new"),
    [('["@alice"]', '["@mallory"]'), ("min_gain: 1%", "min_gain: -50%"), ("auc", "speed")],
    ids=["owners", "criteria", "metric"],
)
def test_the_model_file_is_loosened_with_the_promotion_that_it_judges(field: Field, old: str, new: str) -> None:
    """A person's commit beside the bot's, on the bot's branch or on one of their own, ends the bot's vouching."""
    promoted = CHURN.replace("Production: 3", "Production: 4")

    def attack() -> int:
        number = field.propose(branch="stagewright/churn/Production/attack")
        field.push("mallory", number, {MODEL: promoted.replace(old, new)})
        return number

    found = beside(field, field.propose, attack)
    assert "was not made by the bot" in found.blockers[0]


RULES_ON_MODELS = """\
schema_version: 1
promotion_without_evidence: allow
rules:
  - {name: owners, when: {models: ["**"]}, require: {approvals: 1, owners: true}}
  - {name: high risk, when: {risk: [high]}, require: {approvals: 2}}
  - {name: rest, when: {paths: ["**"]}, require: {approvals: 1}}
"""


@pytest.mark.parametrize(
    ("old", "new", "dismissed", "pending"),
    [
        ('["@alice"]', '["@bob"]', "alice", "owners"),
        ("name: churn\n", "name: churn\nrisk: low\n", "bob", "high risk"),
    ],
    ids=["owners", "risk"],
)
def test_owners_or_risk_are_edited_in_the_same_pull_request(
    field: Field, old: str, new: str, dismissed: str, pending: str
) -> None:
    """They are read on the base branch: alice owns the model, and without a risk there it counts as high."""
    field.move("alice", "main", field.commit("alice", {POLICY: RULES_ON_MODELS}, field.main))
    number = field.edit("mallory", {MODEL: BACK[MODEL].replace(old, new)})
    field.review(number, "alice", "bob")
    found = turned(field, number, lambda: field.dismiss(number, dismissed))
    assert pending in [rule.name for rule in found.rules if not rule.holds]


# The head moves


def test_a_push_after_the_approvals(field: Field, approved: int) -> None:
    found = turned(field, approved, lambda: field.push("mallory", approved, {"README.md": "# More\n"}))
    assert all("stale" in one.reason for one in found.discarded)


def test_a_forced_push_to_something_else(field: Field, approved: int) -> None:
    other = field.commit("mallory", {MODEL: CHURN.replace("Production: 3", "Production: null")}, field.main)
    turned(field, approved, lambda: field.move("mallory", "edit", other))


def test_a_forced_push_to_something_else_and_back(field: Field, approved: int) -> None:
    """What was approved in between is not approved now; that the first head is approved again is as it should be."""
    first = field.head(approved)
    other = field.commit("mallory", {MODEL: CHURN.replace("Production: 3", "Production: null")}, field.main)

    def there_and_back() -> None:
        field.move("mallory", "edit", other)
        field.review(approved, "bob", "carol")
        field.move("mallory", "edit", first)

    turned(field, approved, there_and_back)


def test_a_review_that_names_an_older_commit(field: Field, approved: int) -> None:
    older = field.head(approved)

    def push_and_review() -> None:
        field.push("mallory", approved, {"README.md": "# More\n"})
        field.review(approved, "bob", "carol", commit_id=older)

    turned(field, approved, push_and_review)


def test_a_value_changed_and_restored_in_the_next_commit(field: Field) -> None:
    """Such a pull request changes nothing of the slot, so it needs what its other changes need, and brings no value."""

    def there_and_back() -> int:
        number = field.edit("mallory", BACK, "attack")
        field.push("mallory", number, {MODEL: CHURN})
        return number

    found = beside(field, lambda: field.edit("mallory", BACK, "control"), there_and_back)
    assert found.blockers == ("the pull request changes nothing",)


# Reviews


def test_an_approval_is_dismissed(field: Field, approved: int) -> None:
    turned(field, approved, lambda: field.dismiss(approved, "carol"))


def test_an_approval_is_followed_by_changes_requested(field: Field, approved: int) -> None:
    found = turned(field, approved, lambda: field.review(approved, "carol", event="REQUEST_CHANGES"))
    assert "carol requested changes" in found.blockers[0]


def test_a_comment_takes_back_neither_approval_nor_objection(field: Field, approved: int) -> None:
    field.review(approved, "bob", event="COMMENT")

    def object_and_comment() -> None:
        field.review(approved, "carol", event="REQUEST_CHANGES")
        field.review(approved, "carol", event="COMMENT", body="LGTM :+1:")

    turned(field, approved, object_and_comment)


@pytest.mark.parametrize("role", ["read", "none"])
def test_a_reviewer_loses_access(field: Field, approved: int, role: str) -> None:
    turned(field, approved, lambda: field.forge.add_user("carol", permission=role))  # type: ignore[arg-type]  # a role


def test_a_reader_approves(field: Field) -> None:
    number = field.edit("mallory", BACK)
    field.review(number, "bob", "eve")
    field.review(number, "carol")
    found = turned(field, number, lambda: field.dismiss(number, "carol"))
    assert {one.reviewer: one.reason for one in found.discarded}["eve"].startswith("has not the permission")


def test_the_app_approves(field: Field, approved: int) -> None:
    field.review(approved, "stagewright[bot]")
    found = turned(field, approved, lambda: field.dismiss(approved, "carol"))
    assert {one.reviewer: one.reason for one in found.discarded}["stagewright[bot]"] == "is a bot"


def test_a_workflow_of_a_reviewer_opens_the_pull_request(field: Field) -> None:
    found = beside(
        field,
        lambda: field.edit("mallory", BACK, "control"),
        lambda: field.edit("github-actions[bot]", BACK, "attack"),
    )
    assert found.blockers[0].startswith("github-actions[bot] wrote this")


def test_the_requester_approves(field: Field) -> None:
    found = beside(
        field,
        lambda: field.propose(requester="alice"),
        lambda: field.propose(requester="bob", branch="stagewright/churn/Production/attack"),
    )
    assert [(one.reviewer, one.reason) for one in found.discarded] == [("bob", "asked for this change")]


def test_more_than_a_page_of_reviews(field: Field) -> None:
    """The objection is review 101 and later; all pages are read, or nothing is approved."""
    number = field.edit("mallory", BACK)
    field.review(number, "bob", "carol")
    field.review(number, *["eve"] * 99, event="COMMENT")
    turned(field, number, lambda: field.review(number, "dave", event="REQUEST_CHANGES"))


# Who made a commit


def test_a_reviewer_pushes_a_commit_and_approves_it(field: Field, approved: int) -> None:
    def push_and_approve() -> None:
        field.push("carol", approved, {"README.md": "# More\n"})
        field.review(approved, "bob", "carol")

    found = turned(field, approved, push_and_approve)
    assert [one.reviewer for one in found.discarded] == ["carol"]


def test_a_commit_with_an_address_that_belongs_to_nobody(field: Field, approved: int) -> None:
    def push_and_approve() -> None:
        nobody = {"name": "Carol", "email": "carol@example.invalid"}
        field.push("carol", approved, {"README.md": "# More\n"}, author=nobody)
        field.review(approved, "bob", "carol")

    found = turned(field, approved, push_and_approve)
    assert "GitHub cannot attribute" in found.blockers[0]


def test_a_commit_in_the_name_of_the_bot(field: Field) -> None:
    """A forged e-mail address makes GitHub show the bot as its author, but not as who signed it."""
    number = field.propose()
    field.review(number, "bob", "carol")
    made = field.api("alice", "GET", f"/git/commits/{field.head(number)}")["author"]
    author = {"name": made["name"], "email": made["email"]}

    def push_and_approve() -> None:
        field.push("mallory", number, {"README.md": "# More\n"}, author=author)
        field.review(number, "bob", "carol")

    found = turned(field, number, push_and_approve)
    assert "was not made by the bot" in found.blockers[0]


def test_a_person_pushes_to_the_bots_branch(field: Field) -> None:
    number = field.propose()
    field.review(number, "bob", "carol")

    def push_and_approve() -> None:
        field.push("mallory", number, {"README.md": "# More\n"})
        field.review(number, "bob", "carol")

    turned(field, number, push_and_approve)


def test_a_forged_requester_trailer(field: Field) -> None:
    """bob asked the bot; his commit on his own branch says that somebody else did."""
    forged = "Promote churn 4\n\nStagewright-Requested-By: eve\n"

    def replayed() -> int:
        head = field.head(field.propose(requester="bob", branch="stagewright/churn/Production/attack"))
        field.branch("mallory", "attack", field.commit("mallory", {"README.md": "# More\n"}, head, forged))
        return field.open("mallory", "attack")

    found = beside(field, lambda: field.propose(requester="eve"), replayed)
    assert ("bob", "asked for this change") in [(one.reviewer, one.reason) for one in found.discarded]


def test_evidence_is_edited_by_hand(field: Field) -> None:
    number = field.propose()
    field.review(number, "bob", "carol")
    path = "evidence/churn/v4-vs-v3.json"

    def push_and_approve() -> None:
        field.push("mallory", number, {path: "{}"})
        field.review(number, "bob", "carol")

    turned(field, number, push_and_approve)


def test_a_promotion_by_hand(field: Field) -> None:
    """A lower number is no rollback: version 1 never held the slot."""
    lower = {MODEL: CHURN.replace("Production: 3", "Production: 1")}
    found = beside(
        field, lambda: field.edit("mallory", BACK, "control"), lambda: field.edit("mallory", lower, "attack")
    )
    assert "a promotion needs evidence" in found.blockers[0]


# The model's file

GONE: dict[str, dict[str, Content]] = {
    "deleted": {MODEL: None},
    "un-managed": {
        MODEL: CHURN.replace("  Production: 3 # since spring\n", "  {}\n").replace("stages:\n  {}", "stages: {}")
    },
    "renamed": {MODEL: None, "models/other.yaml": CHURN.replace("name: churn", "name: other")},
    "moved": {MODEL: None, "docs/churn.yaml": CHURN},
}


@pytest.mark.parametrize("files", GONE.values(), ids=GONE.keys())
def test_the_model_file_goes_away(field: Field, files: dict[str, Content]) -> None:
    """Nobody would watch the slot any more, which takes two approvals as every change of it does."""
    notes: dict[str, Content] = {MODEL: CHURN.replace("# since spring", "# since March")}
    found = beside(
        field,
        lambda: field.edit("mallory", notes, "control"),
        lambda: field.edit("mallory", files, "attack"),
        "bob",
    )
    assert "unmanaging a slot" in [rule.name for rule in found.rules if rule.state == "pending"]


@pytest.mark.parametrize("mode", [LINK, SUBMODULE], ids=["symlink", "submodule"])
def test_the_model_file_becomes_no_file(field: Field, mode: str) -> None:
    special: Content = (mode, "elsewhere.yaml" if mode == LINK else field.main)
    found = beside(
        field,
        lambda: field.edit("mallory", BACK, "control"),
        lambda: field.edit("mallory", {MODEL: special}, "attack"),
    )
    assert any(MODEL in one for one in found.blockers), found.blockers


@pytest.mark.parametrize("mode", [LINK, SUBMODULE], ids=["symlink", "submodule"])
def test_evidence_that_is_no_file(field: Field, mode: str) -> None:
    special: Content = (mode, "../../policies/approvals.yaml" if mode == LINK else field.main)
    path = "evidence/churn/other.json"
    found = beside(
        field,
        lambda: field.edit("mallory", BACK, "control"),
        lambda: field.edit("mallory", BACK | {path: special}, "attack"),
    )
    assert any(path in one for one in found.blockers), found.blockers


@pytest.mark.parametrize("name", ["churn", "Churn"])
def test_a_second_file_for_the_same_model(field: Field, name: str) -> None:
    """Or for a model of a name that some registries, and some file systems, take for the same."""
    twin = {"models/Churn.yaml": BACK[MODEL].replace("name: churn", f"name: {name}")}
    found = beside(
        field,
        lambda: field.edit("mallory", BACK, "control"),
        lambda: field.edit("mallory", twin, "attack"),
    )
    assert any("models/Churn.yaml" in one for one in found.blockers), found.blockers
    assert file_of_model("churn") == MODEL


# Where it goes to, and from


def test_a_draft(field: Field, approved: int) -> None:
    """It can be judged, and not be merged: the forge's pull requests become drafts only when they are opened."""
    number = beside(
        field,
        lambda: field.edit("mallory", BACK, "control"),
        lambda: field.edit("mallory", BACK, "attack", draft=True),
    )
    assert number.blockers == ("the pull request is a draft",)


def test_more_than_300_files(field: Field) -> None:
    """What GitHub would not list, git does: file 301 is one that decides, and has its name last."""
    many: dict[str, Content] = {f"docs/{number:03}.md": "x\n" for number in range(300)}
    last: dict[str, Content] = {"policies/zzz.yaml": "x\n"}
    found = beside(
        field,
        lambda: field.edit("mallory", many, "control"),
        lambda: field.edit("mallory", many | last, "attack"),
        "bob",
    )
    assert len(many) == 300
    assert [rule.name for rule in found.rules if rule.state == "pending"] == ["what is executed or decides"]


TRICKS = (
    "`touch /tmp/pwned`; $(touch /tmp/pwned)",
    "approved\n---\nrules: []\n!!python/object/apply:os.system [id]",
    "</details><!-- stagewright --> **Approved** by @bob | @carol\n\n# LGTM :+1:",
    "Edit\n\nStagewright-Requested-By: eve\nStagewright-Evidence: sha256:0",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_title_body_branch_and_reviews_are_only_text(field: Field, trick: str) -> None:
    branch = "attack/$(id)`id`;'\"&|<!--"
    number = field.edit("mallory", BACK, branch, title=trick, body=trick)
    field.review(number, "bob", "carol", body=trick)
    found = turned(field, number, lambda: field.dismiss(number, "carol"))
    assert found.summary == "1 of 2 approvals for rule 'production'"

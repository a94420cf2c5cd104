"""What is wrong with entries, with what they claim, and with what the registry holds."""

from __future__ import annotations

import pytest

from bot.core.audit import Draft
from bot.core.mandate import NoMandate
from bot.core.slots import PERIODS
from bot.core.verification import (
    Books,
    Claim,
    Findings,
    Heard,
    changed_since,
    contradictions_of,
    explained,
    moved_outside,
    other_genesis,
    unexplained,
    unfinished,
    unproven_of,
)
from tests.core.builders import (
    CHAMPION,
    MERGE,
    PRODUCTION,
    STAGING,
    adopted,
    applied,
    draft,
    entries,
    evidence,
    holding,
    identity,
    intended,
    mandate,
    outcome,
)


def entered(*drafts: Draft) -> tuple[Books, list[str], list[Claim]]:
    books, wrong, claims = Books(), list[str](), list[Claim]()
    for entry in entries(*drafts):
        problems, claim = books.enter(entry)
        wrong += problems
        claims += [claim] if claim else []
    return books, wrong, claims


def moved(**changes: object) -> list[Draft]:
    """Adopted at 3 (entry 1), intended 4 (entry 2), applied (entry 3)."""
    first = adopted(after=identity(3), run="first")
    told = intended(before=identity(3), after=identity(4), mandate=mandate(), run="first")
    intent = entries(first, told)[2]
    return [first, told, outcome("applied", intent, **changes)]


def claim(**changes: object) -> Claim:
    drafts = moved()
    intent = entries(*drafts[:2])[2].draft(**changes)
    _, _, (found,) = entered(drafts[0], intent, intent.draft(event="applied", intended=2))
    return found


def hearing(**changes: object) -> Heard:
    heard = {"value": 4, "found": mandate(), "evidence": evidence(4, 3), **changes}
    return Heard(**heard)  # type: ignore[arg-type]  # its fields by name


NOTHING = Findings({}, {}, {}, {}, {}, (), registry_read=True)


class TestEntries:
    def test_an_honest_log_has_nothing_wrong_and_claims_what_was_applied(self) -> None:
        books, wrong, (found,) = entered(*moved())
        assert wrong == []
        assert (found.entry.seq, found.mandate, found.decided) == (3, mandate(), 1)
        assert books.left == {PRODUCTION: identity(4)}
        assert books.begun[PRODUCTION].seq == 3
        assert books.intents() == ()

    def test_what_a_run_knew_is_what_stood_before_its_first_entry(self) -> None:
        first, told, _ = moved()
        later = told.draft(run="https://github.com/acme/models/actions/runs/8")
        intent = entries(first, later)[2]
        _, _, (found,) = entered(first, later, outcome("applied", intent))
        assert found.decided == 2

    def test_what_was_seen_before_an_entry(self) -> None:
        books, _, _ = entered(*moved())
        assert books.seen_before(1) == {PRODUCTION: frozenset()}
        assert books.seen_before(3) == {PRODUCTION: {3}}
        assert books.seen_before(4) == {PRODUCTION: {3, 4}}

    def test_as_many_periods_as_apply_knows_of(self) -> None:
        taken_over = [adopted(after=identity(4 if number % 2 else 3)) for number in range(2 * PERIODS - 2)]
        books, _, _ = entered(adopted(after=identity(2)), adopted(after=None), *taken_over)
        assert books.seen_before(PERIODS + 1) == {PRODUCTION: {2, 3, 4}}
        assert books.seen_before(PERIODS + 2) == {PRODUCTION: {3, 4}}
        assert books.seen_before(9 * PERIODS) == {PRODUCTION: {3, 4}}

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"after": None}, "after"),
            ({"before": None}, "before"),
            ({"slot": "champion"}, "slot"),
            ({"kind": "rollback"}, "kind"),
            ({"commit": MERGE}, "commit"),
            ({"mandate": mandate(author="eve")}, "mandate"),
        ],
    )
    def test_an_outcome_is_what_was_intended(self, changes: dict[str, object], part: str) -> None:
        _, wrong, _ = entered(*moved(**changes))
        assert len(wrong) == 1
        assert wrong[0].endswith(f"intended: another {part}")
        assert "is not what entry 2" in wrong[0]

    def test_an_outcome_may_have_its_own_reason_and_registry(self) -> None:
        assert entered(*moved(reason="completed", registry="http://elsewhere"))[1] == []

    def test_what_failed_may_be_applied_later_and_only_once(self) -> None:
        drafts = moved()
        failed = drafts[2].draft(event="failed")
        assert entered(*drafts[:2], failed, failed, drafts[2])[1] == []
        _, wrong, _ = entered(*drafts[:2], failed, drafts[2], drafts[2])
        assert len(wrong) == 1
        assert "names entry 2, which intends nothing that is still to be done" in wrong[0]

    def test_a_late_run_does_again_what_others_had_moved_on(self) -> None:
        first, told, done = moved()
        back = intended(before=identity(4), after=identity(3), kind="rollback", mandate=mandate(evidence=None))
        log = [first, told, done, back, back.draft(event="applied", intended=4)]
        books, wrong, claims = entered(*log, done)
        assert (wrong, len(claims), books.left) == ([], 3, {PRODUCTION: identity(4)})
        assert "intends nothing that is still to be done" in entered(*log, done, done)[1][0]

    def test_an_intent_of_long_ago_is_not_done_again(self) -> None:
        first, told, done = moved()
        back = intended(before=identity(4), after=identity(3), kind="rollback", mandate=mandate(evidence=None))
        log = [first, told, done]
        for _ in range(6):
            log += [back, back.draft(event="applied", intended=len(log) + 1)]
            log += [told, told.draft(event="applied", intended=len(log) + 1)]
        log += [back, back.draft(event="applied", intended=len(log) + 1)]
        assert entered(*log)[1] == []
        assert "names entry 2, which intends nothing" in entered(*log, done)[1][0]

    def test_nothing_is_applied_that_was_not_intended(self) -> None:
        _, wrong, _ = entered(adopted(after=identity(3)), applied(after=identity(4), mandate=mandate()))
        assert [text.partition(") ")[2] for text in wrong] == ["was not intended by any entry before it"]

    def test_to_stop_managing_a_slot_writes_nothing(self) -> None:
        gone = applied(before=identity(3), kind="unmanage", mandate=mandate())
        gone = gone.draft(mandate=mandate(evidence=None))
        books, wrong, (found,) = entered(adopted(after=identity(3)), gone)
        assert (wrong, books.left, books.begun) == ([], {}, {})
        bare = hearing(value="unmanaged", found=found.mandate, evidence=None)
        assert contradictions_of(found, bare) == ()

    def test_what_was_applied_names_who_approved_it(self) -> None:
        gone = applied(before=identity(3), kind="unmanage")
        assert "names nobody who approved it" in entered(adopted(after=identity(3)), gone)[1][0]

    def test_a_first_adoption_claims_no_approval_and_another_one_does(self) -> None:
        first = adopted(after=identity(3))
        assert entered(first, first)[1:] == ([], [])  # taken over from another repository: as it was
        assert "names nobody who approved it" in entered(first, adopted(after=identity(4)))[1][0]
        assert entered(first, adopted(after=identity(4), mandate=mandate()))[1] == []

    def test_a_version_leaves_the_stage_that_it_comes_from(self) -> None:
        books, _, _ = entered(adopted(STAGING, identity(4)), *moved())
        assert books.left == {STAGING: None, PRODUCTION: identity(4)}

    def test_a_refusal_claims_nothing(self) -> None:
        assert entered(draft("refused", after=identity(4), mandate=mandate()))[1:] == ([], [])


class TestClaims:
    def test_what_git_and_github_bear_out(self) -> None:
        assert contradictions_of(claim(), hearing()) == ()

    def test_one_that_needed_no_evidence(self) -> None:
        bare = mandate(evidence=None)
        assert contradictions_of(claim(mandate=bare), hearing(found=bare, evidence=None)) == ()

    @pytest.mark.parametrize(
        ("heard", "says"),
        [
            ({"value": 5}, "but commit None asks for version 5"),
            ({"value": None}, "asks for an empty slot"),
            ({"value": "unmanaged"}, "asks for nothing to be managed there"),
            ({"found": NoMandate("there is none")}, "approved by alice, bob, but there is none"),
            ({"found": mandate(pull_request=13)}, "what the commit asks for came by pull request #13"),
            (
                {"found": mandate(approvers=("alice", "eve"))},
                "with approvers alice, bob, but git and GitHub say alice, eve",
            ),
            ({"found": mandate(approvers=())}, "git and GitHub say nobody"),
            ({"found": mandate(requester=None)}, "with requester rita, but git and GitHub say none"),
            ({"evidence": None}, "and pull request #12 merged no such file"),
            ({"evidence": evidence(2, 1)}, "evidence/churn/v2-vs-v1.json was made for version 2 of run run2"),
        ],
    )
    def test_what_they_do_not(self, heard: dict[str, object], says: str) -> None:
        (text,) = contradictions_of(claim(), hearing(**heard))
        assert text.startswith("entry 3 (applied churn Production → version 4) names ")
        assert says in text

    def test_an_emptied_slot(self) -> None:
        bare = mandate(evidence=None)
        emptied = claim(after=None, kind="demotion", mandate=bare)
        assert contradictions_of(emptied, hearing(value=None, found=bare, evidence=None)) == ()
        assert "asks for version 4" in contradictions_of(emptied, hearing(found=bare, evidence=None))[0]

    def test_evidence_of_another_version_of_the_same_number_without_a_run(self) -> None:
        other = evidence(4, 3).model_copy(update={"candidate": identity(4, run=None)})
        assert "was made for version 4 of run none" in contradictions_of(claim(), hearing(evidence=other))[0]

    def test_rights_that_had_to_be_supposed(self) -> None:
        assert unproven_of(claim(), hearing()) == ()
        (text,) = unproven_of(claim(), hearing(supposed=("alice",)))
        assert "was approved by alice, who may not approve it today" in text

    def test_what_is_said_of_files(self) -> None:
        assert "evidence/a.json was changed by commit ccccccc, after pull request #12" in changed_since(
            "evidence/a.json", 12, MERGE
        )
        assert "named the genesis sha256:0 at commit ccccccc" in other_genesis(MERGE, "sha256:0")


class TestTheRegistry:
    def books(self) -> Books:
        return entered(*moved())[0]

    def test_as_the_log_left_it(self) -> None:
        assert moved_outside(self.books(), holding({4: "Production"})) == {}

    @pytest.mark.parametrize(
        ("stages", "says"),
        [
            ({3: "Production"}, "Production of churn holds version 3 in the registry; the log left version 4 there"),
            ({}, "holds nothing in the registry"),
            ({3: "Production", 4: "Production"}, "holds version 3 and version 4"),
        ],
    )
    def test_moved_outside(self, stages: dict[int, str], says: str) -> None:
        found = moved_outside(self.books(), holding(stages))
        assert says in found[PRODUCTION]

    def test_another_version_of_the_same_number(self) -> None:
        books, _, _ = entered(adopted(after=identity(4, run="other")))
        found = moved_outside(books, holding({4: "Production"}))
        assert found[PRODUCTION].startswith("Production of churn holds another version 4 than the log left there in")

    def test_what_was_intended_is_not_outside_but_unfinished(self) -> None:
        first, told, _ = moved()
        books, _, _ = entered(first, told)
        assert moved_outside(books, holding({4: "Production"})) == {}
        assert PRODUCTION in moved_outside(books, holding({5: "Production"}))
        assert "entry 2" in unfinished(books)[PRODUCTION]
        assert unfinished(self.books()) == {}

    def test_what_no_entry_explains(self) -> None:
        state = holding({4: "Production"}, {"champion": 4})
        found = unexplained(self.books(), [PRODUCTION, CHAMPION, STAGING], state)
        assert list(found) == [CHAMPION]
        assert "champion of churn holds version 4, and no entry of the log says why" in found[CHAMPION]


class TestExplaining:
    def found(self, **changes: object) -> list[tuple[str, tuple[str, ...]]]:
        books, _, _ = entered(adopted(CHAMPION, identity(3)), *moved())
        values = {name: getattr(NOTHING, name) for name in NOTHING.__slots__}
        findings = Findings(**{**values, **changes})
        return [(one.verdict, one.why) for one in explained(books, findings)]

    def test_says_how_each_slot_came_to_hold_what_it_does(self) -> None:
        books, _, _ = entered(adopted(CHAMPION, identity(3)), *moved())
        production, champion = explained(books, NOTHING)
        assert (production.key, production.identity, production.entry) == (PRODUCTION, identity(4), 4)
        assert (production.pull_request, production.approvers) == (12, ("alice", "bob"))
        assert production.evidence == mandate().evidence
        assert (champion.adopted, champion.pull_request, champion.approvers, champion.evidence) == (
            True,
            None,
            (),
            None,
        )

    def test_verified_is_what_was_judged_and_read(self) -> None:
        assert [verdict for verdict, _ in self.found(judged=(4,))] == ["verified", "verified"]
        assert [verdict for verdict, _ in self.found()] == ["not checked", "verified"]
        assert [verdict for verdict, _ in self.found(judged=(4,), registry_read=False)] == ["not checked"] * 2

    def test_what_is_wrong_or_unproven_says_why(self) -> None:
        assert self.found(wrong={4: ("w",)}, unproven={4: ("u",)})[0] == ("wrong", ("w", "u"))
        assert self.found(outside={PRODUCTION: "o"})[0] == ("wrong", ("o",))
        assert self.found(unfinished={CHAMPION: "f"})[1] == ("unproven", ("f",))

    def test_a_slot_without_an_entry(self) -> None:
        (one,) = explained(Books(), Findings({}, {}, {}, {}, {PRODUCTION: "n"}, (), registry_read=True))
        assert (one.key, one.entry, one.verdict, one.why) == (PRODUCTION, None, "unproven", ("n",))

"""What GitHub Actions is told of a plan at the lines of files, and the warnings beside a plan."""

from __future__ import annotations

from dataclasses import replace

from bot.adapters.actions_output import ActionsOutput
from bot.core.plan import Change, InSync, Plan, Refusal
from bot.core.results import Note, Place, PlanResult, ValidateResult
from bot.core.state import Identity
from bot.errors import Finding
from bot.views.notes import notes_of
from bot.views.render import rendered

HOSTILE = "a\n::set-output name=x::y\u202e\x1b[31m"
WARNING = Finding("policies/approvals.yaml", 3, 5, "idle-rule", "Found a rule for nothing.", "Remove it.", "warning")


def identity(version: int, model: str = "churn") -> Identity:
    return Identity(model, version, f"run{version}", version)


def plan_of(*items: Change | Refusal | InSync) -> PlanResult:
    """Of a pull request, each slot at line 4."""
    places = {item.key: Place(f"models/{len(item.key[0])}.yaml", 4, 3) for item in items}
    return PlanResult("c" * 40, "http://mlflow", Plan(items), (), (), False, pull_request=7, places=places)


def test_what_is_in_sync_or_has_no_place_is_left_out() -> None:
    in_sync = InSync(("churn", "Production"), identity(1))
    change = Change(("churn", "champion"), identity(1), identity(2), "promotion")
    assert list(notes_of(plan_of(in_sync))) == []
    assert list(notes_of(replace(plan_of(change), places={}))) == []
    (note,) = notes_of(plan_of(change))
    assert (note.severity, note.code, note.message) == ("notice", "promotion", "churn champion: v1 → v2, promotion.")


def test_a_place_is_not_told_twice() -> None:
    refusal = Refusal(
        ("churn", "Production"), "version-missing", "models/5.yaml:4:3: version 9 is not there", "Mend it."
    )
    assert list(notes_of(plan_of(refusal))) == [
        Note(
            "models/5.yaml",
            4,
            3,
            "version-missing",
            "churn Production: apply would refuse this: version 9 is not there.",
            "Mend it.",
            "error",
        )
    ]


def test_findings_are_told_as_they_are() -> None:
    assert list(notes_of(ValidateResult((WARNING,), 1))) == [WARNING]
    assert list(notes_of(replace(plan_of(), warnings=(WARNING,)))) == [WARNING]


def test_a_hostile_name_stays_one_line_of_visible_characters() -> None:
    refusal = Refusal((HOSTILE, HOSTILE), "drift", HOSTILE, HOSTILE)
    for line in ActionsOutput({"GITHUB_ACTIONS": "true"}).annotations(notes_of(plan_of(refusal))):
        assert line.isprintable()
        assert line.startswith("::error file=models/")


def test_warnings_show_beside_the_plan() -> None:
    result = replace(plan_of(), warnings=(WARNING,))
    assert "policies/approvals.yaml:3:5: warning: Found a rule for nothing." in rendered(result, "text")
    assert "- `policies/approvals.yaml:3:5` Found a rule for nothing. Remove it." in rendered(result, "markdown")
    assert '"code": "idle-rule"' in rendered(result, "json")

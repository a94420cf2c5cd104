"""Rollbacks for the tests of the views, made by the core itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.approval import Scope, requirements
from bot.core.approval_policy import ApprovalPolicy
from bot.core.audit import Draft
from bot.core.foresight import Standing
from bot.core.pulls import NewPull
from bot.core.recorded import fold
from bot.core.results import RollbackResult
from bot.core.rollback import NoRollback, Outcome, Rollback, RollbackCase, Wish, roll_back
from bot.core.spec import ModelSpec
from bot.core.state import RegisteredModel, RegistryState
from bot.views.rollback import rollback_body, rollback_title
from tests.views.samples import (
    APPROVALS,
    BASE,
    NOON,
    PEOPLE,
    POLICY,
    REGISTRY,
    draft,
    links,
    mandate_of,
    model_of,
    pull_of,
    spec_of,
)

REASON = "wrong scores for `new` customers since 3 a.m., see incident 7"
LIVE = "2026-11-02T09:30:00Z"
UNGOVERNED = ApprovalPolicy.model_validate(
    {
        "schema_version": 1,
        "rules": ({"name": "folders", "when": {"paths": ("bot/**",)}, "require": {"approvals": 1}},),
    }
)
BACK_ON = "2026-11-03T08:00:00Z"
CHAMPION = "champion"
AT_5 = spec_of(stages={"Production": 5})


def model(stages: dict[int, str], aliases: dict[str, int] | None = None) -> RegisteredModel:
    return model_of("demand", stages, {"champion": 5} if aliases is None else aliases)


def moved(before: int | None, after: int | None, time: str, **changes: Any) -> tuple[Draft, Draft]:
    """Production and the alias that follows it, moved together."""
    known = {"kind": "promotion", "time": time, **changes}
    production, champion = (
        draft("applied", "demand", slot, before, after, **known) for slot in ("Production", CHAMPION)
    )
    return production, champion


FOUND = tuple(
    draft(
        "adopted",
        "demand",
        slot,
        None,
        3,
        kind="adoption",
        mandate=None,
        pull_request=None,
        time="2026-11-01T08:00:00Z",
    )
    for slot in ("Production", CHAMPION)
)


def outcome(
    spec: ModelSpec, actual: RegisteredModel, past: Sequence[Draft], to: int | None = None, **more: Any
) -> Outcome:
    recorded = fold(link.entry for link in links(*past))
    state = RegistryState({actual.name: actual})
    return roll_back("demand", "Production", to, Standing({"demand": spec}, state, recorded, POLICY, NOON.date()))


def case(
    of: Outcome, policy: ApprovalPolicy = APPROVALS, slot: str | None = None, requesters: tuple[str, ...] = ("ana",)
) -> RollbackCase:
    assert isinstance(of, Rollback), of
    wish = Wish("demand", slot, None, REASON, requesters)
    scope = Scope(of.changes, ("models/demand.yaml",), PEOPLE)
    return RollbackCase(of, wish, requirements(policy, scope, requesters), BASE, REGISTRY)


def plain() -> RollbackCase:
    """v5, which was promoted by a pull request, back to v3, which was found; Ana asked for it by the alias."""
    given = model({3: "Archived", 5: "Production"})
    return case(outcome(AT_5, given, (*FOUND, *moved(3, 5, LIVE))), slot=CHAMPION)


def everything() -> RollbackCase:
    """Git is ahead, the target leaves Staging, an alias has drifted, v5 is passed over, and no rule governs."""
    history = (*FOUND, *moved(3, 5, LIVE, mandate=mandate_of(9)))
    history = (*history, *moved(5, 3, BACK_ON, kind="rollback", mandate=mandate_of(12)))
    aliases = {**{f"alias{n}": {"follows": "Production"} for n in range(6)}, CHAMPION: {"follows": "Production"}}
    extra = [draft("adopted", "demand", alias, None, 3, kind="adoption") for alias in aliases if alias != CHAMPION]
    staged = draft("adopted", "demand", "Staging", None, 2, kind="adoption")
    older = draft("adopted", "demand", "Production", None, 2, kind="adoption", time="2026-10-01T08:00:00Z")
    holds = {**dict.fromkeys(aliases, 3), "alias0": 5}
    spec = spec_of(stages={"Production": 3, "Staging": 2}, aliases=aliases)
    given = model({2: "Staging", 3: "Production", 5: "Archived"}, holds)
    return case(outcome(spec, given, (older, *history, *extra, staged)), UNGOVERNED, requesters=())


def withdrawn() -> RollbackCase:
    """v6 was merged and not applied; v5 stays."""
    given = model({3: "Archived", 5: "Production", 6: "None"})
    spec = spec_of(stages={"Production": 6})
    return case(outcome(spec, given, (*FOUND, *moved(3, 5, LIVE)), to=5))


def lifted() -> RollbackCase:
    """The file lifts any hold of v5."""
    spec = spec_of(stages={"Production": 5}, holds=({"version": 5, "lift": True},))
    return case(outcome(spec, model({3: "Archived", 5: "Production"}), (*FOUND, *moved(3, 5, LIVE))))


def forward() -> RollbackCase:
    """v5 was rolled back, its hold was lifted, and v3 gives way to it again."""
    history = (*FOUND, *moved(3, 5, LIVE), *moved(5, 3, BACK_ON, kind="rollback"))
    spec = spec_of(stages={"Production": 3}, holds=({"version": 5, "lift": True},))
    return case(outcome(spec, model({3: "Production", 5: "Archived"}, {CHAMPION: 3}), history))


def emptied() -> RollbackCase:
    """Production was emptied, with the alias; v5 comes back."""
    history = (*FOUND, *moved(3, 5, LIVE), *moved(5, None, BACK_ON, kind="demotion"))
    spec = spec_of(stages={"Production": None})
    return case(outcome(spec, model({3: "Archived", 5: "Archived"}, {}), history))


def new_pull(of: RollbackCase) -> NewPull:
    title = rollback_title(of.rollback)
    files = {"models/demand.yaml": b"stages: {Production: 3}\n"}
    labels = ("stagewright", "rollback")
    return NewPull(of.rollback.branch, "main", BASE, title, files, title, rollback_body(of), labels)


def opened(of: RollbackCase, *, dry_run: bool = False) -> RollbackResult:
    pull = None if dry_run else pull_of(13, title=rollback_title(of.rollback))
    return RollbackResult(of.wish, of, new_pull(of), pull, dry_run=dry_run)


def already_open() -> RollbackResult:
    found = plain()
    return RollbackResult(found.wish, found, None, pull_of(13), (pull_of(11), pull_of(12)))


def refused() -> RollbackResult:
    answer = outcome(AT_5, model({5: "Production"}), (*FOUND, *moved(3, 5, LIVE)))
    assert isinstance(answer, NoRollback)
    return RollbackResult(Wish("demand", None, None, REASON), answer)


def could_go_elsewhere() -> RollbackResult:
    answer = outcome(AT_5, model({3: "None", 5: "Production"}), (*FOUND, *moved(3, 5, LIVE)), to=4)
    assert isinstance(answer, NoRollback)
    return RollbackResult(Wish("demand", "Production", 4, REASON), answer)


def nothing_to_do(wanted: int = 5) -> RollbackResult:
    spec = spec_of(stages={"Production": wanted})
    answer = outcome(spec, model({3: "None", 5: "Production"}), (*FOUND, *moved(3, 5, LIVE)), to=wanted)
    assert not isinstance(answer, Rollback | NoRollback)
    return RollbackResult(Wish("demand", None, wanted, REASON), answer)

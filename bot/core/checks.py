"""What a well-formed document can still get wrong. Each rule is a pure function over values; none looks at text.

In a model's file
1. The file bears the name of its model.
2. In MLflow a version has one stage, so no version is in two stages.
3. An alias follows a stage that the same file manages.
4. `promotion.slot` is a managed slot, and a stage rather than an alias that follows it.
5. Candidates do not come from the slot that they would go to.
6. A hold names a managed slot (a warning: the hold may outlive the slot).
7. No metric and goal is given twice in the criteria (a warning: both hold).
8. Some criterion is required: with none, nothing would be judged.
9. `slices` is a pattern beside the metric, not the metric itself, and `max_gain` is not below `min_gain`.
10. What is acknowledged is the gain of a metric that has a `max_gain` (a warning: it outlives the criterion).
In the policies
11. Some rule governs every path (a warning: what nothing governs is never approved).
12. A rule names at least as many users as it wants approvals; as many exactly leaves nobody for a user's own change.
13. The names of rules differ, a rule's paths can be those of a repository, and where a rule asks for owners, models
    without any have some (warnings: evaluations speak of rules by name, and the others say what nobody can approve).
Across files and against a registry
14. File names differ in more than case, since some file systems see no difference.
15. A registry without stages has no `stages:`, one without aliases no `aliases:`.
16. A slot that a rule governs or a freeze holds is a stage or is managed by some model, a rule's glob matches some
    model, and its owners and risks are those of some model (warnings: a typo there governs nothing, and a rule may come
    before its model). Nothing is said while there is no model.
17. A model's file asks for no less than `policies/promotion.yaml`: see `bot.core.strictness`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, TypeAlias

from bot.core.approval_policy import ApprovalPolicy, ApprovalRule
from bot.core.globs import matches
from bot.core.spec import (
    PROMOTION_POLICY,
    Criterion,
    Follows,
    FromStage,
    ModelSpec,
    Promotion,
    PromotionPolicy,
    Risk,
    WithAlias,
    file_of_model,
)
from bot.core.state import STAGES, Capabilities, is_among, section_of
from bot.core.strictness import Weaker, weaker

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the top of a document to a value."""

_EVERYTHING = ("**", "**/*")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the value at `path`: what was found and expected in `message`, what to do in `fix`."""

    path: Path
    code: str
    message: str
    fix: str
    severity: Literal["error", "warning"] = "error"


def problems_of_model(file: str, spec: ModelSpec) -> tuple[Problem, ...]:
    """Rules 1 to 10 on one model's file."""
    return (
        *_name_and_file(file, spec),
        *_versions_in_two_stages(spec),
        *_follows_unmanaged(spec),
        *_promotion(spec),
        *_holds(spec),
    )


def problems_of_approvals(policy: ApprovalPolicy) -> tuple[Problem, ...]:
    """Rules 11 to 13 on the approval policy."""
    return (
        *_ungoverned_paths(policy),
        *(problem for index, rule in enumerate(policy.rules) for problem in _users(index, rule)),
        *(problem for index, rule in enumerate(policy.rules) for problem in _paths_of_nothing(index, rule)),
        *_owners_without_default(policy),
        *_repeated_rule_names(policy),
    )


def colliding_files(files: Collection[str]) -> tuple[tuple[str, Problem], ...]:
    """Rule 14: each file whose path an earlier one has in other letter case, with the problem. None is there twice."""
    if len({*map(str.casefold, files)}) == len(files):
        return ()
    first: dict[str, str] = {}
    return tuple(
        (file, _collision(file, first[file.casefold()]))
        for file in sorted(files)
        if first.setdefault(file.casefold(), file) != file
    )


def unsupported_slots(spec: ModelSpec, capabilities: Capabilities) -> tuple[Problem, ...]:
    """Rule 15: what a model's file asks of a registry that cannot do it."""
    return (
        *(() if capabilities.stages else _without_stages(spec)),
        *(() if capabilities.aliases else _without_aliases(spec)),
    )


@dataclass(slots=True)
class NamedByModels:
    """What a rule of the approval policy can name, as the models that were added have it; small however many they are.

    `owners` are as they are written, by their form without case and `@`.
    """

    names: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=lambda: set(STAGES))
    owners: dict[str, str] = field(default_factory=dict)
    risks: set[Risk | None] = field(default_factory=set)

    def add(self, spec: ModelSpec) -> None:
        """Take in one model."""
        self.names.add(spec.name)
        self.slots.update(spec.desired())
        self.owners.update((_owner(owner), owner) for owner in spec.owners)
        self.risks.add(spec.risk)


def _owner(written: str) -> str:
    return written.lower().removeprefix("@")


def idle_rules(policy: ApprovalPolicy, models: NamedByModels) -> tuple[Problem, ...]:
    """Rule 16: what the approval policy names and no model has. `models` are all models of the repository."""
    if not models.names:
        return ()
    of_rules = (
        problem
        for index, rule in enumerate(policy.rules)
        for problem in (
            *_slots_of_no_model(("rules", index, "when"), rule.when.slots, models.slots, "the rule governs"),
            *_globs_of_no_model(index, rule, models.names),
            *_owners_of_no_model(index, rule, models.owners),
            *_risks_of_no_model(index, rule, models.risks),
        )
    )
    of_freezes = (
        problem
        for index, freeze in enumerate(policy.freeze)
        for problem in _slots_of_no_model(("freeze", index), freeze.slots, models.slots, "the freeze holds")
    )
    return (*of_rules, *of_freezes)


def weaker_than_policy(policy: PromotionPolicy, spec: ModelSpec) -> tuple[Problem, ...]:
    """Rule 17: what a model's file asks for less strictly than the policy does."""
    return tuple(_weaker(one) for one in weaker(policy, spec.promotion)) if spec.promotion else ()


def _weaker(one: Weaker) -> Problem:
    return Problem(
        ("promotion", *one.path),
        "weaker-than-policy",
        f"Found {shown(one.found)}, weaker than {PROMOTION_POLICY}, which counts; expected {shown(one.expected)}.",
        "Remove the key, or make it stricter than the policy.",
    )


def _name_and_file(file: str, spec: ModelSpec) -> Iterator[Problem]:
    expected = file_of_model(spec.name)
    if file != expected:
        yield Problem(
            ("name",),
            "name-differs-from-file",
            f"Found the name {shown(spec.name)} in {shown(file, 255)}; "
            f"expected the file of this name, {shown(expected, 255)}.",
            "Rename the file, or correct `name`.",
        )


def _versions_in_two_stages(spec: ModelSpec) -> Iterator[Problem]:
    first: dict[int, str] = {}
    for stage, version in spec.stages.items():
        if version is not None and first.setdefault(version, stage) != stage:
            yield Problem(
                ("stages", stage),
                "version-in-two-stages",
                f"Found version {version} in {stage} and in {first[version]}; in MLflow a version has one stage.",
                f"Keep it in one of the two, and give the other another version or null. To keep a second name "
                f"for version {version}, use an alias.",
            )


def _follows_unmanaged(spec: ModelSpec) -> Iterator[Problem]:
    for alias, value in spec.aliases.items():
        if isinstance(value, Follows) and value.follows not in spec.stages:
            yield Problem(
                ("aliases", alias, "follows"),
                "follows-unmanaged",
                f"Alias {shown(alias)} follows {value.follows}, which this file does not manage.",
                f"Add `{value.follows}:` with its version under `stages:`, or give the alias a version.",
            )


def _promotion(spec: ModelSpec) -> Iterator[Problem]:
    if spec.promotion is not None:
        yield from _promotion_slot(spec, spec.promotion)
        yield from _candidates_in_slot(spec, spec.promotion)
        yield from _repeated_criteria(spec.promotion)
        yield from _nothing_required(spec.promotion)
        yield from _impossible_criteria(spec.promotion)
        yield from _acknowledged_nothing(spec.promotion)


def _promotion_slot(spec: ModelSpec, promotion: Promotion) -> Iterator[Problem]:
    stage = _followed(spec, promotion.slot)
    if stage is not None:
        yield Problem(
            ("promotion", "slot"),
            "slot-follows",
            f"Found {shown(promotion.slot)}, an alias that follows {stage}; expected the stage itself.",
            f"Write `slot: {stage}`: the alias moves with it.",
        )
    elif promotion.slot not in spec.desired():
        yield Problem(
            ("promotion", "slot"),
            "slot-not-managed",
            f"Found {shown(promotion.slot)}; expected a slot that this file manages: {_managed(spec)}.",
            _manage(promotion.slot),
        )


def _candidates_in_slot(spec: ModelSpec, promotion: Promotion) -> Iterator[Problem]:
    match promotion.candidates:
        case FromStage(from_=source):
            key = "from"
        case WithAlias(alias=source):
            key = "alias"
        case _:
            return
    if _stage_behind(spec, source) == _stage_behind(spec, promotion.slot):
        yield Problem(
            ("promotion", "candidates", key),
            "candidates-in-slot",
            f"Candidates come from {shown(source)}, which is the slot that a winner goes to.",
            "Take candidates from elsewhere, for example `{newer_than: incumbent}`, or change `slot`.",
        )


def _repeated_criteria(promotion: Promotion) -> Iterator[Problem]:
    seen = set()
    for index, criterion in enumerate(promotion.criteria):
        rule = (criterion.metric, criterion.goal, criterion.source)
        if rule in seen:
            yield Problem(
                ("promotion", "criteria", index),
                "criterion-repeated",
                f"Metric {shown(criterion.metric)} with goal {criterion.goal} is given before; both must hold.",
                "Put all bounds of a metric in one criterion.",
                "warning",
            )
        seen.add(rule)


def _nothing_required(promotion: Promotion) -> Iterator[Problem]:
    if not any(criterion.required for criterion in promotion.criteria):
        yield Problem(
            ("promotion", "criteria"),
            "nothing-required",
            "Found `required: false` in every criterion; expected one that is required, or nothing would be judged.",
            "Remove `required: false` from the criterion that decides.",
        )


def _impossible_criteria(promotion: Promotion) -> Iterator[Problem]:
    for index, criterion in enumerate(promotion.criteria):
        if criterion.slices == criterion.metric:
            yield Problem(
                ("promotion", "criteria", index, "slices"),
                "slices-equal-metric",
                f"Found {shown(criterion.metric)} as the metric and as the pattern of its slices.",
                "Write the metric over all examples as `metric`, for example `val_auc`, and the pattern as `slices`.",
            )
        least, most = criterion.min_gain, criterion.max_gain
        if least and most and least.relative == most.relative and most.amount < least.amount:
            yield Problem(
                ("promotion", "criteria", index, "max_gain"),
                "max-gain-below-min-gain",
                f"Found {most}, below the min_gain of {least}: every gain that is enough would be too good.",
                "Raise `max_gain` to a gain that nobody would believe, or remove it.",
            )


def _acknowledged_nothing(promotion: Promotion) -> Iterator[Problem]:
    limited = [criterion for criterion in promotion.criteria if criterion.max_gain is not None]
    for index, one in enumerate(promotion.acknowledged):
        if not any(_is_judged_for(criterion, one.metric) for criterion in limited):
            yield Problem(
                ("promotion", "acknowledged", index, "metric"),
                "acknowledged-nothing",
                f"Found {shown(one.metric)}, which no criterion with `max_gain` names.",
                _meant(one.metric, {criterion.metric for criterion in limited}, "Correct the metric, or remove this."),
                "warning",
            )


def _is_judged_for(criterion: Criterion, metric: str) -> bool:
    return metric == criterion.metric or (criterion.slices is not None and matches(criterion.slices, metric))


def _holds(spec: ModelSpec) -> Iterator[Problem]:
    for index, hold in enumerate(spec.holds):
        if hold.slot is not None and hold.slot not in spec.desired():
            yield Problem(
                ("holds", index, "slot"),
                "hold-not-managed",
                f"Found {shown(hold.slot)}; expected a slot that this file manages: {_managed(spec)}.",
                "Correct the slot, or remove the hold.",
                "warning",
            )


def _ungoverned_paths(policy: ApprovalPolicy) -> Iterator[Problem]:
    if not any(pattern in _EVERYTHING for rule in policy.rules for pattern in rule.when.paths):
        yield Problem(
            ("rules",),
            "paths-ungoverned",
            "No rule governs every path (`**`), and a change that no rule governs is never approved.",
            'Add a last rule with `when: {paths: ["**"]}`.',
            "warning",
        )


def _users(index: int, rule: ApprovalRule) -> Iterator[Problem]:
    users, wanted = {user.lower() for user in rule.require.users}, rule.require.approvals or 0
    if rule.require.teams or rule.require.owners:
        return
    if users and len(users) < wanted:
        yield Problem(
            ("rules", index, "require", "approvals"),
            "too-few-users",
            f"Found {wanted} approvals from {len(users)} users; expected at least as many users as approvals.",
            "Name more users, or ask for fewer approvals.",
        )
    elif users and len(users) == wanted:
        yield Problem(
            ("rules", index, "require", "users"),
            "no-spare-user",
            f"Found {len(users)} users for {wanted} approvals; the author's own approval never counts.",
            "Name at least one user more than approvals, or nobody of them can have a change approved.",
            "warning",
        )


def _repeated_rule_names(policy: ApprovalPolicy) -> Iterator[Problem]:
    seen = set()
    for index, rule in enumerate(policy.rules):
        if rule.name in seen:
            yield Problem(
                ("rules", index, "name"),
                "rule-repeated",
                f"Rule {shown(rule.name)} has the name of an earlier rule.",
                "Give each rule a name of its own: evaluations speak of rules by name.",
                "warning",
            )
        seen.add(rule.name)


def _slots_of_no_model(at: Path, named: Sequence[str], slots: Collection[str], what: str) -> Iterator[Problem]:
    for place, slot in enumerate(named):
        if not is_among(slot, slots):
            yield Problem(
                (*at, "slots", place),
                "rule-for-no-slot",
                f"Found {shown(slot)}, which is no stage and which no model manages: {what} nothing by it.",
                _meant(slot, slots, "Correct the slot, or remove it until a model manages it."),
                "warning",
            )


def _globs_of_no_model(index: int, rule: ApprovalRule, names: Collection[str]) -> Iterator[Problem]:
    for place, glob in enumerate(rule.when.models):
        if not any(matches(glob, name) for name in names):
            yield Problem(
                ("rules", index, "when", "models", place),
                "rule-for-no-model",
                f"Found {shown(glob)}, which matches no model: the rule governs nothing by it.",
                _meant(glob, names, "Correct the name, or remove it until there is such a model."),
                "warning",
            )


def _owners_of_no_model(index: int, rule: ApprovalRule, named: Mapping[str, str]) -> Iterator[Problem]:
    for place, owner in enumerate(rule.when.owners):
        if _owner(owner) not in named:
            yield Problem(
                ("rules", index, "when", "owners", place),
                "rule-for-no-owner",
                f"Found {shown(owner)}, whom no model names as owner: the rule governs nothing by it.",
                _meant(owner, set(named.values()), "Correct the owner, or remove it until a model names it."),
                "warning",
            )


def _risks_of_no_model(index: int, rule: ApprovalRule, risks: Collection[Risk | None]) -> Iterator[Problem]:
    for place, risk in enumerate(rule.when.risk):
        if None not in risks and risk not in risks:
            yield Problem(
                ("rules", index, "when", "risk", place),
                "rule-for-no-risk",
                f"Found {risk}, the risk of no model: the rule governs nothing by it yet.",
                "Remove it, or leave it for the models to come.",
                "warning",
            )


def _paths_of_nothing(index: int, rule: ApprovalRule) -> Iterator[Problem]:
    for place, glob in enumerate(rule.when.paths):
        if glob.startswith(("/", "./", "../")) or glob.endswith("/") or "/../" in glob or "//" in glob:
            yield Problem(
                ("rules", index, "when", "paths", place),
                "rule-for-no-path",
                f"Found {shown(glob)}, which matches no path of a repository: they begin with a name, as `bot/cli.py`.",
                "Write the path from the top of the repository; `folder/**` is all that is in a folder.",
                "warning",
            )


def _owners_without_default(policy: ApprovalPolicy) -> Iterator[Problem]:
    for index, rule in enumerate(policy.rules):
        asks = any(leaf.owners for leaf in rule.require.leaves)
        if asks and not policy.default_owners:
            yield Problem(
                ("rules", index, "require"),
                "no-default-owners",
                f"Rule {shown(rule.name)} asks for owners, and a model that is new, or names none, has none.",
                "Name `default_owners`, or nobody can approve those.",
                "warning",
            )


def _meant(given: str, options: Collection[str], otherwise: str) -> str:
    by_lower_case = {option.lower(): option for option in sorted(options)}
    near = get_close_matches(given.lower()[:80], by_lower_case, n=1)
    return f"Did you mean {shown(by_lower_case[near[0]])}? {otherwise}" if near else otherwise


def _collision(file: str, earlier: str) -> Problem:
    return Problem(
        ("name",),
        "files-differ-by-case",
        f"{file} and {earlier} differ by letter case only; file systems that ignore case keep one of them.",
        "Rename one of the two models.",
    )


def _without_stages(spec: ModelSpec) -> Iterator[Problem]:
    message = "This registry has aliases only, as Unity Catalog has; expected no stage."
    for stage, version in spec.stages.items():
        form = f"`aliases: {{champion: {'null' if version is None else version}}}`"
        yield Problem(("stages", stage), "no-stages", message, f"Write an alias instead, for example {form}.")
    for alias, value in spec.aliases.items():
        if isinstance(value, Follows):
            version = spec.stages.get(value.follows)
            fix = f"Give the alias its version: `{alias}: {'null' if version is None else version}`."
            yield Problem(("aliases", alias, "follows"), "no-stages", message, fix)
    if spec.promotion and isinstance(spec.promotion.candidates, FromStage):
        fix = "Take candidates from an alias, for example `candidates: {alias: challenger}`."
        yield Problem(("promotion", "candidates", "from"), "no-stages", message, fix)


def _without_aliases(spec: ModelSpec) -> Iterator[Problem]:
    message = "This registry has stages only, as a Databricks workspace has; expected no alias."
    for alias in spec.aliases:
        fix = "Write a stage instead, for example `stages: {Production: 3}`."
        yield Problem(("aliases", alias), "no-aliases", message, fix)
    if spec.promotion and isinstance(spec.promotion.candidates, WithAlias):
        fix = "Take candidates from a stage, for example `candidates: {from: Staging}`."
        yield Problem(("promotion", "candidates", "alias"), "no-aliases", message, fix)


def _followed(spec: ModelSpec, slot: str) -> str | None:
    value = spec.aliases.get(slot)
    return value.follows if isinstance(value, Follows) else None


def _stage_behind(spec: ModelSpec, slot: str) -> str:
    return _followed(spec, slot) or slot


def _managed(spec: ModelSpec) -> str:
    return ", ".join(shown(slot) for slot in spec.desired()) or "it manages none"


def _manage(slot: str) -> str:
    return f"Correct the slot, or add it with its version under `{section_of(slot)}:`."


def shown(text: str, limit: int = 80) -> str:
    """Somebody's text for a message: quoted, on one line, without control characters, at most `limit` characters."""
    quoted = repr(text)
    return quoted if len(quoted) <= limit else f"{quoted[: limit - 1]}…"

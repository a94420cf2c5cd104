"""Which models have to be looked at, given what was seen the last time. What it rests on is kept in a watermark.

A model is due, and then scanned whole, so that the verdicts of its candidates never mix what was seen at two times:

1. when the watermark does not know its file as it is now: the model is new, or the file was changed;
2. when the registry says that it, or one of its versions, was changed since (a new version, a moved stage, an edited
   description, a deleted version). One that was changed in the hour before the last scan counts once more, since its
   change may have been under way then;
3. when one of the aliases that its file asks for points at another version. To move an alias is no change by rule 2;
4. when other versions than before carry a tag that its file or the policy asks for, or a value that is a number to
   compare. To set a tag is no change by rule 2 either;
5. when its moment has come: a candidate has been in Staging long enough, or a hold of the file ends;
6. when the log holds other versions of it than before;
7. when its last answer may change by what none of these would tell: it was a proposal, which may be open, declined or
   waiting; a run is still running; a version is not ready; another repository owned it; a candidate of the last day
   lacked a number that may still be logged; a tag cannot be asked for.

All models are due, which is a full sweep: without a watermark, with one of another registry, repository, shard or
version of Stagewright, after a change of `policies/` or of the program, when the registry went back in time (a restored
backup), when the last full sweep is a day old, and when it is asked for. What was changed in a run that had ended (a
metric logged later, a tag, its deletion) is seen by the next full sweep.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import Field, ValidationError

from bot.core.examination import candidates, incumbent_of
from bot.core.ownership import other_owner
from bot.core.proposal import NothingToPropose, Proposal
from bot.core.recorded import Recorded
from bot.core.sharding import Shard
from bot.core.spec import ModelSpec, Promotion, PromotionPolicy, WithAlias, WithTags
from bot.core.state import ModelVersion, RegisteredModel, Run, is_stage, moment
from bot.core.strict import SchemaVersion, Strict
from bot.core.strictness import eligibility_rules

OVERLAP: Final = timedelta(hours=1)
"""How long before a scan a change may have begun that the scan did not see: transactions, and clocks that differ."""
SWEEP_EVERY: Final = timedelta(days=1)
STILL_LOGGED: Final = timedelta(days=1)
"""How long after a version was registered its missing numbers are waited for."""
CANNOT_SAY: Final = "this registry cannot say what was changed"
WENT_BACK: Final = "the registry is older than the watermark, as after a restored backup"
CANNOT_BE_ASKED: Final = "this registry cannot be asked for a tag that a file or the policy names"
NO_VERSION: Final = 0
"""Where an alias points that does not exist."""


class TagSeen(Strict):
    """Which versions of a model carried a tag (with this value; None: with any), as a digest."""

    key: str
    value: str | None = None
    digest: str


class Remembered(Strict):
    """What the last answer about one model rested on. `file` is the SHA of its file's blob.

    `slots` counts the slots that the file manages; `settled` is false when rule 7 applies; `until` is the moment of
    rule 5 in milliseconds; `held` is a digest of what the log holds.
    """

    name: str
    file: str
    slots: int = 0
    settled: bool = True
    until: int | None = None
    held: str = ""
    aliases: Mapping[str, int] = Field(default_factory=dict)
    tags: tuple[TagSeen, ...] = ()


class Setting(Strict):
    """What a watermark is for: with another setting it says nothing. `rules` is a digest of what decides."""

    tool: str
    registry: str
    stages: bool
    aliases: bool
    repository: str
    shard: str
    rules: str


class Watermark(Strict):
    """What was seen the last time. Times are milliseconds since the epoch.

    `newest` is the registry's newest change, by its own clock; `log` is the head of the audit log. `models` are keyed
    by the paths of their files.
    """

    schema_version: SchemaVersion
    setting: Setting
    newest: int
    scanned_at: int
    swept_at: int
    log: str | None
    models: Mapping[str, Remembered]

    @property
    def since(self) -> int:
        """Changes of the registry after this moment were perhaps not seen (rule 2)."""
        return min(self.newest, self.scanned_at - int(OVERLAP.total_seconds() * 1000))

    def to_bytes(self) -> bytes:
        """As `watermark_of` reads it."""
        return self.model_dump_json(exclude_defaults=True).encode() + b"\n"


def watermark_of(content: bytes) -> Watermark | None:
    """The watermark that some bytes hold; None when they hold none of this form."""
    try:
        return Watermark.model_validate_json(content)
    except ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class Condition:
    """A tag that somebody asks for, with this value or (None) with any."""

    key: str
    value: str | None = None

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether a version with these tags meets it."""
        return self.key in tags and self.value in (None, tags[self.key])


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known before any model is read. `files` maps the paths of models' files to the SHAs of their blobs.

    `aliases` are those of the models that are asked for them; `tagged` maps each condition to the versions that meet
    it, by model, with their values. `held` maps models to digests of what the log holds (of models without holds
    nothing); None when the log is the one that was seen before.
    """

    files: Mapping[str, str]
    changed: Collection[str] = ()
    aliases: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tagged: Mapping[Condition, Mapping[str, Mapping[int, str]]] = field(default_factory=dict)
    held: Mapping[str, str] | None = None


def reason_to_sweep(known: Watermark | None, setting: Setting, now: datetime, *, asked: bool) -> str | None:
    """Why all models are due whatever the registry says, as a clause; None when they are not."""
    if asked:
        return "a full sweep was asked for"
    if known is None:
        return "there is no watermark that can be read"
    if known.setting != setting:
        return f"the watermark is from {_other(known.setting, setting)}"
    if milliseconds(now) < max(known.scanned_at, known.swept_at):
        return "the watermark is from the future"
    if milliseconds(now) - known.swept_at >= SWEEP_EVERY.total_seconds() * 1000:
        return "the last full sweep is a day old"
    return None


def _other(known: Setting, setting: Setting) -> str:
    if known.tool != setting.tool:
        return "another version of Stagewright"
    if known.rules != setting.rules:
        return "before a change of policies/ or bot/"
    if known.shard != setting.shard:
        return "another shard"
    return "another repository" if known.repository != setting.repository else "another registry"


def wanted_aliases(known: Watermark, files: Mapping[str, str]) -> frozenset[str]:
    """The models whose aliases have to be asked for, of those whose files are unchanged."""
    return frozenset(one.name for one in _unchanged(known, files).values() if one.aliases)


def wanted_tags(known: Watermark, files: Mapping[str, str]) -> frozenset[Condition]:
    """The tags that have to be asked for."""
    return frozenset(Condition(tag.key, tag.value) for one in _unchanged(known, files).values() for tag in one.tags)


def _unchanged(known: Watermark, files: Mapping[str, str]) -> Mapping[str, Remembered]:
    """Of models that are not due anyway by rules 1 and 7."""
    found = {path: known.models[path] for path in files if path in known.models}
    return {path: one for path, one in found.items() if one.settled and one.file == files[path]}


def due(known: Watermark, seen: Seen, now: datetime) -> frozenset[str]:
    """The paths of the files whose models have to be looked at."""
    quiet = _unchanged(known, seen.files)
    return frozenset(path for path in seen.files if path not in quiet or _is_due(quiet[path], seen, milliseconds(now)))


def _is_due(one: Remembered, seen: Seen, now: int) -> bool:
    return (
        one.name in seen.changed
        or (one.until is not None and one.until <= now)
        or (seen.held is not None and seen.held.get(one.name, "") != one.held)
        or dict(one.aliases) != _pointing(one.aliases, seen.aliases.get(one.name, {}))
        or any(tag.digest != _tag_digest(_tagged(tag, one.name, seen)) for tag in one.tags)
    )


def _tagged(tag: TagSeen, model: str, seen: Seen) -> Mapping[int, str]:
    return seen.tagged.get(Condition(tag.key, tag.value), {}).get(model, {})


def _pointing(names: Iterable[str], aliases: Mapping[str, int]) -> dict[str, int]:
    return {name: aliases.get(name, NO_VERSION) for name in names}


def _tag_digest(versions: Mapping[int, str]) -> str:
    return _digest([[number, value] for number, value in sorted(versions.items())]) if versions else ""


def _digest(content: Sequence[Sequence[int | str]]) -> str:
    """Of anything that JSON can hold; names of files may hold lone surrogates."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def milliseconds(at: datetime) -> int:
    """A moment as a watermark has it."""
    return int(at.timestamp() * 1000)


# What an answer rests on


@dataclass(frozen=True, slots=True)
class Looked:
    """One model that was looked at: `blob` is the SHA of its file, `runs` those of its candidates and incumbent."""

    spec: ModelSpec
    blob: str
    model: RegisteredModel | None
    outcome: Proposal | NothingToPropose
    runs: Mapping[str, Run]


def remembered(
    looked: Looked, policy: PromotionPolicy, held: Mapping[str, str], repository: str | None, now: datetime
) -> Remembered:
    """What to keep of one model. `held` is what `digests_of_held` says."""
    spec, model = looked.spec, looked.model
    conditions = tuple(_conditions(spec.promotion, policy)) if spec.promotion else ()
    versions = model.versions.values() if model else ()
    return Remembered(
        name=spec.name,
        file=looked.blob,
        slots=len(spec.desired()),
        settled=_is_settled(looked, policy, repository, now),
        until=_until(spec, policy, model, now),
        held=held.get(spec.name, ""),
        aliases=_pointing(_aliases(spec), model.aliases if model else {}),
        tags=tuple(_tag_seen(condition, versions) for condition in conditions),
    )


def digests_of_held(recorded: Recorded) -> Mapping[str, str]:
    """Per model, a digest of what the log keeps out of its slots; of models without such nothing."""
    by_model: dict[str, list[list[str]]] = {}
    for (model, slot), identities in sorted(recorded.held.items()):
        by_model.setdefault(model, []).extend([slot, repr(one), identities[one]] for one in sorted(identities))
    return {model: _digest(found) for model, found in by_model.items()}


def _aliases(spec: ModelSpec) -> tuple[str, ...]:
    """The aliases that an answer depends on (rule 3): the slot, and where candidates come from."""
    if spec.promotion is None:
        return ()
    source = spec.promotion.candidates
    named = (spec.promotion.slot, *((source.alias,) if isinstance(source, WithAlias) else ()))
    return tuple(sorted({name for name in named if not is_stage(name)}))


def _conditions(promotion: Promotion, policy: PromotionPolicy) -> Iterator[Condition]:
    """The tags that an answer depends on (rule 4)."""
    source = promotion.candidates
    pairs = {*(source.tags.items() if isinstance(source, WithTags) else ())}
    conditions = {Condition(key, value) for key, value in pairs}
    for rules in eligibility_rules(policy, promotion):
        conditions |= {Condition(key, value) for key, value in rules.tags.items()}
    conditions |= {Condition(one.metric) for one in promotion.criteria if one.source == "version_tag"}
    yield from sorted(conditions, key=lambda one: (one.key, one.value or "", one.value is None))


def _tag_seen(condition: Condition, versions: Iterable[ModelVersion]) -> TagSeen:
    found = {one.identity.version: one.tags[condition.key] for one in versions if condition.holds(one.tags)}
    return TagSeen(key=condition.key, value=condition.value, digest=_tag_digest(found))


def _until(spec: ModelSpec, policy: PromotionPolicy, model: RegisteredModel | None, now: datetime) -> int | None:
    """When time alone may change the answer next (rule 5)."""
    return min((milliseconds(at) for at in _turns(spec, policy, model) if at > now), default=None)


def _turns(spec: ModelSpec, policy: PromotionPolicy, model: RegisteredModel | None) -> Iterator[datetime]:
    for hold in spec.holds:
        if hold.until is not None:
            yield datetime(hold.until.year, hold.until.month, hold.until.day, tzinfo=UTC) + timedelta(days=1)
    if spec.promotion is None or model is None:
        return
    hours = max(rules.min_hours_in_staging for rules in eligibility_rules(policy, spec.promotion))
    for version in model.versions.values() if hours else ():
        if version.stage == "Staging":
            yield moment(version.last_updated) + timedelta(hours=hours)


def _is_settled(looked: Looked, policy: PromotionPolicy, repository: str | None, now: datetime) -> bool:
    """Whether rule 7 does not apply."""
    spec, model, outcome = looked.spec, looked.model, looked.outcome
    if isinstance(outcome, Proposal) or other_owner(model, repository):
        return False
    if spec.promotion is None or model is None:
        return True
    if not all(is_askable(condition) for condition in _conditions(spec.promotion, policy)):
        return False
    if any(one.source == "version_tag" and one.slices for one in spec.promotion.criteria):
        return False
    incumbent = incumbent_of(model, spec.promotion.slot)
    compared = (*candidates(spec, model, incumbent), *((incumbent,) if incumbent else ()))
    if any(_may_still_change(version, looked.runs) for version in compared):
        return False
    return not any(_lacks_numbers(outcome, version, looked.runs, now) for version in compared)


def is_askable(condition: Condition) -> bool:
    """Whether a registry can be asked who carries a tag: its key has to be quoted in a language without escapes."""
    return "`" not in condition.key and '"' not in condition.key and condition.key.isprintable()


def _may_still_change(version: ModelVersion, runs: Mapping[str, Run]) -> bool:
    run = runs.get(version.identity.run_id or "")
    return version.status != "READY" or (run is not None and run.running)


def _lacks_numbers(outcome: NothingToPropose, version: ModelVersion, runs: Mapping[str, Run], now: datetime) -> bool:
    """Whether a young candidate was not compared for what its run may still get."""
    if now - moment(version.identity.created_at) >= STILL_LOGGED:
        return False
    run = runs.get(version.identity.run_id or "")
    verdicts = [one.verdict for one in outcome.examined if one.identity == version.identity]
    return run is None or run.deleted or "incomparable" in verdicts


def setting_of(
    registry: str,
    *,
    stages: bool,
    aliases: bool,
    repository: str | None,
    shard: Shard,
    tool: str,
    rules: Mapping[str, str],
) -> Setting:
    """The setting of a run; `rules` maps the paths of the policies and the program to the SHAs of their blobs."""
    return Setting(
        tool=tool,
        registry=registry,
        stages=stages,
        aliases=aliases,
        repository=repository or "",
        shard=str(shard),
        rules=_digest([[path, sha] for path, sha in sorted(rules.items())]),
    )

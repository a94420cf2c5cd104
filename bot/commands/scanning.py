"""Scans no more than may have changed: reads the watermark, asks what is due, scans that whole, and says what to keep.

1. What is asked of the registry before any model is read: the newest changes, the aliases of models whose file asks
   for one, and who carries the tags that somebody asks for. Of the repository: the SHAs of its files.
2. What changes between these questions and the scan is at worst looked at twice, since what is kept is the earlier.
3. Documents that are not due are not parsed; they were valid when they were looked at last. The policies always are.
4. The log is read when it grew, or when anything is due.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from bot.commands.comparing import Scan, refuse_unknown, scan_of
from bot.commands.gathering import read_anchor, read_desired, read_log, recorded_of
from bot.core.folders import MODELS_FOLDER, POLICIES_FOLDER, PROGRAM_FOLDER
from bot.core.recorded import NOTHING, Recorded
from bot.core.results import Coverage
from bot.core.sharding import WHOLE, Shard
from bot.core.spec import file_of_model, model_of_file
from bot.core.state import Changes, moment
from bot.core.watermark import (
    CANNOT_BE_ASKED,
    CANNOT_SAY,
    WENT_BACK,
    Looked,
    Remembered,
    Seen,
    Setting,
    Watermark,
    digests_of_held,
    due,
    milliseconds,
    reason_to_sweep,
    remembered,
    setting_of,
    wanted_aliases,
    wanted_tags,
    watermark_of,
)
from bot.documents import model_files
from bot.ports import AuditLog, Registry, Tree, WatermarkStore

_FAR_AHEAD: Final = 2**62


@dataclass(frozen=True, slots=True)
class Watching:
    """How much to look at: one shard; with a `store`, what may have changed since the last time, unless `full`.

    `tool` is the version of Stagewright.
    """

    shard: Shard = WHOLE
    store: WatermarkStore | None = None
    full: bool = False
    tool: str = ""


EVERYTHING: Final = Watching()


@dataclass(frozen=True, slots=True)
class Sight:
    """A scan and how much it covered. `watermark` is what to keep once the run ended well, None without a store.

    `others` are the models of other shards, as far as the names of files tell.
    """

    found: Scan
    coverage: Coverage | None
    watermark: Watermark | None
    others: Collection[str] = ()


@dataclass(frozen=True)
class Sources:
    """What a scan reads. `commit` is that of the documents; `repository` is this one, None where it is not known."""

    tree: Tree
    registry: Registry
    log: AuditLog
    commit: str
    repository: str | None

    @cached_property
    def files(self) -> Mapping[str, str]:
        """The paths of the models' files, each with its SHA."""
        blobs = self.tree.blobs(self.commit, MODELS_FOLDER)
        return {path: blobs[path] for path in model_files(blobs)}

    @cached_property
    def recorded(self) -> Recorded:
        """What the log says."""
        return recorded_of(read_log(self.log, read_anchor(self.tree, self.commit)))

    def models_of_other_shards(self, shard: Shard) -> tuple[str, ...]:
        """Their names, as far as the names of files tell."""
        others = (model_of_file(path) for path in self.files if not shard.covers_file(path))
        return tuple(name for name in others if name is not None)

    def setting(self, shard: Shard, tool: str) -> Setting:
        """What a watermark has to be for."""
        able = self.registry.capabilities
        return setting_of(
            self.registry.address,
            stages=able.stages,
            aliases=able.aliases,
            repository=self.repository,
            shard=shard,
            tool=tool,
            rules={**self.tree.blobs(self.commit, POLICIES_FOLDER), **self.tree.blobs(self.commit, PROGRAM_FOLDER)},
        )


def look(sources: Sources, watching: Watching, models: Collection[str], now: datetime) -> Sight:
    """Scan the named models; with none named those of the shard, and of these with a watermark what is due."""
    shard = None if watching.shard == WHOLE else str(watching.shard)
    if models:
        return _named(sources, watching.shard, models, now)
    files = {path: sha for path, sha in sources.files.items() if watching.shard.covers_file(path)}
    if watching.store:
        return _watched(sources, watching, _known(watching.store), files, now)
    coverage = Coverage(len(files), len(files), None, None, shard) if shard else None
    others = sources.models_of_other_shards(watching.shard)
    found = replace(_scanned(sources, files, now), elsewhere=len(sources.files) - len(files))
    return Sight(found, coverage, None, others)


def _named(sources: Sources, shard: Shard, models: Collection[str], now: datetime) -> Sight:
    desired = read_desired(sources.tree, sources.commit)
    refuse_unknown(models, desired.specs)
    chosen = [model for model in models if shard.covers(model)]
    found = scan_of(desired, chosen, sources.registry, lambda: sources.recorded, now, sources.repository)
    return Sight(found, None, None, [name for name in desired.specs if not shard.covers(name)])


def _scanned(sources: Sources, paths: Collection[str], now: datetime) -> Scan:
    """The models of these files."""
    only = None if len(paths) == len(sources.files) else paths
    with sources.registry.ahead(len(paths), versions=True):
        desired = read_desired(sources.tree, sources.commit, only)
        log = (lambda: sources.recorded) if desired.specs else (lambda: NOTHING)
        return scan_of(desired, desired.specs.keys(), sources.registry, log, now, sources.repository)


# With a watermark


@dataclass(frozen=True, slots=True)
class _Due:
    """Which files are due, and why all of them are, if they are. `changes`: None when the registry cannot say."""

    paths: Collection[str]
    sweep: str | None
    changes: Changes | None


def _known(store: WatermarkStore) -> Watermark | None:
    content = store.read()
    return None if content is None else watermark_of(content)


def _watched(
    sources: Sources, watching: Watching, known: Watermark | None, files: Mapping[str, str], now: datetime
) -> Sight:
    setting = sources.setting(watching.shard, watching.tool)
    tip = sources.log.tip()
    log = tip.head if tip else None
    asked = _due(sources, known, reason_to_sweep(known, setting, now, asked=watching.full), files, log, now)
    found = _scanned(sources, asked.paths, now)
    left_out = files.keys() - asked.paths
    kept = {path: known.models[path] for path in left_out} if known else {}
    watermark = None
    if asked.changes:
        watermark = Watermark(
            schema_version=1,
            setting=setting,
            newest=asked.changes.newest,
            scanned_at=milliseconds(now),
            swept_at=milliseconds(now) if asked.sweep or not known else known.swept_at,
            log=log,
            models=kept | _remembered(sources, found, files, now),
        )
    coverage = Coverage(
        models=len(files),
        looked_at=len(asked.paths),
        sweep=asked.sweep,
        since=moment(known.scanned_at) if known and not asked.sweep else None,
        shard=None if watching.shard == WHOLE else str(watching.shard),
    )
    elsewhere = sum(one.slots for one in kept.values()) + len(sources.files) - len(files)
    found = replace(found, elsewhere=elsewhere)
    return Sight(found, coverage, watermark, sources.models_of_other_shards(watching.shard))


def _due(
    sources: Sources,
    known: Watermark | None,
    sweep: str | None,
    files: Mapping[str, str],
    log: str | None,
    now: datetime,
) -> _Due:
    """Rule 1."""
    if known is None or sweep:
        changes = sources.registry.changes(_FAR_AHEAD)
        return _Due(files.keys(), sweep, changes)
    changes = sources.registry.changes(known.since)
    if changes is None or changes.newest < known.newest:
        return _Due(files.keys(), WENT_BACK if changes else CANNOT_SAY, changes)
    tagged = {one: sources.registry.versions_with(one.key, one.value) for one in wanted_tags(known, files)}
    told = {one: versions for one, versions in tagged.items() if versions is not None}
    if len(told) < len(tagged):
        return _Due(files.keys(), CANNOT_BE_ASKED, changes)
    named = wanted_aliases(known, files)
    seen = Seen(
        files=files,
        changed=changes.models,
        aliases=sources.registry.aliases(named) if named else {},
        tagged=told,
        held=digests_of_held(sources.recorded) if log != known.log else None,
    )
    return _Due(due(known, seen, now), None, changes)


def _remembered(sources: Sources, found: Scan, files: Mapping[str, str], now: datetime) -> dict[str, Remembered]:
    """What the outcomes of a scan rested on, by the paths of the models' files."""
    held = digests_of_held(found.recorded)
    kept = {}
    for outcome in found.outcomes:
        path, spec = file_of_model(outcome.model), found.desired.specs[outcome.model]
        looked = Looked(spec, files[path], found.actual.models.get(outcome.model), outcome, found.runs)
        kept[path] = remembered(looked, found.desired.promotion, held, sources.repository, now)
    return kept

"""What a version must have to be a candidate at all, by the policy and the model's file.

1. MLflow does not say since when a version is in Staging, but when it was last changed: it was there unchanged since
   then. So an edit of the description begins the time anew, which is the careful reading.
2. Artifacts are looked at only where everything else would let the version win, since each run has to be asked.
   What was not looked at is not there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from bot.core.globs import matches
from bot.core.spec import EligibilityRules
from bot.core.state import ModelVersion, moment


def unmet(version: ModelVersion, rules: EligibilityRules, now: datetime) -> Iterator[str]:
    """What a version lacks, artifacts aside, each as a clause with what to do."""
    for key, value in rules.tags.items():
        yield from _tag(version, key, value)
    if rules.name is not None and not re.fullmatch(rules.name, version.identity.model, re.DOTALL):
        yield f"the name of the model does not match {rules.name!r}, as the policy asks: register it under another name"
    if rules.description and not version.description.strip():
        yield "it has no description: write one in MLflow"
    yield from _time_in_staging(version, rules.min_hours_in_staging, now)


def missing_artifacts(artifacts: Collection[str], rules: EligibilityRules) -> Iterator[str]:
    """The globs that no artifact of the run matches (rule 2)."""
    for glob in rules.artifacts:
        if not any(matches(glob, path) for path in artifacts):
            yield f"its run has no artifact {glob!r}: log one and register the version again"


def _tag(version: ModelVersion, key: str, value: str | None) -> Iterator[str]:
    found = version.tags.get(key)
    if found is None:
        yield f"it lacks the tag {key!r}: set it in MLflow"
    elif value is not None and found != value:
        yield f"its tag {key!r} is {found!r}, expected {value!r}"


def _time_in_staging(version: ModelVersion, hours: float, now: datetime) -> Iterator[str]:
    """Rule 1."""
    if not hours:
        return
    if version.stage != "Staging":
        yield f"it is not in Staging, where it has to be for {_hours(hours)}: move it there"
        return
    ready = moment(version.last_updated) + timedelta(hours=hours)
    if now < ready:
        yield f"it has to be in Staging unchanged for {_hours(hours)}, until {ready:%Y-%m-%d %H:%M} UTC: wait"


def _hours(hours: float) -> str:
    return f"{hours:g} hour{'' if hours == 1 else 's'}"

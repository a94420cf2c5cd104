"""Tags models with the repository that owns them, and takes the tag away again: see `core/ownership`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bot.core.ownership import OWNER_TAG, is_ours, unclaimed
from bot.errors import RegistryUnavailable, StagewrightError
from bot.ports import SILENT, Progress, RegistryWriter, counted


def claim(
    registry: RegistryWriter, models: Collection[str], repository: str, progress: Progress = SILENT
) -> Mapping[str, str]:
    """Tag models; the answer is those that this repository does not own even then, each with why.

    MLflow has no compare-and-swap: of two repositories that tag at once the last one wins, which reading back shows.
    """
    if not models:
        return {}
    failures: dict[str, str] = {}
    with progress.task("Tagging models", len(models)) as advance:
        for model in counted(models, advance):
            try:
                registry.tag_model(model, OWNER_TAG, repository)
            except RegistryUnavailable as error:  # the next model would wait for it as long; there may be thousands
                return dict.fromkeys(models, error.message)
            except StagewrightError as error:
                failures[model] = error.message
    done = [model for model in models if model not in failures]
    return {**failures, **unclaimed(done, registry.state(done), repository)} if done else failures


def release(registry: RegistryWriter, models: Collection[str], repository: str) -> None:
    """Remove our tag, and nobody else's."""
    if not models:
        return
    for name, model in registry.state(models).models.items():
        if is_ours(model, repository):
            registry.untag_model(name, OWNER_TAG)

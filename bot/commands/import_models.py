"""`stagewright import`: write down what a registry holds, as files of the working tree for one reviewed pull request.

Merging them moves nothing: the first apply records each slot as `adopted`. A file that exists is never touched. Each is
written whole or not at all, so a run that was cut off is completed by running it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.checks import shown
from bot.core.folders import MODELS_FOLDER
from bot.core.globs import matches
from bot.core.importing import Imported, LeftOut, NewFile, Passed, imported, to_ask
from bot.core.results import ImportResult
from bot.core.state import RegisteredModel
from bot.documents import model_text, parse_model
from bot.errors import Misuse
from bot.ports import SILENT, Progress, Registry, Tree, WorkingTree, counted


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What was asked for: models by a glob (None: all), and the aliases that shall follow Production."""

    glob: str | None = None
    follow: tuple[str, ...] = ()
    dry_run: bool = False
    repository: str | None = None


def import_models(
    tree: Tree, files: WorkingTree, registry: Registry, request: ImportRequest, progress: Progress = SILENT
) -> ImportResult:
    """Write a file per model that has something to manage. Raises Misuse for a glob that no model matches."""
    existing = frozenset(tree.list(None, MODELS_FOLDER))
    models = _asked_for(registry, request)
    _refuse_unknown_aliases(models, request.follow)
    asked = registry.state(to_ask(models, existing, registry.capabilities)).models
    whole = [asked.get(model.name, model) for model in models]
    found = imported(whole, existing, request.repository, request.follow)
    with progress.task("Reading back what is written", len(found)) as advance:
        outcomes = [_readable(one) for one in counted(found, advance)]
    result = ImportResult(
        registry.address,
        tuple(outcome for outcome in outcomes if isinstance(outcome, NewFile)),
        tuple(outcome for outcome in outcomes if isinstance(outcome, LeftOut)),
        tuple(outcome for outcome in outcomes if isinstance(outcome, Passed)),
        request.dry_run,
    )
    for new in () if request.dry_run else result.written:
        files.write(new.file, _content(new))
    return result


def _refuse_unknown_aliases(models: Sequence[RegisteredModel], follow: Sequence[str]) -> None:
    for alias in follow:
        if not any(alias in model.aliases for model in models):
            raise Misuse(f"No model has the alias {shown(alias)}.", fix="Correct the alias behind --follow.")


def _asked_for(registry: Registry, request: ImportRequest) -> Sequence[RegisteredModel]:
    every = registry.models()
    if request.glob is None:
        return every
    models = [model for model in every if matches(request.glob, model.name)]
    if not models:
        raise Misuse(
            f"None of the {len(every)} models in {registry.address} matches {request.glob!r}.",
            fix="Quote the glob for the shell, e.g. 'churn_*'; leave it out for all models.",
        )
    return models


def _readable(outcome: Imported) -> Imported:
    """As it is, or why no file can say it: MLflow takes names with characters that nobody would see in a review."""
    if not isinstance(outcome, NewFile):
        return outcome
    parsed = parse_model(outcome.file, _content(outcome))
    if parsed.document and parsed.document.value == outcome.spec:
        return outcome
    why = parsed.findings[0].message if parsed.findings else "it would be read back as something else"
    return LeftOut(
        outcome.spec.name,
        None,
        f"no file can hold it: {why}".rstrip("."),
        "Rename the model in MLflow and import again, or leave it unmanaged.",
    )


def _content(new: NewFile) -> bytes:
    return model_text(new.spec).encode()

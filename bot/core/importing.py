"""What `stagewright import` writes down of a registry: one file per model, and nothing but what is.

1. A slot is written with the version that it holds, so that merging the files moves nothing.
2. Production is written when exactly one version is there. Several are refused: MLflow allows that, a file cannot say
   it. None is left out: that a stage is empty today does not say that it must stay so.
3. Staging is left out: people move it from their code.
4. An alias is written with the version that it points at. That it agrees with Production today does not say that it
   should move with it: it follows only where that was asked for by its name, and where both agree.
5. An alias that a model's file may not have is refused.
6. A model is skipped that has a file, that another repository owns, or that has no slot to write. One with a refused
   slot gets a file without that slot.
7. A file whose path another one has in other letter case is refused: some file systems keep one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from bot.core.checks import shown
from bot.core.ownership import other_owner
from bot.core.spec import AliasName, AliasValue, Follows, ModelSpec, file_of_model
from bot.core.state import Capabilities, RegisteredModel

PRODUCTION: Final = "Production"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to write, and what it says."""

    file: str
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A slot, or with `slot` None a whole model, that cannot be written; why, and the way out."""

    model: str
    slot: str | None
    reason: str
    way_out: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A model that is skipped (rule 6). `owner` is the repository that owns it, for `owned-elsewhere`."""

    model: str
    why: Literal["has-file", "owned-elsewhere", "nothing-to-manage"]
    owner: str | None = None


Imported: TypeAlias = NewFile | LeftOut | Passed


def to_ask(models: Iterable[RegisteredModel], files: Collection[str], capabilities: Capabilities) -> tuple[str, ...]:
    """The models whose versions have to be read, since a listing of all models tells too little of them.

    It shows one version of each stage, so that a second one in Production would be missed. A registry without stages
    may leave aliases out of it, as Unity Catalog does.
    """
    return tuple(
        model.name
        for model in models
        if file_of_model(model.name) not in files and (model.holding(PRODUCTION) or not capabilities.stages)
    )


def imported(
    models: Iterable[RegisteredModel], files: Collection[str], repository: str | None, follow: Collection[str]
) -> tuple[Imported, ...]:
    """What becomes of each model, in the order given.

    `models` come with all versions in Production. `files` are the paths that exist. `repository` is this one, None
    where it is not known. `follow` are the aliases that follow Production where they agree with it.
    """
    taken = {file.casefold(): file for file in files}
    return tuple(one for model in models for one in _imported(model, files, taken, repository, follow))


def _imported(
    model: RegisteredModel,
    files: Collection[str],
    taken: dict[str, str],
    repository: str | None,
    follow: Collection[str],
) -> Iterator[Imported]:
    file = file_of_model(model.name)
    if file in files:
        yield Passed(model.name, "has-file")
        return
    if owner := other_owner(model, repository):
        yield Passed(model.name, "owned-elsewhere", owner)
        return
    refused = (*_production_refused(model), *_aliases_refused(model))
    yield from refused
    spec = _spec(model, {one.slot for one in refused}, follow)
    if isinstance(spec, LeftOut):
        yield spec
    elif not spec.desired():
        yield from () if refused else (Passed(model.name, "nothing-to-manage"),)
    elif taken.setdefault(file.casefold(), file) != file:
        yield _collides(model.name, file, taken[file.casefold()])
    else:
        yield NewFile(file, spec)


def _production_refused(model: RegisteredModel) -> Iterator[LeftOut]:
    """Rule 2."""
    numbers = [version.identity.version for version in model.holding(PRODUCTION)]
    if len(numbers) > 1:
        yield LeftOut(
            model.name,
            PRODUCTION,
            f"versions {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} are in it, and a file can name one",
            "Archive all but one of them in MLflow; then add `stages:` with that one to the file,"
            " or delete the file and import again.",
        )


def _aliases_refused(model: RegisteredModel) -> Iterator[LeftOut]:
    """Rule 5."""
    for alias in sorted(model.aliases):
        try:
            _ALIAS.validate_python(alias)
        except ValidationError as error:
            yield LeftOut(
                model.name,
                alias,
                f"a file cannot have this alias; expected {error.errors()[0]['ctx']['expected']}",
                "It stays as it is in MLflow, and is not managed. To have it managed, give that version another alias"
                " in MLflow and add it to the file.",
            )


_ALIAS: Final[TypeAdapter[str]] = TypeAdapter(AliasName)


def _spec(model: RegisteredModel, refused: Collection[str | None], follow: Collection[str]) -> ModelSpec | LeftOut:
    holding = () if PRODUCTION in refused else model.holding(PRODUCTION)
    stages = {PRODUCTION: holding[0].identity.version} if holding else {}
    try:
        return ModelSpec.model_validate(
            {
                "schema_version": 1,
                "name": model.name,
                "stages": stages,
                "aliases": dict(_aliases(model, refused, follow, stages)),
            }
        )
    except ValidationError as error:
        return LeftOut(
            model.name,
            None,
            f"its file would not be valid: {error.errors()[0]['msg']}",
            "It stays as it is in MLflow, and is not managed.",
        )


def _aliases(
    model: RegisteredModel, refused: Collection[str | None], follow: Collection[str], stages: Mapping[str, int]
) -> Iterator[tuple[str, AliasValue]]:
    """Rule 4."""
    for alias, version in sorted(model.aliases.items()):
        if alias not in refused:
            follows = alias in follow and stages.get(PRODUCTION) == version
            yield alias, Follows(follows=PRODUCTION) if follows else version


def _collides(model: str, file: str, other: str) -> LeftOut:
    return LeftOut(
        model,
        None,
        f"its file {shown(file, 255)} and {shown(other, 255)} differ by letter case only; some file systems keep one",
        "Rename one of the two models in MLflow, and import again.",
    )

"""How much of a repository a plan looks at: the models whose files a change touches, or all of them.

1. A change of anything below `policies/` concerns every model, so all are looked at.
2. Else a change concerns the models whose files it touches. The file follows from the model's name, so neither the
   files of the others nor what the registry holds of them has to be read to know that.
3. What guard 8 counts are the managed slots of all models; those of the others are what the log says.
4. What apply has left to do is what changed since the commit of which the log says that all of it was announced, and
   what the log has open: intentions without an outcome, and refusals that stand. The model of the newest entry is
   looked at as well, and the managed one that moved last, since these bear the anchors of the log. Where the log says
   nothing of a commit, or a write failed since, everything is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.chain import Chain
from bot.core.folders import MODELS_FOLDER, POLICIES_FOLDER
from bot.core.spec import file_of_model


@dataclass(frozen=True, slots=True)
class Extent:
    """Some files of models, which need not exist, and so the models that are looked at."""

    files: frozenset[str]

    def covers(self, model: str) -> bool:
        """Whether a model is looked at, by its name."""
        return file_of_model(model) in self.files


def extent_of(changed: Iterable[str]) -> Extent | None:
    """What a change of these paths concerns; None: everything (rule 1)."""
    paths = frozenset(changed)
    if any(path.startswith(f"{POLICIES_FOLDER}/") for path in paths):
        return None
    return Extent(frozenset(path for path in paths if path.startswith(f"{MODELS_FOLDER}/")))


def left_to_apply(changed: Iterable[str], chain: Chain) -> Extent | None:
    """What an apply has to look at, where these paths differ from the commit that was reconciled; None: everything."""
    extent = extent_of(changed)
    if extent is None:
        return None
    models = {*(model for model, _ in chain.recorded.slots.unsettled), *_bearers(chain)}
    return Extent(extent.files | {file_of_model(model) for model in models})


def _bearers(chain: Chain) -> Iterator[str]:
    """The models on which apply anchored the head of the log, if it came to that."""
    yield from (entry.model for entry in chain.entries[-1:] if entry.model)
    managed = chain.recorded.slots.managed
    yield from (model for model, _ in sorted(managed, key=managed.__getitem__)[-1:])

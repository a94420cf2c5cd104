"""How much of a repository a plan looks at: the models whose files a change touches, or all of them.

1. A change of anything below `policies/` concerns every model, so all are looked at.
2. Else a change concerns the models whose files it touches. The file follows from the model's name, so neither the
   files of the others nor what the registry holds of them has to be read to know that.
3. What guard 8 counts are the managed slots of all models; those of the others are what the log says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.spec import MODELS_FOLDER, POLICIES_FOLDER, file_of_model


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

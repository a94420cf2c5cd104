"""A part of the models, so that several machines share the work.

1. A model belongs to one shard, by the SHA-256 of the path of its file, which its name gives: the same on every
   machine and in every version of Python. So shards never look at the same model, and never open the same proposal
   twice.
2. Each shard may have its share of `max_open_proposals` open, and the first ones what is left over. So all shards
   together have no more open than the policy allows, whatever order they run in, and none waits for another.
3. A proposal of a model that no file is for any more counts in every shard.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from bot.core.spec import file_of_model

MOST_SHARDS: Final = 1_000
_FORM: Final = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` shards, from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def covers(self, model: str) -> bool:
        """Whether a model is in this shard (rule 1)."""
        return self.covers_file(file_of_model(model))

    def covers_file(self, path: str) -> bool:
        """Whether the model of a file of `models/` is in this shard."""
        number = int.from_bytes(hashlib.sha256(path.encode(errors="surrogateescape")).digest()[:8], "big")
        return number % self.count == self.index - 1

    def share(self, most: int) -> int:
        """How many of so many this shard may have (rule 2)."""
        return most // self.count + (self.index <= most % self.count)


WHOLE: Final = Shard(1, 1)


def shard_of(text: str) -> Shard | None:
    """The shard that a text such as `2/5` names; None when it names none."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    index, count = int(match[1]), int(match[2])
    return Shard(index, count) if index <= count <= MOST_SHARDS else None

"""What the issue about drift says that only a deep look can see: quick looks keep it until a deep one says otherwise.

1. It stands between two marks, and the first one has the number of differences: `?` where nobody knows,
   such as after a deep look that could not look at everything.
2. A deep look writes it anew. A quick one puts it back as it is, and closes no issue where it tells of a difference.
3. An issue without such a part was written by an earlier version or edited by hand. All it says is kept, as it may tell
   of anything.
4. Of a text that is too long for an issue the first lines are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_END: Final = "<!-- stagewright:deep end -->"
_PART: Final = re.compile(r"<!-- stagewright:deep ([0-9]{1,9}|\?) -->\n(.*)\n" + re.escape(_END), re.DOTALL)
_CUT: Final = "The rest was too long; `stagewright drift --deep` tells it."


@dataclass(frozen=True, slots=True)
class Standing:
    """The part of the issue that only a deep look can write. `differences`: how many it tells, None for any number."""

    differences: int | None
    text: str

    @property
    def keeps_open(self) -> bool:
        """Whether the issue may not be closed by who cannot see this (rule 2)."""
        return self.differences != 0

    def framed(self) -> str:
        """The part between its marks (rule 1)."""
        number = "?" if self.differences is None else self.differences
        return f"<!-- stagewright:deep {number} -->\n{self.text}\n{_END}"

    def within(self, most: int) -> Standing:
        """At most so many characters of text (rule 4)."""
        if len(self.text) <= most:
            return self
        whole_lines = self.text[: max(0, most - len(_CUT) - 2)].rpartition("\n")[0]
        return Standing(self.differences, f"{whole_lines}\n\n{_CUT}")


NOTHING_STANDS: Final = Standing(0, "")


def standing_of(body: str) -> Standing:
    """What an issue keeps, by its body without the marker of its first line (rule 3)."""
    said = body.replace("\r\n", "\n")
    part = _PART.search(said)
    if part is None:
        return Standing(None, said.replace(_END, "").strip())
    return Standing(None if part[1] == "?" else int(part[1]), part[2])

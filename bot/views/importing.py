"""What `stagewright import` did, in words that the terminal and the job summary share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from bot.core.importing import NewFile, Passed
from bot.core.results import ImportResult
from bot.core.spec import Follows
from bot.views.words import counted

_SKIPPED: Final = (
    ("has-file", "with a file already"),
    ("owned-elsewhere", "of another repository"),
    ("nothing-to-manage", "with nothing to manage"),
)


def headline(result: ImportResult) -> str:
    """`2 files written, 1 refused, 3 models skipped (2 with a file already, 1 with nothing to manage)`."""
    done = "would be written" if result.dry_run else "written"
    said = [f"{counted(len(result.written), 'file')} {done}", f"{len(result.refused)} refused"]
    whys: Counter[str] = Counter(one.why for one in result.skipped)
    parts = ", ".join(f"{whys[why]} {words}" for why, words in _SKIPPED if whys[why])
    return ", ".join([*said, f"{counted(len(result.skipped), 'model')} skipped{f' ({parts})' if parts else ''}"])


def slots_text(new: NewFile) -> str:
    """`Production v3, champion follows Production`."""
    spec = new.spec
    stages = [f"{stage} v{version}" for stage, version in spec.stages.items()]
    aliases = [
        f"{alias} follows {value.follows}" if isinstance(value, Follows) else f"{alias} v{value}"
        for alias, value in spec.aliases.items()
    ]
    return ", ".join([*stages, *aliases])


def owned_elsewhere(result: ImportResult) -> Sequence[Passed]:
    """The skipped models that another repository owns: the only ones to look into."""
    return [one for one in result.skipped if one.owner]


def next_step(result: ImportResult) -> str:
    """What to do after this run."""
    if not result.written:
        return "There is nothing to write." if not result.refused else "Follow the ways out, and import again."
    if result.dry_run:
        return "Run it without `--dry-run` to write the files."
    return (
        "Read the files, commit them on a branch and open a pull request. When it is merged, `stagewright apply`"
        " records each slot as adopted, and moves nothing."
    )

"""Makes text of unknown origin inert: names, metrics, tags, reasons, logins and addresses come from anybody.

1. Whatever is shown is one line, printable and of bounded length: white space becomes one space, a character that
   cannot be seen (control characters, ANSI escapes, bidirectional controls, lone surrogates) becomes `�`.
2. A name goes into a code span, whose fence is longer than any run of backticks inside; GitHub makes neither mentions
   nor links nor references of what is in there. In a table `|` would end the cell even there, so `cell` is for tables.
3. A sentence goes through `prose`, in a table or out of it: every character with a meaning gets a backslash. GitHub
   looks for mentions, references and addresses in the text that results, so these are broken by a word joiner, which
   cannot be seen. Only what stands between two backticks becomes code.
4. A title ends up as the subject of a commit, where no Markdown protects it: `inert` breaks what acts there.
5. Markdown that may be printed as it is has a type of its own. The templates print nothing else; see `templating`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlsplit

NAME: Final = 100
"""Characters of a name that are shown; MLflow takes up to 256."""
SENTENCE: Final = 600
"""Characters of a sentence that are shown."""
_ADDRESS: Final = 1_200
"""A longer address is not linked, so that links take a bounded part of a body."""

_JOINER: Final = "\N{WORD JOINER}"
_UNSEEN: Final = "\N{REPLACEMENT CHARACTER}"
_TRIGGER: Final = re.compile(r"@|#|(?<![a-z0-9])GH-|:(?=/)|www(?=\.)", re.IGNORECASE)
_SKIP_CI: Final = re.compile(r"\[")
_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>&|~$]")
_NUMBERED: Final = re.compile(r"([0-9]{1,9})[.)](?: |$)")
_BEGINS_A_BLOCK: Final = re.compile(r"[-+](?:[-+: ]|$)|[=:#]")
_CODE: Final = re.compile(r"`([^`|]+)`")
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_URL_CHARACTERS: Final = ":/?#[]@!$&'*+,;=%~"


class Markdown(str):
    """Markdown that may be printed as it is: made by the functions here, or by a template. Concatenating it with
    other text gives a plain `str` again, which the templates escape.
    """

    __slots__ = ()


def printable(text: str, limit: int = SENTENCE) -> str:
    """One line of visible characters (rule 1), at most `limit` of them; `…` is the last one when something was cut."""
    head = text[: 4 * limit]  # enough to fill the limit after white space collapsed; a megabyte is not looked at
    line = " ".join(head.split())
    seen = "".join(character if character.isprintable() else _UNSEEN for character in line)
    return seen if len(seen) <= limit and len(head) == len(text) else f"{seen[: limit - 1]}…"


def inert(text: str, limit: int = NAME) -> str:
    """Plain text in which nothing acts on GitHub, for titles and subjects of commits (rule 4)."""
    return _SKIP_CI.sub(rf"[{_JOINER}", _broken(printable(text, limit)))


def code(text: str, limit: int = NAME) -> Markdown:
    """A code span, outside of tables (rule 2)."""
    return _span(printable(text, limit))


def cell(text: str, limit: int = NAME) -> Markdown:
    r"""A code span inside a table (rule 2). A backslash before a `|` would merge with the one that escapes it."""
    return _span(printable(text, limit).replace("\\|", f"\\{_JOINER}|").replace("|", r"\|"))


def prose(text: str, limit: int = SENTENCE) -> Markdown:
    """A sentence, anywhere (rule 3)."""
    line = printable(text, limit)
    parts = _CODE.split(line)
    shown = "".join(_span(part) if index % 2 else _escaped(part) for index, part in enumerate(parts))
    return Markdown(_not_a_block(shown))


def link(label: Markdown, address: str) -> Markdown:
    """A link to an http(s) address, percent-encoded; the label alone for any other address."""
    target = web_address(address)
    return Markdown(f"[{label}]({target})") if target else label


def reference(pull_request: int) -> Markdown:
    """A pull request of this repository, which GitHub links: `#12`."""
    return Markdown(f"#{pull_request}")


def joined(parts: Iterable[Markdown], separator: str = ", ") -> Markdown:
    """Markdown in a row; the separator is the program's own."""
    return Markdown(separator.join(parts))


def web_address(address: str) -> str | None:
    """An http(s) address in which every character is one of an address, or None."""
    try:
        is_web = bool(_WEB.match(address)) and bool(urlsplit(address).hostname)
    except ValueError:  # how urllib says that the host is none
        return None
    encoded = quote(address, safe=_URL_CHARACTERS, errors="replace")
    return encoded if is_web and len(encoded) <= _ADDRESS else None


def _span(line: str) -> Markdown:
    if not line:
        return Markdown("(empty)")
    runs = [len(run) for run in re.findall("`+", line)]
    fence = "`" * (max(runs, default=0) + 1)
    padding = " " if line[0] == "`" or line[-1] == "`" else ""
    return Markdown(f"{fence}{padding}{line}{padding}{fence}")


def _broken(line: str) -> str:
    return _TRIGGER.sub(lambda trigger: f"{trigger[0]}{_JOINER}", line)


def _escaped(line: str) -> str:
    return _SPECIAL.sub(lambda special: f"\\{special[0]}", _broken(line))


def _not_a_block(line: str) -> str:
    """A line that does not begin a list, a rule, a heading or a table, wherever a template puts it."""
    number = _NUMBERED.match(line)
    if number:
        return f"{number[1]}\\{line[number.end(1) :]}"
    return f"\\{line}" if _BEGINS_A_BLOCK.match(line) else line

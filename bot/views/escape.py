"""Makes text of unknown origin inert: names, metrics, tags, reasons, logins and addresses come from anybody.

1. Whatever is shown is one line of visible characters, of bounded length. A character that cannot be seen (control
   characters, ANSI escapes, bidirectional controls, zero-width and filling characters, lone surrogates) becomes its
   number, such as `\\u200b`. In a sentence white space becomes one space.
2. Two names never look the same: `exact` keeps every space and line break of a name visible, tells an escape from a
   name that holds its characters, and ends a name that is too long in `…` and digits of its SHA-256.
3. A name goes into a code span, whose fence is longer than any run of backticks inside; GitHub makes neither mentions
   nor links nor references of what is in there. In a table `|` would end the cell even there, so `cell` is for tables.
4. A sentence goes through `prose`, in a table or out of it: every character with a meaning gets a backslash. GitHub
   looks for mentions, references and addresses in the text that results, so these are broken by a word joiner, which
   cannot be seen. What stands between two backticks becomes code, and so does what could be the SHA of a commit.
5. A title ends up as the subject of a commit, where no Markdown protects it: `inert` breaks what acts there.
6. What is printed may be the log of a GitHub job, whose runner obeys `##[command]` anywhere in a line (rule 1 leaves
   none) and `::command::` at the beginning of a line: `no_command` is for lines.
7. Markdown that may be printed as it is has a type of its own. The templates print nothing else; see `templating`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlsplit

NAME: Final = 100
"""Characters of a name that are shown; MLflow takes up to 256."""
SENTENCE: Final = 600
"""Characters of a sentence that are shown."""
_DIGITS: Final = 12
_LONGEST_NAME: Final = 10_000
ADDRESS: Final = 1_200
"""A longer address is not linked, so that links take a bounded part of a body."""

_JOINER: Final = "\N{WORD JOINER}"
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What `str.isprintable` takes for printable although nothing is seen: fillers, joiners, variation selectors."""
_AMBIGUOUS: Final = re.compile(rf"^ | $|(?<= ) |…(?=[0-9a-f]{{{_DIGITS}}}$)")
"""What of a name would not be seen, or would be taken for the end of a name that was cut."""
_RUNNER_COMMAND: Final = re.compile(r"##(?=\[)")
_RUNNER_LINE: Final = re.compile(r"^(\s*):(?=:)")
_TRIGGER: Final = re.compile(r"@|#|(?<![a-z0-9])GH-|:(?=/)|www(?=\.)", re.IGNORECASE)
_SHA: Final = r"(?<!\w)(?<![0-9][.,])[0-9a-f]{7,40}(?!\w)"
_SKIP_CI: Final = re.compile(r"\[")
_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>&|~$]")
_NUMBERED: Final = re.compile(r"([0-9]{1,9})[.)](?: |$)")
_BEGINS_A_BLOCK: Final = re.compile(r"[-+](?:[-+: ]|$)|[=:#]")
_LINKED_SHA: Final = re.compile(_SHA, re.IGNORECASE)
_CODE: Final = re.compile(rf"`([^`|]+)`|(?<!`)({_SHA})(?!`)", re.IGNORECASE)
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_URL_CHARACTERS: Final = ":/?#[]@!$&'*+,;=%~"


class Markdown(str):
    """Markdown that may be printed as it is: made by the functions here, or by a template. Concatenating it with
    other text gives a plain `str` again, which the templates escape.
    """

    __slots__ = ()


def printable(text: str, limit: int = SENTENCE) -> str:
    """A sentence as one line (rule 1), at most `limit` characters; `…` is the last one when something was cut."""
    head = text[: 4 * limit]  # enough to fill the limit after white space collapsed; a megabyte is not looked at
    line = _visible(" ".join(head.split())[: limit + 1])
    return line if len(line) <= limit and len(head) == len(text) else f"{line[: limit - 1]}…"


def exact(text: str, limit: int = NAME) -> str:
    """A name as one line that no other name gives (rule 2), of at most `limit` characters."""
    head = text[: limit + 1].replace("\\", "\\\\")
    line = _AMBIGUOUS.sub(lambda space: _number(space[0]), _visible(head))
    if len(line) <= limit and len(text) <= limit:
        return line
    ending = f"…{_digest(text)[:_DIGITS]}"
    return line[: limit - len(ending)] + ending


def _digest(text: str) -> str:
    """Of a megabyte, which is the name of nothing, only the beginning and the length count."""
    told = f"{text[:_LONGEST_NAME]}{len(text) if len(text) > _LONGEST_NAME else ''}"
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()


def one_line(text: str) -> str:
    """Text of any length as one line that no other text gives: a backslash is doubled, and rule 1 holds."""
    return _visible(text.replace("\\", "\\\\"))


def no_command(line: str) -> str:
    """A line of output that no runner takes for a command (rule 6)."""
    return _RUNNER_LINE.sub(r"\1\\u003a", line)


def log_lines(text: str) -> str:
    """Text of several lines, such as a traceback, for a log: line feeds and spaces stay (rules 1 and 6)."""
    return "\n".join(no_command(_visible(line)) for line in text.expandtabs().split("\n"))


def inert(text: str, limit: int = NAME) -> str:
    """A name as plain text in which nothing acts on GitHub, for titles and subjects of commits (rule 5)."""
    line = _without_skip_ci(exact(text, limit))
    return line if len(line) <= limit else _without_skip_ci(exact(text, limit // 2))  # breaking at most doubles it


def code(text: str, limit: int = NAME) -> Markdown:
    """A code span, outside of tables (rule 3)."""
    return _span(exact(text, limit))


def cell(text: str, limit: int = NAME) -> Markdown:
    r"""A code span inside a table (rule 3). Backslashes come in pairs (rule 2), so none takes that of a `\|`."""
    return _span(exact(text, limit).replace("|", r"\|"))


def prose(text: str, limit: int = SENTENCE) -> Markdown:
    """A sentence, anywhere (rule 4)."""
    line = printable(text, limit)
    parts, end = [], 0
    for found in _CODE.finditer(line):
        parts += [_escaped(line[end : found.start()]), _span(found[1] or found[2])]
        end = found.end()
    return Markdown(_not_a_block("".join((*parts, _escaped(line[end:])))))


def link(label: Markdown, address: str) -> Markdown:
    """A link to an http(s) address, percent-encoded; the label alone for any other address."""
    target = web_address(address)
    return Markdown(f"[{label}]({target})") if target else label


def image(description: str, address: str) -> Markdown:
    """A picture that leads to itself, by its http(s) address; nothing for any other address."""
    target = web_address(address)
    return Markdown(f"[![{_escaped(printable(description))}]({target})]({target})") if target else Markdown("")


def reference(pull_request: int) -> Markdown:
    """A pull request of this repository, which GitHub links: `#12`."""
    return Markdown(f"#{pull_request}")


def joined(parts: Iterable[Markdown], separator: str = ", ") -> Markdown:
    """Markdown in a row; the separator is the program's own."""
    return Markdown(separator.join(parts))


def web_address(address: str) -> str | None:
    """An http(s) address in which every character is one of an address, or None."""
    if len(address) > ADDRESS:
        return None
    try:
        is_web = bool(_WEB.match(address)) and bool(urlsplit(address).hostname)
    except ValueError:  # how urllib says that the host is none
        return None
    encoded = quote(address, safe=_URL_CHARACTERS, errors="replace").replace("##[", "##%5B")  # see rule 6
    return encoded if is_web and len(encoded) <= ADDRESS else None


def _visible(line: str) -> str:
    """Each character that cannot be seen as its number, and nothing that a runner takes for a command (rule 6)."""
    shown = line if line.isprintable() else "".join(map(_seen, line))
    return _RUNNER_COMMAND.sub(r"#\\u0023", _BLANK.sub(lambda blank: _number(blank[0]), shown))


def _seen(character: str) -> str:
    return character if character.isprintable() else _number(character)


def _number(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def _span(line: str) -> Markdown:
    if not line:
        return Markdown("(empty)")
    runs = [len(run) for run in re.findall("`+", line)]
    fence = "`" * (max(runs, default=0) + 1)
    padding = " " if line[0] == "`" or line[-1] == "`" else ""
    return Markdown(f"{fence}{padding}{line}{padding}{fence}")


def _without_skip_ci(line: str) -> str:
    return _SKIP_CI.sub(rf"[{_JOINER}", _broken(line))


def _broken(line: str) -> str:
    without_shas = _LINKED_SHA.sub(lambda sha: _JOINER.join(re.findall(".{1,6}", sha[0])), line)
    return _TRIGGER.sub(lambda trigger: f"{trigger[0]}{_JOINER}", without_shas)


def _escaped(line: str) -> str:
    return _SPECIAL.sub(lambda special: f"\\{special[0]}", _broken(line))


def _not_a_block(line: str) -> str:
    """A line that does not begin a list, a rule, a heading or a table, wherever a template puts it."""
    number = _NUMBERED.match(line)
    if number:
        return f"{number[1]}\\{line[number.end(1) :]}"
    return f"\\{line}" if _BEGINS_A_BLOCK.match(line) else line

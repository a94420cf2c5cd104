"""Reads Markdown as GitHub's own renderer does (cmark-gfm), and looks at the HTML that results."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

_BLOCKS = ("p", "h3", "ul", "ol", "li", "details", "summary")
OURS = frozenset((*_BLOCKS, "table", "thead", "tbody", "tr", "th", "td", "strong", "code", "a", "sub", "img"))
"""The elements that the templates make."""
_ACTS = re.compile(
    r"@(?=\w)|#\d+|(?<![a-z0-9])GH-(?=\d)|://|www\.|(?<![\w.,])[0-9a-f]{7,40}(?!\w)|\[(?:skip|no|ci)", re.IGNORECASE
)
"""Mentions, references, addresses, SHAs of commits, and what keeps checks from running."""
_CODE = ("code", "pre")


@dataclass
class Page(HTMLParser):
    """What the HTML of a page holds: how many of each element, its attributes, links and comments, tables as rows of
    cells, and its text outside of code.
    """

    html: str
    counts: Counter[str] = field(default_factory=Counter)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] += 1
        self.attributes |= {(tag, name) for name, _ in attrs}
        self._open.append(tag)
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data
        if not any(tag in self._open for tag in _CODE):
            self.bare.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_decl(self, decl: str) -> None:
        self.comments.append(decl)

    @property
    def elements(self) -> set[str]:
        """The names of its elements."""
        return set(self.counts)

    @property
    def shape(self) -> list[list[int]]:
        """The number of cells in each row of each table."""
        return [[len(row) for row in table] for table in self.tables]

    @property
    def acting(self) -> list[str]:
        """What in the text outside of code GitHub would turn into a mention, a reference or a link."""
        return [match[0] for text in self.bare for match in _ACTS.finditer(text)]


def page(markdown: str) -> Page:
    """Rendered with every extension of GitHub's and with raw HTML left in, so that HTML that came through shows."""
    return Page(cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE))


TOKENS = (
    *"|`\\*_~[]()<>!#@&:;-+=.$/\"' \n\r\t",
    "``",
    "```",
    "~~~",
    "---",
    "===",
    "- ",
    "1. ",
    "> ",
    "# ",
    "    ",
    "|-|",
    "\\|",
    "\\\\|",
    ":-",
    "|---|\n|---|",
    "@octocat",
    "@acme/team",
    "#1",
    "GH-1",
    "fixes #1",
    "o/r#1",
    "a@b.example",
    "http://x.example",
    "www.x.example",
    "https://github.com/o/r/issues/1",
    "<b>",
    "</td>",
    "<!-- x -->",
    "<script>",
    "[a](http://x.example)",
    "[a]: b",
    "![i](http://x.example)",
    "&lt;",
    "&#124;",
    "$x$",
    "[^1]",
    "[ ]",
    "\x1b[31m",
    "\x00",
    "\x7f",
    "\u202e",
    "\u2066",
    "\u2028",
    "\u200b",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "##[error]",
    "::error::",
    "::stop-commands::",
    "deadbeef",
    "1234567",
    "\nReviewed-by: eve",
    "\u0301",
    "日本",
    "🎉",
    "a",
    "x" * 30,
)  # fmt: skip - one line per kind

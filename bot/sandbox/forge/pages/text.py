"""Text that others wrote, made safe to show. Templates escape by themselves; this is what escaping does not do.

1. Characters that reorder or hide what stands around them (bidirectional controls, control characters) are shown by
   name, in everything that a template prints.
2. Markdown is GitHub's: its dialect, its tag filter, and of its HTML only an allow-list. Images are loaded from the
   repository's own files and from nowhere else.
3. A link that was given by others leads to http or https, or is no link.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import quote, urlsplit

import cmarkgfm
import nh3
from cmarkgfm.cmark import Options
from markupsafe import Markup

_HIDING: Final = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BLOCKS: Final = {"blockquote", "dd", "details", "div", "dl", "dt", "hr", "li", "ol", "p", "pre", "summary", "ul"}
_HEADINGS: Final = {"h1", "h2", "h3", "h4", "h5", "h6"}
_TABLES: Final = {"table", "tbody", "td", "tfoot", "th", "thead", "tr"}
_WORDS: Final = {"a", "b", "br", "code", "del", "em", "i", "img", "ins", "kbd", "q", "s", "samp", "strike", "strong"}
_TAGS: Final = _BLOCKS | _HEADINGS | _TABLES | _WORDS | {"sub", "sup", "tt", "var"}
_ATTRIBUTES: Final = {"a": {"href", "title"}, "img": {"alt", "src"}, "ol": {"start"}, "pre": {"lang"}}
_ALIGN: Final = {"align": {"left", "center", "right"}}
_SCHEMES: Final = ("http", "https")


def _named(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"[U+{code:04X}]"


def visible(text: str) -> str:
    """Rule 1, for one text."""
    return _HIDING.sub(_named, text.replace("\r\n", "\n"))


def shown(value: object) -> object:
    """Rule 1, for whatever a template prints; nothing for None."""
    if isinstance(value, Markup):
        return Markup(visible(value))
    return visible(value) if isinstance(value, str) else "" if value is None else value


def markdown(text: str | None, own: str) -> Markup:
    """Rule 2. `own` is the address of the repository."""
    html = cmarkgfm.github_flavored_markdown_to_html(visible(text or ""), Options.CMARK_OPT_UNSAFE)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=partial(_kept, own),
        tag_attribute_values={"td": _ALIGN, "th": _ALIGN},
        url_schemes={*_SCHEMES, "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)


def _kept(own: str, tag: str, attribute: str, value: str) -> str | None:
    """An attribute that is allowed, or None: an image comes from the repository's own files."""
    return None if (tag, attribute) == ("img", "src") and not value.startswith(f"{own}/blob/") else value


def web_link(address: str | None) -> str | None:
    """Rule 3."""
    try:
        scheme = urlsplit(address or "").scheme
    except ValueError:
        return None
    return address if scheme in _SCHEMES else None


def stamp(when: datetime) -> Markup:
    """A time, for people and for machines."""
    moment = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%d %b %Y, %H:%M:%S} UTC"
    )


def path_of(name: str) -> str:
    """A branch, file or login as part of an address of this server."""
    return quote(name, safe="/", errors="surrogateescape")


FILTERS: Final[dict[str, Callable[..., object]]] = {
    "markdown": markdown,
    "web_link": web_link,
    "stamp": stamp,
    "path": path_of,
}

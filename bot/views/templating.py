"""The Jinja2 environment of the Markdown templates; importing this costs the import of Jinja2, so do it late.

Nothing reaches the output unescaped by oversight. Of what a template prints, `Markdown` and whole numbers are printed
as they are and any other text goes through `prose`; anything else (None, a list, an unknown name) is an error.
Jinja2's own escaping is for HTML, so it is off.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined

from bot.views.escape import Markdown, cell, code, link, prose, reference

_TEMPLATES = Path(__file__).parent / "templates"


def filled(template: str, **values: Any) -> Markdown:
    """A template of `templates/`, filled. Ends with one line feed. Raises for a value that it lacks."""
    text = _environment().get_template(template).render(values)
    return Markdown(text.strip("\n") + "\n")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        finalize=_printed,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(code=code, cell=cell, prose=prose, link=link, reference=reference)
    return environment


def _printed(value: object) -> object:
    if isinstance(value, Markdown | Undefined) or type(value) is int:
        return value  # an Undefined raises when it is printed, naming what is missing
    if isinstance(value, str):
        return prose(value)
    raise TypeError(f"expected text, Markdown or a whole number to print, got {type(value).__name__}")

"""The documents for people: every command in them exists, every path in them is there, and the tables are complete."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_COMMAND = re.compile(r"stagewright [a-z][^`|#\n]*")


def _commands(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`(stagewright [^`\n]+)`", text)
    yield from (found[0].strip() for line in [*lines, *spans] if (found := _COMMAND.match(line)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_in_the_documents_parses(page: Path) -> None:
    for command in _commands(page):
        _parse(command)


def _parse(command: str) -> None:
    words = [re.sub(r"[\[\]]|\.\.\.", "", word) for word in shlex.split(command)[1:]]
    group: click.Command = cli
    while isinstance(group, click.Group):
        name = words.pop(0)
        found = group.get_command(click.Context(group), name)
        assert found is not None, f"{command!r}: there is no command {name!r}"
        group = found
        if not words:
            return
    known = {option for parameter in group.params for option in parameter.opts}
    for word in words:
        if word.startswith("--"):
            assert word in known, f"{command!r}: there is no option {word}"


def test_the_check_of_commands_can_fail() -> None:
    with pytest.raises(AssertionError, match="no option"):
        _parse("stagewright plan --nonsense")
    with pytest.raises(AssertionError, match="no command"):
        _parse("stagewright nonsense")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_lists_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        names = [f"{name} {sub}" for sub in command.commands] if isinstance(command, click.Group) else [name]
        for full in names:
            assert f"| `stagewright {full}" in readme, f"README.md does not list `stagewright {full}`"


def test_make_has_every_target_that_the_documents_name() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"\bmake ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert {"demo", "test"} <= named & targets
    assert {word for word in named if f"`make {word}`" in _all_text() or f"$ make {word}" in _all_text()} <= targets


def _all_text() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

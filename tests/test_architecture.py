"""The house keeps its shape: who may import what, what a command may cost, and that everything says what it is."""

from __future__ import annotations

import ast
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli import cli

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "bot").rglob("*.py"))
ALLOWED_IN_CORE = {"bot", "pydantic", "pydantic_core", "rfc8785", "scipy", "__future__", *sys.stdlib_module_names}
FORBIDDEN_IN_CORE = {"subprocess", "socket", "os", "pathlib", "urllib.request", "logging", "time", "http", "shutil"}
"""Of the standard library: what talks to the network, the disk, the clock, other processes or the log."""


def imported(module: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield node.module or ""


def name_of(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


CORE = [module for module in MODULES if name_of(module).startswith(("bot/core/", "bot/errors.py"))]


@pytest.mark.parametrize("module", CORE, ids=name_of)
def test_the_core_knows_no_third_party_package_but_three(module: Path) -> None:
    names = set(imported(module))
    assert {name.partition(".")[0] for name in names} <= ALLOWED_IN_CORE
    assert {name for name in names if _is_in(name, "scipy")} <= {"scipy.special"}


@pytest.mark.parametrize("module", CORE, ids=name_of)
def test_the_core_knows_no_network_disk_clock_or_log(module: Path) -> None:
    found = {name for name in imported(module) for forbidden in FORBIDDEN_IN_CORE if _is_in(name, forbidden)}
    assert found == set()


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("module", CORE, ids=name_of)
def test_the_core_does_not_read_the_clock(module: Path) -> None:
    calls = [
        node.func for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    names = {function.attr for function in calls if isinstance(function, ast.Attribute)}
    assert names.isdisjoint({"now", "today", "utcnow"})


ONE_ROOM = {
    "mlflow": ("bot/adapters/mlflow_registry/", "bot/sandbox/"),
    "github": ("bot/adapters/github/",),
    "ruamel": ("bot/documents/", "bot/sandbox/"),
    "yaml": ("bot/documents/", "bot/adapters/mlflow_registry/"),
    "jinja2": ("bot/views/",),
    "click": ("bot/cli/",),
    "rich": ("bot/adapters/progress.py",),
    "matplotlib": ("bot/views/picture.py", "bot/sandbox/"),
}


@pytest.mark.parametrize("library", ONE_ROOM)
def test_a_library_is_imported_in_its_room_only(library: str) -> None:
    users = {name_of(module) for module in MODULES if any(_is_in(name, library) for name in imported(module))}
    assert users
    assert all(user.startswith(ONE_ROOM[library]) for user in users), users


def test_the_sandbox_imports_nothing_of_the_product_but_its_errors() -> None:
    for module in MODULES:
        if name_of(module).startswith("bot/sandbox/"):
            ours = {name for name in imported(module) if _is_in(name, "bot")}
            assert all(_is_in(name, "bot.sandbox") or _is_in(name, "bot.errors") for name in ours), module


def test_the_contracts_of_pyproject_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


HEAVY = ("mlflow", "github", "jinja2", "rich", "scipy", "matplotlib", "sklearn", "pandas", "flask", "requests")


@pytest.mark.parametrize(
    ("arguments", "also_without"),
    [
        (["--help"], ("pydantic", "ruamel", "yaml")),
        (["validate"], ("ruamel", "bot.ports", "bot.core.results")),
        (["--version"], ("pydantic", "ruamel", "yaml")),
    ],
    ids=lambda value: " ".join(value),
)
def test_cheap_commands_load_nothing_heavy(arguments: list[str], also_without: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bot", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "bot.cli" in loaded
    packages = {name.partition(".")[0] for name in loaded}
    assert (packages | loaded).isdisjoint({*HEAVY, *also_without})


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, groups opened."""
    ahead: list[tuple[str, click.Command]] = list(cli.commands.items())
    while ahead:
        name, command = ahead.pop()
        if isinstance(command, click.Group):
            ahead += [(f"{name} {below}", one) for below, one in command.commands.items()]
        else:
            yield name, command


COMMANDS = dict(sorted(commands()))


def test_these_are_the_commands() -> None:
    assert list(COMMANDS) == [
        *["apply", "approvals", "audit export", "audit init", "audit verify", "compare"],
        *["demo", "drift", "history", "import", "plan", "policy explain", "policy test", "propose"],
        *["report", "rollback", "validate"],
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example_that_can_be_typed(name: str) -> None:
    command = COMMANDS[name]
    example = (command.epilog or "").removeprefix("Example: ")
    assert example.startswith(f"stagewright {name}")
    arguments = shlex.split(example)[1 + len(name.split()) :]
    with command.make_context(name, arguments, resilient_parsing=False) as context:
        assert context.params is not None
    assert command.help
    lines = command.get_help(click.Context(command, terminal_width=80)).splitlines()
    assert f"Example: {example}" in map(str.strip, lines), "in one line, so that it can be copied"
    assert all(len(line) <= 80 for line in lines)


def groups() -> Iterator[click.Group]:
    yield cli
    yield from (command for command in cli.commands.values() if isinstance(command, click.Group))


@pytest.mark.parametrize("group", list(groups()), ids=lambda group: group.name)
def test_the_help_of_a_group_says_what_each_command_does_in_a_line(group: click.Group) -> None:
    lines = group.get_help(click.Context(group, terminal_width=80)).splitlines()
    assert all(len(line) <= 80 for line in lines)
    for name in group.commands:
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert line.endswith("."), line
        assert not line.endswith("..."), f"{name} needs a short_help"


def test_every_option_says_what_it_does() -> None:
    for name, command in [("", cli), *COMMANDS.items()]:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "help":
                assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_name_says_nothing(module: Path) -> None:
    classes = [node.name for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ClassDef)]
    empty = ("Manager", "Util", "Utils", "Helper", "Helpers")
    assert [name for name in classes if name.endswith(empty)] == []
    assert module.stem not in ("util", "utils", "helper", "helpers", "common", "misc")

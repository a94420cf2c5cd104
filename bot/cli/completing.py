"""What a shell offers behind an option or argument; see `bot.commands.completion`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import click

from bot.errors import StagewrightError


def models(context: click.Context, parameter: click.Parameter, beginning: str) -> list[str]:
    """What a shell offers for a model. What was typed already is not offered again."""
    from bot.commands.completion import model_names

    typed = context.params.get(parameter.name or "")
    named = typed if isinstance(typed, tuple) else ()
    return [name for name in _offered(context, model_names, beginning) if name not in named]


def slots(context: click.Context, _: click.Parameter, beginning: str) -> list[str]:
    """What a shell offers for a slot of the model that was typed before; click has not sorted such a line yet."""
    from bot.commands.completion import slot_names

    model = context.params.get("model") or next(iter(context.args), "")
    return _offered(context, slot_names, model, beginning)


def _offered(context: click.Context, command: Callable[..., list[str]], *arguments: str) -> list[str]:
    """What a command offers in the repository that `--repo` names; nothing where it fails: no shell asks why."""
    from bot.wiring import Connections

    with suppress(StagewrightError, OSError), Connections({}, context.find_root().params["repo"]) as links:
        return command(links.tree, *arguments)
    return []

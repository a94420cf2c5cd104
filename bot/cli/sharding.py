"""The option `--shard I/N` of commands that look at many models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bot.core.sharding import Shard


def as_shard(_context: click.Context, _option: click.Parameter, value: str | None) -> Shard | None:
    """What the option says. Raises click's usage error, which exits 2, for what is no shard."""
    if value is None:
        return None
    from bot.core.sharding import MOST_SHARDS, shard_of

    found = shard_of(value)
    if found is None:
        expected = f"expected I/N with 1 <= I <= N <= {MOST_SHARDS}, such as 2/5"
        raise click.BadParameter(f"{value!r} is no shard: {expected}.")
    return found

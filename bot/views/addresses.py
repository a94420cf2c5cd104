"""Where things are in the MLflow UI. Addresses exist only for registries that are reached by http or https."""

from __future__ import annotations

import json
from urllib.parse import quote

from bot.core.state import Identity
from bot.views.escape import ADDRESS, web_address


def version_address(registry: str, identity: Identity) -> str | None:
    """The page of a version."""
    return _page(registry, f"models/{_encoded(identity.model)}/versions/{identity.version}")


def run_address(registry: str, identity: Identity) -> str | None:
    """The page of a version's run; None without a run."""
    return _page(registry, f"runs/{_encoded(identity.run_id)}") if identity.run_id else None


def side_by_side_address(registry: str, one: Identity, other: Identity) -> str | None:
    """The page that shows two versions of a model beside each other; None when one has no run, as the page needs it."""
    if not one.run_id or not other.run_id:
        return None
    name = _encoded(json.dumps(one.model, ensure_ascii=False))
    runs = _encoded(json.dumps({str(side.version): side.run_id for side in (one, other)}, separators=(",", ":")))
    return _page(registry, f"compare-model-versions?name={name}&runs={runs}")


def _encoded(text: str) -> str:
    return quote(text[: ADDRESS + 1], safe="", errors="replace")  # whatever is longer is not linked


def _page(registry: str, page: str) -> str | None:
    return web_address(f"{registry.rstrip('/')}/#/{page}")

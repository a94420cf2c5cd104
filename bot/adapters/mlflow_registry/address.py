"""Where a registry is: which addresses are accepted, what each can do, and how to show them without credentials."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from bot.core.private import without_emails
from bot.core.state import Capabilities
from bot.errors import Misuse

_WEB: Final = frozenset({"http", "https"})
_UNITY_CATALOG: Final = "databricks-uc"
_TRACKING: Final = _WEB | {"databricks"}
_REGISTRY: Final = _TRACKING | {_UNITY_CATALOG}
_USERINFO: Final = re.compile(r"(?<=://)[^/\s'\"<>]*@")
_USERNAME: Final = "MLFLOW_TRACKING_USERNAME"
_PASSWORD: Final = "MLFLOW_TRACKING_PASSWORD"
_SECRETS: Final = (_PASSWORD, "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET")
_NO_ADDRESS: Final = re.compile(r"[\s\x00-\x20\x7f]")
"""What no address holds: a password with a space in it would be told from the rest by nobody. Encode it: `%20`."""
_SHORTEST_SECRET: Final = 4
"""Shorter values are not masked: masking every "a" would make a message unreadable and tell the value too."""


@dataclass(frozen=True, slots=True, repr=False)
class RegistryAddress:
    """The two addresses that MLflow's client takes. They may hold credentials: show `shown` and nothing else."""

    tracking: str
    registry: str

    @classmethod
    def of(cls, tracking_uri: str, registry_uri: str | None) -> Self:
        """Check both; the registry is by default where MLflow 3 puts it (databricks: Unity Catalog).

        Raises Misuse for anything but http, https and databricks: a local store has no server that others can ask.
        """
        tracking = _accepted(tracking_uri, _TRACKING, "MLFLOW_TRACKING_URI")
        default = tracking.replace("databricks", _UNITY_CATALOG, 1) if _scheme(tracking) == "databricks" else tracking
        return cls(tracking, _accepted(registry_uri or default, _REGISTRY, "MLFLOW_REGISTRY_URI"))

    @property
    def shown(self) -> str:
        """The registry's address for messages and links: no credentials, no slash at the end."""
        return without_userinfo(self.registry)

    @property
    def capabilities(self) -> Capabilities:
        """Unity Catalog has aliases only, a Databricks workspace stages only, every other server both.

        What is not read off pages but model by model is not shown by a list either.
        """
        scheme = _scheme(self.registry)
        return Capabilities(scheme != _UNITY_CATALOG, scheme != "databricks", listed=self.lists_models_by_name)

    @property
    def lists_models_by_name(self) -> bool:
        """Whether `name IN (...)` can be asked. Databricks knows `name = '...'` only."""
        return _scheme(self.registry) in _WEB

    @property
    def lists_runs_of_all_experiments(self) -> bool:
        """Whether runs/search over every experiment is affordable. On Databricks it is not."""
        return _scheme(self.tracking) in _WEB

    @property
    def lists_artifacts(self) -> bool:
        """Whether the server lists the files of runs and logged models. Databricks keeps them elsewhere."""
        return _scheme(self.tracking) in _WEB

    @property
    def orders_searches(self) -> bool:
        """Whether a search may name an order. MLflow's own store for Unity Catalog refuses one."""
        return _scheme(self.registry) != _UNITY_CATALOG

    @property
    def searches_omit_tags(self) -> bool:
        """Unity Catalog's searches carry no tags: each version has to be read."""
        return _scheme(self.registry) == _UNITY_CATALOG

    def masked(self, text: str) -> str:
        """`text` without userinfo in any address, without the credentials of this address and the environment, also as
        HTTP sends them, and without e-mail addresses, by which some servers call people.
        """
        bare = without_userinfo(text)
        for secret in self._secrets():
            bare = bare.replace(secret, "***")
        return without_emails(bare)

    def _secrets(self) -> tuple[str, ...]:
        in_address = [part.password for part in map(urlsplit, (self.tracking, self.registry)) if part.password]
        in_environment = [os.environ[name] for name in _SECRETS if name in os.environ]
        every = {*in_address, *map(unquote, in_address), *in_environment, *self._as_sent()}
        return tuple(sorted((s for s in every if len(s) >= _SHORTEST_SECRET), key=len, reverse=True))

    def _as_sent(self) -> Iterator[str]:
        """User and password as HTTP's basic authorization has them."""
        given = [(os.environ.get(_USERNAME, ""), os.environ.get(_PASSWORD, ""))]
        for part in map(urlsplit, (self.tracking, self.registry)):
            given.append((unquote(part.username or ""), unquote(part.password or "")))
        yield from (b64encode(f"{user}:{password}".encode()).decode() for user, password in given if password)

    def __repr__(self) -> str:
        return f"RegistryAddress({self.shown!r})"


def without_userinfo(text: str) -> str:
    """Every `user:password@` after `://` removed; of a single address also the slash at the end."""
    return _USERINFO.sub("", text).rstrip("/")


def _shown_though_broken(uri: str) -> str:
    """A text that is no address may hold a password with `/`, `#` or `@` in it: all before its last `@` is left out."""
    return repr(uri.rpartition("@")[2])


def _scheme(uri: str) -> str:
    return uri.partition(":")[0].lower()


def _accepted(uri: str, schemes: frozenset[str], variable: str) -> str:
    uri = uri.strip()
    if not uri:
        raise Misuse(f"No MLflow server is named: {variable} is not set.", fix=_how_to_set(variable))
    if _scheme(uri) not in schemes:
        raise Misuse(f"{_shown_though_broken(uri)} is not the address of an MLflow server.", fix=_how_to_set(variable))
    if _NO_ADDRESS.search(uri):
        problem = f"{_shown_though_broken(uri)} holds a space, or a character that cannot be seen."
        raise Misuse(problem, fix=_how_to_set(variable))
    if _scheme(uri) in _WEB and not _has_host_and_port(uri):
        problem = f"{_shown_though_broken(uri)} has no host, or a port that is no number."
        raise Misuse(problem, fix=_how_to_set(variable))
    return uri


def _has_host_and_port(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # how urllib says that the port is not a number or out of range
        return False


def _how_to_set(variable: str) -> str:
    return (
        f"Set {variable} to a server, e.g. https://mlflow.example.com or databricks://profile; "
        "a local folder or database is none (start one with `mlflow server`)."
    )

"""Whether the files of versions are there, as the server itself lists them.

1. The server is asked, not the storage: it has the credentials of the storage, and whoever runs this need not.
2. A source that is a logged model (`models:/m-…`) or lies in its run's folder can be listed; any other is unknown.
3. "Missing" is said only of an empty answer, or of a logged model that MLflow says does not exist. A listing that is
   refused, fails or is about another place is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from requests import Response

from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.asking import Asker, at_once
from bot.adapters.mlflow_registry.failures import NOT_THERE, foreign
from bot.adapters.mlflow_registry.line import AT_ONCE
from bot.core.state import Artifacts, Identity, ModelVersion
from bot.ports import Advance, counted

_LOGGED_MODEL: Final = re.compile(r"models:/(m-[0-9a-zA-Z]+)/?")
_RUN_SOURCE: Final = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")
_OF_RUN: Final = "/api/2.0/mlflow/artifacts/list"
_MOST_SILENCES: Final = 3
_THERE: Final = Artifacts("there")
_SILENT: Final = Artifacts("unknown", "MLflow did not answer the listing of files", is_passing=True)
_REFUSED: Final = Artifacts("unknown", "MLflow does not let this identity list them")


@dataclass(frozen=True, slots=True)
class _Listing:
    """One listing: where to ask, and the folder that it must be about (None: whatever the answer says)."""

    endpoint: str
    run_id: str = ""
    path: str = ""
    source: str | None = None

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the request names; a folder that is the run's own is not named."""
        return {name: value for name, value in (("run_id", self.run_id), ("path", self.path)) if value}

    @property
    def above(self) -> _Listing:
        """The listing of the folder that this one's path lies in."""
        return replace(self, path=self.path.rpartition("/")[0], source=None)


def listed(
    asker: Asker, address: RegistryAddress, versions: Iterable[ModelVersion], advance: Advance
) -> Mapping[Identity, Artifacts]:
    """What each listing says, one request each. After three in a row without an answer, the rest is not asked for."""
    wanted = list(versions)
    found: list[Artifacts] = []
    while len(found) < len(wanted) and found[-_MOST_SILENCES:] != [_SILENT] * _MOST_SILENCES:
        some = wanted[len(found) : len(found) + (AT_ONCE if found else _MOST_SILENCES)]
        found += counted(at_once(lambda version: _of(asker, address, version), some), advance)
    found += [_SILENT] * (len(wanted) - len(found))
    return {version.identity: told for version, told in zip(wanted, found, strict=True)}


def _of(asker: Asker, address: RegistryAddress, version: ModelVersion) -> Artifacts:
    listing = _listing_of(version) if address.lists_artifacts else None
    if listing is None:
        return Artifacts("unknown", "the server cannot list them where they lie")
    try:
        told = _answer(_asked(asker, listing), listing, address.masked(version.source))
        if told.state == "missing" and listing.path and _is_a_file(_asked(asker, listing.above), listing.path):
            return _THERE  # the listing of a file is empty
        return told
    except foreign():
        return _SILENT
    except (LookupError, TypeError, AttributeError):  # an answer of another shape is none
        return _SILENT


def _listing_of(version: ModelVersion) -> _Listing | None:
    """Rule 2."""
    source, run_id = version.source.rstrip("/"), version.identity.run_id
    logged = _LOGGED_MODEL.fullmatch(source)
    if logged:
        return _Listing(f"/api/2.0/mlflow/logged-models/{quote(logged[1])}/artifacts/directories")
    named = _RUN_SOURCE.fullmatch(source)
    if named:
        return _Listing(_OF_RUN, named["run"], named["path"])
    _, in_run, path = source.partition(f"/{run_id}/artifacts/") if run_id else ("", "", "")
    if not in_run:
        return None
    return _Listing(_OF_RUN, str(run_id), path, source)


def _asked(asker: Asker, listing: _Listing) -> Response:
    """The server's answer. A failure is not repeated: many versions may lie in one storage that is away."""
    with asker.response("GET", listing.endpoint, query=listing.parameters) as response:
        return response


def _answer(response: Any, listing: _Listing, source: str) -> Artifacts:
    """Rule 3."""
    if response.status_code in (401, 403):
        return _REFUSED
    data = response.json()
    if response.status_code == 404 and data.get("error_code") in NOT_THERE and not listing.run_id:
        return Artifacts("missing", f"the logged model of {source} does not exist any more")
    if response.status_code != 200:
        why = f"MLflow answers {response.status_code} to the listing of files"
        return Artifacts("unknown", why, is_passing=response.status_code >= 500)
    if listing.source and listing.source != f"{str(data['root_uri']).rstrip('/')}/{listing.path}":
        return Artifacts("unknown", "their place is not where their run keeps its files")
    return _THERE if data.get("files") else Artifacts("missing", f"{source} holds nothing")


def _is_a_file(response: Any, path: str) -> bool:
    files = response.json().get("files", []) if response.status_code == 200 else []
    return any(file["path"] == path and not file.get("is_dir") for file in files)

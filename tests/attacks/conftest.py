"""One repository per test: a forge, real git and the adapters; every answer is checked by GitHub's description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.sandbox.forge import Forge
from tests.attacks.faults import Faults
from tests.attacks.field import Field
from tests.contract.openapi import Contract

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def field(tmp_path: Path, contract: Contract, faults: Faults) -> Iterator[Field]:
    """The faults lie outside of the contract: what they answer is not what GitHub's description allows."""

    def checked(application: WSGIApplication) -> WSGIApplication:
        return faults.wrap(contract.wrap(application))

    with Forge.start(tmp_path / "forge", wsgi_middleware=checked) as forge, Field(forge, tmp_path / "clone") as field:
        yield field

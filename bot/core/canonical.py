"""One way to write a value as bytes, so that equal values have equal digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import rfc8785

from bot.core.state import Digest

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""What JSON can hold. At run time sequences are lists or tuples, and mappings are dicts."""


def canonical(value: JSON) -> bytes:
    """RFC 8785 canonical JSON in UTF-8: sorted keys, no white space, no newline at the end.

    Raises ValueError for what JSON cannot hold exactly: NaN, infinities, integers beyond ±(2**53 - 1), lone
    surrogates, keys that are no strings, other types.
    """
    return rfc8785.dumps(value)


def digest(data: bytes) -> Digest:
    """The SHA-256 of some bytes, as `sha256:` and 64 lowercase hexadecimal digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"

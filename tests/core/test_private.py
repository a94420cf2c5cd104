"""E-mail addresses are taken out of texts that are kept."""

from __future__ import annotations

import pytest

from bot.core.private import without_emails


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("User ana.b+ml@mail.example.com may not", "User *** may not"),
        ("<ana@example.com>, bob@example.co.uk.", "<***>, ***."),
        ("'ana@example.com'", "'***'"),
        ("models:/churn@champion", "models:/churn@champion"),
        ("@acme/ml and @bob", "@acme/ml and @bob"),
        ("git@github.com:acme/models.git", "git@github.com:acme/models.git"),
        ("actions/checkout@3d3c42e", "actions/checkout@3d3c42e"),
        ("nothing", "nothing"),
    ],
)
def test_without_emails(text: str, kept: str) -> None:
    assert without_emails(text) == kept

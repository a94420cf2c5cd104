"""What of other people's words may not be kept: the log holds logins only, and never an e-mail address."""

from __future__ import annotations

import re
from typing import Final

_E_MAIL: Final = re.compile(r"(?<![\w.%+-])(?!git@)[\w.%+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,63}(?![\w-])")


def without_emails(text: str) -> str:
    """A text in which each e-mail address is `***`. `git@host`, as in the address of a repository, is none."""
    return _E_MAIL.sub("***", text)

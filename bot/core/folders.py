"""The folders of the repository. Imports nothing, since a command looks into one before it loads what it needs."""

from typing import Final

MODELS_FOLDER: Final = "models"
POLICIES_FOLDER: Final = "policies"
EVIDENCE_FOLDER: Final = "evidence"
PROGRAM_FOLDER: Final = "bot"

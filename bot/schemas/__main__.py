"""Writes the JSON Schemas beside this file: `make schemas`."""

from pathlib import Path

from bot.documents.json_schema import schema_files

for name, text in schema_files().items():
    Path(__file__).with_name(name).write_text(text, encoding="utf-8")

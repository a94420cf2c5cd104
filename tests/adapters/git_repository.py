"""A real git repository in a temporary folder, written by git itself and by nothing of this machine's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Repository:
    """Runs git with fixed names and dates, so that SHAs do not depend on who runs the test."""

    def __init__(self, directory: Path, *, bare: bool = False) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))

    def git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        fixed = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Alice",
            "GIT_AUTHOR_EMAIL": "alice@example.com",
            "GIT_COMMITTER_NAME": "Alice",
            "GIT_COMMITTER_EMAIL": "alice@example.com",
            "GIT_AUTHOR_DATE": "2026-11-01T12:00:00Z",
            "GIT_COMMITTER_DATE": "2026-11-01T12:00:00Z",
        }
        done = subprocess.run(
            ["git", "-C", str(self.directory), *arguments],
            input=stdin,
            capture_output=True,
            env=kept | fixed | dict(env or {}),
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: Mapping[str, str | None], message: str = "Change") -> str:
        """Write (or, for None, delete) files in the working tree and commit them."""
        for path, text in files.items():
            target = self.directory / path
            if text is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.head()

    def commit_entry(self, mode: str, sha: str, path: bytes) -> str:
        """Commit one index entry of any mode and name, without touching the working tree."""
        self.git("update-index", "-z", "--index-info", stdin=f"{mode} {sha}\t".encode() + path + b"\0")
        self.git("commit", "--quiet", "-m", "Entry")
        return self.head()

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=content)

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

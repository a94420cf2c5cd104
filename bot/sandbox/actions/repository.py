"""What the runner reads from the forge's bare repository: refs, workflow files at a commit, changed paths."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

WORKFLOWS = ".github/workflows/"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
NO_COMMIT = "0" * 40


class Repository:
    """Read-only git plumbing on one bare repository."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def resolve(self, name: str) -> str | None:
        """The commit that a full ref or a SHA names; None when there is none."""
        found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return found.stdout.strip() or None

    def workflow_files(self, commit: str) -> dict[str, str]:
        """Path -> text of every `.yml` and `.yaml` directly in `.github/workflows` at the commit."""
        listed = self._output("ls-tree", "-z", "--name-only", commit, "--", WORKFLOWS)
        paths = [path for path in listed.split("\0") if path.endswith((".yml", ".yaml"))]
        return {path: self._output("cat-file", "blob", f"{commit}:{path}") for path in paths}

    def changed_by_push(self, before: str, after: str, default_ref: str) -> list[str]:
        """Paths that a push changed; a new branch is compared with where it left the default branch."""
        if before == NO_COMMIT:
            before = self._git("merge-base", default_ref, after).stdout.strip() or EMPTY_TREE
        return self._changed(before, after)

    def changed_by_pull_request(self, base: str, head: str) -> list[str]:
        """Paths that the head changed since it left the base."""
        return self._changed(self._git("merge-base", base, head).stdout.strip() or EMPTY_TREE, head)

    def _changed(self, before: str, after: str) -> list[str]:
        listed = self._output("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after)
        return [path for path in listed.split("\0") if path]

    def _output(self, *arguments: str) -> str:
        done = self._git(*arguments)
        if done.returncode != 0:
            raise RuntimeError(f"git {arguments[0]} in the forge's repository failed: {done.stderr.strip()}")
        return done.stdout

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", f"--git-dir={self._directory}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=git_environment())


def git_environment() -> dict[str, str]:
    """An environment in which no configuration of the person or the machine changes what git does."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }

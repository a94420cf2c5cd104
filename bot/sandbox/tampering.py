"""Tampers with the audit log in a person's clone, one way after the other, the last entry included."""

from __future__ import annotations

from collections.abc import Iterator

from bot.sandbox.team import LOG_BRANCH, Team

_REF = f"refs/remotes/origin/{LOG_BRANCH}"


def tampered_logs(team: Team, login: str = "alice") -> Iterator[tuple[str, int]]:
    """Before each yield, the log that the clone knows is tampered with: what was done, and the entry it was done to."""
    team.git(login, "fetch", "--quiet", "origin", f"+refs/heads/{LOG_BRANCH}:{_REF}")
    genuine = team.git(login, "rev-parse", _REF)
    segment = team.git(login, "ls-tree", "--name-only", _REF).splitlines()[-1]
    lines = team.git(login, "cat-file", "blob", f"{_REF}:{segment}").splitlines()
    last, middle = len(lines) - 1, len(lines) // 2
    ways = (
        ("changed", middle, [*lines[:middle], _other_actor(lines[middle]), *lines[middle + 1 :]]),
        ("changed", last, [*lines[:last], _other_actor(lines[last])]),
        ("reordered", middle, [*lines[:middle], lines[middle + 1], lines[middle], *lines[middle + 2 :]]),
        ("removed", middle, [*lines[:middle], *lines[middle + 1 :]]),
        ("removed", last, lines[:last]),
    )
    for what, index, content in ways:
        _store(team, login, genuine, segment, "".join(f"{line}\n" for line in content))
        yield what, _seq(lines[index])
    team.git(login, "update-ref", _REF, genuine)


def _other_actor(line: str) -> str:
    return line.replace('"actor":"', '"actor":"not-', 1)


def _seq(line: str) -> int:
    return int(line.partition('"seq":')[2].partition(",")[0].rstrip("}"))


def _store(team: Team, login: str, parent: str, segment: str, content: str) -> None:
    file = team.directory / "tampered.jsonl"
    file.write_text(content, encoding="utf-8")
    blob = team.git(login, "hash-object", "-w", str(file))
    listing = [
        f"100644 blob {blob}\t{segment}" if line.endswith(f"\t{segment}") else line
        for line in team.git(login, "ls-tree", parent).splitlines()
    ]
    tree = team.git(login, "mktree", text="".join(f"{line}\n" for line in listing))
    commit = team.git(login, "commit-tree", tree, "-p", parent, "-m", "Tamper")
    team.git(login, "update-ref", _REF, commit)

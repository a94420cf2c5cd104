"""The `git` command, run so that neither the repository nor the environment decides what is executed.

1. Never a shell; objects are named by full SHA or by a ref that this package composes, never by a caller's string.
2. Hooks, the file system monitor, external diffs, replace refs, grafts and pathspec magic are off.
3. git looks for a repository in the given directory only, never in the folders above it.
4. The token travels in the environment of `git fetch` alone: never in an argument, never in an error.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from bot.errors import HistoryUnavailable, UnfitFile

LOCAL_TIMEOUT = 60.0
LARGEST_FILE = 32 * 1024 * 1024
_TOGETHER = 256
"""Names that are asked for at once: few enough for a pipe to hold them while git writes what was asked before."""

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_DROPPED = re.compile(
    r"GIT_(DIR|WORK_TREE|COMMON_DIR|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|PREFIX|SHALLOW_FILE"
    r"|EXTERNAL_DIFF|DIFF_OPTS|TRACE.*|CURL_VERBOSE|REPLACE_REF_BASE|CONFIG_PARAMETERS|.*_PATHSPECS)"
)
_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "LC_ALL": "C",
}
_OPTIONS = (
    "--no-pager",
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.quotepath=off"),
    *("-c", "i18n.logOutputEncoding=UTF-8"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
)


class GitFailed(Exception):
    """git ended with another code than 0, or not in time. `reason` is the end of what it wrote, without credentials."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"git ended with {code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class GitObject:
    """One object of the repository."""

    sha: str
    kind: str
    content: bytes


def full_sha(text: str) -> str:
    """The text itself, if it is a full SHA. Raises HistoryUnavailable else: no name or option is passed to git."""
    if not _SHA.fullmatch(text):
        raise HistoryUnavailable(
            f"Expected the full SHA of a commit, got {text[:80]!r}.", fix="Give all of its hexadecimal digits."
        )
    return text


class Git:
    """Runs git on one repository, and reads objects through one long-lived `git cat-file --batch`.

    Closed by `close`, or used as a context manager. One thread at a time.
    """

    def __init__(self, directory: Path, *, executable: str = "git") -> None:
        self.directory = directory.resolve()
        self._executable = executable
        self._batch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Git:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End `git cat-file`, if it runs. The next read starts it again."""
        batch, self._batch = self._batch, None
        if batch is not None:
            _end(batch)

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = LOCAL_TIMEOUT
    ) -> bytes:
        """What git wrote to its standard output. Raises GitFailed, or HistoryUnavailable where there is no git."""
        try:
            done = subprocess.run(
                self._command(*arguments),
                env=self._environment() | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitFailed(-1, f"it did not end within {timeout:.0f} seconds") from None
        except OSError as error:
            raise _not_runnable(error) from None
        if done.returncode:
            raise GitFailed(done.returncode, _readable(done.stderr))
        return done.stdout

    def text(self, *arguments: str) -> str:
        """One line that git wrote."""
        return self.run(*arguments).decode("utf-8", "replace").strip()

    def object(self, name: str, largest: int = LARGEST_FILE) -> GitObject | None:
        """An object by full SHA or by `<full sha>^{commit}`; None when the repository does not hold it.

        Raises HistoryUnavailable for one of more bytes, for a damaged one and when git does not answer in time.
        """
        if self._batch is None or self._batch.poll() is not None:
            self.close()
            self._batch = self._started_batch()
        try:
            (found,) = self._asked(self._batch, [name], largest)
        except HistoryUnavailable:
            self.close()
            raise
        return found

    def objects(self, names: Sequence[str]) -> Generator[GitObject | None, None, None]:
        """As `object`, of many names in their order, by a process of their own that is asked for many at once."""
        batch = self._started_batch()
        try:
            for start in range(0, len(names), _TOGETHER):
                yield from self._asked(batch, names[start : start + _TOGETHER])
        finally:
            _end(batch)

    def _asked(
        self, batch: subprocess.Popen[bytes], names: Sequence[str], largest: int = LARGEST_FILE
    ) -> Iterator[GitObject | None]:
        watchdog = threading.Timer(LOCAL_TIMEOUT, batch.kill)
        watchdog.start()
        try:
            stdin, stdout = _pipes(batch)
            stdin.write("".join(f"{name}\n" for name in names).encode("ascii"))
            stdin.flush()
            for name in names:
                yield _answer(stdout, name, largest)
        except (OSError, ValueError):
            raise HistoryUnavailable(
                f"git did not hand out {', '.join(names[:3])} of {self.directory}.",
                fix="Run `git fsck` there; clone again if it reports damage.",
            ) from None
        finally:
            watchdog.cancel()

    def _started_batch(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command("cat-file", "--batch"),
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise _not_runnable(error) from None

    def _command(self, *arguments: str) -> list[str]:
        return [self._executable, "-C", str(self.directory), *_OPTIONS, *arguments]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not _DROPPED.fullmatch(name)}
        return kept | _FIXED | {"GIT_CEILING_DIRECTORIES": str(self.directory.parent)}


def authorization(token: str | None, server_url: str | None) -> dict[str, str]:
    """The environment that lets `git fetch` show a token to one server, and to no other.

    The empty first value takes away what `actions/checkout` left in the configuration: GitHub answers 400 to two
    Authorization headers.
    """
    if not token or not server_url:
        return {}
    header = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    key = f"http.{server_url.rstrip('/')}/.extraheader"
    added = [(key, ""), (key, f"AUTHORIZATION: basic {header}"), ("credential.helper", "")]
    start = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    environment = {"GIT_CONFIG_COUNT": str(start + len(added))}
    for number, (name, value) in enumerate(added, start):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def without(secret: str | None) -> Callable[[str], str]:
    """A function that takes a token, as it is and as git sends it, out of a text."""
    if not secret:
        return lambda text: text
    sent = base64.b64encode(f"x-access-token:{secret}".encode()).decode()
    return lambda text: text.replace(secret, "***").replace(sent, "***")


def _end(batch: subprocess.Popen[bytes]) -> None:
    batch.kill()
    batch.communicate()


def _answer(stdout: IO[bytes], name: str, largest: int) -> GitObject | None:
    """What git says of one name. Raises ValueError where it says nothing that makes sense."""
    header = stdout.readline().split()
    if header[1:] == [b"missing"]:
        return None
    sha, kind, size = header
    if int(size) > largest:
        raise UnfitFile(
            f"The object {name} has {int(size)} bytes; files of more than {largest} bytes are not read.",
            fix="Keep large files out of the folders that Stagewright reads.",
        )
    content = stdout.read(int(size))
    if len(content) != int(size) or stdout.read(1) != b"\n":
        raise ValueError("the answer is cut")
    return GitObject(sha.decode(), kind.decode(), content)


def _pipes(batch: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if batch.stdin is None or batch.stdout is None:
        raise ValueError("git cat-file was started without pipes")
    return batch.stdin, batch.stdout


def _readable(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
    printable = "".join(character for character in " ".join(lines) if character.isprintable())
    return _CREDENTIALS_IN_URL.sub("", printable)[:400] or "it said nothing"


def _not_runnable(error: OSError) -> HistoryUnavailable:
    return HistoryUnavailable(
        f"git cannot be run: {error.strerror or error}.", fix="Install git 2.34 or newer and put it on the PATH."
    )

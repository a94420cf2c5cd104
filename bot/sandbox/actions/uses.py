"""The actions that the runner stands in for: checkout, the App's token, Python, the cache, and our own set-up.

Each does what the original does to the workspace, the environment and the outputs; what cannot be had in the sandbox
(a download of Python, an App's registration) is replaced by its local counterpart.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bot.sandbox.actions import shell
from bot.sandbox.actions.caches import Caches
from bot.sandbox.actions.installed import install
from bot.sandbox.actions.masking import Mask
from bot.sandbox.actions.reader import APP_TOKEN, ATTEST, CACHE_RESTORE, CACHE_SAVE, CHECKOUT, PYTHON, SETUP
from bot.sandbox.actions.repository import git_environment
from bot.sandbox.actions.surroundings import Surroundings

_SHA = re.compile(r"[0-9a-f]{40}")
_PERMISSION = "permission-"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_LAUNCHER = """\
#!/bin/sh
# Runs the program that the set-up found in the checkout, and no other.
PYTHONPATH={program} exec {python} -P -m bot "$@"
"""
_PYTHON = """\
#!/bin/sh
exec {python} "$@"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an action works. `sha` and `ref` are GITHUB_SHA and GITHUB_REF, `token` is the job's GITHUB_TOKEN."""

    surroundings: Surroundings
    workspace: Path
    temp: Path
    tools: Path
    sha: str
    ref: str
    seconds: float
    token: str = field(repr=False)
    mask: Mask = field(repr=False)


@dataclass(slots=True)
class Result:
    """What an action did. `paths` go in front of PATH for the steps that follow."""

    exit_code: int = 0
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict, repr=False)
    paths: list[str] = field(default_factory=list)

    def fail(self, reason: str) -> Result:
        """End in failure with GitHub's way of saying why."""
        self.exit_code = 1
        self.log += f"##[error]{reason}\n"
        return self


def perform(action: str, place: Place, inputs: Mapping[str, str]) -> Result:
    """Do what the action does. The reader has refused every action and input that is not known here."""
    return _ACTIONS[action](place, inputs)


def _checkout(place: Place, inputs: Mapping[str, str]) -> Result:
    _empty(place.workspace)
    token = inputs.get("token") or place.token
    checkout = _Checkout(place, authorization(token), inputs.get("fetch-depth") or "1")
    place.mask.add(token, checkout.authorization)
    persist = (inputs.get("persist-credentials") or "true") == "true"
    return checkout.perform(inputs.get("ref", ""), persist=persist)


def authorization(token: str) -> str:
    """The value of the basic authorization with which git presents a token."""
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _empty(directory: Path) -> None:
    for each in directory.iterdir():
        shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()


class _Stop(Exception):
    """A git command failed; the log says why."""


class _Checkout:
    """One checkout, as a sequence of git commands whose output becomes the step's log."""

    def __init__(self, place: Place, authorization: str, depth: str) -> None:
        forge = place.surroundings.forge
        self.authorization = authorization
        self._place = place
        self._url = f"{forge.server_url}/{forge.repository}.git"
        self._header = f"http.{forge.server_url}/.extraheader"
        self._depth = [] if depth == "0" else [f"--depth={depth}"]
        self._log = ""

    def perform(self, wanted: str, *, persist: bool) -> Result:
        try:
            self._git("init", "--quiet", ".")
            self._git("remote", "add", "origin", self._url)
            self._take(*self._target(wanted))
            if persist:
                self._git("config", self._header, f"AUTHORIZATION: basic {self.authorization}")
        except _Stop:
            return Result(log=self._log).fail(f"The checkout of {wanted or self._place.ref} failed.")
        commit = self._git("rev-parse", "HEAD").strip()
        return Result(log=self._log, outputs={"ref": wanted or self._place.ref, "commit": commit})

    def _target(self, wanted: str) -> tuple[str, str]:
        """The full ref (or '') and the commit that are asked for; with no `ref`, those of the event."""
        if not wanted:
            return self._place.ref, self._place.sha
        if _SHA.fullmatch(wanted):
            return "", wanted
        names = [wanted] if wanted.startswith("refs/") else [f"refs/heads/{wanted}", f"refs/tags/{wanted}"]
        for line in self._git("ls-remote", "origin", *names).splitlines():
            commit, _, ref = line.partition("\t")
            if ref in names:
                return ref, commit
        self._log += f"The ref {wanted!r} is not in {self._url}.\n"
        raise _Stop

    def _take(self, ref: str, commit: str) -> None:
        """Fetch and check out: a branch as a local branch, anything else detached. Depth 0 fetches everything."""
        specs = [] if self._depth else ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
        if specs:
            self._git("fetch", "--quiet", "--no-tags", "--prune", "origin", *specs)
        kept = f"refs/remotes/origin/{branch}" if branch else "refs/remotes/checkout/head"
        self._git("fetch", "--quiet", "--no-tags", *self._depth, "origin", f"+{commit}:{kept}")
        where = ["-B", branch, kept] if branch else ["--detach", commit]
        self._git("checkout", "--quiet", "--force", *where)

    def _git(self, *arguments: str) -> str:
        """The token travels in the environment only, so that no command line shows it."""
        env = git_environment() | {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": self._header,
            "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {self.authorization}",
        }
        place = self._place
        log = place.temp / "git.log"
        done = shell.run(["git", *arguments], env=env, cwd=place.workspace, seconds=place.seconds, log=log)
        self._log += f"git {shlex.join(arguments)}\n{done.log}"
        if done.exit_code != 0:
            raise _Stop
        return done.log


def _app_token(place: Place, inputs: Mapping[str, str]) -> Result:
    for name in ("client-id", "private-key"):
        if not inputs.get(name):
            return Result().fail(f"Input required and not supplied: {name}")
    asked = {name: level for name, level in inputs.items() if name.startswith(_PERMISSION) and level}
    permissions: dict[str, Literal["read", "write"]] = {}
    for name, level in asked.items():
        if level not in ("read", "write"):
            return Result().fail(f"{name} is {level!r}; write read or write.")
        permissions[api_name(name.removeprefix(_PERMISSION))] = "write" if level == "write" else "read"
    surroundings = place.surroundings
    token = surroundings.forge.issue_token(f"{surroundings.app}[bot]", permissions or None)
    place.mask.add(token)
    outputs = {"token": token, "installation-id": "1", "app-slug": surroundings.app}
    granted = ", ".join(f"{name}: {level}" for name, level in permissions.items()) or "all of the App's"
    return Result(log=f"A token of {surroundings.app}[bot] with the permissions {granted}\n", outputs=outputs)


def api_name(permission: str) -> str:
    """`pull-requests` as the REST API spells it."""
    return permission.replace("-", "_")


def _setup(place: Place, inputs: Mapping[str, str]) -> Result:
    description = place.workspace / SETUP / "action.yml"
    if not description.is_file():
        reason = f"Can't find 'action.yml' under '{SETUP}'. Did you forget to run actions/checkout before it?"
        return Result().fail(reason)
    lock = inputs.get("lock", "")
    if lock and not (place.workspace / lock).is_file():
        return Result().fail(f"File not found: `{lock}`")
    python = place.surroundings.pythons.get(lock, place.surroundings.python)
    program = install(place.workspace, place.surroundings.directory / "installed")
    _put(place, python, {"python": _PYTHON, "python3": _PYTHON})
    _put(place, python, {"stagewright": _LAUNCHER}, program=shlex.quote(str(program)))
    return Result(log="stagewright is the program of this checkout\n", paths=[str(place.tools)])


def _python(place: Place, inputs: Mapping[str, str]) -> Result:
    """The sandbox's own Python under the names that the action puts on the PATH, whatever version is asked for."""
    wanted = inputs.get("python-version", "")
    _put(place, place.surroundings.python, dict.fromkeys(("python", "python3", f"python{wanted}"), _PYTHON))
    return Result(log=f"Python {wanted} is the one of the sandbox\n", paths=[str(place.tools)])


def _put(place: Place, python: Path, scripts: Mapping[str, str], **more: str) -> None:
    for name, script in scripts.items():
        file = place.tools / name
        file.write_text(script.format(python=shlex.quote(str(python)), **more), encoding="utf-8")
        file.chmod(0o755)


def _attest(place: Place, inputs: Mapping[str, str]) -> Result:  # noqa: ARG001 every action is called alike
    """Checks what it is given as the original does. Nobody here could sign it, and it says so."""
    for name in ("subject-name", "subject-digest", "predicate-type", "predicate"):
        if not inputs.get(name):
            return Result().fail(f"Input required and not supplied: {name}")
    if not _DIGEST.fullmatch(inputs["subject-digest"]):
        return Result().fail('subject-digest must be in the format "sha256:<hex-digest>"')
    try:
        predicate = json.loads(inputs["predicate"])
    except ValueError as problem:
        return Result().fail(f"predicate is not JSON: {problem}")
    algorithm, _, value = inputs["subject-digest"].partition(":")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": inputs["subject-name"], "digest": {algorithm: value}}],
        "predicateType": inputs["predicate-type"],
        "predicate": predicate,
    }
    return Result(log=f"{json.dumps(statement)}\nThe sandbox cannot sign this; GitHub does.\n")


def _restore(place: Place, inputs: Mapping[str, str]) -> Result:
    """Never fails for want of an entry, as the original does not."""
    path, key = inputs.get("path", "").strip(), inputs.get("key", "")
    if problem := _problem_of_cache(path, key):
        return Result().fail(problem)
    prefixes = [line.strip() for line in inputs.get("restore-keys", "").splitlines() if line.strip()]
    refs = tuple(dict.fromkeys((place.ref, place.surroundings.default_ref)))
    found = _caches(place).restore(refs, path, key, prefixes, place.workspace / path)
    if found is None:
        return Result(log=f"Cache not found for input keys: {', '.join([key, *prefixes])}\n")
    outputs = {"cache-hit": str(found == key).lower(), "cache-primary-key": key, "cache-matched-key": found}
    return Result(log=f"Cache restored from key: {found}\n", outputs=outputs)


def _save(place: Place, inputs: Mapping[str, str]) -> Result:
    """Only warns of what it cannot keep, as the original does."""
    path, key = inputs.get("path", "").strip(), inputs.get("key", "")
    if problem := _problem_of_cache(path, key):
        return Result().fail(problem)
    if not (place.workspace / path).exists():
        return Result(log="##[warning]Path(s) specified in the action for caching do(es) not exist\n")
    if not _caches(place).save(place.ref, path, key, place.workspace / path):
        return Result(log=f"##[warning]Unable to reserve cache with key {key}, it exists already\n")
    return Result(log=f"Cache saved with key: {key}\n")


def _caches(place: Place) -> Caches:
    return Caches(place.surroundings.directory / "caches")


def _problem_of_cache(path: str, key: str) -> str | None:
    if not (path and key):
        return f"Input required and not supplied: {'key' if path else 'path'}"
    if "\n" in path or path.startswith(("/", "~")) or ".." in path or set(path) & set("*?["):
        return f"The sandbox keeps one file or folder of the workspace, not {path!r}."
    return "Key Validation Error: it cannot contain commas" if "," in key else None


_ACTIONS: dict[str, Callable[[Place, Mapping[str, str]], Result]] = {
    CHECKOUT: _checkout,
    APP_TOKEN: _app_token,
    PYTHON: _python,
    ATTEST: _attest,
    CACHE_RESTORE: _restore,
    CACHE_SAVE: _save,
    SETUP: _setup,
}

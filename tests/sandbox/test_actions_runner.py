"""The runner against a small forge: jobs, steps, secrets, environments, chaining. Git and bash are real."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from bot.errors import Misuse
from bot.sandbox.actions import EndlessEvents, Runner, UnsupportedWorkflow
from bot.sandbox.forge import Event, StepRun, WorkflowRun
from tests.processes import running

CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
SETUP_PYTHON = "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97"
APP_TOKEN = "actions/create-github-app-token@1b10c78c7865c340bc4f6099eb2f838309f1e8c3"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Permissions = Mapping[str, Literal["read", "write"]]


@dataclass
class SmallForge:
    """A queue of events and a bare repository; tokens are numbered."""

    root: Path
    repository: str = "acme/models"
    default_branch: str = "main"
    api_url: str = "http://127.0.0.1:1/api/v3"
    issued: list[tuple[str, Permissions | None, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    emitted: list[Event] = field(default_factory=list)
    runs: dict[int, WorkflowRun] = field(default_factory=dict)
    statuses: list[str] = field(default_factory=list)

    @property
    def server_url(self) -> str:
        return f"file://{self.root}"

    @property
    def git_directory(self) -> Path:
        return self.root / f"{self.repository}.git"

    def issue_token(self, login: str, permissions: Permissions | None = None) -> str:
        token = f"token-{len(self.issued)}-of-{login}"
        self.issued.append((login, permissions, token))
        return token

    def take_events(self) -> list[Event]:
        taken, self.events = self.events, []
        return taken

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.emitted.append(event)

    def record_run(self, run: WorkflowRun) -> None:
        self.runs[run.id] = run
        self.statuses.append(run.status)

    def next_run_id(self) -> int:
        return len(self.runs) + 1


@dataclass
class World:
    """A work tree whose `push` reaches the forge with its event."""

    forge: SmallForge
    runner: Runner
    tree: Path
    directory: Path

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
        command = ["git", *who, *arguments]
        done = subprocess.run(command, cwd=self.tree, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")

    def workflow(self, text: str, name: str = "some") -> None:
        self.write(f".github/workflows/{name}.yml", text)

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str = "main") -> str:
        """Commit everything, push it, and tell the forge."""
        before = self.git("ls-remote", "origin", f"refs/heads/{branch}").partition("\t")[0] or "0" * 40
        after = self.commit()
        self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        ref = f"refs/heads/{branch}"
        self.forge.emit(Event("push", {"before": before, "after": after, "ref": ref}, after, ref, "ann"))
        return after

    def run(self) -> WorkflowRun:
        """Push to main and return the one run that this starts."""
        self.push()
        (run,) = self.runner.settle()
        return run

    def steps(self) -> tuple[StepRun, ...]:
        return self.run().jobs[0].steps

    def pull_request(self, name: str, action: str, *, head: str, number: int = 1) -> Event:
        """An event of a pull request from `head` to main; its test merge is the head itself, one commit later."""
        base = self.git("ls-remote", "origin", "refs/heads/main").partition("\t")[0]
        merge = self.git("commit-tree", f"{head}^{{tree}}", "-p", base, "-p", head, "-m", "merge")
        self.git("push", "--quiet", "origin", f"+{merge}:refs/pull/{number}/merge")
        sides = {"head": {"sha": head, "ref": "feature"}, "base": {"sha": base, "ref": "main"}}
        payload: dict[str, Any] = {"action": action, "pull_request": {"number": number, "state": "open", **sides}}
        if name == "pull_request_target":
            return Event(name, payload, base, "refs/heads/main", "ann")
        return Event(name, payload, merge, f"refs/pull/{number}/merge", "ann")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    forge = SmallForge(tmp_path)
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(forge.git_directory)], check=True)
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(tree)], check=True)
    runner = Runner(
        forge,
        tmp_path / "runs",
        python=Path(sys.executable),
        pythons={"more.lock": tmp_path / "python-with-more"},
        variables={"COLOUR": "blue", "CLIENT": "Iv1"},
        secrets={"OPEN": "repository-secret", "KEY": "first line\nsecond line"},
        environments={"production": {"WRITER": "writer-secret"}},
        now=lambda: NOW,
        most_runs=20,
    )
    made = World(forge, runner, tree, tmp_path / "runs")
    made.git("remote", "add", "origin", str(forge.git_directory))
    yield made
    assert not [path for path in (tmp_path / "runs").glob("[0-9]*/*") if path.is_dir()], "a job left its directory"


def job(steps: str, more: str = "", on: str = "push") -> str:
    """A workflow with one job; `steps` and `more` are indented here."""
    lines = [f"on: {on}", "permissions: {}", "jobs:", "  one:", "    runs-on: ubuntu-latest"]
    lines += [f"    {line}" for line in textwrap.dedent(more).strip().splitlines()]
    lines += ["    steps:", *(f"      {line}" for line in textwrap.dedent(steps).strip().splitlines())]
    return "\n".join(lines) + "\n"


def test_run_is_recorded_and_announced(world: World) -> None:
    world.workflow("name: Some\n" + job("- run: echo hello"))
    sha = world.push()
    (run,) = world.runner.settle()
    assert (run.name, run.path, run.event) == ("Some", ".github/workflows/some.yml", "push")
    assert (run.head_sha, run.head_branch, run.actor) == (sha, "main", "ann")
    assert (run.status, run.conclusion, run.created_at) == ("completed", "success", NOW)
    assert run.jobs[0].steps == (StepRun("Run echo hello", 0, "hello\n"),)
    assert world.forge.statuses == ["in_progress", "completed"]
    assert world.forge.runs == {run.id: run}


def test_a_rerun_keeps_its_number_commit_and_workflow_file(world: World) -> None:
    echo = 'echo "$GITHUB_RUN_ID $GITHUB_RUN_ATTEMPT $GITHUB_SHA $GITHUB_ACTOR $GITHUB_TRIGGERING_ACTOR"'
    keep = "echo $GITHUB_RUN_ATTEMPT >> $GITHUB_STEP_SUMMARY"
    world.workflow(job(f"- run: {echo}\n- if: github.run_attempt == 1\n  run: {keep}"))
    old = world.push()
    (first,) = world.runner.settle()
    world.workflow(job("- run: echo of another file"))
    world.push()
    world.runner.settle()
    again = world.runner.rerun(first.id, "ben")
    assert [run.jobs[0].steps[0].log.split() for run in (first, again)] == [
        [str(first.id), "1", old, "ann", "ann"],
        [str(first.id), "2", old, "ann", "ben"],
    ]
    assert [run.jobs[0].summary.strip() for run in (first, again)] == ["1", ""]
    assert (again.id, again.attempt, again.actor, again.again_by) == (first.id, 2, "ann", "ben")
    assert world.forge.runs[first.id] == again
    with pytest.raises(Misuse, match="no run 999"):
        world.runner.rerun(999, "ben")


def test_exit_code_is_shown_and_the_rest_is_skipped(world: World) -> None:
    world.workflow(
        job(
            """
            - run: exit 7
            - run: echo never
            - if: failure()
              run: echo ${{ job.status }}
            - if: always()
              run: echo always
            """
        )
    )
    run = world.run()
    assert run.conclusion == "failure"
    assert run.jobs[0].conclusion == "failure"
    assert [step.exit_code for step in run.jobs[0].steps] == [7, None, 0, 0]
    assert run.jobs[0].steps[2].log == "failure\n"


def test_continue_on_error_keeps_the_outcome(world: World) -> None:
    world.workflow(
        job(
            """
            - id: fails
              continue-on-error: true
              run: exit 3
            - run: echo ${{ steps.fails.outcome }} ${{ steps.fails.conclusion }}
            """
        )
    )
    run = world.run()
    assert run.conclusion == "success"
    assert run.jobs[0].steps[0].exit_code == 3
    assert run.jobs[0].steps[1].log == "failure success\n"


@pytest.mark.parametrize(("shell", "exit_code"), [("shell: bash", 1), ("name: plain", 0)])
def test_only_an_explicit_shell_fails_on_a_pipe(world: World, shell: str, exit_code: int) -> None:
    world.workflow(job(f"- run: false | true\n  {shell}"))
    assert world.steps()[0].exit_code == exit_code


def test_variables_of_github(world: World) -> None:
    names = "ACTIONS WORKFLOW RUN_ID RUN_ATTEMPT REPOSITORY API_URL SERVER_URL SHA REF REF_NAME EVENT_NAME ACTOR"
    echo = "\n  ".join(f'echo "{name}=$GITHUB_{name}"' for name in names.split())
    world.workflow(
        "name: Some\n" + job(f"- run: |\n  {echo}\n  echo CI=$CI").replace("\n        echo", "\n          echo")
    )
    sha = world.push()
    (run,) = world.runner.settle()
    shown = dict(line.split("=", 1) for line in run.jobs[0].steps[0].log.splitlines())
    assert shown == {
        "ACTIONS": "true",
        "WORKFLOW": "Some",
        "RUN_ID": str(run.id),
        "RUN_ATTEMPT": "1",
        "REPOSITORY": "acme/models",
        "API_URL": world.forge.api_url,
        "SERVER_URL": world.forge.server_url,
        "SHA": sha,
        "REF": "refs/heads/main",
        "REF_NAME": "main",
        "EVENT_NAME": "push",
        "ACTOR": "ann",
        "CI": "true",
    }


def test_nothing_is_inherited_and_the_event_is_a_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "token-of-the-person")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "password-of-the-person")
    world.workflow(
        job(
            """
            - run: env | cut -d= -f1 | sort | grep -v -e ^GITHUB_ -e ^RUNNER_ | tr '\\n' ' '
            - run: echo "${GITHUB_TOKEN-none}"; test -d "$HOME"; test "$HOME" != ~root || exit 1
            - run: python3 -c 'import json, os; print(json.load(open(os.environ["GITHUB_EVENT_PATH"]))["ref"])'
            - run: test "$PWD" = "$GITHUB_WORKSPACE" && test -d "$RUNNER_TEMP" && test -z "$(ls -A)"
            """
        )
    )
    steps = world.steps()
    assert steps[0].log.split() == ["CI", "HOME", "LANG", "PATH", "PWD", "SHLVL", "_"]
    assert steps[1].log == "none\n"
    assert steps[2].log == "refs/heads/main\n"
    assert [step.exit_code for step in steps] == [0, 0, 0, 0]


def test_run_of_a_merge_belongs_to_the_merged_pull_request(world: World) -> None:
    world.workflow(job("- run: 'true'"))
    merge = world.push()
    world.forge.emit(world.pull_request("pull_request", "closed", head=merge))
    world.forge.events[-1].payload["pull_request"] |= {"merged": True, "merge_commit_sha": merge}
    (run,) = world.runner.settle()
    assert (run.event, run.pull_numbers) == ("push", (1,))
    assert world.forge.emitted[-1].payload["workflow_run"]["pull_requests"] == []


def test_environment_variables_outputs_and_paths_travel(world: World) -> None:
    world.workflow(
        job(
            """
            - id: first
              run: |
                echo "answer=4=2" >> "$GITHUB_OUTPUT"
                printf 'long<<END\\na\\nb\\nEND\\n' >> "$GITHUB_OUTPUT"
                echo "LATER=set" >> "$GITHUB_ENV"
                mkdir bin; echo 'echo tool' > bin/tool; chmod +x bin/tool
                echo "$PWD/bin" >> "$GITHUB_PATH"
            - env:
                A: step
                B: ${{ env.A }}
                LONG: ${{ steps.first.outputs.LONG }}
              run: |
                echo "$A $B $C $LATER ${{ steps.first.outputs.answer }}"
                echo "$LONG"
                tool
            """,
            more="env: {A: job, C: '${{ vars.COLOUR }}'}",
        )
    )
    assert world.steps()[1].log == "step job blue set 4=2\na\nb\ntool\n"


def test_broken_output_file_fails_the_step(world: World) -> None:
    world.workflow(job("- run: echo nonsense >> $GITHUB_OUTPUT"))
    (step,) = world.steps()
    assert step.exit_code == 1
    assert "write name=value" in step.log


def test_summaries_are_kept_without_secrets(world: World) -> None:
    world.workflow(job("- run: echo 'It is ${{ secrets.OPEN }}.' >> $GITHUB_STEP_SUMMARY"))
    run = world.run()
    assert (world.directory / str(run.id) / "one-1-summary.md").read_text() == "It is ***.\n"


def test_secrets_and_tokens_are_masked(world: World) -> None:
    world.workflow(
        job(
            """
            - name: Say ${{ secrets.OPEN }}
              env:
                KEY: ${{ secrets.KEY }}
                TOKEN: ${{ github.token }}
              run: |
                echo "${{ secrets.OPEN }}"; echo "$KEY" >&2; echo "$TOKEN"
                echo "$KEY" | tail -1
                echo "::add-mask::made up"; echo "it is made up"; echo "::error::shown"
            """
        )
    )
    (step,) = world.steps()
    assert step.name == "Say ***"
    assert step.log.splitlines() == [*["***"] * 4, "::add-mask::***", "it is ***", "::error::shown"]


def test_secrets_of_an_environment_are_seen_by_its_jobs_only(world: World) -> None:
    see = "- run: test -n '${{ secrets.WRITER }}' && echo seen || echo unseen"
    world.workflow(job(see))
    world.workflow(job(see, more="environment: production"), name="with")
    world.push()
    without, inside = world.runner.settle()
    assert without.jobs[0].steps[0].log == "unseen\n"
    assert inside.jobs[0].steps[0].log == "seen\n"


def test_environment_is_refused_on_another_branch(world: World) -> None:
    world.workflow(job("- run: echo ${{ secrets.WRITER }}", more="environment: production", on="workflow_dispatch"))
    world.push()
    world.runner.settle()
    world.workflow(job("- run: echo mine", more="environment: {name: production}"), name="mine")
    world.push("feature")
    (run,) = world.runner.settle()
    assert run.conclusion == "failure"
    (step,) = run.jobs[0].steps
    assert (step.name, step.exit_code) == ("Set up job", 1)
    assert '"refs/heads/feature" is not allowed to deploy to production' in step.log
    assert "mine" not in step.log


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        ("permissions: {contents: write, pull-requests: read}", {"contents": "write", "pull_requests": "read"}),
        ("env: {}", {}),
    ],
)
def test_github_token_has_the_permissions_of_the_job(world: World, permissions: str, expected: dict[str, str]) -> None:
    world.workflow(job("- run: 'true'", more=permissions))
    world.run()
    assert [(login, granted) for login, granted, _ in world.forge.issued] == [("github-actions[bot]", expected)]


def test_app_token(world: World) -> None:
    world.workflow(
        job(
            f"""
            - id: app
              uses: {APP_TOKEN}
              with:
                client-id: ${{{{ vars.CLIENT }}}}
                private-key: ${{{{ secrets.KEY }}}}
                permission-contents: write
                permission-pull-requests: read
            - run: test "${{{{ steps.app.outputs.token }}}}" = token-1-of-stagewright[bot]
            - run: echo "${{{{ steps.app.outputs.app-slug }}}} ${{{{ steps.app.outputs.token }}}}"
            """
        )
    )
    steps = world.steps()
    assert [step.exit_code for step in steps] == [0, 0, 0]
    assert steps[2].log == "stagewright ***\n"
    login, permissions, _ = world.forge.issued[1]
    assert (login, permissions) == ("stagewright[bot]", {"contents": "write", "pull_requests": "read"})


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("{client-id: a, private-key: '${{ secrets.MISSING }}'}", "not supplied: private-key"),
        ("{private-key: a}", "not supplied: client-id"),
        ("{client-id: a, private-key: a, permission-contents: all}", "write read or write"),
    ],
)
def test_app_token_refuses(world: World, inputs: str, said: str) -> None:
    world.workflow(job(f"- uses: {APP_TOKEN}\n  with: {inputs}"))
    (step,) = world.steps()
    assert step.exit_code == 1
    assert said in step.log


def checkout(more: str = "") -> str:
    return f"- uses: {CHECKOUT}\n  with:\n    persist-credentials: false\n{more}"


def test_checkout_of_the_event(world: World) -> None:
    world.commit()
    world.write("file", "content")
    world.workflow(
        job(
            checkout() + "- run: cat file; git rev-parse --abbrev-ref HEAD; git rev-list --count HEAD; "
            "git remote get-url origin; git config --get-regexp extraheader || echo no credentials"
        )
    )
    steps = world.steps()
    url = f"{world.forge.server_url}/acme/models.git"
    assert steps[1].log.split("\n") == ["contentmain", "1", url, "no credentials", ""]
    assert "token-" not in steps[0].log


def test_checkout_of_everything(world: World) -> None:
    world.commit()
    world.git("push", "--quiet", "origin", "HEAD:refs/heads/other")
    world.workflow(job(checkout("    fetch-depth: 0\n") + "- run: git rev-list --count HEAD; git branch -r"))
    assert world.steps()[1].log.split() == ["2", "origin/main", "origin/other"]


def test_checkout_of_another_ref_persists_credentials_unless_told(world: World) -> None:
    first = world.commit()
    world.git("push", "--quiet", "origin", "HEAD:refs/heads/other")
    world.workflow(
        job(
            f"- id: branch\n  uses: {CHECKOUT}\n  with: {{ref: other}}\n"
            "- run: git rev-parse HEAD; git config --get-regexp extraheader | cut -d' ' -f2-3\n"
            f"- uses: {CHECKOUT}\n  with: {{ref: {first}}}\n"
            "- run: git rev-parse HEAD; git rev-parse --abbrev-ref HEAD\n"
            "- run: echo ${{ steps.branch.outputs.commit }}"
        )
    )
    steps = world.steps()
    assert steps[1].log.split() == [first, "AUTHORIZATION:", "basic"]
    assert steps[3].log.split() == [first, "HEAD"]
    assert steps[4].log.split() == [first]


def test_checkout_of_a_ref_that_is_not_there_fails(world: World) -> None:
    world.workflow(job(checkout("    ref: nowhere\n") + "- run: echo never"))
    steps = world.steps()
    assert steps[0].exit_code == 1
    assert "'nowhere' is not in" in steps[0].log
    assert steps[1].exit_code is None


def test_setup_runs_the_program_of_the_checkout(world: World) -> None:
    world.write(".github/actions/setup/action.yml", "name: set up\n")
    world.write("bot/__init__.py", "")
    world.write("bot/__main__.py", "import sys\nprint('program of the checkout', sys.argv[1:])\n")
    world.workflow(
        job(
            checkout() + "- uses: ./.github/actions/setup\n"
            "- run: cd / && stagewright apply --now\n"
            "- run: python -c 'import sys; print(sys.version_info >= (3, 11))'; git status --porcelain"
        )
    )
    steps = world.steps()
    assert steps[2].log == "program of the checkout ['apply', '--now']\n"
    assert steps[3].log == "True\n"


def test_the_program_stays_the_one_that_the_setup_found(world: World) -> None:
    """As on GitHub, where it is installed: a checkout after the set-up brings files, and no other program."""
    world.write(".github/actions/setup/action.yml", "")
    world.write("bot/__init__.py", "")
    world.write("bot/__main__.py", "print('theirs')")
    theirs = world.commit()
    world.git("push", "--quiet", "origin", "HEAD:refs/heads/other")
    world.write("bot/__main__.py", "print('ours!!')")
    setup, other = "- uses: ./.github/actions/setup\n", f"- uses: {CHECKOUT}\n  with: {{ref: {theirs}}}\n"
    world.workflow(
        job(checkout() + setup + other + "- run: stagewright; cat bot/__main__.py\n" + setup + "- run: stagewright")
    )
    steps = world.steps()
    assert (steps[3].log, steps[5].log) == ("ours!!\nprint('theirs')", "theirs\n")


def test_a_program_is_compiled_once(world: World) -> None:
    world.write(".github/actions/setup/action.yml", "")
    world.write("bot/__init__.py", "")
    world.write("bot/part.py", "")
    world.write("bot/__main__.py", "import os, bot.part\nprint(os.stat(bot.part.__cached__).st_ctime_ns)\n")
    world.workflow(job(checkout() + "- uses: ./.github/actions/setup\n- run: stagewright"))
    first, second = (world.steps()[2].log for _ in range(2))
    assert int(first) == int(second)


def test_setup_takes_the_python_of_the_lock_that_is_asked_for(world: World, tmp_path: Path) -> None:
    python = tmp_path / "python-with-more"
    python.write_text("#!/bin/sh\necho with more\n", encoding="utf-8")
    python.chmod(0o755)
    for path in (".github/actions/setup/action.yml", "lean.lock", "more.lock"):
        world.write(path, "")
    setup = "- uses: ./.github/actions/setup\n  with:\n    lock: {}.lock\n- run: python -c 'print(6 * 7)'\n"
    world.workflow(job(checkout() + setup.format("lean") + setup.format("more")))
    steps = world.steps()
    assert (steps[2].log, steps[4].log) == ("42\n", "with more\n")


def test_setup_needs_the_lock_that_is_asked_for(world: World) -> None:
    world.write(".github/actions/setup/action.yml", "")
    world.workflow(job(checkout() + "- uses: ./.github/actions/setup\n  with:\n    lock: missing.lock\n"))
    assert world.steps()[1].exit_code == 1
    assert "File not found: `missing.lock`" in world.steps()[1].log


def test_setup_needs_a_checkout(world: World) -> None:
    world.workflow(job("- uses: ./.github/actions/setup"))
    (step,) = world.steps()
    assert step.exit_code == 1
    assert "Did you forget to run actions/checkout" in step.log


def test_setup_python_puts_it_on_the_path(world: World) -> None:
    use = f"- uses: {SETUP_PYTHON}\n  with:\n    python-version: '3.11'\n"
    world.workflow(job(use + "- run: for name in python python3 python3.11; do $name -c 'print(6 * 7)'; done"))
    assert world.steps()[-1].log == "42\n" * 3


ATTEST = "actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6"


def attesting(digest: str, predicate: str = "{}", name: str = "audit-log") -> str:
    given = (
        f"subject-name: {name}\n    subject-digest: {digest}\n    predicate-type: urn:x\n    predicate: '{predicate}'\n"
    )
    return f"- uses: {ATTEST}\n  with:\n    {given}"


def test_what_would_be_attested_is_shown_and_not_signed(world: World) -> None:
    world.workflow(job(attesting(f"sha256:{'a' * 64}")))
    (step,) = world.steps()
    assert step.exit_code == 0
    statement, said = step.log.splitlines()
    assert json.loads(statement)["subject"] == [{"name": "audit-log", "digest": {"sha256": "a" * 64}}]
    assert said == "The sandbox cannot sign this; GitHub does."


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (attesting("sha256:0"), "subject-digest must be in the format"),
        (attesting(f"sha256:{'a' * 64}", "no"), "predicate is not JSON"),
        (attesting(f"sha256:{'a' * 64}", name="''"), "Input required and not supplied: subject-name"),
    ],
)
def test_what_cannot_be_attested_fails(world: World, step: str, why: str) -> None:
    world.workflow(job(step))
    (done,) = world.steps()
    assert (done.exit_code, why in done.log) == (1, True)


CACHE = "55cc8345863c7cc4c66a329aec7e433d2d1c52a9"


@pytest.mark.parametrize(
    ("step", "exit_code", "says"),
    [
        ("save@{}\n  with: {{path: absent, key: k}}", 0, "##[warning]Path(s) specified in the action for caching"),
        ("save@{}\n  with: {{path: '', key: k}}", 1, "Input required and not supplied: path"),
        ("restore@{}\n  with: {{path: p, key: ''}}", 1, "Input required and not supplied: key"),
        ("restore@{}\n  with: {{path: ../p, key: k}}", 1, "The sandbox keeps one file or folder of the workspace"),
        ("restore@{}\n  with: {{path: 'p*', key: k}}", 1, "The sandbox keeps one file or folder of the workspace"),
        ("restore@{}\n  with: {{path: p, key: 'k,l'}}", 1, "Key Validation Error"),
        ("restore@{}\n  with: {{path: p, key: k, restore-keys: 'l'}}", 0, "Cache not found for input keys: k, l"),
    ],
)
def test_what_the_cache_says(world: World, step: str, exit_code: int, says: str) -> None:
    world.workflow(job("- uses: actions/cache/" + step.format(CACHE)))
    (done,) = world.steps()
    assert (done.exit_code, says in done.log) == (exit_code, True)


def test_a_key_of_the_cache_is_written_once_and_its_outputs_tell_which_was_found(world: World) -> None:
    world.workflow(
        job(
            f"- uses: actions/cache/restore@{CACHE}\n  id: cache\n  with: {{path: p, key: k-2, restore-keys: k-}}\n"
            "- run: echo ${{ steps.cache.outputs.cache-hit }} ${{ steps.cache.outputs.cache-matched-key }}; date > p\n"
            f"- uses: actions/cache/save@{CACHE}\n  with: {{path: p, key: k-1}}\n"
        )
    )
    _, _, saved = world.steps()
    assert saved.log == "Cache saved with key: k-1\n"
    restored, told, again = world.steps()
    assert (restored.log, told.log) == ("Cache restored from key: k-1\n", "false k-1\n")
    assert again.log == "##[warning]Unable to reserve cache with key k-1, it exists already\n"


def is_alive(process: str) -> bool:
    """A process that has ended and that nobody has asked about yet has no command line any more."""
    command = Path(f"/proc/{process}/cmdline")
    return command.exists() and bool(command.read_bytes())


def test_time_limit_ends_the_step_and_its_children(world: World) -> None:
    """A busy machine may not even begin the step within the limit, and nothing is left then either."""
    child = f"child-of-{world.directory}"
    step = f"- run: bash -c 'sleep 321; echo never' {child} & sleep 322\n- if: always()\n  run: echo late"
    world.workflow(job(step, more="timeout-minutes: 0.02"))
    steps = world.steps()
    assert steps[0].exit_code == 124
    assert "longer than its time limit" in steps[0].log
    assert running(child) == []


def test_a_process_left_behind_is_ended(world: World) -> None:
    world.workflow(job("- run: sleep 323 & echo $!"))
    (step,) = world.steps()
    assert step.exit_code == 0
    assert not is_alive(step.log.strip())


def test_working_directory(world: World) -> None:
    world.workflow(
        job("- run: mkdir sub\n- run: basename $PWD\n  working-directory: sub\n- run: ls\n  working-directory: no")
    )
    steps = world.steps()
    assert steps[1].log == "sub\n"
    assert steps[2].exit_code == 1
    assert "the working directory no does not exist" in steps[2].log


NEEDS = """\
on: push
jobs:
  first:
    runs-on: ubuntu-latest
    outputs: {answer: "${{ steps.a.outputs.answer }}"}
    steps:
      - {id: a, run: "echo answer=42 >> $GITHUB_OUTPUT"}
      - run: exit CODE
  second:
    needs: first
    runs-on: ubuntu-latest
    steps: [run: "echo ${{ needs.first.outputs.answer }}"]
  third:
    needs: [first, second]
    if: always()
    name: Third after ${{ needs.second.result }}
    runs-on: ubuntu-latest
    steps: [run: "echo ${{ toJSON(needs.first.result) }}"]
  fourth:
    needs: first
    if: failure()
    runs-on: ubuntu-latest
    steps: [run: "true"]
"""


@pytest.mark.parametrize(
    ("code", "conclusions", "name"),
    [
        ("0", ["success", "success", "success", "skipped"], "Third after success"),
        ("1", ["failure", "skipped", "success", "success"], "Third after skipped"),
    ],
)
def test_needs(world: World, code: str, conclusions: list[str], name: str) -> None:
    world.workflow(NEEDS.replace("CODE", code))
    run = world.run()
    assert [job.conclusion for job in run.jobs] == conclusions
    assert run.jobs[2].name == name
    assert run.conclusion == ("success" if code == "0" else "failure")
    if code == "0":
        assert run.jobs[1].steps[0].log == "42\n"


def test_filters_of_push(world: World) -> None:
    on = "{push: {branches: [main], paths: ['models/**']}}"
    world.workflow(job("- run: 'true'", on=on))
    world.push()
    assert world.runner.settle() == []
    world.write("models/a.yaml", "a: 1\n")
    world.push("feature")
    assert world.runner.settle() == []
    world.push()
    assert [run.event for run in world.runner.settle()] == ["push"]
    world.write("README.md", "no model")
    world.push()
    assert world.runner.settle() == []


@pytest.mark.parametrize(("on", "started"), [("push", 1), ("{push: {branches: ['**']}}", 0)])
def test_a_tag_passes_where_no_filter_is_about_branches(world: World, on: str, started: int) -> None:
    world.workflow(job("- run: echo $GITHUB_REF_TYPE $GITHUB_REF_NAME", on=on))
    world.push()
    world.runner.settle()
    world.git("tag", "--annotate", "--message", "first", "v1")
    world.git("push", "--quiet", "origin", "v1")
    tag = world.git("rev-parse", "v1")
    world.forge.emit(Event("push", {"before": "0" * 40, "after": tag}, tag, "refs/tags/v1", "ann"))
    logs = [run.jobs[0].steps[0].log for run in world.runner.settle()]
    assert logs == ["tag v1\n"] * started


def test_deleting_a_branch_starts_nothing(world: World) -> None:
    world.workflow(job("- run: 'true'"))
    sha = world.push()
    world.runner.settle()
    world.forge.emit(Event("push", {"before": sha, "after": "0" * 40}, sha, "refs/heads/feature", "ann"))
    assert world.runner.settle() == []


def test_filters_of_pull_requests(world: World) -> None:
    on = "{pull_request: {branches: [main], paths: [models/*]}, pull_request_review: , push: {branches-ignore: ['**']}}"
    world.workflow(job("- run: 'true'", on=on))
    world.push()
    world.write("README.md", "no model")
    head = world.commit()
    world.forge.emit(world.pull_request("pull_request", "opened", head=head))
    assert world.runner.settle() == []
    world.write("models/a.yaml", "a: 1\n")
    head = world.commit()
    world.forge.emit(world.pull_request("pull_request", "labeled", head=head))
    assert world.runner.settle() == []
    world.forge.emit(world.pull_request("pull_request", "synchronize", head=head))
    world.forge.emit(world.pull_request("pull_request_review", "dismissed", head=head))
    runs = world.runner.settle()
    assert [(run.event, run.head_sha, run.head_branch, run.pull_numbers) for run in runs] == [
        ("pull_request", head, "feature", (1,)),
        ("pull_request_review", head, "feature", (1,)),
    ]


def test_the_file_that_runs_depends_on_the_event(world: World) -> None:
    on = "[pull_request, pull_request_target]"
    say = "- run: echo {} ${{{{ github.ref }}}} $GITHUB_BASE_REF $GITHUB_HEAD_REF"
    world.workflow(job(say.format("base"), on=on))
    base = world.push()
    world.runner.settle()
    world.workflow(job(say.format("changed"), on=on))
    head = world.commit()
    for name in ("pull_request", "pull_request_target"):
        world.forge.emit(world.pull_request(name, "opened", head=head))
    own, target = world.runner.settle()
    assert own.jobs[0].steps[0].log == "changed refs/pull/1/merge main feature\n"
    assert target.jobs[0].steps[0].log == "base refs/heads/main main feature\n"
    assert own.head_sha == target.head_sha == head != base


def test_pull_request_with_a_conflict_starts_nothing(world: World) -> None:
    world.workflow(job("- run: 'true'", on="pull_request"))
    head = world.push()
    event = world.pull_request("pull_request", "opened", head=head)
    world.forge.emit(Event(event.name, event.payload, head, event.ref, event.actor))
    assert world.runner.settle() == []


def test_workflow_run_follows_with_the_file_of_the_default_branch(world: World) -> None:
    world.workflow("name: signal\n" + job("- run: exit 1", on="pull_request_review"), name="signal")
    follow = "on:\n  workflow_run:\n    workflows: [signal]\n    types: [completed]\njobs:\n  one:\n"
    say = "    runs-on: ubuntu-latest\n    steps: [run: 'echo {} ${{{{ toJSON(github.event.workflow_run.{}) }}}}']\n"
    world.workflow(follow + say.format("base", "conclusion"), name="follow")
    world.push()
    world.runner.settle()
    world.workflow(follow + say.format("changed", "id"), name="follow")
    head = world.commit()
    world.forge.emit(world.pull_request("pull_request_review", "submitted", head=head))
    signal, followed = world.runner.settle()
    assert (signal.event, signal.conclusion) == ("pull_request_review", "failure")
    assert (followed.event, followed.pull_numbers) == ("workflow_run", (1,))
    assert followed.head_sha != head
    assert followed.jobs[0].steps[0].log == "base failure\n"


def test_the_merge_queue_runs_the_file_of_what_it_would_merge(world: World) -> None:
    say = "- run: echo {} ${{{{ github.ref_name }}}}"
    world.workflow("name: queued\n" + job(say.format("base"), on="{merge_group: {branches: [main]}}"))
    heard = "- run: echo ${{ github.ref_name }} ${{ github.event.workflow_run.event }}"
    world.workflow(job(heard, on="{workflow_run: {workflows: [queued], types: [completed]}}"), name="follow")
    base = world.push()
    world.runner.settle()
    world.workflow("name: queued\n" + job(say.format("changed"), on="merge_group"))
    head = world.commit()
    ref = f"refs/heads/gh-readonly-queue/main/pr-1-{base}"
    world.git("push", "--quiet", "origin", f"HEAD:{ref}")
    group = {"head_sha": head, "head_ref": ref, "base_sha": base, "base_ref": "refs/heads/main"}
    for action in ("destroyed", "checks_requested"):
        world.forge.emit(Event("merge_group", {"action": action, "merge_group": group}, head, ref, "ann"))
    queued, followed = world.runner.settle()
    assert (queued.head_sha, queued.head_branch, queued.pull_numbers) == (head, ref.removeprefix("refs/heads/"), ())
    assert queued.jobs[0].steps[0].log == f"changed gh-readonly-queue/main/pr-1-{base}\n"
    assert followed.jobs[0].steps[0].log == "main merge_group\n"


def test_workflow_run_payload(world: World) -> None:
    world.workflow("name: signal\n" + job("- run: 'true'", on="pull_request_review"))
    world.push()
    head = world.commit()
    event = world.pull_request("pull_request_review", "submitted", head=head)
    world.forge.emit(event)
    (run,) = world.runner.settle()
    announced = world.forge.emitted[-1]
    assert announced.name == "workflow_run"
    assert announced.payload["repository"]["default_branch"] == "main"
    finished = announced.payload["workflow_run"]
    assert (finished["id"], finished["event"], finished["head_branch"]) == (run.id, "pull_request_review", "feature")
    base = event.payload["pull_request"]["base"]
    assert finished["pull_requests"] == [{"number": 1, "head": {"sha": head, "ref": "feature"}, "base": base}]


def test_endless_runs_raise(world: World) -> None:
    world.workflow(
        "name: self\n" + job("- run: 'true'", on="{push: , workflow_run: {workflows: [self], types: completed}}")
    )
    world.push()
    with pytest.raises(EndlessEvents, match="20 runs"):
        world.runner.settle()


DISPATCH = job(
    "- run: echo ${{ github.event_name }} ${{ inputs.models }} ${{ inputs.again && 'again' || 'once' }} $GITHUB_ACTOR",
    on="{schedule: [cron: '*/15 * * * *'], workflow_dispatch: {inputs: {models: {type: string, default: all}, "
    "again: {type: boolean}, count: {type: number, default: 1}, how: {type: choice, options: [a, b], default: a}}}}",
)


def test_trigger(world: World) -> None:
    world.workflow(DISPATCH)
    world.push()
    assert world.runner.settle() == []
    run = world.runner.trigger("some.yml", "workflow_dispatch", {"models": "a,b", "again": "true"}, actor="ann")
    assert run.jobs[0].steps[0].log == "workflow_dispatch a,b again ann\n"
    scheduled = world.runner.trigger(".github/workflows/some.yml", "schedule")
    assert scheduled.event == "schedule"
    assert scheduled.jobs[0].steps[0].log.startswith("schedule")


def test_dispatch_through_the_api_takes_the_file_of_its_ref(world: World) -> None:
    world.workflow(DISPATCH)
    world.push()
    world.workflow(job("- run: echo of the branch", on="workflow_dispatch"))
    sha = world.push("feature")
    world.runner.settle()
    payload = {"workflow": ".github/workflows/some.yml", "inputs": None, "ref": "refs/heads/feature"}
    world.forge.emit(Event("workflow_dispatch", payload, sha, "refs/heads/feature", "ann"))
    (run,) = world.runner.settle()
    assert run.jobs[0].steps[0].log == "of the branch\n"


@pytest.mark.parametrize(
    ("file", "event", "inputs", "said"),
    [
        ("none.yml", "schedule", {}, "There is no workflow .github/workflows/none.yml"),
        ("push.yml", "schedule", {}, "not started by schedule"),
        ("some.yml", "workflow_dispatch", {"model": "a"}, "no input model"),
        ("some.yml", "workflow_dispatch", {"how": "c"}, "'c' is no option of how"),
        ("must.yml", "workflow_dispatch", {}, "the input x is required"),
    ],
)
def test_trigger_refuses(
    world: World, file: str, event: Literal["schedule", "workflow_dispatch"], inputs: dict[str, str], said: str
) -> None:
    world.workflow(DISPATCH)
    world.workflow(job("- run: 'true'"), name="push")
    world.workflow(job("- run: 'true'", on="{workflow_dispatch: {inputs: {x: {required: true}}}}"), name="must")
    world.push()
    with pytest.raises(Misuse, match=said):
        world.runner.trigger(file, event, inputs)


def test_unknown_construct_in_any_file_raises(world: World) -> None:
    world.workflow(job("- run: 'true'"))
    world.workflow(job("- run: 'true'", more="strategy: {matrix: {a: [1]}}"), name="other")
    world.push()
    with pytest.raises(UnsupportedWorkflow, match=r"other\.yml:6: the key `strategy`"):
        world.runner.settle()


def test_expression_that_fails_fails_the_step(world: World) -> None:
    world.workflow(job("- run: echo ${{ fromJSON('no').a }}"))
    (step,) = world.steps()
    assert step.exit_code == 1
    assert "fromJSON() of text that is not JSON" in step.log

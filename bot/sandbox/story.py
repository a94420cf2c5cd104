"""The promotion loop as a story of numbered steps, each of which shows what it claims or stops the story.

Nothing in here decides: people press buttons, workflows run, and each step looks at the forge, at MLflow and at the
audit log, from outside, for what should be there.
"""

from __future__ import annotations

import json
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, Final, Literal

import requests

from bot.errors import Refused
from bot.sandbox.forge import WorkflowRun
from bot.sandbox.tampering import tampered_logs
from bot.sandbox.team import PEOPLE, Team, log_of
from bot.sandbox.training import SampleRegistry, train_candidate, train_samples

Fault = Literal["forge-merges-early", "apply-writes-nothing", "log-drops-entry"]
FAULTS: Final[tuple[Fault, ...]] = ("forge-merges-early", "apply-writes-nothing", "log-drops-entry")

CANCER: Final = "breast_cancer_classifier"
DIGITS: Final = "digit_classifier"
DIABETES: Final = "diabetes_regressor"


class StepFailed(Refused):
    """A step of the story did not show what it should."""


@dataclass
class Story:
    """Tells one loop. `echo` prints a line.

    `trained` are samples that are already in the registry; else they are trained, and a copy is kept in `snapshot`.
    """

    team: Team
    echo: Callable[[str], None]
    fault: Fault | None = None
    trained: SampleRegistry | None = None
    snapshot: Path | None = None
    title: str = ""
    shown: list[str] = field(default_factory=list)
    pulls: dict[str, int] = field(default_factory=dict)

    @property
    def slot(self) -> str:
        """The slot that the loop is about."""
        return "champion" if self.team.alias_only else "Production"

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Number a step, and name it when something in it goes wrong."""
        self.shown.append(title)
        self.title = f"Step {len(self.shown)}: {title}"
        self.echo(f"\n{self.title}\n{'-' * min(len(self.title), 80)}")
        yield

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self.echo(textwrap.fill(text, 80))

    def show(self, text: str) -> None:
        """Something that a person sees, as it is."""
        for line in text.strip("\n").splitlines():
            self.echo(f"    {line}")

    def show_wrapped(self, line: str) -> None:
        """A line that may be longer than a terminal is wide."""
        self.show(textwrap.fill(line, 76, subsequent_indent="    "))

    def expect(self, what: str, holds: object, seen: object = "") -> None:
        """Stop the story unless it holds."""
        if not holds:
            raise StepFailed(f"{self.title}\nExpected: {what}\nSeen: {seen}", fix="The loop is broken at this step.")
        self.echo(f"  ✓ {what}")

    # What steps look at

    def holding(self, model: str) -> list[int]:
        """The versions in the slot, asked from MLflow itself."""
        from mlflow import MlflowClient  # noqa: PLC0415 - slow to import, and only the sandbox needs it here

        client = MlflowClient(self.team.mlflow.url, registry_uri=self.team.mlflow.url)
        if self.team.alias_only:
            return [
                int(version)
                for alias, version in client.get_registered_model(model).aliases.items()
                if alias == self.slot
            ]
        return sorted(
            int(v.version) for v in client.search_model_versions(f"name='{model}'") if v.current_stage == self.slot
        )

    def move_by_hand(self, model: str, version: int) -> None:
        """What anybody can do in MLflow's own UI."""
        from mlflow import MlflowClient  # noqa: PLC0415 - see `holding`

        client = MlflowClient(self.team.mlflow.url, registry_uri=self.team.mlflow.url)
        if self.team.alias_only:
            client.set_registered_model_alias(model, self.slot, str(version))
        else:
            with warnings.catch_warnings():  # stages are deprecated; people who use them know
                warnings.simplefilter("ignore", FutureWarning)
                client.transition_model_version_stage(model, str(version), self.slot, archive_existing_versions=True)

    def entries(self) -> list[dict[str, Any]]:
        """The audit log's entries, read from the branch."""
        return [entry for content in self.team.log_segments().values() for entry in content]

    def last_entry(self, model: str, event: str) -> dict[str, Any]:
        """The newest entry of a kind for a model's slot; empty when there is none."""
        found = [e for e in self.entries() if (e["model"], e["slot"], e["event"]) == (model, self.slot, event)]
        return found[-1] if found else {}

    def open_proposals(self) -> dict[str, int]:
        """Model to number of the open pull requests of the bot."""
        found = {}
        for pull in self.team.read("pulls?state=open&per_page=100"):
            match = re.match(r"stagewright/([^/]+)/", pull["head"]["ref"])
            if match:
                found[match[1]] = int(pull["number"])
        return found

    def propose(self, login: str = "alice", again: bool = False) -> WorkflowRun:  # noqa: FBT001, FBT002 - as the button
        """Press "Run workflow" of propose.yml."""
        run = self.team.dispatch("propose.yml", login, {"again": "true"} if again else None)
        self.expect("the propose workflow ran green", run.conclusion == "success", log_of(run))
        return run

    def approve(self, number: int, *logins: str) -> None:
        """People approve, and the workflows run that follow from it."""
        for login in logins:
            answer = self.team.approve(login, number)
            self.expect(f"{login} approves #{number}", answer.ok, answer.text)
        self.team.runner.settle()

    def merge(self, login: str, *numbers: int) -> WorkflowRun:
        """Press the merge button of each; the first run of the apply workflow that follows."""
        for number in numbers:
            answer = self.team.merge(login, number)
            self.expect(f"{login} merges #{number}", answer.ok, answer.text)
        applies = [run for run in self.team.runner.settle() if run.name == "apply"]
        self.expect("merging triggers the apply workflow", applies)
        return applies[0]

    def body_table(self, number: int) -> str:
        """The comparison table of a pull request's body."""
        body = str(self.team.read(f"pulls/{number}")["body"])
        lines = [line for line in body.splitlines() if line.startswith("|")]
        heads = [number for number, line in enumerate(lines) if line.startswith("|---")]
        return "\n".join(lines[: heads[1] - 1 if len(heads) > 1 else None])


def tell(story: Story) -> None:
    """The whole loop after `prepare`. Raises StepFailed at the step that does not show what it should."""
    propose(story)
    decline(story)
    review(story)
    promote(story)
    roll_back(story)
    one_of_three(story)
    revert(story)
    look_back(story)
    distrust(story)


def tell_shortly(story: Story) -> None:
    """The loop after `prepare` without what does not depend on the kind of slot: propose, approve, merge, roll back."""
    propose(story)
    promote(story)
    revert_promotion(story, CANCER, to=1)
    look_back(story)


def prepare(story: Story) -> None:
    """Train, found the repository, begin the log, and let the first apply adopt what is."""
    team = story.team
    with story.step("a team trains models and begins to manage them in Git"):
        commit = team.found_repository()
        if story.trained is None:
            story.trained = train_samples(team.mlflow.url, git_commit=commit, progress=story.show_wrapped)
            if story.snapshot:
                team.mlflow.copy_to(story.snapshot)
        said = team.stagewright("ada", "audit", "init")
        story.expect("`stagewright audit init` begins the audit log", said.exit_code == 0, said.errors)
        team.push_to_main("ada", "Name the genesis of the audit log")
        team.protect()
        said = team.stagewright("ada", "validate")
        story.expect("`stagewright validate` finds nothing wrong", said.exit_code == 0, said.output + said.errors)
        run = next(run for run in team.runner.settle() if run.name == "apply")
        story.expect("the first apply is green", run.conclusion == "success", log_of(run))
        story.show(log_of(run))
        adopted = story.last_entry(CANCER, "adopted")
        story.expect(
            "it adopts what the registry holds, and moves nothing there",
            adopted.get("after", {}).get("version") == 1,
            adopted,
        )
    if story.fault == "forge-merges-early":
        team.forge.protect("main", required_approvals=1, allow_direct_push=False)
    if story.fault == "apply-writes-nothing":
        team.rewrite_main(".github/workflows/apply.yml", "run: stagewright apply", "run: stagewright apply --dry-run")


def propose(story: Story) -> None:
    """Exactly the pull requests that should be, and nothing new the second time."""
    team = story.team
    with story.step("the bot looks at the candidates and opens pull requests"):
        run = story.propose()
        story.show(log_of(run))
        story.pulls = story.open_proposals()
        expected = {CANCER, DIGITS, DIABETES}
        story.expect(
            "there is one pull request for each model with a winner", set(story.pulls) == expected, story.pulls
        )
        number = story.pulls[CANCER]
        pull = team.read(f"pulls/{number}")
        files = sorted(file["filename"] for file in team.read(f"pulls/{number}/files"))
        evidence = f"evidence/{CANCER}/v2-vs-v1"
        wanted = [f"{evidence}.json", f"{evidence}.svg", f"models/{CANCER}.yaml"]
        story.expect(
            f"#{number} is one commit with the edit, the evidence and the picture",
            (pull["commits"], files) == (1, wanted),
            files,
        )
        address = f"{team.forge.server_url}/{team.forge.repository}/blob/{pull['head']['sha']}/{evidence}.svg?raw=true"
        drawn = requests.get(address, timeout=30)
        story.expect("the body shows the picture", f"]({address})" in pull["body"] and "<svg" in drawn.text, address)
        patch = next(f["patch"] for f in team.read(f"pulls/{number}/files") if f["filename"].endswith(".yaml"))
        changed = [line for line in patch.splitlines() if line[:1] in "+-"]
        story.expect(
            "the edit changes one line, from version 1 to version 2",
            changed == [f"-  {story.slot}: 1", f"+  {story.slot}: 2"],
            changed,
        )
        ran = [run for run in team.forge.runs_of_pull(number) if (run.name, run.conclusion) == ("plan", "success")]
        told = [line for run in ran for line in log_of(run).splitlines() if line.startswith("::notice file=models/")]
        story.expect(
            "the plan workflow says at the line what merging it would do",
            any(line.endswith(f"{CANCER} {story.slot}: v1 → v2, promotion.") for line in told),
            told,
        )
        story.say(f"What a reviewer of #{number} sees first:")
        story.show(pull["title"])
        story.show(story.body_table(number))
        again = story.propose()
        story.expect(
            "a second run opens nothing new, and says so",
            story.open_proposals() == story.pulls and "already open" in log_of(again).lower(),
            log_of(again),
        )
        story.expect(
            "it looks only at what may have changed since the first, by the watermark that the cache kept",
            "there is no watermark" in " ".join(log_of(run).split())
            and "whose answer may have changed since" in " ".join(log_of(again).split()),
            log_of(again),
        )


def hand_over(story: Story) -> None:
    """After `propose`: what a person can do now, and where."""
    team, number = story.team, story.pulls[CANCER]
    others = ", ".join(f"#{other}" for other in sorted(story.pulls.values()) if other != number)
    with story.step("your turn"):
        story.say("Open these in a browser:")
        story.show(f"MLflow        {team.mlflow.url}/#/models/{CANCER}")
        story.show(f"Pull request  {team.page(f'pull/{number}')}")
        story.say(
            f"1. Read the comparison in #{number} ({others} are open too). alice asked for it: hers does not count."
        )
        story.say("2. Act as bob and approve, then as carol: the check `stagewright/approvals: main` turns green.")
        story.say("3. Merge. The apply workflow moves version 2 to Production; its log and result appear on the page.")
        story.say("4. Go on in another terminal, as alice:")
        story.show(f". {quote(_from_here(team.terminal('alice')))}")
        story.show(f"stagewright history {CANCER}")
        story.show(f'stagewright rollback {CANCER} --reason "wrong scores" --dry-run')
        story.say(f"People: {', '.join(f'{login} ({role})' for login, role in PEOPLE)}. Ctrl+C stops everything.")


def _from_here(file: Path) -> str:
    """As short as a person here can type it; a shell looks for a bare name elsewhere."""
    here = Path.cwd()
    return f"./{file.relative_to(here)}" if file.is_relative_to(here) else str(file)


def decline(story: Story) -> None:
    """A pull request that a person closed is not opened again, unless asked to."""
    team = story.team
    with story.step("a person declines a proposal"):
        number = story.pulls[DIABETES]
        team.close_pull("bob", number)
        run = story.propose()
        story.expect(
            f"#{number}, closed by bob, is not opened again",
            DIABETES not in story.open_proposals(),
            story.open_proposals(),
        )
        story.expect(
            "and the bot says that it was declined",
            f"#{number}" in log_of(run) and "declined" in log_of(run),
            log_of(run),
        )
        story.propose(again=True)
        story.pulls = story.open_proposals()
        story.expect("`--again` proposes it once more", story.pulls.get(DIABETES, number) != number, story.pulls)


def review(story: Story) -> None:
    """None, the requester's, one, two approvals; merging is refused until the policy is satisfied."""
    team = story.team
    with story.step("reviewers approve, and the policy counts"):
        number = story.pulls[CANCER]
        said = team.stagewright("alice", "approvals", str(number))
        story.expect(
            "without approvals: not approved, and who could approve is named",
            said.exit_code == 1 and "bob" in said.output and "carol" in said.output,
            said.output + said.errors,
        )
        answer = team.merge("bob", number)
        story.expect("the forge refuses to merge", answer.status_code == 405, answer.text)
        story.show(str(answer.json().get("message")))
        story.approve(number, "alice")
        said = team.stagewright("alice", "approvals", str(number))
        story.expect(
            "alice asked for this change: her approval is discarded, with the reason",
            said.exit_code == 1 and "asked for this change" in said.output,
            said.output,
        )
        story.approve(number, "bob")
        state, description = team.status(number)
        story.expect(
            "with bob: 1 of 2, posted as a commit status",
            state == "pending" and "1 of 2" in description,
            (state, description),
        )
        answer = team.merge("bob", number)
        story.expect("the forge still refuses to merge", answer.status_code == 405, answer.text)
        story.approve(number, "carol")
        state, description = team.status(number)
        story.expect("with carol: approved", state == "success", (state, description))
        said = team.stagewright("alice", "approvals", str(number))
        story.show(said.output)


def promote(story: Story) -> None:
    """Merge, apply, and everything that has to be true afterwards."""
    team = story.team
    with story.step("merging changes the registry, and the log says why"):
        number = story.pulls[CANCER]
        if team.status(number)[0] != "success":
            story.approve(number, "bob", "carol")
        run = story.merge("bob", number)
        story.expect("the apply workflow is green", run.conclusion == "success", log_of(run))
        story.show(log_of(run))
        story.expect(
            f"MLflow has version 2 in {story.slot}, and nothing else",
            story.holding(CANCER) == [2],
            story.holding(CANCER),
        )
        if story.fault == "log-drops-entry":
            team.drop_last_entry()
        entry = story.last_entry(CANCER, "applied")
        mandate = entry.get("mandate") or {}
        story.expect(
            "the log has `intended` and `applied`", story.last_entry(CANCER, "intended") and entry, story.entries()[-2:]
        )
        who = (
            mandate["pull_request"],
            mandate["author"],
            mandate["requester"],
            tuple(mandate["approvers"]),
            mandate["merged_by"],
        )
        story.expect(
            "with pull request, author, requester, approvers and merger",
            who == (number, "stagewright[bot]", "alice", ("bob", "carol"), "bob"),
            who,
        )
        complete = mandate["head_sha"] and mandate["evidence"] and mandate["policy_commit"] and entry["run"]
        story.expect("head, evidence digest, policy commit and the run's address", complete, entry)
        story.show(json.dumps(entry, indent=2))
        comments = [comment["body"] for comment in team.read(f"issues/{number}/comments")]
        story.expect(
            "the pull request got a comment with the result", any("applied" in c.lower() for c in comments), comments
        )
        story.show(comments[-1].partition("\n")[2])
        said = team.stagewright("ada", "audit", "verify")
        story.expect("`stagewright audit verify` passes", said.exit_code == 0, said.output + said.errors)


def roll_back(story: Story) -> None:
    """An engineer edits the YAML by hand; a push after the approvals makes them stale."""
    team = story.team
    with story.step("an engineer rolls back by editing YAML"):
        path = f"models/{CANCER}.yaml"

        def back(folder: Path) -> None:
            _replace(folder / path, f"{story.slot}: 2", f"{story.slot}: 1")

        team.branch_with("alice", "back-to-1", back, f"Roll {CANCER} back to version 1")
        said = team.stagewright("alice", "plan")
        story.expect(
            "`stagewright plan` shows the rollback before anybody is asked",
            said.exit_code == 0 and "rollback" in said.output,
            said.output + said.errors,
        )
        story.show(said.output)
        number = team.open_pull("alice", "back-to-1", f"Roll {CANCER} back to version 1", "Wrong scores at night.")
        team.runner.settle()
        answer = team.approve("alice", number)
        story.expect("the forge does not let the author approve", answer.status_code == 422, answer.text)
        story.approve(number, "bob", "carol")
        story.expect("bob and carol approve: approved", team.status(number)[0] == "success", team.status(number))
        team.push_more(
            "alice", "back-to-1", lambda folder: _append(folder / path, "# see the incident report\n"), "Say why"
        )
        team.runner.settle()
        said = team.stagewright("alice", "approvals", str(number))
        story.expect(
            "a push after that makes both approvals stale", said.exit_code == 1 and "stale" in said.output, said.output
        )
        story.approve(number, "bob", "carol")
        run = story.merge("carol", number)
        story.expect("the apply workflow is green", run.conclusion == "success", log_of(run))
        story.expect(f"MLflow has version 1 in {story.slot} again", story.holding(CANCER) == [1], story.holding(CANCER))
        entry = story.last_entry(CANCER, "applied")
        story.expect("the log calls it a rollback", entry["kind"] == "rollback", entry)
        (older,) = [run for run in team.forge.runs_of_pull(story.pulls[CANCER]) if run.name == "apply"]
        again = team.runner.rerun(older.id, "bob")
        story.expect(
            "running the apply of the promotion again puts nothing back",
            again.conclusion == "success"
            and story.holding(CANCER) == [1]
            and story.last_entry(CANCER, "applied") == entry,
            log_of(again),
        )
        run = story.propose()
        text = " ".join(log_of(run).split())
        story.expect(
            "the bot does not propose version 2 again, and says why",
            CANCER not in story.open_proposals() and "rolled back" in text,
            log_of(run),
        )


def one_of_three(story: Story) -> None:
    """Three merges, one of them onto a slot that somebody moved by hand."""
    team = story.team
    trained = story.trained
    if trained is None:
        raise StepFailed("The samples were not trained.")
    with story.step("three changes at once, one of which cannot be applied"):
        version = train_candidate(team.mlflow.url, CANCER, git_commit=team.git("ada", "rev-parse", "HEAD"))
        story.propose()
        story.pulls = story.open_proposals()
        story.expect(f"the bot proposes the new version {version} of {CANCER}", CANCER in story.pulls, story.pulls)
        numbers = [story.pulls[model] for model in (CANCER, DIABETES, DIGITS)]
        for number in numbers:
            story.approve(number, "bob", "carol")
        story.say(f"Before they are merged, somebody moves {DIGITS} to version 3 in MLflow, past Git.")
        story.move_by_hand(DIGITS, 3)
        run = story.merge("bob", *numbers)
        story.show(log_of(run))
        story.expect(
            "apply says no for one of them, so the run is red with exit code 1",
            run.jobs[0].steps[-1].exit_code == 1,
            log_of(run),
        )
        story.expect(
            "the other two are applied",
            (story.holding(CANCER), story.holding(DIABETES)) == ([version], [2]),
            (story.holding(CANCER), story.holding(DIABETES)),
        )
        story.expect(f"{DIGITS} is left as it is", story.holding(DIGITS) == [3], story.holding(DIGITS))
        refused = story.last_entry(DIGITS, "refused")
        story.expect(
            "the refusal is in the log, with its way out",
            refused.get("guard") == "drift" and "apply" in refused["reason"],
            refused,
        )
        comments = [comment["body"] for comment in team.read(f"issues/{story.pulls[DIGITS]}/comments")]
        story.expect("and on its pull request", any("refused" in c.lower() for c in comments), comments)
        story.say("Somebody puts version 1 back in MLflow, and runs apply again.")
        story.move_by_hand(DIGITS, 1)
        run = team.dispatch("apply.yml", "bob")
        story.expect(
            "the rerun applies the third", run.conclusion == "success" and story.holding(DIGITS) == [2], log_of(run)
        )


def revert(story: Story) -> None:
    """The same road with `git revert`."""
    revert_promotion(story, DIGITS, to=1)


def revert_promotion(story: Story, model: str, *, to: int) -> None:
    """`git revert` of the merge that promoted a model."""
    team = story.team
    with story.step(f"an engineer rolls {model} back with git revert"):
        merge = story.last_entry(model, "applied")["mandate"]["merge_sha"]
        team.clone("alice")
        team.git("alice", "checkout", "--quiet", "-B", "revert")
        team.git("alice", "revert", "--no-edit", "--mainline", "1", merge)
        team.git("alice", "push", "--quiet", "origin", "HEAD:refs/heads/revert")
        number = team.open_pull("alice", "revert", f"Revert the promotion of {model}")
        team.runner.settle()
        story.approve(number, "bob", "carol")
        run = story.merge("bob", number)
        story.expect("the apply workflow is green", run.conclusion == "success", log_of(run))
        story.expect(
            f"MLflow has version {to} in {story.slot} again", story.holding(model) == [to], story.holding(model)
        )
        entry = story.last_entry(model, "applied")
        story.expect("the log calls it a rollback", entry["kind"] == "rollback", entry)
        run = story.propose()
        text = " ".join(log_of(run).split())
        held = model not in story.open_proposals() and "rolled back" in text
        story.expect("the bot does not propose it again, and says why", held, log_of(run))


def look_back(story: Story) -> None:
    """History, a moment in it, and a log that shows when somebody tampered with it."""
    team = story.team
    with story.step("anybody can ask what was in production, and trust the answer"):
        team.clone("alice")
        said = team.stagewright("alice", "history", CANCER)
        story.expect(
            "`stagewright history` lists every period",
            said.exit_code == 0 and "bob, carol" in said.output,
            said.output + said.errors,
        )
        story.show(said.output)
        for event, kind, version in (("adopted", "adoption", 1), ("applied", "promotion", 2)):
            entry = next(e for e in story.entries() if (e["model"], e["event"], e["kind"]) == (CANCER, event, kind))
            said = team.stagewright("alice", "--format", "json", "history", CANCER, "--at", entry["time"])
            then = {period["identity"]["version"] for period in said.json()["periods"]}
            story.expect(f"`--at {entry['time']}` says that it was version {version}", then == {version}, said.output)
        said = team.stagewright("alice", "audit", "verify")
        story.expect("`stagewright audit verify` passes", said.exit_code == 0, said.output + said.errors)
        story.show(said.output)


def distrust(story: Story) -> None:
    """Tamper with the log, one way after the other."""
    team = story.team
    with story.step("somebody tampers with the audit log"):
        for what, number in tampered_logs(team):
            said = team.stagewright("alice", "audit", "verify", "--no-github", with_github=False)
            text = " ".join(said.output.split())
            story.expect(
                f"it fails on an entry that was {what}, naming entry {number}",
                said.exit_code == 1 and f"entry {number}" in text,
                said.output + said.errors,
            )


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise StepFailed(f"{file.name} does not say {old!r}.")
    file.write_text(text.replace(old, new), encoding="utf-8")


def _append(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(line)

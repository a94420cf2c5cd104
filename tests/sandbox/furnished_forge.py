"""A forge with something on each kind of page, all of it hostile: what others write tries to be more than text."""

from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from bot.sandbox.forge import Forge, JobRun, StepRun, WorkflowRun
from tests.sandbox.forge_client import APP, commit_files, repository

RLO: Final = "\u202e"
SCRIPT: Final = "<script>window.executed=1</script>"
IMAGE: Final = "<img/src=x/onerror=window.executed=2>"
NAME: Final = f"{SCRIPT}|`@bob`{RLO}gnp"
BRANCH: Final = f"promote/{IMAGE}{RLO}"
FILE: Final = f"models/{IMAGE}{RLO}&'\"#?%.yaml"
BODY: Final = f"""{SCRIPT}

<img src=x onerror="window.executed=3"> <svg onload="window.executed=4"></svg> <style>body {{ display: none }}</style>
[a link](javascript:window.executed=5) <a href="javascript:window.executed=6">another</a> <b onclick="x()">bold</b>
<iframe src="https://elsewhere.invalid"></iframe> ![picture](https://elsewhere.invalid/picture.png)
<form action="https://elsewhere.invalid"><input name="as" value="bob"><button>Win</button></form>
<details open ontoggle="window.executed=7"><summary>More</summary>inside</details> {RLO}backwards

| metric | {"a very wide column " * 6} |
|---|--:|
| `x` | {"1234567890" * 12} |

```html
{SCRIPT} {"a long line of code " * 12}
```
"""

HOSTILE_SVG: Final = """<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100" onload="window.executed=9">
<style>@import "https://elsewhere.invalid/style.css";
@media (prefers-color-scheme: dark){rect{fill:#00f!important}}</style>
<rect width="200" height="100" style="fill: #f00"/><script>window.executed=10</script>
<image href="https://elsewhere.invalid/picture.png" width="9" height="9"/>
<a href="javascript:window.executed=11"><text y="50">press me</text></a>
<foreignObject><img xmlns="http://www.w3.org/1999/xhtml" src="data:x" onerror="window.executed=12"/></foreignObject>
</svg>
"""


def furnish(forge: Forge) -> dict[str, str]:
    """Make pull requests, an issue and runs; the path of a page of each kind, by a name for it."""
    app, bob = repository(forge, APP), repository(forge, "bob")
    main = app.get_branch("main").commit.sha
    head = commit_files(app, main, {FILE: f"{SCRIPT}\n{RLO}x\n{'wide ' * 80}\n", "models/a.yaml": "a: 1\n"}, NAME)
    app.create_git_ref(f"refs/heads/{BRANCH}", head)
    files = {"a.bin": "\0", "b.md": BODY, "c.svg": HOSTILE_SVG}
    app.create_git_ref("refs/heads/merged", commit_files(app, main, files, f"{NAME}\n\n{SCRIPT}"))
    pull = app.create_pull(base="main", head=BRANCH, title=NAME, body=BODY)
    pull.add_to_labels(NAME)
    pull.create_issue_comment(BODY)
    bob.get_pull(1).create_review(event="REQUEST_CHANGES", body=BODY)
    status = app.get_commit(head).create_status
    status("pending", target_url="javascript:window.executed=8", description=NAME, context=NAME)
    status("success", target_url="https://elsewhere.invalid/", description="fine", context="ci")
    merged = app.create_pull(base="main", head="merged", title="Merged", body="")
    merged.merge()
    issue = bob.create_issue(NAME, BODY)
    issue.create_comment(BODY)
    bob.create_git_ref("refs/heads/own", commit_files(bob, main, {"own.md": "own"}, "Own"))
    drawn = f"{forge.server_url}/{forge.repository}/blob/main/c.svg?raw=true"
    own = bob.create_pull(base="main", head="own", title="Bob's own", body=f"![picture]({drawn})")
    failed = StepRun(NAME, 7, f"{SCRIPT}\n\x1b[31mred\x1b[0m {RLO}\n{'a long line ' * 40}")
    job = JobRun(NAME, "failure", (StepRun("skipped", None, ""), failed), summary=BODY)
    _record(forge, 1, head, "completed", "failure", (job,))
    _record(forge, 2, head, "in_progress", None, ())
    return {
        "repository": "",
        "tree": f"/tree/{_quoted(BRANCH)}/models",
        "blob": f"/blob/{head}/{_quoted(FILE)}",
        "binary": "/blob/main/a.bin",
        "picture": "/blob/main/c.svg",
        "commits": "/commits",
        "commit": f"/commit/{head}",
        "compare": f"/compare/main...{_quoted(BRANCH)}",
        "pulls": "/pulls?state=all",
        "pull": "/pull/1?still",
        "pull-running": "/pull/1",
        "pull-own": f"/pull/{own.number}?still",
        "pull-merged": "/pull/2?still",
        "pull-commits": "/pull/1/commits",
        "pull-files": "/pull/1/files",
        "issues": "/issues",
        "issue": f"/issues/{issue.number}?still",
        "actions": "/actions?still",
        "run": "/actions/runs/1",
        "run-running": "/actions/runs/2?still",
        "person": "/../../bob",
        "app": "/../../apps/stagewright",
        "missing": "/nothing",
    }


def _quoted(text: str) -> str:
    return quote(text, safe="/")


def _record(
    forge: Forge, number: int, head: str, status: str, conclusion: str | None, jobs: tuple[JobRun, ...]
) -> None:
    forge.record_run(
        WorkflowRun(
            id=number,
            name=NAME,
            path=".github/workflows/apply.yml",
            event="push",
            head_sha=head,
            head_branch=BRANCH,
            status=status,
            conclusion=conclusion,
            jobs=jobs,
            pull_numbers=(1,),
            actor="bob",
            created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
    )

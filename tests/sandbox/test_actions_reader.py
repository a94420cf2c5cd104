"""Reading workflow files: what is known is read, what is not is refused with its line."""

from __future__ import annotations

import pytest

from bot.sandbox.actions import UnsupportedWorkflow
from bot.sandbox.actions.patterns import selects
from bot.sandbox.actions.reader import read_workflow

FILE = ".github/workflows/some.yml"
SHA = "3d3c42e5aac5ba805825da76410c181273ba90b1"

WHOLE = f"""\
name: some
on:
  push:
    branches: [main]
permissions: {{}}
env:
  A: ${{{{ github.sha }}}}
concurrency:
  group: some
  cancel-in-progress: false
jobs:
  second:
    name: Second
    needs: [first]
    if: needs.first.result == 'success'
    runs-on: ubuntu-latest
    permissions:
      contents: read
      issues: none
    environment:
      name: production
      deployment: false
    timeout-minutes: 5
    outputs:
      answer: ${{{{ steps.one.outputs.answer }}}}
    steps:
      - name: One
        id: one
        if: always()
        shell: bash
        working-directory: .
        continue-on-error: true
        env:
          B: ${{{{ secrets.B }}}}
        run: echo hello
  first:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@{SHA} # v7
        with:
          ref: main
"""


def test_reads_every_known_key() -> None:
    workflow = read_workflow(FILE, WHOLE)
    assert [job.id for job in workflow.jobs] == ["first", "second"]
    first, second = workflow.jobs
    assert first.permissions == {}
    assert second.permissions == {"contents": "read"}
    assert first.timeout_minutes == 360
    assert first.steps[0].uses == "actions/checkout"
    assert second.steps[0].pipefail
    assert second.steps[0].continue_on_error
    assert second.environment is not None
    assert second.environment.text == "production"
    assert workflow.triggers["push"].branches == ("main",)


@pytest.mark.parametrize("on", ["push", "[push, pull_request]", "{push: }"])
def test_reads_every_form_of_on(on: str) -> None:
    workflow = read_workflow(FILE, f"on: {on}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [run: ls]\n")
    assert "push" in workflow.triggers
    assert workflow.name == FILE


@pytest.mark.parametrize(
    ("old", "new", "line", "construct"),
    [
        ("name: some\n", "nome: some\n", 1, "the key `nome`"),
        ("name: some\n", "defaults: {}\nname: some\n", 1, "the key `defaults`"),
        ("  push:\n    branches: [main]\n", "  gollum:\n", 3, "the key `gollum` of on"),
        ("branches: [main]", "paths-ignore: [x]", 4, "the key `paths-ignore`"),
        ("branches: [main]", "branches: ['v?']", 4, "the pattern `v?`"),
        ("  push:", "  pull_request:\n    types: [polished]\n  push:", 4, "the type `polished`"),
        ("  push:", "  merge_group:\n    paths: [x]\n  push:", 4, "the key `paths`"),
        ("  push:", "  merge_group:\n    types: [destroyed]\n  push:", 4, "the type `destroyed`"),
        ("  push:", "  workflow_run:\n    workflows: [x]\n  push:", 3, "workflow_run without"),
        ("  push:", "  schedule:\n    - cron: often\n  push:", 3, "the schedule `often`"),
        ("  push:", "  workflow_dispatch:\n    inputs:\n      x: {type: environment}\n  push:", 5, "the input type"),
        ("    name: Second", "    strategy: {}", 13, "the key `strategy`"),
        ("    timeout-minutes: 5", "    timeout-minutes: soon", 23, "`timeout-minutes` that is no positive number"),
        ("needs: [first]", "needs: [third]", 12, "`needs` of the job `second`"),
        ("runs-on: ubuntu-latest\n    permissions", "runs-on: macos-15\n    permissions", 16, "the runner `macos-15`"),
        ("contents: read", "contents: all", 18, "the level `all`"),
        ("contents: read", "content: read", 18, "the key `content`"),
        ("name: production", "url: x", 21, "the key `url`"),
        ("        shell: bash", "        shell: pwsh", 30, "the shell `pwsh`"),
        ("        id: one", "        id: 1 one", 28, "the id `1 one`"),
        ("        run: echo hello", "        with: {a: b}\n        run: echo", 35, "`with` beside `run`"),
        ("        run: echo hello", "        timeout-minutes: 1", 35, "the key `timeout-minutes`"),
        ("        if: always()", "        if: secrets.B == ''", 29, "the context `secrets` at this place"),
        ("        if: always()", "        if: ${{ 1 }} && 1", 29, "mixes text"),
        ("run: echo hello", "run: echo ${{ success() }}", 35, "the function `success` outside `if`"),
        ("run: echo hello", "run: echo ${{ matrix.x }}", 35, "the context `matrix`"),
        ("run: echo hello", "run: echo ${{ hashFiles('x') }}", 35, "the function `hashFiles`"),
        ("run: echo hello", "run: echo ${{ job.container }}", 35, "the property `job.container`"),
        ("run: echo hello", "run: echo ${{ github.action_path }}", 35, "the property `github.action_path`"),
        ("A: ${{ github.sha }}", "A: ${{ steps.x }}", 7, "the context `steps` at this place"),
        (f"actions/checkout@{SHA}", "actions/checkout@v7", 39, "the action `actions/checkout@v7`"),
        (f"actions/checkout@{SHA} # v7", f"actions/setup-python@{SHA}", 41, "the key `ref` of `with`"),
        ("actions/checkout@", "actions/cache@", 39, "the action `actions/cache@"),
        (f"actions/checkout@{SHA}", "./.github/actions/other", 39, "the action `./.github/actions/other`"),
        ("          ref: main", "          path: sub", 41, "the key `path` of `with`"),
        ("name: some\n", "name: [some]\n", 1, "`name` of the workflow that is no scalar"),
        ("    branches: [main]", "    branches: [1]", 4, "`branches` that is no list of texts"),
        ("branches: [main]", "branches: [a]\n    branches-ignore: [b]", 3, "`branches` with `branches-ignore`"),
        ("  push:\n    branches: [main]\n", "  [push, gollum]\n", 2, "the event `gollum`"),
        ("cancel-in-progress: false", "cancel-in-progress: maybe", 10, "`cancel-in-progress` that is not true"),
        ("  group: some\n", "", 8, "concurrency without `group`"),
        ("        run: echo hello", "        shell: bash", 35, "broken YAML (found duplicate key"),
        ("        run: echo hello", "", 27, "a step without exactly one of"),
        ("    steps:\n      - uses", "    needs: []\n    stepz:\n      - uses", 39, "the key `stepz`"),
        ("      - name: One", "      - one\n      - name: One", 27, "a step that is not a mapping"),
        ("name: some\n", "name: \x00\n", 1, "broken YAML"),
        ("name: some\n", "name: some\nname: again\n", 2, "broken YAML (found duplicate key"),
        ("name: some\n", "name: [\n", 3, "broken YAML"),
    ],
)
def test_refuses_with_file_line_and_construct(old: str, new: str, line: int, construct: str) -> None:
    assert old in WHOLE
    with pytest.raises(UnsupportedWorkflow) as raised:
        read_workflow(FILE, WHOLE.replace(old, new, 1))
    assert construct in raised.value.construct
    assert str(raised.value).startswith(f"{FILE}:{line}: ")
    assert raised.value.fix


@pytest.mark.parametrize("text", ["", "a list: 1\n", "on: push\n", "- on\n"])
def test_refuses_what_is_no_workflow(text: str) -> None:
    with pytest.raises(UnsupportedWorkflow):
        read_workflow(FILE, text)


@pytest.mark.parametrize(
    ("patterns", "name", "kept"),
    [
        (["main"], "main", True),
        (["main"], "main2", False),
        (["releases/*"], "releases/1", True),
        (["releases/*"], "releases/1/a", False),
        (["models/**"], "models/a/b.yaml", True),
        (["models/**"], "models.md", False),
        (["**/README.md"], "README.md", True),
        (["**/README.md"], "docs/README.md", True),
        (["**.js"], "a/b.js", True),
        (["**", "!docs/**"], "docs/x", False),
        (["**", "!docs/**", "docs/keep"], "docs/keep", True),
    ],
)
def test_patterns(patterns: list[str], name: str, kept: bool) -> None:
    assert selects(patterns, name) is kept

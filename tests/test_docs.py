"""The documents for people: every command in them exists, every path in them is there, and the tables are complete."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import click
import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from bot.cli import cli
from bot.core import approval_policy, spec
from bot.core.approval import weakening
from bot.core.drift import Code
from bot.core.guards import GUARDS
from bot.core.sharding import shard_of
from bot.documents import parse_approval_policy, parse_audit_anchor, parse_model, parse_promotion_policy
from bot.sandbox.actions.expressions import Scope, evaluate
from bot.sandbox.actions.reader import read_workflow

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_COMMAND = re.compile(r"stagewright [a-z][^`|#\n]*")


def _commands(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`(stagewright [^`\n]+)`", text)
    yield from (found[0].strip() for line in [*lines, *spans] if (found := _COMMAND.match(line)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_in_the_documents_parses(page: Path) -> None:
    for command in _commands(page):
        _parse(command)


def _parse(command: str) -> None:
    words = [re.sub(r"[\[\]]|\.\.\.", "", word) for word in shlex.split(command)[1:]]
    group: click.Command = cli
    while isinstance(group, click.Group):
        name = words.pop(0)
        found = group.get_command(click.Context(group), name)
        assert found is not None, f"{command!r}: there is no command {name!r}"
        group = found
        if not words:
            return
    known = {option for parameter in group.params for option in parameter.opts}
    for word in words:
        if word.startswith("--"):
            assert word in known, f"{command!r}: there is no option {word}"


def test_the_check_of_commands_can_fail() -> None:
    with pytest.raises(AssertionError, match="no option"):
        _parse("stagewright plan --nonsense")
    with pytest.raises(AssertionError, match="no command"):
        _parse("stagewright nonsense")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_anchor_is_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert anchor in _anchors(page.parent / target if target else page), f"{page.name} links to #{anchor}"


def _rows(page: str, heading: str = "") -> list[tuple[str, ...]]:
    """The cells of the tables' rows on a page, below a heading and before the next one of any level."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if heading:
        assert text.count(f"\n{heading}\n") == 1, f"{page}: expected the heading {heading!r} once"
        text = re.split(r"\n#+ ", text.partition(f"\n{heading}\n")[2])[0]
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("| `")]
    return [tuple(cell.strip() for cell in line.split(" | ")) for line in lines]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _leaves(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _form(name: str, command: click.Command) -> str:
    """A command as the README shows it, from its declaration."""
    words = ["stagewright", name]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            shown = _value(parameter).strip("[]") + ("..." if parameter.nargs == -1 else "")
            words.append(shown if parameter.required else f"[{shown}]")
        elif isinstance(parameter, click.Option) and not parameter.hidden:
            value = "" if parameter.is_flag else f" {_value(parameter)}"
            option = f"{parameter.opts[-1]}{value}"
            words.append(option if parameter.required else f"[{option}]")
    return " ".join(words)


def _value(parameter: click.Parameter) -> str:
    return parameter.metavar or str(parameter.name).upper()


def test_the_readme_has_the_commands_and_their_options_and_no_others() -> None:
    listed = [_code(row[0])[0] for row in _rows("README.md", "## Commands") if "stagewright" in row[0]]
    assert listed == [_form(name, command) for name, command in _leaves(cli)]


def test_the_readme_names_the_options_before_a_command() -> None:
    (sentence,) = re.findall(
        r"Before the command: (.*?)\n\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    named = set(re.findall(r"(?<![\w-])--?[a-z]+", sentence))
    own = {option for parameter in cli.params for option in parameter.opts}
    assert named == own | {"--help"}


def test_the_readme_lists_the_exit_codes_of_the_program() -> None:
    listed = {row[0] for row in _table_below("README.md", "| exit code | means |")}
    returns = [node.value for node in ast.walk(_source("bot/cli/ending.py")) if isinstance(node, ast.Return)]
    codes = {str(value.value) for value in returns if isinstance(value, ast.Constant) and type(value.value) is int}
    assert {"2", "3", "130"} <= codes
    assert listed == codes | {"0", "1"}


def _table_below(page: str, head: str) -> list[list[str]]:
    table = (ROOT / page).read_text(encoding="utf-8").partition(f"{head}\n")[2].partition("\n\n")[0]
    assert table, f"{page}: expected the table {head!r}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def test_setup_lists_the_variables_that_the_program_reads_and_no_others() -> None:
    modules = [path.relative_to(ROOT) for path in (ROOT / "bot").rglob("*.py")]
    trees = [_source(str(path)) for path in modules if not path.is_relative_to("bot/sandbox")]
    texts = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    variable = re.compile(r"_?(GITHUB|MLFLOW|STAGEWRIGHT|DATABRICKS)_[A-Z0-9_]+|CI|NO_COLOR|TERM")
    read = {text for text in texts if isinstance(text, str) and variable.fullmatch(text)}
    listed = {name for row in _rows("docs/setup.md", "## What the program reads") for name in _code(row[0])}
    assert listed == read
    assert set(variable_names((ROOT / "README.md").read_text(encoding="utf-8"))) <= listed


def variable_names(text: str) -> list[str]:
    """The environment variables that a page names."""
    return re.findall(r"`((?:GITHUB|MLFLOW|STAGEWRIGHT)_[A-Z_]+)[=`]", text)


def _source(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


HEADINGS: dict[type[BaseModel], str] = {
    spec.ModelSpec: "## The model's file",
    spec.Promotion: "### `promotion`",
    spec.Criterion: "### `promotion.criteria`",
    spec.Acknowledgement: "### `promotion.acknowledged`",
    spec.StricterNoise: "### `promotion.noise`",
    spec.Hold: "### `holds`",
    spec.PromotionPolicy: "## `policies/promotion.yaml`",
    spec.NoisePolicy: "### `noise`",
    spec.ExampleTable: "### `noise.examples`",
    spec.ExampleColumn: "### `noise.examples.metrics`",
    spec.ComparabilityRules: "### `comparability`",
    spec.EligibilityRules: "### `eligibility`",
    approval_policy.ApprovalPolicy: "## `policies/approvals.yaml`",
    approval_policy.ApprovalRule: "### `rules`",
    approval_policy.When: "### `rules[].when`",
    approval_policy.Require: "### `rules[].require`",
    approval_policy.Freeze: "### `freeze`",
    approval_policy.Weekly: "### `freeze[].weekly`",
    approval_policy.Days: "### `freeze[].days`",
    approval_policy.BreakGlass: "### `break_glass`",
    spec.AuditAnchor: "## `policies/audit.yaml`",
}
FORMS = (spec.Follows, spec.FromStage, spec.NewerThan, spec.WithAlias, spec.WithTags)
"""Mappings with one key, which the page shows as they are written."""


def _key(name: str, field: Any) -> str:
    return str(field.alias or name)


def _within(annotation: Any, seen: tuple[Any, ...] = ()) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        yield annotation
        for field in annotation.model_fields.values():
            yield from _within(field.annotation, (*seen, annotation))
    for part in get_args(annotation):
        yield from _within(part, seen)


def test_every_kind_of_mapping_in_the_files_has_its_place_on_the_page() -> None:
    documents = (spec.ModelSpec, spec.PromotionPolicy, approval_policy.ApprovalPolicy, spec.AuditAnchor)
    reachable = {found for document in documents for found in _within(document)}
    assert reachable - {spec.Margin} == {*HEADINGS, *FORMS}  # a margin is written as one number or percentage


@pytest.mark.parametrize("document", HEADINGS, ids=lambda document: document.__name__)
def test_every_key_of_the_files_is_listed_with_what_it_may_be(document: type[BaseModel]) -> None:
    rows = [row for row in _rows("docs/model-file.md", HEADINGS[document]) if len(row) == 4]
    assert [_code(row[0]) for row in rows] == [[_key(*field)] for field in document.model_fields.items()]
    for (_, field), (key, kind, default, meaning) in zip(document.model_fields.items(), rows, strict=True):
        assert kind
        assert meaning == field.description, f"{key}: an editor explains it in other words, from {document.__name__}"
        assert (default == "required") is field.is_required(), key
        if isinstance(field.default, int | str) and not isinstance(field.default, bool) and field.default:
            assert default == f"`{field.default}`", key


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_short_form_is_shown(form: type[BaseModel]) -> None:
    page = (ROOT / "docs" / "model-file.md").read_text(encoding="utf-8")
    for name, field in form.model_fields.items():
        assert f"`{{{_key(name, field)}: " in page
    if form is not spec.Follows:
        (meaning,) = re.findall(rf"^\| `{{{_key(name, field)}: [^|]*\| (.*) \|$", page, re.MULTILINE)
        assert meaning == field.description


def test_the_examples_of_the_files_have_no_finding() -> None:
    page = (ROOT / "docs" / "model-file.md").read_text(encoding="utf-8")
    examples = (text.encode() for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    model, promotion, approvals, four_eyes, audit = examples
    assert parse_approval_policy("policies/approvals.yaml", four_eyes).findings == ()
    assert parse_model("models/churn.yaml", model).findings == ()
    assert parse_promotion_policy("policies/promotion.yaml", promotion).findings == ()
    assert parse_approval_policy("policies/approvals.yaml", approvals).findings == ()
    assert parse_audit_anchor("policies/audit.yaml", audit).findings == ()


def test_the_example_of_adopting_has_no_finding() -> None:
    section = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8").partition("## 5. Adopt what is")[2]
    (example,) = re.findall(r"```yaml\n(schema_version.*?)```", section, re.DOTALL)
    assert parse_model("models/churn.yaml", example.encode()).findings == ()


@pytest.mark.parametrize(
    ("changed", "runs"), [("", False), ("[]", False), ('[{"model": "churn", "slot": "Production"}]', True)]
)
@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_the_example_of_a_deployment_job_runs_when_a_version_entered_a_slot(
    changed: str, runs: bool, outcome: Literal["success", "failure"]
) -> None:
    page = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(  deploy:.*?)```", page, re.DOTALL)
    apply = (ROOT / ".github" / "workflows" / "apply.yml").read_text(encoding="utf-8")
    *_, deploy = read_workflow(".github/workflows/apply.yml", apply + example).jobs
    scope = Scope({"needs": {"apply": {"outputs": {"changed": changed}}}}, outcome)
    assert bool(evaluate(deploy.condition, scope)) is runs


def _texts(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def _given(paths: list[str], positions: dict[str, int], keyword: str = "") -> set[str]:
    """The texts that the code at `paths` gives to these functions at these positions, or by a keyword."""
    found: set[str] = set()
    for call in (node for path in paths for node in ast.walk(_source(path)) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        place = positions.get(name)
        if place is not None and len(call.args) > place:
            found.update(_texts(call.args[place]))
        found.update(text for each in call.keywords if each.arg == keyword for text in _texts(each.value))
    return found


def _propose_job(text: str) -> dict[str, Any]:
    job: dict[str, Any] = YAML(typ="safe", pure=True).load(text)["jobs"]["propose"]
    return job


def _said(script: str, environment: dict[str, str]) -> list[str]:
    """The words that a script gives to `stagewright`, with bash itself and in its place a function."""
    command = ["bash", "-euc", f'stagewright() {{ printf "%s\\n" "$@"; }}\n{script}']
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_matrix_of_propose_looks_at_each_model_once_with_a_watermark_per_shard() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(jobs:\n.*?)```", page, re.DOTALL)
    shards = []
    for number in _propose_job(block)["strategy"]["matrix"]["shard"]:
        recall, propose, keep = _propose_job(block.replace("${{ matrix.shard }}", str(number)))["steps"]
        assert recall["with"]["key"].startswith(recall["with"]["restore-keys"])
        assert (f"-{number}-of-4-" in recall["with"]["restore-keys"], keep["with"]["key"]) == (
            True,
            recall["with"]["key"],
        )
        shard = propose["env"]["SHARD"]
        said = _said(propose["run"], {"SHARD": shard, "MODELS": "", "FULL": "--full", "AGAIN": ""})
        assert said == ["propose", "--shard", shard, "--watermark", recall["with"]["path"], "--full", "--"]
        shards.append(shard_of(shard))
    assert all(sum(one.covers(f"model{number}") for one in shards if one) == 1 for number in range(50))


def test_the_steps_of_the_matrix_are_those_of_the_workflow() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(jobs:\n.*?)```", page, re.DOTALL)
    workflow = (ROOT / ".github" / "workflows" / "propose.yml").read_text(encoding="utf-8")
    real = {step["name"]: step for step in _propose_job(workflow)["steps"]}
    for step in _propose_job(block)["steps"]:
        assert step.get("uses") == real[step["name"]].get("uses")
        assert step.get("with", {}).get("path") == real[step["name"]].get("with", {}).get("path")


def test_every_refusal_of_apply_is_listed_and_no_other() -> None:
    by_plan = _given(["bot/core/plan.py", "bot/core/guards.py"], {"Refusal": 1, "_refusal": 1})
    assert {"drift", "too-many"} <= by_plan
    listed = [_code(row[0])[0] for row in _rows("docs/refusals.md", "## What apply refuses")]
    assert len(listed) == len(set(listed))
    assert set(listed) == by_plan | {name for name, _ in GUARDS}


def test_every_code_of_drift_is_listed_and_no_other() -> None:
    listed = [_code(row[0])[0] for row in _rows("docs/refusals.md", "## What drift finds")]
    assert sorted(listed) == sorted(get_args(Code))


def test_every_finding_is_listed_and_no_other() -> None:
    documents = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "bot" / "documents").glob("*.py"))
    makers = {"Problem": 1, "Spot": 1, "Finding": 3, "unfit": 0}
    core = ("checks", "spec", "strict", "approval_policy", "policy_tests", "approval/staffing")
    given = _given([*(f"bot/core/{name}.py" for name in core), *documents], makers, "custom_error_type")
    given |= {weakening.CODE}
    assert {"tab", "unknown-stage", "unknown-candidates", "missing-file", "no-aliases", "refused-alias"} <= given
    sections = ("### In the text", "### In the values", "### In a model's file", "### In the policies and across files")
    listed = [_code(row[0])[0] for section in sections for row in _rows("docs/refusals.md", section)]
    assert len(listed) == len(set(listed))
    assert set(listed) == given


def test_make_has_every_target_that_the_documents_name() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"\bmake ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert {"demo", "test"} <= named & targets
    assert {word for word in named if f"`make {word}`" in _all_text() or f"$ make {word}" in _all_text()} <= targets


def _all_text() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


@dataclass(frozen=True)
class Line:
    """One command of a console line: `$ A=b stagewright plan | jq` has two."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)


def console_lines() -> Iterator[Line]:
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ "):
                    yield from (Line(page.name, words) for words in _separate(line.removeprefix("$ ")))


def _separate(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    for is_operator, words in itertools.groupby(lexer, lambda word: set(word) <= set(";&|")):
        if not is_operator:
            yield tuple(itertools.takewhile(lambda word: word != ">", words))


ELSEWHERE = ("export", "gh", "make", "stagewright")
"""The shell's own; GitHub's, which need not be here; and what other tests look at: make's targets, and our commands."""


@pytest.mark.parametrize("line", dict.fromkeys(console_lines()), ids=str)
def test_each_line_of_a_console_can_be_typed(line: Line) -> None:
    inner = (re.sub(r"^[A-Za-z_]+=\$\(", "", word) for word in line.words)
    words = list(itertools.dropwhile(lambda word: re.match(r"[A-Za-z_]+=", word), inner))
    if not words or words[0] in ELSEWHERE:
        return
    if words[0] == "git":
        said = subprocess.run(["git", words[1], "-h"], capture_output=True, text=True, check=False)
        assert "usage: git" in said.stdout + said.stderr, f"{line.page}: git has no command {words[1]!r}"
        return
    program = ROOT / words[0] if "/" in words[0] else shutil.which(words[0])
    assert Path(program or "nowhere").exists(), f"{line.page}: there is no {words[0]}"
    assert all((ROOT / word).exists() for word in words[1:] if "/" in word), f"{line.page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_line_of_a_console_is_one_of_a_shell(page: Path) -> None:
    for block in re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        typed = "\n".join(line.removeprefix("$ ") for line in block.splitlines())
        done = subprocess.run(["bash", "-n", "-c", typed], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{page.name}: {typed}\n{done.stderr}"

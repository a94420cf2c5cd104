"""What GitHub Actions is told, in the forms of its page on workflow commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters.actions_output import ActionsOutput
from bot.core.results import Note
from bot.errors import CouldNotTell, Finding

LIMIT = 1024 * 1024


def finding(**changes: object) -> Finding:
    values: dict[str, object] = {
        "file": "models/demand.yaml",
        "line": 3,
        "column": 9,
        "code": "wrong-type",
        "message": "Found true.",
        "fix": "Write a number.",
    }
    return Finding(**(values | changes))  # type: ignore[arg-type]  # each test changes one of them


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }


class TestAnnotations:
    def test_the_form(self) -> None:
        (line,) = ActionsOutput({"GITHUB_ACTIONS": "true"}).annotations([finding()])
        assert line == ("::error file=models/demand.yaml,line=3,col=9,title=wrong-type::Found true. Write a number.")

    def test_a_warning_is_one(self) -> None:
        (line,) = ActionsOutput({"GITHUB_ACTIONS": "true"}).annotations([finding(severity="warning")])
        assert line.startswith("::warning file=")

    def test_what_is_no_problem_is_a_notice(self) -> None:
        note = Note("models/demand.yaml", 5, 15, "promotion", "v3 → v5", "", "notice")
        lines = ActionsOutput({"GITHUB_ACTIONS": "true"}).annotations([note] * 11)
        assert lines == ["::notice file=models/demand.yaml,line=5,col=15,title=promotion::v3 → v5"] * 10

    def test_nothing_in_a_text_ends_the_command_or_begins_another(self) -> None:
        hostile = finding(file="models/a,b:c.yaml", message="100%\r\n::set-output name=x::y", fix="")
        (line,) = ActionsOutput({"GITHUB_ACTIONS": "true"}).annotations([hostile])
        assert "file=models/a%2Cb%3Ac.yaml,line=3" in line
        assert line.endswith("::100%25%0D%0A::set-output name=x::y")
        assert "\n" not in line

    def test_ten_of_each_kind_since_github_shows_no_more(self) -> None:
        many = [finding(line=number) for number in range(1, 15)]
        warnings = [finding(line=number, severity="warning") for number in range(1, 15)]
        lines = ActionsOutput({"GITHUB_ACTIONS": "true"}).annotations([*many, *warnings])
        assert [line.partition(" ")[0] for line in lines] == ["::error"] * 10 + ["::warning"] * 10
        assert "line=1," in lines[0]

    def test_an_error_of_the_whole_job(self) -> None:
        assert ActionsOutput({"GITHUB_ACTIONS": "true"}).error("50%\nof it") == ["::error::50%25%0Aof it"]


class TestSummary:
    def test_is_appended(self, files: dict[str, str]) -> None:
        actions = ActionsOutput(files)
        actions.summarize("# Größe\n")
        actions.summarize("More")
        assert Path(files["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8") == "# Größe\n\nMore\n\n"

    def test_is_cut_where_github_would_drop_all_of_it(self, files: dict[str, str]) -> None:
        actions = ActionsOutput(files)
        actions.summarize("x" * (LIMIT - 4))
        actions.summarize("ö" * 100)
        content = Path(files["GITHUB_STEP_SUMMARY"]).read_bytes()
        assert len(content) <= LIMIT
        assert content.decode("utf-8").endswith("x\n\nö")
        actions.summarize("y")
        assert len(Path(files["GITHUB_STEP_SUMMARY"]).read_bytes()) <= LIMIT


class TestOutputs:
    def read(self, path: str) -> dict[str, object]:
        """As the runner reads the file: name, delimiter, lines up to the delimiter."""
        lines = iter(Path(path).read_text(encoding="utf-8").splitlines())
        found: dict[str, object] = {}
        for line in lines:
            name, _, end = line.partition("<<")
            value = []
            for inner in lines:
                if inner == end:
                    break
                value.append(inner)
            found[name] = json.loads("\n".join(value))
        return found

    def test_are_json_that_the_runner_reads_back(self, files: dict[str, str]) -> None:
        values = {"changed": [{"model": "a\nrefused<<end\ntrue\nend", "version": 5}], "refused": False}
        ActionsOutput(files).outputs(values)
        ActionsOutput(files).outputs({"more": None})
        assert self.read(files["GITHUB_OUTPUT"]) == values | {"more": None}

    def test_no_delimiter_twice(self, files: dict[str, str]) -> None:
        ActionsOutput(files).outputs(dict.fromkeys("abc", 1))
        lines = Path(files["GITHUB_OUTPUT"]).read_text().splitlines()
        assert len({line.partition("<<")[2] for line in lines if "<<" in line}) == 3


class TestElsewhere:
    def test_outside_of_github_actions_nothing_is_said_or_written(self, files: dict[str, str]) -> None:
        for environment in ({}, {name: value for name, value in files.items() if name != "GITHUB_ACTIONS"}):
            actions = ActionsOutput(environment)
            assert not actions.is_active
            assert actions.annotations([finding()]) == []
            assert actions.error("no") == []
            actions.summarize("no")
            actions.outputs({"no": 1})
        assert not Path(files["GITHUB_STEP_SUMMARY"]).exists()
        assert not Path(files["GITHUB_OUTPUT"]).exists()

    def test_a_runner_that_names_no_file(self) -> None:
        actions = ActionsOutput({"GITHUB_ACTIONS": "true"})
        actions.summarize("no")
        actions.outputs({"no": 1})
        assert actions.is_active


@pytest.mark.parametrize(
    ("variable", "say"),
    [
        ("GITHUB_STEP_SUMMARY", lambda actions: actions.summarize("yes")),
        ("GITHUB_OUTPUT", lambda actions: actions.outputs({"yes": 1})),
    ],
)
def test_a_full_disk_is_said_with_the_file_that_could_not_be_written(
    files: dict[str, str], variable: str, say: Callable[[ActionsOutput], None]
) -> None:
    with pytest.raises(CouldNotTell, match=f"{variable} names could not be written: No space left on device. What was"):
        say(ActionsOutput({**files, variable: "/dev/full"}))

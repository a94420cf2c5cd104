"""Reading all documents of a tree: what may lie in models/, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bot.documents import read_models, read_repository
from bot.errors import HistoryUnavailable

MODEL = b"schema_version: 1\nname: %s\nstages: {Production: 1}\n"
POLICIES = {
    "policies/promotion.yaml": b"schema_version: 1\n",
    "policies/approvals.yaml": b"schema_version: 1\n"
    b'rules: [{name: a, when: {paths: ["**"]}, require: {approvals: 1}}]\n',
    "policies/audit.yaml": b"schema_version: 1\ngenesis: null\n",
}


class FilesInMemory:
    """A tree of one commit; None stands for something that is no regular file, an error for one that `read` refuses."""

    def __init__(self, files: Mapping[str, bytes | HistoryUnavailable | None]) -> None:
        self.files = files

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        assert commit == "c0ffee"
        return sorted(path for path in self.files if path.startswith(f"{folder}/"))

    def read(self, commit: str | None, path: str) -> bytes | None:
        assert commit == "c0ffee"
        content = self.files.get(path)
        if isinstance(content, HistoryUnavailable):
            raise content
        return content

    def read_many(
        self, commit: str | None, paths: Iterable[str]
    ) -> Iterator[tuple[str, bytes | HistoryUnavailable | None]]:
        assert commit == "c0ffee"
        return ((path, self.files.get(path)) for path in paths)


def codes(files: Mapping[str, bytes | HistoryUnavailable | None]) -> list[tuple[str, str]]:
    repository = read_repository(FilesInMemory(files), "c0ffee")
    assert all(finding.message and finding.fix for finding in repository.findings)
    return [(finding.file, finding.code) for finding in repository.findings]


def test_a_whole_repository() -> None:
    files = {**POLICIES, "models/x.yaml": MODEL % b"x", "models/a%2Fb.yaml": MODEL % b"a/b", "models/README.md": b"#"}
    repository = read_repository(FilesInMemory(files), "c0ffee")
    assert repository.findings == repository.errors == ()
    assert sorted(repository.models) == ["a/b", "x"]
    assert repository.promotion is not None
    assert repository.promotion.value.max_open_proposals == 10
    assert repository.approvals is not None
    assert repository.approvals.value.rules[0].name == "a"
    assert repository.audit is not None
    assert repository.audit.value.genesis is None


def test_no_models_is_fine() -> None:
    assert codes({**POLICIES}) == []


def test_what_may_not_lie_in_models() -> None:
    files = {
        **POLICIES,
        "models/.gitkeep": b"",
        "models/.cache/x": b"",
        "models/README.md": b"",
        "models/a.yml": MODEL % b"a",
        "models/b.YAML": MODEL % b"b",
        "models/folder/c.yaml": MODEL % b"c",
        "models/folder/d.yaml": MODEL % b"d",
        "models/notes.txt": b"",
        "models/two\nlines.yaml": MODEL % b"e",
    }
    repository = read_repository(FilesInMemory(files), "c0ffee")
    assert [(f.file, f.code) for f in repository.findings] == [
        ("models/a.yml", "unexpected-file"),
        ("models/b.YAML", "unexpected-file"),
        ("models/folder", "unexpected-file"),
        ("models/notes.txt", "unexpected-file"),
        ("models/two\\nlines.yaml", "unexpected-file"),
    ]
    assert repository.models == {}
    assert repository.findings[0].fix == "Rename it to 'a.yaml'."
    assert repository.errors == repository.findings


def test_links_are_not_followed() -> None:
    refused = HistoryUnavailable("models/x.yaml is a symbolic link to /etc/passwd.")
    assert codes({**POLICIES, "models/x.yaml": refused}) == [("models/x.yaml", "not-a-file")]
    assert codes({**POLICIES, "models/x.yaml": None}) == [("models/x.yaml", "not-a-file")]
    assert codes({**POLICIES, "models/link": None}) == [("models/link", "unexpected-file")]
    assert codes({**POLICIES, "policies/audit.yaml": refused}) == [("policies/audit.yaml", "not-a-file")]


def test_names_that_differ_by_case_only() -> None:
    files = {**POLICIES, "models/Foo.yaml": MODEL % b"Foo", "models/foo.yaml": MODEL % b"foo"}
    assert codes(files) == [("models/foo.yaml", "files-differ-by-case")]


def test_missing_and_broken_policies() -> None:
    files = {"policies/promotion.yaml": b"schema_version: 2\n", "policies/audit.yaml": b"genesis: ["}
    repository = read_repository(FilesInMemory(files), "c0ffee")
    assert (repository.promotion, repository.approvals, repository.audit) == (None, None, None)
    assert [(f.file, f.line, f.column, f.code) for f in repository.findings] == [
        ("policies/approvals.yaml", 1, 1, "missing-file"),
        ("policies/audit.yaml", 1, 11, "yaml-syntax"),
        ("policies/promotion.yaml", 1, 17, "unknown-value"),
    ]


def test_a_broken_model_leaves_the_others() -> None:
    files = {"models/x.yaml": MODEL % b"y", "models/z.yaml": MODEL % b"z"}
    models = read_models(FilesInMemory(files), "c0ffee")
    assert sorted(models.documents) == ["z"]
    assert [(f.file, f.line, f.code) for f in models.findings] == [("models/x.yaml", 2, "name-differs-from-file")]


def test_warnings_are_no_errors() -> None:
    text = (MODEL % b"x") + b"holds: [{version: 1, slot: old, reason: r}]\n"
    repository = read_repository(FilesInMemory({**POLICIES, "models/x.yaml": text}), "c0ffee")
    assert [f.code for f in repository.findings] == ["hold-not-managed"]
    assert repository.errors == ()
    assert sorted(repository.models) == ["x"]


POLICY_WITH_A_TYPO = (
    b"schema_version: 1\n"
    b"rules:\n"
    b"  - {name: a, when: {slots: [Prodution]}, require: {approvals: 2}}\n"
    b'  - {name: b, when: {paths: ["**"]}, require: {approvals: 1}}\n'
)


def test_a_rule_that_names_what_no_model_has() -> None:
    files = {**POLICIES, "policies/approvals.yaml": POLICY_WITH_A_TYPO, "models/x.yaml": MODEL % b"x"}
    repository = read_repository(FilesInMemory(files), "c0ffee")
    (finding,) = repository.findings
    assert (finding.file, finding.line, finding.column) == ("policies/approvals.yaml", 3, 30)
    assert (finding.code, finding.severity) == ("rule-for-no-slot", "warning")
    assert "'Production'" in finding.fix
    assert repository.approvals is not None


def test_rules_are_not_held_against_models_that_could_not_be_read() -> None:
    files = {**POLICIES, "policies/approvals.yaml": POLICY_WITH_A_TYPO, "models/x.yaml": MODEL % b"y"}
    assert codes(files) == [("models/x.yaml", "name-differs-from-file")]
    assert codes({**POLICIES, "policies/approvals.yaml": POLICY_WITH_A_TYPO}) == []


def test_a_models_file_that_is_weaker_than_the_policy() -> None:
    policy = b"schema_version: 1\nnoise: {unknown: forbid}\neligibility: {tags: {validation: passed}}\n"
    promotion = b"""stages: {Production: 1}
promotion:
  slot: Production
  criteria: [{metric: auc, goal: maximize, min_gain: 0}]
  noise: {unknown: show, confidence: 0.9}
  eligibility:
    tags:
      validation: failed
"""
    model = b"schema_version: 1\nname: x\n" + promotion
    files = {**POLICIES, "policies/promotion.yaml": policy, "models/x.yaml": model}
    repository = read_repository(FilesInMemory(files), "c0ffee")
    found = [(one.file, one.line, one.column, one.code, one.severity) for one in repository.findings]
    assert found == [
        ("models/x.yaml", 7, 20, "weaker-than-policy", "error"),
        ("models/x.yaml", 7, 38, "weaker-than-policy", "error"),
        ("models/x.yaml", 10, 19, "weaker-than-policy", "error"),
    ]
    assert sorted(repository.models) == ["x"]
    assert codes({**files, "policies/promotion.yaml": b"schema_version: 2\n"}) == [
        ("policies/promotion.yaml", "unknown-value")
    ]

"""All documents of one tree, with everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol, TypeVar

from bot.core.approval_policy import ApprovalPolicy
from bot.core.checks import NamedByModels, colliding_files, idle_rules, shown, weaker_than_policy
from bot.core.folders import MODELS_FOLDER
from bot.core.spec import (
    APPROVAL_POLICY,
    AUDIT_ANCHOR,
    PROMOTION_POLICY,
    AuditAnchor,
    ModelSpec,
    PromotionPolicy,
)
from bot.documents.document import (
    Document,
    Parsed,
    parse_approval_policy,
    parse_audit_anchor,
    parse_model,
    parse_promotion_policy,
)
from bot.errors import Finding, HistoryUnavailable

T = TypeVar("T")


class Files(Protocol):
    """What reading documents asks of a tree; a `Tree` is one."""

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        """The paths below a folder; symbolic links are among them."""
        ...

    def read(self, commit: str | None, path: str) -> bytes | None:
        """A regular file's content; None, or HistoryUnavailable, for what is not one."""
        ...

    def read_many(
        self, commit: str | None, paths: Iterable[str]
    ) -> Iterator[tuple[str, bytes | HistoryUnavailable | None]]:
        """`read` of each path in their order; what it raises for one of them stands in the place of its content."""
        ...


@dataclass(frozen=True, slots=True)
class Models:
    """The valid model files by model name, and the findings of all of them."""

    documents: Mapping[str, Document[ModelSpec]]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Repository:
    """All documents of one tree. What is missing or broken is absent (models) or None (policies), and has findings."""

    models: Mapping[str, Document[ModelSpec]]
    promotion: Document[PromotionPolicy] | None
    approvals: Document[ApprovalPolicy] | None
    audit: Document[AuditAnchor] | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are not warnings; with none of them every document is here."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check_repository` says of all documents of one tree; `models` is how many of their files are valid."""

    promotion: Document[PromotionPolicy] | None
    approvals: Document[ApprovalPolicy] | None
    audit: Document[AuditAnchor] | None
    findings: tuple[Finding, ...]
    models: int


def read_repository(tree: Files, commit: str | None, only: Container[str] | None = None) -> Repository:
    """The documents at a commit, or in the working tree for None.

    `only`: of models, just these files are read; the names of all are still held against each other. Raises what
    `tree.list` raises. A file that cannot be read as a regular file is a finding.
    """
    documents: dict[str, Document[ModelSpec]] = {}
    checked = check_repository(tree, commit, lambda model: documents.update({model.value.name: model}), only)
    return Repository(documents, checked.promotion, checked.approvals, checked.audit, checked.findings)


def check_repository(
    tree: Files,
    commit: str | None,
    keep: Callable[[Document[ModelSpec]], object],
    only: Container[str] | None = None,
) -> Checked:
    """As `read_repository`, but each model's file is handed to `keep` and forgotten: memory does not grow with them."""
    promotion = _read(tree, commit, PROMOTION_POLICY, parse_promotion_policy)
    approvals = _read(tree, commit, APPROVAL_POLICY, parse_approval_policy)
    audit = _read(tree, commit, AUDIT_ANCHOR, parse_audit_anchor)
    findings = [*promotion.findings, *approvals.findings, *audit.findings]
    of_models: list[Finding] = []
    named = NamedByModels()
    for model in _models(tree, commit, of_models, only):
        named.add(model.value)
        if promotion.document:
            findings += model.findings(weaker_than_policy(promotion.document.value, model.value))
        keep(model)
    if only is None and approvals.document and not any(finding.severity == "error" for finding in of_models):
        # A model that is broken, or that was not read, may be the one that a rule names.
        findings += approvals.document.findings(idle_rules(approvals.document.value, named))
    found = tuple(sorted([*findings, *of_models]))
    return Checked(promotion.document, approvals.document, audit.document, found, len(named.names))


def read_models(tree: Files, commit: str | None) -> Models:
    """The model files at a commit, or in the working tree for None. Raises what `tree.list` raises."""
    findings: list[Finding] = []
    documents = {document.value.name: document for document in _models(tree, commit, findings)}
    return Models(documents, tuple(sorted(findings)))


def model_files(paths: Iterable[str]) -> list[str]:
    """Those of the paths below `models/` that are files of models."""
    return [path for path in paths if _is_model_file(path) and not _is_ignored(path)]


def _models(
    tree: Files, commit: str | None, findings: list[Finding], only: Container[str] | None = None
) -> Iterator[Document[ModelSpec]]:
    """The valid model files, one after another; `findings` gets those of all files."""
    listed = [path for path in tree.list(commit, MODELS_FOLDER) if not _is_ignored(path)]
    files = [path for path in listed if _is_model_file(path)]
    findings += _unexpected([path for path in listed if not _is_model_file(path)] if len(files) < len(listed) else ())
    findings += (
        Finding(file, 1, 1, problem.code, problem.message, problem.fix) for file, problem in colliding_files(files)
    )
    wanted = files if only is None else [file for file in files if file in only]
    for file, content in tree.read_many(commit, wanted):
        parsed = _parsed(file, content, parse_model)
        findings += parsed.findings
        if parsed.document:
            yield parsed.document


def _below(path: str) -> str:
    """The path below `models/`."""
    return path.removeprefix(f"{MODELS_FOLDER}/")


def _is_ignored(path: str) -> bool:
    """README.md, and whatever begins with a dot, is no document."""
    below = _below(path)
    return below.startswith(".") or below == "README.md"


def _is_model_file(path: str) -> bool:
    return path.endswith(".yaml") and "/" not in _below(path) and path.isprintable()


def _unexpected(files: Sequence[str]) -> Iterator[Finding]:
    folders = dict.fromkeys(_below(path).partition("/")[0] for path in files if "/" in _below(path))
    for folder in folders:
        message = f"Found the folder {shown(folder)} in {MODELS_FOLDER}/; expected model files only."
        fix = "Move its files up, each under the name of its model, or elsewhere."
        yield Finding(_printable(f"{MODELS_FOLDER}/{folder}"), 1, 1, "unexpected-file", message, fix)
    for path in files:
        if "/" not in _below(path):
            name = PurePosixPath(_below(path))
            message = f"Found {shown(name.name)} in {MODELS_FOLDER}/; expected files that end in `.yaml`, named in"
            message += " characters that can be seen."
            yield Finding(_printable(path), 1, 1, "unexpected-file", message, _rename(name))


def _printable(path: str) -> str:
    return path if path.isprintable() else repr(path)[1:-1]


def _rename(name: PurePosixPath) -> str:
    if name.suffix.lower() in (".yml", ".yaml") and name.name.isprintable():
        return f"Rename it to {shown(name.stem + '.yaml', 255)}."
    return "Rename it, move it out of the folder, or delete it."


def _read(tree: Files, commit: str | None, file: str, parse: Callable[[str, bytes], Parsed[T]]) -> Parsed[T]:
    ((_, content),) = tree.read_many(commit, [file])
    return _parsed(file, content, parse)


def _parsed(
    file: str, content: bytes | HistoryUnavailable | None, parse: Callable[[str, bytes], Parsed[T]]
) -> Parsed[T]:
    if isinstance(content, HistoryUnavailable):
        message = f"It cannot be read as a regular file: {content.message}"
        fix = "Put a regular file here; a symbolic link or a submodule is not followed."
        return Parsed(None, (Finding(file, 1, 1, "not-a-file", message, fix),))
    if content is None:
        return Parsed(None, (_absent(file),))
    return parse(file, content)


def _absent(file: str) -> Finding:
    if file.startswith(f"{MODELS_FOLDER}/"):
        message = "Found something that is not a regular file; expected a model's file."
        return Finding(file, 1, 1, "not-a-file", message, "Put a regular file here; links are not followed.")
    message = "The file is missing; expected a policy, without which nothing can be decided."
    fix = f"Create {file}; the examples of Stagewright are a start. In another folder, name the repository with --repo."
    return Finding(file, 1, 1, "missing-file", message, fix)

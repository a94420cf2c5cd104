"""All documents of one tree, with everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol, TypeVar

from bot.core.approval_policy import ApprovalPolicy
from bot.core.checks import colliding_files, idle_rules, shown, weaker_than_policy
from bot.core.spec import (
    APPROVAL_POLICY,
    AUDIT_ANCHOR,
    MODELS_FOLDER,
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


def read_repository(tree: Files, commit: str | None) -> Repository:
    """The documents at a commit, or in the working tree for None.

    Raises what `tree.list` raises. A file that cannot be read as a regular file is a finding.
    """
    models = read_models(tree, commit)
    promotion = _read(tree, commit, PROMOTION_POLICY, parse_promotion_policy)
    approvals = _read(tree, commit, APPROVAL_POLICY, parse_approval_policy)
    audit = _read(tree, commit, AUDIT_ANCHOR, parse_audit_anchor)
    idle = _idle_rules(approvals.document, models)
    weak = _weaker(promotion.document, models)
    findings = (*models.findings, *promotion.findings, *approvals.findings, *audit.findings, *idle, *weak)
    return Repository(models.documents, promotion.document, approvals.document, audit.document, tuple(sorted(findings)))


def read_models(tree: Files, commit: str | None) -> Models:
    """The model files at a commit, or in the working tree for None. Raises what `tree.list` raises."""
    documents: dict[str, Document[ModelSpec]] = {}
    findings: list[Finding] = []
    files = [path for path in tree.list(commit, MODELS_FOLDER) if not _is_ignored(path)]
    findings.extend(_unexpected(files))
    for file in filter(_is_model_file, files):
        parsed = _read(tree, commit, file, parse_model)
        findings.extend(parsed.findings)
        if parsed.document:
            documents[parsed.document.value.name] = parsed.document
    findings.extend(
        Finding(file, 1, 1, problem.code, problem.message, problem.fix)
        for file, problem in colliding_files(filter(_is_model_file, files))
    )
    return Models(documents, tuple(sorted(findings)))


def _idle_rules(approvals: Document[ApprovalPolicy] | None, models: Models) -> tuple[Finding, ...]:
    """Asked only when every model could be read: a broken one may be the one that a rule names."""
    if approvals is None or any(finding.severity == "error" for finding in models.findings):
        return ()
    specs = [document.value for document in models.documents.values()]
    return approvals.findings(idle_rules(approvals.value, specs))


def _weaker(promotion: Document[PromotionPolicy] | None, models: Models) -> tuple[Finding, ...]:
    """What the files of models ask for less strictly than the policy does."""
    if promotion is None:
        return ()
    documents = models.documents.values()
    return tuple(
        finding
        for document in documents
        for finding in document.findings(weaker_than_policy(promotion.value, document.value))
    )


def _below(path: str) -> PurePosixPath:
    return PurePosixPath(path).relative_to(MODELS_FOLDER)


def _is_ignored(path: str) -> bool:
    """README.md, and whatever begins with a dot, is no document."""
    return _below(path).parts[0].startswith(".") or _below(path) == PurePosixPath("README.md")


def _is_model_file(path: str) -> bool:
    return len(_below(path).parts) == 1 and path.endswith(".yaml") and path.isprintable()


def _unexpected(files: Sequence[str]) -> Iterator[Finding]:
    folders = dict.fromkeys(_below(path).parts[0] for path in files if len(_below(path).parts) > 1)
    for folder in folders:
        message = f"Found the folder {shown(folder)} in {MODELS_FOLDER}/; expected model files only."
        fix = "Move its files up, each under the name of its model, or elsewhere."
        yield Finding(_printable(f"{MODELS_FOLDER}/{folder}"), 1, 1, "unexpected-file", message, fix)
    for path in files:
        if len(_below(path).parts) == 1 and not _is_model_file(path):
            name = _below(path)
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
    try:
        content = tree.read(commit, file)
    except HistoryUnavailable as error:
        message = f"It cannot be read as a regular file: {error.message}"
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
    return Finding(file, 1, 1, "missing-file", message, f"Create {file}; the examples of Stagewright are a start.")

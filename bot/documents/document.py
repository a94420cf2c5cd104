"""From a file's bytes to a document, or to every finding about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

from bot.core.approval_policy import ApprovalPolicy
from bot.core.checks import Problem, problems_of_approvals, problems_of_model
from bot.core.policy_tests import PolicyTests
from bot.core.spec import AuditAnchor, ModelSpec, PromotionPolicy
from bot.documents.nodes import Composition, Entries, Node, Scalar
from bot.documents.plain import plain_values
from bot.documents.schema import strict_document, validated
from bot.documents.source import Source, Spot, decoded_text, hidden_characters
from bot.documents.values import in_words, node_at
from bot.errors import Finding

T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M", bound=BaseModel)

MAX_FINDINGS = 100
"""Per file. A hostile file could hold a million."""


@dataclass(frozen=True, slots=True)
class Document(Generic[T_co]):
    """A file without errors: its path in the repository, its text (every character of it) and what it says."""

    file: str
    text: str
    value: T_co

    def position(self, *path: str | int) -> tuple[int, int]:
        """Line and column, from 1, of the value at a path, or of its nearest ancestor when it is absent."""
        root = _composed(self.text).root
        return Source(self.file, self.text).position(node_at(root, path)[0].start) if root else (1, 1)

    def finding(
        self,
        path: Sequence[str | int],
        code: str,
        message: str,
        fix: str,
        severity: Literal["error", "warning"] = "error",
    ) -> Finding:
        """A finding about the value at a path."""
        return Finding(self.file, *self.position(*path), code, message, fix, severity)

    def findings(self, problems: Iterable[Problem]) -> tuple[Finding, ...]:
        """The findings of problems, in the order of the text."""
        return tuple(sorted(self.finding(p.path, p.code, p.message, p.fix, p.severity) for p in problems))


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T_co]):
    """A document with its findings; there is no document when one of them is an error."""

    document: Document[T_co] | None
    findings: tuple[Finding, ...]


def parse_model(file: str, content: bytes) -> Parsed[ModelSpec]:
    """One model's file. Never raises; findings are in the order of the text."""
    return _parsed(file, content, ModelSpec, lambda spec: problems_of_model(file, spec))


def parse_promotion_policy(file: str, content: bytes) -> Parsed[PromotionPolicy]:
    """`policies/promotion.yaml`. Never raises."""
    return _parsed(file, content, PromotionPolicy, lambda _: ())


def parse_approval_policy(file: str, content: bytes) -> Parsed[ApprovalPolicy]:
    """`policies/approvals.yaml`. Never raises."""
    return _parsed(file, content, ApprovalPolicy, problems_of_approvals)


def parse_policy_tests(file: str, content: bytes) -> Parsed[PolicyTests]:
    """A file of tests of the approval policy. Never raises."""
    return _parsed(file, content, PolicyTests, lambda _: ())


def parse_audit_anchor(file: str, content: bytes) -> Parsed[AuditAnchor]:
    """`policies/audit.yaml`. Never raises."""
    return _parsed(file, content, AuditAnchor, lambda _: ())


def tree_of(text: str) -> tuple[Node | None, tuple[Spot, ...]]:
    """The tree of a text and what is wrong with it as YAML; no tree when it could not be read to its end."""
    hidden = tuple(hidden_characters(text))
    if hidden:
        return None, hidden
    composition = _composed(text)
    problems = composition.problems
    if composition.complete:
        problems = (*problems, *_not_a_mapping(composition.root))
    return (composition.root if composition.complete else None), problems


def _composed(text: str) -> Composition:
    """By ruamel, which takes long to import and to read: asked where a place or a problem has to be told."""
    from bot.documents.composing import composed

    return composed(text)


def _parsed(file: str, content: bytes, model: type[M], check: Callable[[M], Sequence[Problem]]) -> Parsed[M]:
    text = decoded_text(file, content)
    if isinstance(text, Finding):
        return Parsed(None, (text,))
    value, spots = _read(text, model)
    if value is None or spots:
        source = Source(file, text)
        return Parsed(None, _limited(file, sorted(source.finding(spot) for spot in set(spots))))
    document = Document(file, text, value)
    findings = document.findings(check(value))
    return Parsed(None if any(f.severity == "error" for f in findings) else document, _limited(file, findings))


def _read(text: str, model: type[M]) -> tuple[M | None, tuple[Spot, ...]]:
    values = plain_values(text)
    document = None if values is None else strict_document(model, values)
    if document is not None:
        return document, ()
    root, problems = tree_of(text)
    if not isinstance(root, Entries):
        return None, problems
    value, more = validated(model, root)
    return value, (*problems, *more)


def _not_a_mapping(root: Node | None) -> Iterator[Spot]:
    fix = "Begin with `schema_version: 1`."
    if root is None or (isinstance(root, Scalar) and root.tag == "null"):
        message = "Found an empty file; expected a mapping of keys to values."
        yield Spot(0, "empty-file", message, f"{fix} To stop managing a model, delete its file.")
    elif not isinstance(root, Entries):
        message = f"Found {in_words(root)}; expected a mapping of keys to values."
        yield Spot(root.start, "not-a-mapping", message, fix)


def _limited(file: str, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    if len(findings) <= MAX_FINDINGS:
        return tuple(findings)
    last = findings[MAX_FINDINGS - 1]
    message = f"Found {len(findings)} problems; only the first {MAX_FINDINGS} are listed."
    more = Finding(file, last.line, last.column, "too-many-findings", message, "Correct these first.")
    return (*findings[:MAX_FINDINGS], more)

"""`stagewright audit init` and `stagewright audit verify`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.commands.gathering import lost_log, read_anchor
from bot.core.anchors import LogName, anchor_problems, anchors
from bot.core.audit import Draft, stamp
from bot.core.chain import Chain, chained, read_chain
from bot.core.log import LogContent
from bot.core.results import InitResult, VerifyResult
from bot.core.spec import AUDIT_ANCHOR
from bot.core.state import Digest
from bot.documents import Edit, Models, edited, parse_audit_anchor, read_models
from bot.errors import LogUnavailable, Refused
from bot.ports import SILENT, AuditLog, AuditLogWriter, Progress, Registry, Tree, WorkingTree


def audit_init(
    tree: Tree, working_tree: WorkingTree, log: AuditLogWriter, repository: str, actor: str, now: datetime
) -> InitResult:
    """Begin the audit log. Run again after a crash half-way, it finishes; a log with more than a genesis is refused."""
    anchor = read_anchor(tree, None)
    if anchor.genesis is not None:
        raise Refused(
            f"{AUDIT_ANCHOR} already names a genesis.",
            fix="The audit log is begun once; run `stagewright audit verify`.",
        )
    content = log.read()
    created = content is None
    genesis = _genesis(content) if content else _begin(log, repository, actor, now)
    document = parse_audit_anchor(AUDIT_ANCHOR, tree.read(None, AUDIT_ANCHOR) or b"").document
    if document is None:
        raise LogUnavailable(f"{AUDIT_ANCHOR} changed while it was being read.", fix="Run it again.")
    working_tree.write(AUDIT_ANCHOR, edited(document, [Edit(("genesis",), genesis)]).encode())
    return InitResult(genesis, created)


def _genesis(content: LogContent) -> Digest:
    chain = read_chain(content, None)
    if chain.problems or len(chain.links) != 1:
        raise Refused(
            f"The branch `audit-log` already holds {len(chain.links)} entries, but {AUDIT_ANCHOR} names no genesis.",
            fix=f"Restore {AUDIT_ANCHOR} from git's history.",
        )
    return chain.links[0].digest


def _begin(log: AuditLogWriter, repository: str, actor: str, now: datetime) -> Digest:
    draft = Draft(event="genesis", time=stamp(now), actor=actor, reason=f"the audit log of {repository}")
    appended = chained([draft], None, f"{now:%Y-%m}")
    log.append(None, appended.segment, appended.lines, "Begin the audit log")
    return appended.links[0].digest


def audit_verify(
    tree: Tree,
    log: AuditLog,
    registry: Registry | None,
    repository: str | None,
    *,
    without_registry: bool,
    progress: Progress = SILENT,
) -> VerifyResult:
    """Check the chain from its genesis, and with a registry its anchors. Reports every problem, not the first.

    `without_registry` says that the anchors are left out on purpose; a registry that is merely absent leaves the answer
    incomplete, since a cut tail shows only there.
    """
    anchor = read_anchor(tree, None)
    if anchor.genesis is None:
        raise LogUnavailable(f"{AUDIT_ANCHOR} names no genesis yet.", fix="Run `stagewright audit init`.")
    content = log.read()
    if content is None:
        raise lost_log()
    with progress.task("Checking the audit log"):
        chain = read_chain(content, anchor.genesis)
    models = read_models(tree, None)
    ours = LogName.of(anchor.genesis, repository)
    problems = (*chain.problems, *(_anchor_problems(chain, models, registry, ours) if registry else ()))
    return VerifyResult(
        len(chain.links),
        chain.links[-1].digest if chain.links else None,
        problems,
        UNCHECKED if registry else (*UNCHECKED, UNCHECKED_ANCHORS),
        incomplete=_incomplete(models) if registry else "" if without_registry else _NO_REGISTRY,
    )


UNCHECKED: Final = (
    "the pull requests that entries name: whether GitHub shows the same approvals",
    "the evidence that entries name: whether Git still holds a file of that digest",
    "the slots of the registry against the log: `stagewright plan` shows drift",
)
UNCHECKED_ANCHORS: Final = "the anchors in the registry: a cut tail would not show"
_NO_REGISTRY: Final = (
    "MLFLOW_TRACKING_URI is not set, so the anchors in the registry were not checked and a cut tail would not show."
    " Set it, or pass `--no-registry` to check the chain alone."
)


def _incomplete(models: Models) -> str:
    if all(finding.severity != "error" for finding in models.findings):
        return ""
    return (
        "Files in models/ have errors, so the anchors of their models may not have been checked."
        " Correct what `stagewright validate` names, and verify again."
    )


def _anchor_problems(chain: Chain, models: Models, registry: Registry, ours: LogName) -> tuple[str, ...]:
    """The files are asked too: a model whose entries were all cut away is named by nothing that is left of the log."""
    named = {entry.model for entry in chain.entries if entry.model}
    return anchor_problems(chain.lines, anchors(registry.state(named | models.documents.keys()), ours))

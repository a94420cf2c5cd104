"""Whether a promotion brings the evidence that it needs (rule 7)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.approval.commits import EVIDENCE_TRAILER, bot_trailers
from bot.core.approval.facts import PullFacts
from bot.core.approval_policy import ApprovalPolicy
from bot.core.canonical import digest
from bot.core.changes import SlotChange
from bot.core.evidence import Evidence, contradictions, parse
from bot.core.spec import is_evidence
from bot.core.state import Digest, SlotKey


def evidence_of(policy: ApprovalPolicy, facts: PullFacts) -> tuple[Mapping[SlotKey, Digest], tuple[str, ...]]:
    """Rule 7: per promoted slot the digest of its evidence, and what is missing."""
    vouched = set(bot_trailers(policy, facts, EVIDENCE_TRAILER))
    digests: dict[SlotKey, Digest] = {}
    problems: list[str] = []
    for change in facts.changes:
        if change.kind != "promotion":
            continue
        found, missing = _evidence_for(change, facts.evidence, vouched)
        if found:
            digests[change.key] = found
        elif policy.promotion_without_evidence == "forbid":
            problems.append(f"{change.model} {change.slot}: {missing}")
    return digests, tuple(problems)


def _evidence_for(change: SlotChange, files: Mapping[str, bytes], vouched: set[str]) -> tuple[Digest | None, str]:
    missing = "a promotion needs evidence that the bot committed; let `stagewright propose` open the pull request"
    for path, content in sorted(files.items()):
        evidence = parse(content) if is_evidence(path) else ()
        if not isinstance(evidence, Evidence) or evidence.model != change.model:
            continue
        against = contradictions(evidence, change.model, change.slot, change.after, change.before)
        if against:
            missing = f"{path} does not support this: {against[0]}"
        elif digest(content) not in vouched:
            missing = f"{path} is not the evidence that the bot committed"
        else:
            return digest(content), ""
    return None, missing

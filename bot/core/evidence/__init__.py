"""Evidence: one comparison, frozen so that anybody can check later what a proposal rested on.

1. The file holds RFC 8785 canonical JSON and nothing else: no newline at the end. Only these bytes are evidence; the
   same content written otherwise is refused, so that a digest and a meaning belong together.
2. JSON has no NaN and no infinities, so these are the strings "NaN", "Infinity" and "-Infinity". A number that is
   missing is null.
3. Evidence agrees with itself: candidate and incumbent are two versions of its model, the criteria digest is that of
   the criteria it declares, and each criterion has its rows, in the same order.
4. It supports a change only when model, slot and versions are those of the change, its verdict is `promote`, and no row
   speaks against that verdict. Aliases that follow the slot move in the same change, so it supports their change too.
5. Before the change is made, the comparison is done again on what the registry says then: identities, values,
   evaluation data, outcomes and verdict have to be the same. Texts may differ. Noise and differences besides the
   numbers are taken from the evidence: a run's history only grows, and a version keeps its files.
6. It speaks only for the criteria and the policy that it was made by: when others govern, it has to be made again.
7. It holds all that the verdict follows from, so that anybody can decide it again without a registry, years later.
   Of a table of examples it holds the digest, and the variances that were computed from it; of a tag that is no number
   it holds that there was none.
"""

from bot.core.evidence.again import decided_again, level_in_family, policy_of, recheck, unlike
from bot.core.evidence.freezing import Circumstances, freeze
from bot.core.evidence.records import (
    EvaluationData,
    Evidence,
    EvidenceDifference,
    EvidenceNoise,
    EvidenceRow,
    EvidenceSource,
    FamilyMember,
    Measurement,
    Measurements,
    OtherCandidate,
    criteria_digest,
    declared,
    pair_name,
    parse,
    path,
)
from bot.core.evidence.supporting import acknowledged_of, changed_rules, contradictions

__all__ = [
    "Circumstances",
    "EvaluationData",
    "Evidence",
    "EvidenceDifference",
    "EvidenceNoise",
    "EvidenceRow",
    "EvidenceSource",
    "FamilyMember",
    "Measurement",
    "Measurements",
    "OtherCandidate",
    "acknowledged_of",
    "changed_rules",
    "contradictions",
    "criteria_digest",
    "decided_again",
    "declared",
    "freeze",
    "level_in_family",
    "pair_name",
    "parse",
    "path",
    "policy_of",
    "recheck",
    "unlike",
]

"""What the approval policy says of one pull request, with reasons.

The rules, in the order in which the code applies them:
1. Policy and model files that govern come from the base branch; what the pull request says is data.
2. A rule governs when the pull request changes a slot or a path that the rule names. All governing rules must hold; a
   change that no rule governs is not approved. Slots whose names differ by letter case or accents only are governed
   alike, since some registries take them for one.
3. Of a user's reviews the latest that is not a comment counts. It counts as an approval only when it approves, is on
   the head commit, was not dismissed, and came after the pull request was pointed at this base branch: on another one
   it showed something else. For a merged pull request, only reviews submitted before the merge count; GitHub tells
   whole seconds, and a review of the merge's own second was submitted before it.
4. These never count: the author, the requester, any author, committer or co-author of a commit of the branch (unless
   the policy allows contributors), bots, and whoever lacks what the rule asks for.
5. A commit that GitHub attributes to nobody, or a commit on the bot's pull request that the bot did not make through
   the API, means not approved; so does what another App wrote, unless the policy lists that App; where the policy
   forbids unsigned commits, so does one. Trailers are trusted only on the bot's own commits, in the last paragraph. The
   bot's own are verified, authored by the bot, and committed by it: a person's valid signature on a commit that merely
   names the bot as its author is verified too. Where GitHub is the committer, the commit also has to lie on the bot's
   own pull request and be as old: squashing that one elsewhere makes another commit in the bot's name, with any text.
   Who only a trailer names must have access under that login: a renamed account is named by its old one.
6. Changes requested by somebody whose approval a governing rule would count block until withdrawn.
7. A promotion needs evidence that supports it and that the bot itself committed, unless the policy allows without.
8. A model or policy file that cannot be read at the head means not approved, and so does a draft.
9. Logins are the same in any letter case, as on GitHub.
10. An approval of an older head survives only where the policy says so, and git shows that nothing but the base branch
   was merged since, each time as git merges it; and the policy, the slots' changes, the changed files, the evidence and
   the owners and risk of the models are what they were.
11. A freeze holds what changes a slot, unless it goes back. Exclusions win. For a merged pull request the moment of the
   merge counts.
12. A rule may ask that the pull request was open for some hours; one that only goes back need not wait.
13. Breaking the glass takes the label `break-glass`, a rule of its own in the policy, and approvals that count under
   it, each with a line `Break-Glass: <reason>` in the review. It stands in for what the rules on slots, models and
   evidence ask for and for freezes, and for nothing else: not for rules on other files, and for nothing that blocks.
14. Owners and risk of a model are those of its file on the base branch. Each requirement counts whoever it may count;
   rules that are `distinct` count nobody twice. Whatever could not be read, such as a team, means not approved.
"""

from bot.core.approval.answer import Asked, Discarded, Evaluation, Requirements, RuleResult, RuleState
from bot.core.approval.commits import EVIDENCE_TRAILER, REQUESTER_TRAILER, requester
from bot.core.approval.evaluating import EMERGENCY, evaluate, requirements
from bot.core.approval.facts import ModelAtBase, OlderHead, PullFacts, Scope, models_at_base, team_key
from bot.core.approval.governing import teams_to_read
from bot.core.approval.supposing import supposed
from bot.core.approval.weakening import weakenings, weakenings_of_model

__all__ = [
    "EMERGENCY",
    "EVIDENCE_TRAILER",
    "REQUESTER_TRAILER",
    "Asked",
    "Discarded",
    "Evaluation",
    "ModelAtBase",
    "OlderHead",
    "PullFacts",
    "Requirements",
    "RuleResult",
    "RuleState",
    "Scope",
    "evaluate",
    "models_at_base",
    "requester",
    "requirements",
    "supposed",
    "team_key",
    "teams_to_read",
    "weakenings",
    "weakenings_of_model",
]

"""Pull requests on GitHub: `bot.ports.PullRequests`."""

from __future__ import annotations

import base64
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from bot.adapters.github import answers, calls
from bot.adapters.github.client import Declined, GitHubClient, Pace, refuse
from bot.core.pulls import NewestPulls, NewPull, PullCommit, PullRequest, Review, Team
from bot.errors import ForgeUnavailable, TooMuchToRead

_log = logging.getLogger(__name__)

COMMITS_SHOWN = 250
DESCRIPTION_LENGTH = 140
_MOST_REVIEWERS = 15


class GitHubPullRequests:
    """The pull requests of one repository, `owner/name`, behind the REST API at `api_url`."""

    def __init__(self, token: str, repository: str, api_url: str, *, pace: Pace | None = None) -> None:
        self._client = GitHubClient(token, repository, api_url, pace or Pace())

    @property
    def repository(self) -> str:
        """`owner/name`, as it was given."""
        return self._client.repository

    def get(self, number: int) -> PullRequest | None:
        """One pull request. An issue's number is no pull request's."""
        found = self._client.find(calls.GET_PULL, answers.WholePull, number=number)
        return found.whole() if found else None

    def open_with_head(self, sha: str) -> Sequence[PullRequest]:
        """The open pull requests whose head is this commit, those from forks included.

        All open ones are listed: `/commits/{sha}/pulls` leaves out those to other branches once the default branch has
        the commit, and knows no commits of forks.
        """
        return [pull.value() for pull in self._pulls({"state": "open"}) if pull.head.sha == sha]

    def of_commit(self, sha: str) -> Sequence[PullRequest]:
        """The pull requests that GitHub associates with a commit. Raises ForgeUnavailable for an unknown one."""
        listed = self._client.pages(calls.LIST_PULLS_OF_COMMIT, answers.Pull, sha=sha)
        return [self._whole(pull) for pull in listed]

    def open_proposals(self, branch_prefix: str) -> Sequence[PullRequest]:
        """Open pull requests from branches of this repository; a fork's branch of that name is not one of them."""
        listed = self._pulls({"state": "open"})
        return [pull.value() for pull in listed if pull.is_from_here and pull.head.ref.startswith(branch_prefix)]

    def closed_since(self, branch_prefix: str, moment: datetime) -> Sequence[PullRequest]:
        """Closed ones from branches of this repository, the last changed first; older pages are not asked for."""
        order = {"state": "closed", "sort": "updated", "direction": "desc"}
        listed = self._client.pages_while(calls.LIST_PULLS, answers.Pull, lambda pull: pull.updated_at >= moment, order)
        return [pull.value() for pull in listed if pull.is_from_here and pull.head.ref.startswith(branch_prefix)]

    def newest(self, branch_prefix: str) -> NewestPulls:
        """The first page of all pull requests; those of forks and of other branches are left out afterwards."""
        order = {"state": "all", "sort": "created", "direction": "desc"}
        listed, are_all = self._client.first_page(calls.LIST_PULLS, answers.Pull, order)
        return NewestPulls(
            tuple(pull.value() for pull in listed if pull.is_from_here and pull.head.ref.startswith(branch_prefix)),
            are_all,
        )

    def last_of_branch(self, branch: str) -> PullRequest | None:
        """The newest pull request from a branch of this repository, in any state."""
        newest = self._newest_of_branch(branch, "all")
        return self._whole(newest) if newest else None

    def reviews(self, number: int) -> Sequence[Review]:
        """Its submitted reviews, oldest first."""
        listed = self._client.pages(calls.LIST_REVIEWS, answers.ListedReview, number=number)
        submitted = [review.root for review in listed if isinstance(review.root, answers.SubmittedReview)]
        return [review.value() for review in sorted(submitted, key=lambda review: (review.submitted_at, review.id))]

    def retargeted_at(self, number: int) -> datetime | None:
        """When its base branch was last changed, by whomever; None when it never was."""
        listed = self._client.pages(calls.LIST_EVENTS, answers.HistoryEvent, number=number)
        return max((event.created_at for event in listed if event.changes_the_base), default=None)

    def commits(self, number: int) -> Sequence[PullCommit]:
        """Its commits, oldest first. GitHub lists at most 250: of so many, nobody knows whether they are all."""
        listed = self._client.pages(calls.LIST_PULL_COMMITS, answers.ListedCommit, number=number)
        if len(listed) >= COMMITS_SHOWN:
            raise TooMuchToRead(
                f"Pull request {number} has {COMMITS_SHOWN} commits or more; GitHub does not list the rest.",
                fix="Squash its commits or split it.",
            )
        return [commit.value() for commit in listed]

    def login(self) -> str | None:
        """Whom the token acts as; None for an App's."""
        return self._client.login

    def permissions(self) -> Mapping[str, str]:
        """Login to role, whether held directly, by a team, or by the organization's default."""
        listed = self._client.pages(calls.LIST_COLLABORATORS, answers.Collaborator, {"affiliation": "all"})
        return {person.login: person.role for person in listed if person.role is not None and not person.is_bot}

    def teams(self, names: Collection[str]) -> Mapping[str, Team]:
        """These teams, each with all its members, those of its child teams included."""
        return {name: self._team(name) for name in sorted(set(names))}

    def open_pull(self, new: NewPull) -> PullRequest:
        """One commit, one branch, one pull request: four requests, one more for labels and one more for reviewers.

        Safe to repeat: a tree is the same for the same content, a branch that already has our commit is taken as it is,
        and so is an open pull request of it. A branch with something else is ForgeUnavailable. No author is given:
        GitHub then names the App and signs the commit. Files are written with mode 100644. Labels come last: one
        without them was not finished.
        """
        tree = self._tree(new)
        sha = self._branch(new, tree, self._commit(new, tree))
        pull = self._pull(new, sha)
        self._ask(pull.number, new.reviewers)
        missing = [label for label in new.labels if label not in pull.labels]
        return replace(pull, labels=self._labelled(pull.number, missing)) if missing else pull

    def finish(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        """Label, then ask for reviews: where labels are refused, the next run does not ask the same people again."""
        self._labelled(number, labels)
        self._ask(number, reviewers)

    def branch_head(self, branch: str) -> str | None:
        """The newest commit of a branch of this repository: one request."""
        ref = self._client.find(calls.GET_REF, answers.Ref, ref=f"heads/{branch}")
        return None if ref is None else ref.object.sha

    def post_status(
        self,
        sha: str,
        context: str,
        state: Literal["success", "pending", "failure", "error"],
        description: str,
        url: str,
    ) -> None:
        """Set a commit status; GitHub shows the last one of each context. An empty `url` is left out."""
        short = description if len(description) <= DESCRIPTION_LENGTH else description[: DESCRIPTION_LENGTH - 1] + "…"
        body = {"state": state, "context": context, "description": short} | ({"target_url": url} if url else {})
        self._client.accepted(calls.CREATE_STATUS, answers.Accepted, body, sha=sha)

    def supersede(self, number: int, label: str, comment: str) -> None:
        """Label, comment, close: closing comes last, so that a closed one always says why."""
        self._labelled(number, [label])
        self.comment_once(number, f"<!-- {label} -->", comment)
        self._client.accepted(calls.EDIT_PULL, answers.Accepted, {"state": "closed"}, number=number)

    def comment_once(self, number: int, marker: str, body: str) -> None:
        """Write or edit our one comment with this marker at its very beginning.

        Anybody who can comment can plant the marker, and could go on editing what then reads like our words. So a
        comment is ours only if we wrote it; see `GitHubClient.is_ours`. No decision rests on a comment.
        Two runs at once may have written one each: then both say the same from now on, and neither what is over.
        """
        text = f"{marker}\n{body}"
        listed = self._client.pages(calls.LIST_COMMENTS, answers.Comment, number=number)
        marked = [comment for comment in listed if (comment.body or "").startswith(marker)]
        ours = [comment for comment in marked if self._client.is_ours(comment.user)]
        if not ours:
            self._client.accepted(calls.CREATE_COMMENT, answers.Accepted, {"body": text}, number=number)
        for comment in ours:
            if comment.body != text:
                self._client.accepted(calls.EDIT_COMMENT, answers.Accepted, {"body": text}, number=comment.id)

    def _team(self, name: str) -> Team:
        org, _, slug = name.partition("/")
        members = self._client.pages_if_shown(calls.LIST_TEAM_MEMBERS, answers.User, org=org, team=slug)
        if isinstance(members, list):
            return Team(name, frozenset(member.login for member in members if not member.is_bot))
        # GitHub answers 404 for a team that is not there and for one that the token may not see.
        listed = self._client.pages_if_shown(calls.LIST_TEAMS, answers.ListedTeam, org=org)
        if isinstance(listed, list) and slug not in [team.slug.lower() for team in listed]:
            return Team(name, problem=f"the team @{name} does not exist; correct its name in the policy")
        lacks = f'the token lacks the permission "{members}" of the organization {org}. {members.grant.rstrip(".")}'
        return Team(name, problem=f"the members of the team @{name} cannot be read: {lacks}")

    def _pulls(self, parameters: Mapping[str, str]) -> Sequence[answers.Pull]:
        return self._client.pages(calls.LIST_PULLS, answers.Pull, parameters)

    def _newest_of_branch(self, branch: str, state: Literal["open", "all"]) -> answers.Pull | None:
        owner = self.repository.partition("/")[0]
        order = {"sort": "created", "direction": "desc"}
        listed = self._pulls({"state": state, "head": f"{owner}:{branch}", **order})
        # GitHub ignores a `head` that it cannot read and answers all pull requests: what comes back is checked.
        here = [pull for pull in listed if pull.is_from_here and pull.head.ref == branch]
        return max(here, key=lambda pull: pull.number, default=None)

    def _whole(self, pull: answers.Pull) -> PullRequest:
        # A list never says who merged: a merged one is asked for, so that a None always means nobody.
        if pull.merged_at is None:
            return pull.value()
        return self._client.get(calls.GET_PULL, answers.WholePull, number=pull.number).whole()

    def _tree(self, new: NewPull) -> str:
        entries = [self._entry(path, content) for path, content in sorted(new.files.items())]
        # GitHub takes a commit for its tree here, which saves asking for the tree's SHA.
        body = {"base_tree": new.base_sha, "tree": entries}
        return self._client.accepted(calls.CREATE_TREE, answers.Target, body).sha

    def _entry(self, path: str, content: bytes) -> Mapping[str, str]:
        entry = {"path": path, "mode": "100644", "type": "blob"}
        text = as_text(content)
        if text is not None:
            return entry | {"content": text}
        body = {"content": base64.b64encode(content).decode(), "encoding": "base64"}
        return entry | {"sha": self._client.accepted(calls.CREATE_BLOB, answers.Target, body).sha}

    def _commit(self, new: NewPull, tree: str) -> str:
        body = {"message": new.message, "tree": tree, "parents": [new.base_sha]}
        return self._client.accepted(calls.CREATE_COMMIT, answers.Target, body).sha

    def _branch(self, new: NewPull, tree: str, sha: str) -> str:
        made = self._client.write(calls.CREATE_REF, answers.Ref, {"ref": f"refs/heads/{new.branch}", "sha": sha})
        if isinstance(made, answers.Ref):
            return sha
        there = self._client.find(calls.GET_REF, answers.Ref, ref=f"heads/{new.branch}")
        if there is None:
            raise refuse(calls.CREATE_REF, made)
        commit = self._client.get(calls.GET_COMMIT, answers.CommitWithMessage, sha=there.object.sha)
        if _is(commit, new, tree):
            return commit.sha
        if self._newest_of_branch(new.branch, "all") is not None:
            raise ForgeUnavailable(
                f"The branch {new.branch} exists already with other content ({commit.sha[:12]}).",
                fix="If no open pull request needs it, delete that branch on GitHub; then run the command again.",
            )
        # Left by a run that was cut off before it opened the pull request: nobody has seen it yet.
        moved = self._client.write(
            calls.UPDATE_REF, answers.Ref, {"sha": sha, "force": True}, ref=f"heads/{new.branch}"
        )
        if isinstance(moved, answers.Ref):
            return sha
        raise refuse(calls.UPDATE_REF, moved)

    def _pull(self, new: NewPull, sha: str) -> PullRequest:
        """The pull request whose texts and whose commit are both ours.

        Two runs that come to the same content at once share the branch and may differ in who asked and why: one takes
        the branch over, in which it sees no pull request yet, and the other opens the pull request. Who made the commit
        writes the texts, and the other one fails.
        """
        texts = {"title": new.title, "body": new.body_at(sha)}
        made = self._client.write(calls.CREATE_PULL, answers.WholePull, {**texts, "head": new.branch, "base": new.base})
        if isinstance(made, answers.WholePull):
            if made.head.sha != sha:
                raise ForgeUnavailable(
                    f"Another run put its commit on {new.branch} while this one opened pull request #{made.number}.",
                    fix=f"Run the command again; if the texts of #{made.number} stay those of this run, close it.",
                )
            return made.whole()
        there = self._newest_of_branch(new.branch, "open")
        if there is None or there.head.sha != sha or there.base.ref != new.base:
            raise refuse(calls.CREATE_PULL, made)
        return self._client.accepted(calls.EDIT_PULL, answers.WholePull, texts, number=there.number).whole()

    def _ask(self, number: int, reviewers: Sequence[str]) -> None:
        """GitHub asks all of them or none, so that one whom it declines is left out by asking one by one."""
        reviewers = reviewers[:_MOST_REVIEWERS]
        if not reviewers or self._asked(number, reviewers):
            return
        for one in reviewers:
            if len(reviewers) == 1 or not self._asked(number, [one]):
                why = "GitHub asks only who has access to the repository"
                _log.warning("%s was not asked for a review of #%d: %s.", one, number, why)

    def _asked(self, number: int, reviewers: Sequence[str]) -> bool:
        people = [one for one in reviewers if "/" not in one]
        teams = [one.partition("/")[2] for one in reviewers if "/" in one]
        body = {name: them for name, them in (("reviewers", people), ("team_reviewers", teams)) if them}
        made = self._client.write(calls.REQUEST_REVIEWERS, answers.Accepted, body, number=number)
        return not isinstance(made, Declined)

    def _labelled(self, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        held = self._client.accepted(calls.ADD_LABELS, answers.Labels, {"labels": list(labels)}, number=number)
        return tuple(label.name for label in held.root)


def _is(commit: answers.CommitWithMessage, new: NewPull, tree: str) -> bool:
    """Whether a commit is the one of a pull request, the message included: its trailers say who asked."""
    same_place = commit.tree.sha == tree and [parent.sha for parent in commit.parents] == [new.base_sha]
    return same_place and commit.message.strip() == new.message.strip()


def as_text(content: bytes) -> str | None:
    """The content as JSON can carry it to a git tree unchanged; None when it has to go as a blob."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text

"""The `github` context and the GITHUB_* variables of one run: two spellings of the same facts."""

from __future__ import annotations

from dataclasses import dataclass

from bot.sandbox.actions.expressions import Value
from bot.sandbox.actions.surroundings import Surroundings
from bot.sandbox.actions.triggers import Start

_IN_PULL_REQUEST = ("pull_request", "pull_request_target", "pull_request_review")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow, under its number; `again_by` is who made it run once more, as its `attempt`."""

    id: int
    start: Start
    surroundings: Surroundings
    attempt: int = 1
    again_by: str | None = None

    @property
    def triggering_actor(self) -> str:
        """Who made it run this time."""
        return self.again_by or self.start.occasion.actor

    def variables(self) -> dict[str, str]:
        """The GITHUB_* variables that are the same in every job and step."""
        occasion, forge = self.start.occasion, self.surroundings.forge
        base, head = self._branches()
        return {
            "GITHUB_ACTOR": occasion.actor,
            "GITHUB_API_URL": forge.api_url,
            "GITHUB_BASE_REF": base,
            "GITHUB_EVENT_NAME": occasion.event,
            "GITHUB_HEAD_REF": head,
            "GITHUB_REF": occasion.ref,
            "GITHUB_REF_NAME": self._ref_name(),
            "GITHUB_REF_TYPE": "tag" if occasion.ref.startswith("refs/tags/") else "branch",
            "GITHUB_REPOSITORY": forge.repository,
            "GITHUB_REPOSITORY_OWNER": forge.repository.partition("/")[0],
            "GITHUB_RUN_ATTEMPT": str(self.attempt),
            "GITHUB_RUN_ID": str(self.id),
            "GITHUB_RUN_NUMBER": str(self.id),
            "GITHUB_SERVER_URL": forge.server_url,
            "GITHUB_SHA": occasion.sha,
            "GITHUB_TRIGGERING_ACTOR": self.triggering_actor,
            "GITHUB_WORKFLOW": self.start.workflow.name,
            "GITHUB_WORKFLOW_REF": f"{forge.repository}/{self.start.workflow.path}@{occasion.ref}",
            "GITHUB_WORKFLOW_SHA": occasion.files_at,
        }

    def github(self, token: str) -> dict[str, Value]:
        """The `github` context, apart from what belongs to one job."""
        same = {name.removeprefix("GITHUB_").lower(): value for name, value in self.variables().items()}
        return {**same, "event": self.start.occasion.payload, "token": token}

    def _branches(self) -> tuple[str, str]:
        if self.start.occasion.event not in _IN_PULL_REQUEST:
            return "", ""
        pull = self.start.occasion.payload["pull_request"]
        return pull["base"]["ref"], pull["head"]["ref"]

    def _ref_name(self) -> str:
        ref = self.start.occasion.ref
        for prefix in ("refs/heads/", "refs/tags/", "refs/pull/"):
            ref = ref.removeprefix(prefix)
        return ref

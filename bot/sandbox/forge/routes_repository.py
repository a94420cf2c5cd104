"""The repository itself, people and their permissions, teams, and workflow runs."""

from bot.sandbox.forge import events
from bot.sandbox.forge.api import NO_CONTENT, Answer, Call, Routes
from bot.sandbox.forge.failures import forbidden, not_found, unprocessable
from bot.sandbox.forge.records import ROLES, User, at_least
from bot.sandbox.forge.represent_actions import workflow_run
from bot.sandbox.forge.represent_repository import (
    collaborator,
    collaborator_permission,
    full_repository,
    profile,
    team_json,
    user_of,
)

routes = Routes("metadata")
_WORKFLOWS = ".github/workflows/"
_RATE_LIMIT = 5000
_MOST_CLIENT_PROPERTIES = 10


@routes.on("GET", "")
def get_repository(call: Call) -> Answer:
    """The repository, with the permissions that the caller has in it."""
    return Answer(full_repository(call.scope, call.caller))


@routes.on("GET", "/user", root="")
def get_authenticated(call: Call) -> Answer:
    """Who the token's owner is: an installation token has none."""
    if call.caller.is_bot:
        raise forbidden()
    return Answer(profile(call.scope, call.caller))


@routes.on("GET", "/users/<login>", root="")
def get_user(call: Call, login: str) -> Answer:
    """The public profile of a login in any case. Raises the 404 of GitHub."""
    return Answer(profile(call.scope, _user(call, login)))


def _user(call: Call, login: str) -> User:
    if login.lower() not in call.store.users:
        raise not_found()
    return call.store.user(login)


@routes.on("GET", "/rate_limit", root="")
def get_rate_limit(call: Call) -> Answer:
    """The whole allowance always, as no request is counted; `reset` is an hour from now, in epoch seconds."""
    reset = int(call.store.now().timestamp()) + 3600
    rate = {"limit": _RATE_LIMIT, "remaining": _RATE_LIMIT, "reset": reset, "used": 0}
    return Answer({"resources": {"core": rate, "search": rate}, "rate": rate})


@routes.on("GET", "/collaborators", role="write")
def list_collaborators(call: Call) -> Answer:
    """People with access of their own; everyone here is one, so `affiliation` changes nothing."""
    call.query("affiliation")
    wanted = {"pull": "read", "push": "write"}.get(call.query("permission"), call.query("permission") or "read")
    found = [user for user in call.store.users.values() if wanted in ROLES and at_least(user.role, wanted)]
    return call.page(found, collaborator)


@routes.on("GET", "/collaborators/<login>")
def check_collaborator(call: Call, login: str) -> Answer:
    """204 for a login with read access or more. Raises the 404 of GitHub for any other."""
    if not call.store.may(login, "read"):
        raise not_found()
    return NO_CONTENT


@routes.on("GET", "/collaborators/<login>/permission")
def get_permission(call: Call, login: str) -> Answer:
    """What a login may do, "none" included. Raises the 404 of GitHub for a login that is unknown."""
    return Answer(collaborator_permission(call.scope, _user(call, login)))


@routes.on("GET", "/orgs/<org>/teams", "members", root="")
def list_teams(call: Call, org: str) -> Answer:
    """The teams of the organization that owns the repository. Raises the 404 of GitHub for any other."""
    if not _is_owner(call, org):
        raise not_found()
    return call.page(sorted(call.store.teams), team_json)


@routes.on("GET", "/orgs/<org>/teams/<team>/members", "members", root="")
def list_team_members(call: Call, org: str, team: str) -> Answer:
    """Everybody in a team. Raises the 404 of GitHub for a team that is not there."""
    if not _is_owner(call, org) or team.lower() not in call.store.teams:
        raise not_found()
    return call.page(call.store.teams[team.lower()], user_of)


@routes.on("GET", "/orgs/<org>/teams/<path:team>", "members", root="")
def get_team(*_: object, **__: object) -> Answer:
    """Nothing else of a team is told."""
    raise not_found()


def _is_owner(call: Call, org: str) -> bool:
    return org.lower() == call.store.owner.login.lower()


@routes.on("GET", "/actions/runs", "actions")
def list_runs(call: Call) -> Answer:
    """Workflow runs, newest first; as on GitHub `status` may also name a conclusion."""
    asked = {name: call.query(name) for name in ("event", "head_sha", "actor")}
    branch, status = call.query("branch"), call.query("status")
    found = [
        run
        for run in call.store.runs.values()
        if all(value in ("", getattr(run, name)) for name, value in asked.items())
        and branch in ("", run.head_branch)
        and status in ("", run.status, run.conclusion)
    ]
    return call.page_within("workflow_runs", sorted(found, key=lambda run: -run.id), workflow_run)


@routes.on("POST", "/actions/workflows/<workflow>/dispatches", "actions")
def dispatch_workflow(call: Call, workflow: str) -> Answer:
    """Run a workflow file of a branch or tag. Raises GitHub's 404 (no such file there) and 422 (no ref, no trigger)."""
    path = _WORKFLOWS + workflow
    ref, inputs = call.required("ref", str, "Workflow"), call.field("inputs", dict, {})
    full_ref = next((r for r in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if call.git.ref(r)), None)
    if full_ref is None:
        raise unprocessable(f"No ref found for: {ref}")
    entry = call.git.entry(call.store.commit(full_ref).tree, path)
    if entry is None or entry.sha is None:
        raise not_found()
    if b"workflow_dispatch" not in call.git.read_blob(entry.sha):
        raise unprocessable("Workflow does not have 'workflow_dispatch' trigger")
    events.workflow_dispatch(call.store, path, full_ref, inputs or {}, call.login)
    return NO_CONTENT


@routes.on("POST", "/dispatches", "contents")
def dispatch_repository(call: Call) -> Answer:
    """Send `repository_dispatch`. Raises the 422 of GitHub for more than 10 properties in `client_payload`."""
    event_type = call.required("event_type", str, "RepositoryDispatch")
    client_payload = call.field("client_payload", dict, {}) or {}
    if len(client_payload) > _MOST_CLIENT_PROPERTIES:
        raise unprocessable(f"No more than {_MOST_CLIENT_PROPERTIES} properties are allowed in client_payload")
    events.repository_dispatch(call.store, event_type, client_payload, call.login)
    return NO_CONTENT

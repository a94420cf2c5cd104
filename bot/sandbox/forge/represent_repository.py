"""Users, the repository, labels and tokens' surroundings in GitHub's JSON."""

from bot.sandbox.forge.records import ROLES, Issue, Label, Permission, User, at_least
from bot.sandbox.forge.scope import Json, Scope, node_id, stamp
from bot.sandbox.forge.store import REPOSITORY_ID

_USER_URLS = (
    ("followers_url", "followers"),
    ("following_url", "following{/other_user}"),
    ("gists_url", "gists{/gist_id}"),
    ("starred_url", "starred{/owner}{/repo}"),
    ("subscriptions_url", "subscriptions"),
    ("organizations_url", "orgs"),
    ("repos_url", "repos"),
    ("events_url", "events{/privacy}"),
    ("received_events_url", "received_events"),
)
_REPOSITORY_URLS = (
    ("forks_url", "forks"),
    ("keys_url", "keys{/key_id}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("teams_url", "teams"),
    ("hooks_url", "hooks"),
    ("issue_events_url", "issues/events{/number}"),
    ("events_url", "events"),
    ("assignees_url", "assignees{/user}"),
    ("branches_url", "branches{/branch}"),
    ("tags_url", "tags"),
    ("blobs_url", "git/blobs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("trees_url", "git/trees{/sha}"),
    ("statuses_url", "statuses/{sha}"),
    ("languages_url", "languages"),
    ("stargazers_url", "stargazers"),
    ("contributors_url", "contributors"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("commits_url", "commits{/sha}"),
    ("git_commits_url", "git/commits{/sha}"),
    ("comments_url", "comments{/number}"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("contents_url", "contents/{+path}"),
    ("compare_url", "compare/{base}...{head}"),
    ("merges_url", "merges"),
    ("archive_url", "{archive_format}{/ref}"),
    ("downloads_url", "downloads"),
    ("issues_url", "issues{/number}"),
    ("pulls_url", "pulls{/number}"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("labels_url", "labels{/name}"),
    ("releases_url", "releases{/id}"),
    ("deployments_url", "deployments"),
)
_REPOSITORY_CONSTANTS: Json = {
    "archived": False,
    "disabled": False,
    "forks": 0,
    "forks_count": 0,
    "has_discussions": False,
    "has_downloads": True,
    "has_issues": True,
    "has_pages": False,
    "has_projects": False,
    "has_wiki": False,
    "homepage": None,
    "is_template": False,
    "language": "Python",
    "license": None,
    "mirror_url": None,
    "size": 1,
    "stargazers_count": 0,
    "topics": [],
    "visibility": "private",
    "watchers": 0,
    "watchers_count": 0,
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "delete_branch_on_merge": False,
}
_PROFILE_CONSTANTS: Json = {
    **dict.fromkeys(("company", "blog", "location", "email", "hireable", "bio")),
    **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
}


def user(scope: Scope, person: User) -> Json:
    """GitHub's simple-user."""
    api = ("users", person.login)
    page = ("apps", person.login.removesuffix("[bot]")) if person.is_bot else (person.login,)
    own = {
        "login": person.login,
        "id": person.id,
        "node_id": node_id("User", person.id),
        "avatar_url": scope.web("avatars/u", person.id),
        "gravatar_id": "",
        "url": scope.api(*api),
        "html_url": scope.web(*page),
        "type": person.type,
        "user_view_type": "public",
        "site_admin": False,
    }
    return own | {key: scope.api(*api, path) for key, path in _USER_URLS}


def user_of(scope: Scope, login: str) -> Json:
    """GitHub's simple-user for a login in any case. Raises LookupError for an unknown one."""
    return user(scope, scope.store.user(login))


def team_json(scope: Scope, slug: str) -> Json:
    """GitHub's team, of the organization that owns the repository."""
    team = ("orgs", scope.store.owner.login, "teams", slug)
    return {
        "id": (number := sorted(scope.store.teams).index(slug) + 1),
        "node_id": node_id("Team", number),
        "url": scope.api(*team),
        "html_url": scope.web(*team),
        "members_url": scope.api(*team, "members{/member}"),
        "repositories_url": scope.api(*team, "repos"),
        "name": slug,
        "slug": slug,
        "description": None,
        "privacy": "closed",
        "permission": "pull",
        "parent": None,
        "type": "organization",
    }


def optional_user(scope: Scope, login: str | None) -> Json | None:
    """GitHub's nullable-simple-user: None where there is no login. Raises LookupError for an unknown one."""
    return None if login is None else user_of(scope, login)


def profile(scope: Scope, person: User) -> Json:
    """GitHub's public-user."""
    created = stamp(person.created_at)
    own = {"name": person.login, "created_at": created, "updated_at": created}
    return user(scope, person) | _PROFILE_CONSTANTS | own


def role_flags(role: Permission) -> Json:
    """The `permissions` object that goes with a role."""
    named: tuple[tuple[str, Permission], ...] = (
        ("admin", "admin"),
        ("maintain", "maintain"),
        ("push", "write"),
        ("triage", "triage"),
        ("pull", "read"),
    )
    return {flag: at_least(role, needed) for flag, needed in named}


def collaborator(scope: Scope, person: User) -> Json:
    """GitHub's collaborator: a simple-user, with the name of its role and the flags that go with it."""
    return user(scope, person) | {"permissions": role_flags(person.role), "role_name": person.role}


def collaborator_permission(scope: Scope, person: User) -> Json:
    """The legacy permission folds maintain into write and triage into read; `role_name` keeps them apart."""
    legacy = {"maintain": "write", "triage": "read"}.get(person.role, person.role)
    return {"permission": legacy, "role_name": person.role, "user": collaborator(scope, person)}


def minimal_repository(scope: Scope) -> Json:
    """GitHub's minimal-repository."""
    full_name = scope.store.repository
    own = {
        "id": REPOSITORY_ID,
        "node_id": node_id("Repository", REPOSITORY_ID),
        "name": full_name.partition("/")[2],
        "full_name": full_name,
        "private": True,
        "owner": user(scope, scope.store.owner),
        "html_url": scope.repo_web(),
        "description": None,
        "fork": False,
        "url": scope.repo_api(),
    }
    return own | {key: scope.repo_api(path) for key, path in _REPOSITORY_URLS}


def repository(scope: Scope) -> Json:
    """GitHub's repository, as pull requests and webhooks carry it."""
    store, git_url = scope.store, scope.repo_web() + ".git"
    open_issues = sum(issue.state == "open" for issue in store.issues.values())
    created = stamp(store.created_at)
    own = {
        "default_branch": store.default_branch,
        "open_issues": open_issues,
        "open_issues_count": open_issues,
        "created_at": created,
        "updated_at": created,
        "pushed_at": created,
        "clone_url": git_url,
        "git_url": git_url,
        "ssh_url": git_url,
        "svn_url": scope.repo_web(),
    }
    return minimal_repository(scope) | _REPOSITORY_CONSTANTS | own


def full_repository(scope: Scope, caller: User) -> Json:
    """GitHub's full-repository; its `permissions` are the caller's, and for an App those of the maintain role."""
    role: Permission = ROLES[-2] if caller.is_bot else caller.role
    more = {"network_count": 0, "subscribers_count": 0, "organization": user(scope, scope.store.owner)}
    return repository(scope) | more | {"permissions": role_flags(role)}


def label(scope: Scope, named: Label) -> Json:
    """GitHub's label; none counts as a default one."""
    return {
        "id": named.id,
        "node_id": node_id("Label", named.id),
        "url": scope.repo_api("labels", named.name),
        "name": named.name,
        "color": named.color,
        "default": False,
        "description": named.description,
    }


def labels_of(scope: Scope, issue: Issue) -> list[Json]:
    """The labels that an issue or pull request holds as GitHub's JSON, in the order they were added."""
    return [label(scope, scope.store.label(name)) for name in issue.labels]


def association(scope: Scope, login: str) -> str:
    """How GitHub calls an author's tie to the repository. It is not a permission."""
    return "MEMBER" if scope.store.may(login, "write") else "NONE"

"""The pages of what is in the repository: trees, files, commits, comparisons; and of people."""

from itertools import accumulate, takewhile
from typing import Final

from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot.sandbox.forge.failures import not_found
from bot.sandbox.forge.git import Commit, TreeEntry
from bot.sandbox.forge.pages import guard, text
from bot.sandbox.forge.pages.diff import file_diffs
from bot.sandbox.forge.pages.page import Addresses, Page

addresses = Addresses()
_SVG: Final = ".svg"
_LARGEST_SHOWN: Final = 1_000_000
_LONGEST_REF: Final = 255
"""GitHub takes no longer one. An address may have thousands of slashes, and every beginning is looked up."""


@addresses.on("/", in_repository=False)
def start(page: Page) -> Response:
    """The way to the only repository."""
    return redirect(page.scope.repo_web(), 302)


@addresses.on("/<login>", in_repository=False)
@addresses.on("/apps/<login>", in_repository=False)
def person(page: Page, login: str) -> Response:
    """A person, an App or the organization, and the pull requests that they opened."""
    everyone = {**page.store.users, page.store.owner.login.lower(): page.store.owner}
    known = everyone.get(login.lower()) or everyone.get(f"{login}[bot]".lower())
    if known is None:
        raise not_found()
    opened = [issue for issue in page.store.issues.values() if issue.author == known.login]
    return page.render("person.html", title=known.login, person=known, listed=opened[::-1])


@addresses.on("")
def repository(page: Page) -> Response:
    """The files of the default branch."""
    return _tree_page(page, page.store.default_branch, "")


@addresses.on("/tree/<path:rest>")
def tree(page: Page, rest: str) -> Response:
    """A folder at a branch, tag or commit."""
    return _tree_page(page, *_split(page, rest))


def _split(page: Page, rest: str) -> tuple[str, str]:
    """Ref and path of an address that joins them by a slash, as both may have slashes. Raises the 404 of GitHub."""
    parts = rest.strip("/").split("/")
    if "\0" in rest or {".", ".."} & set(parts):
        raise not_found()
    git = page.store.git
    known = {ref.name for ref in git.refs()}
    names = takewhile(_may_be_ref, accumulate(parts, "{}/{}".format))
    for count, name in enumerate(names, 1):
        may_be = count == 1 or not known.isdisjoint((f"refs/heads/{name}", f"refs/tags/{name}", name))
        if may_be and git.resolve(name) is not None:
            return name, "/".join(parts[count:])
    raise not_found()


def _may_be_ref(name: str) -> bool:
    return len(name) <= _LONGEST_REF


def _tree_page(page: Page, ref: str, path: str) -> Response:
    commit = page.store.commit(ref)
    if path and _entry(page, commit, path).type != "tree":
        raise not_found()
    listed = page.store.git.list_tree(commit.tree, paths=[f"{path}/"] if path else [])
    listed.sort(key=lambda entry: (entry.type != "tree", entry.path))
    title = f"{path or page.store.repository} at {ref}"
    return page.render("tree.html", title=title, ref=ref, path=path, listed=listed, commit=commit)


def _entry(page: Page, commit: Commit, path: str) -> TreeEntry:
    entry = page.store.git.entry(commit.tree, path)
    if entry is None or entry.sha is None:
        raise not_found()
    return entry


@addresses.on("/blob/<path:rest>")
def blob(page: Page, rest: str) -> Response:
    """A file at a branch, tag or commit, with its lines numbered; a picture is shown above them."""
    if page.request.args.get("raw") == "true":
        return redirect(f"{page.scope.repo_web()}/raw/{text.path_of(rest)}", 302)
    ref, path = _split(page, rest)
    content = _content(page, ref, path)
    written = _text(content)
    lines = None if written is None else written.removesuffix("\n").split("\n")
    drawn = path.endswith(_SVG)
    return page.render("blob.html", title=path, ref=ref, path=path, lines=lines, size=len(content), drawn=drawn)


def _content(page: Page, ref: str, path: str) -> bytes:
    entry = _entry(page, page.store.commit(ref), path)
    if entry.type != "blob" or entry.sha is None:
        raise not_found()
    return page.store.git.read_blob(entry.sha)


def _text(content: bytes) -> str | None:
    """None for what is too large to show, or is no text."""
    if len(content) > _LARGEST_SHOWN or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


@addresses.on("/raw/<path:rest>")
def raw(page: Page, rest: str) -> Response:
    """A file as it is, which a browser shows as a picture if it is an SVG, and as plain text whatever else it is."""
    ref, path = _split(page, rest)
    return Response(_content(page, ref, path), mimetype=guard.SVG if path.endswith(_SVG) else "text/plain")


@addresses.on("/commits")
@addresses.on("/commits/<path:ref>")
def history(page: Page, ref: str = "") -> Response:
    """The newest commits of a branch, tag or commit."""
    name = ref or page.store.default_branch
    shas = page.store.git.rev_list("--max-count=100", page.store.commit(name).sha)
    return page.render("commits.html", title=f"Commits of {name}", ref=name, commits=page.store.git.commits(shas))


@addresses.on("/commit/<ref>")
def commit(page: Page, ref: str) -> Response:
    """A commit, and what it changed since its first parent."""
    shown = page.store.commit(ref)
    changes = page.store.files_between(shown.parents[0] if shown.parents else None, shown.sha)
    title = shown.message.partition("\n")[0]
    author = page.store.user_of_email(shown.author.email)
    return page.render("commit.html", title=title, commit=shown, author=author, files=file_diffs(changes))


@addresses.on("/compare/<path:basehead>")
def compare(page: Page, basehead: str) -> Response:
    """What a commit has that another, before the three dots, has not."""
    base_name, dots, head_name = basehead.partition("...")
    if not dots:
        raise not_found()
    base, head = page.store.commit(base_name).sha, page.store.commit(head_name).sha
    changes = page.store.files_between(page.store.git.merge_base(base, head), head)
    commits = page.store.git.commits(page.store.git.rev_list("--reverse", f"{base}..{head}"))
    return page.render("compare.html", title=f"Comparing {basehead}", commits=commits, files=file_diffs(changes))

"""`GitTree` against real repositories."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.adapters.audit_log import GitAuditLog
from bot.adapters.git_command import LARGEST_FILE, Git, authorization
from bot.adapters.git_tree import GitTree
from bot.core.log import LogContent, LogSegment, LogTip
from bot.errors import ForgeUnavailable, HistoryUnavailable, Misuse, UnfitFile, UnknownCommit
from tests.adapters.git_repository import Repository

TOKEN = "ghs_verySecretToken"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "clone")


@pytest.fixture
def tree(repository: Repository) -> Iterator[GitTree]:
    with GitTree(repository.directory) as opened:
        yield opened


class TestReading:
    def test_reads_a_file_at_a_commit_and_on_disk(self, repository: Repository, tree: GitTree) -> None:
        old = repository.commit({"models/a.yaml": "one\n"})
        new = repository.commit({"models/a.yaml": "two\n"})
        (repository.directory / "models/a.yaml").write_text("three\n")
        assert [tree.read(commit, "models/a.yaml") for commit in (old, new, None)] == [b"one\n", b"two\n", b"three\n"]

    def test_what_does_not_exist_is_none(self, repository: Repository, tree: GitTree) -> None:
        commit = repository.commit({"models/a.yaml": "one\n"})
        for path in ("models/b.yaml", "b.yaml", "models/a.yaml/deeper", "models", "no/such/folder"):
            assert tree.read(commit, path) is None, path
            assert tree.read(None, path) is None, path

    def test_sees_commits_made_after_the_first_read(self, repository: Repository, tree: GitTree) -> None:
        tree.read(repository.commit({"a": "1"}), "a")
        assert tree.read(repository.commit({"a": "2"}), "a") == b"2"

    def test_lists_recursively_in_order(self, repository: Repository, tree: GitTree) -> None:
        commit = repository.commit({"models/b.yaml": "", "models/a/z.yaml": "", "models/a.yaml": "", "other": ""})
        expected = ["models/a.yaml", "models/a/z.yaml", "models/b.yaml"]
        assert tree.list(commit, "models") == expected
        assert tree.list(None, "models/") == expected
        assert tree.list(commit, "") == tree.list(None, "") == [*expected, "other"]
        assert list(tree.list(commit, "nothing")) == list(tree.list(None, "nothing")) == []
        assert list(tree.list(commit, "other")) == list(tree.list(None, "other")) == []

    def test_lists_with_the_blobs_of_git(self, repository: Repository, tree: GitTree) -> None:
        commit = repository.commit({"models/b.yaml": "one\n", "models/a/z.yaml": "", "other": ""})
        one, empty = "5626abf0f72e58d7a153368ba57db4c673c0e171", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        assert tree.blobs(commit, "models") == {"models/b.yaml": one, "models/a/z.yaml": empty}
        assert tree.blobs(commit, "nothing") == tree.blobs(commit, "other") == {}

    def test_binary_content_survives(self, repository: Repository, tree: GitTree) -> None:
        content = bytes(range(256)) * 300
        commit = repository.commit_entry("100644", repository.blob(content), b"bytes")
        assert tree.read(commit, "bytes") == content
        assert tree.read(commit, "bytes") == content

    @pytest.mark.parametrize(
        "name", ["Grüße.yaml", "a\nb", "-rf", "--output=x", "*", ":(glob)x", "tab\there", '"quoted"', "$(touch x)", " "]
    )
    def test_hostile_names_are_only_names(self, repository: Repository, tree: GitTree, name: str) -> None:
        commit = repository.commit({f"models/{name}": name, "models/plain": "plain"}, message=f"Add {name}")
        first = repository.commit({"other": ""})
        for at in (commit, None):
            assert tree.list(at, "models") == sorted([f"models/{name}", "models/plain"])
            assert tree.read(at, f"models/{name}") == name.encode()
        assert [one.sha for one in tree.first_parents(first, f"models/{name}")] == [commit]

    def test_a_name_that_is_not_utf8_can_be_read_back(self, repository: Repository, tree: GitTree) -> None:
        commit = repository.commit_entry("100644", repository.blob(b"x"), b"models/\xff.yaml")
        (path,) = tree.list(commit, "models")
        assert os.fsencode(path) == b"models/\xff.yaml"
        assert tree.read(commit, path) == b"x"

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../b", "a//b", "./a", "", ".git/config", "a\0b"])
    def test_nothing_outside_of_the_repository(self, repository: Repository, tree: GitTree, path: str) -> None:
        commit = repository.commit({"a": ""})
        for at in (commit, None):
            with pytest.raises(HistoryUnavailable, match="not a path inside the repository"):
                tree.read(at, path)

    def test_a_huge_file_is_refused_and_the_next_read_works(self, repository: Repository, tree: GitTree) -> None:
        (repository.directory / "huge").write_bytes(b"\0" * (LARGEST_FILE + 1))
        commit = repository.commit({"small": "small"})
        with pytest.raises(UnfitFile, match=f"{LARGEST_FILE} bytes"):
            tree.read(commit, "huge")
        with pytest.raises(HistoryUnavailable, match=f"larger than {LARGEST_FILE} bytes"):
            tree.read(None, "huge")
        assert tree.read(commit, "small") == b"small"

    def test_a_file_at_the_limit_is_read_whole(self, repository: Repository, tree: GitTree) -> None:
        (repository.directory / "large").write_bytes(b"x" * LARGEST_FILE)
        assert len(tree.read(repository.commit({}), "large") or b"") == LARGEST_FILE

    @pytest.mark.parametrize("commit", ["HEAD", "main", "--help", "abc123", "a" * 41, "A" * 40])
    def test_only_full_shas_name_commits(self, repository: Repository, tree: GitTree, commit: str) -> None:
        repository.commit({"a": ""})
        with pytest.raises(HistoryUnavailable, match="Expected the full SHA"):
            tree.read(commit, "a")

    def test_an_unknown_commit_says_what_to_do(self, repository: Repository, tree: GitTree) -> None:
        repository.commit({"a": ""})
        with pytest.raises(UnknownCommit, match=r"does not hold the commit bbbb.*git fetch origin"):
            tree.read("b" * 40, "a")

    def test_a_blob_is_no_commit(self, repository: Repository, tree: GitTree) -> None:
        repository.commit({"a": "x"})
        with pytest.raises(HistoryUnavailable, match="does not hold the commit"):
            tree.read(repository.blob(b"x"), "a")

    def test_a_pipe_on_disk_is_refused_without_waiting(self, repository: Repository, tree: GitTree) -> None:
        os.mkfifo(repository.directory / "pipe")
        with pytest.raises(HistoryUnavailable, match="neither a file nor a folder"):
            tree.read(None, "pipe")

    def test_a_sha256_repository(self, tmp_path: Path) -> None:
        repository = Repository(tmp_path)
        (tmp_path / ".git").rename(tmp_path / "sha1")
        repository.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
        commit = repository.commit({"models/a.yaml": "one"})
        with GitTree(tmp_path) as tree:
            assert len(commit) == 64
            assert tree.read(commit, "models/a.yaml") == b"one"


class TestLinks:
    def test_links_are_listed_and_refused(self, repository: Repository, tree: GitTree) -> None:
        (repository.directory / "secret").write_text("secret")
        (repository.directory / "models").mkdir()
        (repository.directory / "models/link.yaml").symlink_to("../secret")
        (repository.directory / "folder").symlink_to("models")
        commit = repository.commit({"models/real.yaml": "real"})
        for at in (commit, None):
            assert tree.list(at, "models") == ["models/link.yaml", "models/real.yaml"]
            for path in ("models/link.yaml", "folder", "folder/real.yaml"):
                with pytest.raises(UnfitFile, match="is a symbolic link"):
                    tree.read(at, path)
            with pytest.raises(UnfitFile, match="'folder' is a symbolic link"):
                tree.list(at, "folder")

    def test_a_dangling_link_is_still_a_link(self, repository: Repository, tree: GitTree) -> None:
        (repository.directory / "link").symlink_to("nowhere")
        with pytest.raises(HistoryUnavailable, match="'link' is a symbolic link on disk"):
            tree.read(None, "link")

    def test_a_submodule_is_listed_and_refused(self, repository: Repository, tree: GitTree) -> None:
        inner = repository.commit({"a": ""})
        commit = repository.commit_entry("160000", inner, b"models/sub")
        assert tree.list(commit, "models") == ["models/sub"]
        for path in ("models/sub", "models/sub/a"):
            with pytest.raises(HistoryUnavailable, match="'models/sub' is a submodule at"):
                tree.read(commit, path)


class TestHistory:
    def test_a_merge_counts_where_it_brought_the_change(self, repository: Repository, tree: GitTree) -> None:
        root = repository.commit({"a": "1", "b": "1"}, "Root")
        repository.git("checkout", "--quiet", "-b", "topic")
        topic = repository.commit({"a": "2"}, "Topic")
        repository.git("checkout", "--quiet", "main")
        squashed = repository.commit({"b": "2"}, "Squashed (#7)")
        repository.git("merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic")
        merge = repository.head()
        assert [one.sha for one in tree.first_parents(merge, "a")] == [merge, root]
        assert [one.sha for one in tree.first_parents(merge, "b")] == [squashed, root]
        assert [one.sha for one in tree.line(merge, 2)] == [merge, squashed]
        assert tree.line(merge, 9)[0].parent == squashed
        assert tree.line(merge, 9)[-1].parent is None
        assert tree.merge_base(squashed, topic) == root
        assert [tree.leads_to(merge, older) for older in (merge, topic, root)] == [True] * 3
        assert [tree.leads_to(topic, other) for other in (merge, squashed, "0" * 40, "--all")] == [False] * 4
        assert list(tree.changed_paths(squashed, merge)) == ["a"]

    def test_a_commit_carries_subject_and_time(self, repository: Repository, tree: GitTree) -> None:
        commit = repository.commit({"a": "1"}, "Subject ü\nfolded\n\nBody")
        (only,) = tree.line(commit, 1)
        assert (only.subject, only.committed_at) == ("Subject ü folded", datetime(2026, 11, 1, 12, tzinfo=UTC))

    def test_a_revert_is_found(self, repository: Repository, tree: GitTree) -> None:
        first = repository.commit({"a": "1"})
        second = repository.commit({"a": "2"})
        repository.git("revert", "--no-edit", second)
        assert [one.sha for one in tree.first_parents(repository.head(), "a")] == [repository.head(), second, first]

    def test_a_rename_shows_both_names(self, repository: Repository, tree: GitTree) -> None:
        before = repository.commit({"models/old.yaml": "same content\n" * 20, "x": "1"})
        repository.git("mv", "models/old.yaml", "models/new ü.yaml")
        after = repository.commit({"x": "2"})
        assert tree.changed_paths(before, after) == ["models/new ü.yaml", "models/old.yaml", "x"]
        assert list(tree.changed_paths(after, after)) == []

    def test_unrelated_commits_have_no_ancestor(self, repository: Repository, tree: GitTree) -> None:
        one = repository.commit({"a": "1"})
        repository.git("checkout", "--quiet", "--orphan", "other")
        with pytest.raises(HistoryUnavailable, match="no common ancestor"):
            tree.merge_base(one, repository.commit({"a": "2"}))

    def test_what_merging_would_give(self, repository: Repository, tree: GitTree) -> None:
        text = "".join(f"{line}\n" for line in range(20))
        repository.commit({"a": text, "b": "1"}, "Root")
        repository.git("checkout", "--quiet", "-b", "topic")
        topic = repository.commit({"a": text.replace("2\n", "two\n", 1)})
        repository.git("checkout", "--quiet", "main")
        tip = repository.commit({"a": text.replace("19\n", "nineteen\n"), "b": "2"})
        before = repository.git("status", "--porcelain"), repository.git("for-each-ref")
        merge = tree.merged(tip, topic)
        assert merge is not None
        assert merge == tree.merged(tip, topic)
        assert tree.read(merge, "a") == text.replace("2\n", "two\n", 1).replace("19\n", "nineteen\n").encode()
        assert tree.read(merge, "b") == b"2"
        assert tree.changed_paths(tip, merge) == ["a"]
        assert repository.git("show", "--no-patch", "--format=%P", merge) == f"{tip} {topic}"
        assert (repository.git("status", "--porcelain"), repository.git("for-each-ref")) == before

    def test_a_conflict_gives_nothing(self, repository: Repository, tree: GitTree) -> None:
        root = repository.commit({"a": "1"})
        tip = repository.commit({"a": "2"})
        repository.git("checkout", "--quiet", "-b", "topic", root)
        assert tree.merged(tip, repository.commit({"a": "3"})) is None

    def test_merging_needs_a_git_that_can(self, repository: Repository, tmp_path: Path) -> None:
        old = tmp_path / "git"
        old.write_text('#!/bin/sh\ncase " $* " in *" merge-tree "*) exit 129;; esac\nexec git "$@"\n')
        old.chmod(0o755)
        head = repository.commit({"a": "1"})
        with (
            GitTree(repository.directory, executable=str(old)) as tree,
            pytest.raises(HistoryUnavailable, match=r"git 2.38 or newer"),
        ):
            tree.merged(head, head)

    def test_a_shallow_clone_is_refused(self, repository: Repository, tmp_path: Path) -> None:
        old = repository.commit({"a": "1"})
        repository.commit({"a": "2"})
        shallow = Repository(tmp_path / "shallow")
        shallow.git("fetch", "--quiet", "--depth=1", f"file://{repository.directory}", "main:shallow")
        head = repository.head()
        with GitTree(shallow.directory) as tree:
            assert tree.read(head, "a") == b"2"
            for ask in (
                lambda: tree.first_parents(head, "a"),
                lambda: tree.line(head, 1),
                lambda: tree.merge_base(head, head),
                lambda: tree.merged(head, head),
                lambda: tree.read(old, "a"),
            ):
                with pytest.raises(HistoryUnavailable, match="fetch-depth: 0"):
                    ask()

    def test_replace_refs_and_grafts_do_not_count(self, repository: Repository, tree: GitTree) -> None:
        good = repository.commit({"a": "good"})
        evil = repository.commit({"a": "evil"})
        repository.git("replace", good, evil)
        (repository.directory / ".git/info").mkdir(exist_ok=True)
        (repository.directory / ".git/info/grafts").write_text(f"{evil}\n")
        assert tree.read(good, "a") == b"good"
        assert tree.line(evil, 9)[0].parent == good

    def test_nothing_of_the_repository_is_executed(self, repository: Repository, tree: GitTree, tmp_path: Path) -> None:
        proof = tmp_path / "executed"
        script = tmp_path / "evil"
        script.write_text(f"#!/bin/sh\necho $0 >> {proof}\n")
        script.chmod(0o755)
        one = repository.commit({"a": "1", ".gitattributes": "* diff=evil merge=evil\n"})
        other = repository.git("commit-tree", f"{repository.commit({'a': '3'})}^{{tree}}", "-p", one, "-m", "Other")
        repository.git("reset", "--quiet", "--hard", one)
        two = repository.commit({"a": "2"})
        programs = ("diff.evil.textconv", "diff.evil.command", "merge.evil.driver", "core.fsmonitor", "core.pager")
        for key in ("diff.external", *programs):
            repository.git("config", key, str(script))
        repository.git("config", "log.showSignature", "true")
        repository.git("config", "gpg.program", str(script))
        for hook in ("reference-transaction", "post-index-change"):
            repository.git("config", "core.hooksPath", str(tmp_path / "hooks"))
            (tmp_path / "hooks").mkdir(exist_ok=True)
            (tmp_path / "hooks" / hook).symlink_to(script)
        repository.git("remote", "add", "origin", str(repository.directory))
        proof.unlink(missing_ok=True)
        tree.changed_paths(one, two)
        tree.first_parents(two, "a")
        assert tree.default_branch_head() == two
        assert tree.merged(two, other) is None
        assert not proof.exists()


class TestWithoutARepository:
    def test_the_working_tree_is_still_read(self, tmp_path: Path) -> None:
        (tmp_path / "models").mkdir()
        (tmp_path / "models/a.yaml").write_text("a")
        with GitTree(tmp_path) as tree:
            assert tree.read(None, "models/a.yaml") == b"a"
            assert tree.list(None, "models") == ["models/a.yaml"]
            for ask in (tree.head, tree.default_branch_head, lambda: tree.read("a" * 40, "models/a.yaml")):
                with pytest.raises(HistoryUnavailable, match="not the top folder of a readable git repository"):
                    ask()

    def test_a_repository_above_is_not_taken(self, repository: Repository) -> None:
        repository.commit({"below/a": "1"})
        with (
            GitTree(repository.directory / "below") as tree,
            pytest.raises(HistoryUnavailable, match="not the top folder"),
        ):
            tree.head()

    def test_no_commit_yet(self, tree: GitTree) -> None:
        with pytest.raises(HistoryUnavailable, match="has no commit yet"):
            tree.head()

    def test_no_git_at_all(self, tmp_path: Path) -> None:
        with GitTree(tmp_path, executable="no-such-git") as tree:
            for ask in (tree.head, lambda: tree.read("a" * 40, "x")):
                with pytest.raises(HistoryUnavailable, match="Install git"):
                    ask()

    def test_a_git_that_dies_is_an_error_and_not_an_empty_answer(self, repository: Repository) -> None:
        commit = repository.commit({"a": "1"})
        dying = repository.directory / "dying-git"
        dying.write_text('#!/bin/sh\ncase "$*" in *cat-file*) exit 3;; esac\nexec git "$@"\n')
        dying.chmod(0o755)
        with (
            GitTree(repository.directory, executable=str(dying)) as tree,
            pytest.raises(HistoryUnavailable, match="git fsck"),
        ):
            tree.read(commit, "a")


class TestFetching:
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Repository:
        remote = Repository(tmp_path / "remote")
        remote.commit({"a": "1"})
        return remote

    @pytest.fixture
    def clone(self, remote: Repository, tmp_path: Path) -> Repository:
        clone = Repository(tmp_path / "clone")
        clone.git("remote", "add", "origin", f"file://{remote.directory}")
        clone.git("fetch", "--quiet", "origin")
        clone.git("checkout", "--quiet", "-b", "main", "origin/main")
        return clone

    def test_the_default_branch_is_fetched(self, remote: Repository, clone: Repository) -> None:
        newest = remote.commit({"a": "2"})
        remote.git("tag", "v1")
        before = clone.git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags")
        with GitTree(clone.directory) as tree:
            assert tree.default_branch_head() == newest
            assert tree.read(newest, "a") == b"2"
            assert tree.head() == clone.head() != newest
        assert clone.git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags") == before
        assert not (clone.directory / ".git/FETCH_HEAD").read_text().count(newest)

    @pytest.mark.parametrize(("others", "fails"), [(1, False), (3, False), (4, True)])
    def test_other_commands_may_fetch_in_the_clone_at_once(
        self, remote: Repository, clone: Repository, tmp_path: Path, others: int, *, fails: bool
    ) -> None:
        raced, turns = tmp_path / "raced-git", tmp_path / "turns"
        said = "error: cannot lock ref 'refs/stagewright/heads/main': is at aaaa but expected bbbb"
        raced.write_text(
            f'#!/bin/sh\ncase "$*" in *" fetch "*) echo >> {turns}\n'
            f'[ $(wc -l < {turns}) -gt {others} ] || {{ echo "{said}" >&2; exit 1; }};; esac\nexec git "$@"\n'
        )
        raced.chmod(0o755)
        newest = remote.commit({"a": "2"})
        with GitTree(clone.directory, executable=str(raced)) as tree:
            if fails:
                with pytest.raises(ForgeUnavailable, match="cannot lock ref"):
                    tree.default_branch_head()
            else:
                assert tree.default_branch_head() == newest

    def test_the_log_is_fetched_as_it_is_now_and_forgotten_when_it_is_gone(
        self, remote: Repository, clone: Repository
    ) -> None:
        with GitTree(clone.directory) as tree:
            log = GitAuditLog(clone.directory, tree=tree)
            assert log.read() is None
            for text in ("a\n", "a\nb\n"):
                head = remote.commit({"2026-11.jsonl": text})
                remote.git("branch", "--force", "audit-log")
                assert log.read() == LogContent(head, (LogSegment("2026-11.jsonl", text.encode()),))
            clone.git("branch", "audit-log")
            remote.git("branch", "--delete", "--force", "audit-log")
            remote.git("branch", "audit-log-of-old")
            assert log.read() is None, "neither the local branch nor one that is called alike"

    def test_a_clone_of_one_branch_reads_the_log_as_it_was_fetched_last(
        self, remote: Repository, clone: Repository
    ) -> None:
        """As `git clone --single-branch` makes it: git itself never fetches the branch of the log there."""
        head = remote.commit({"2026-11.jsonl": "a\n"})
        remote.git("branch", "audit-log")
        with GitTree(clone.directory) as tree, GitAuditLog(clone.directory) as offline:
            assert offline.tip() is None
            GitAuditLog(clone.directory, tree=tree).tip()
            assert offline.tip() == LogTip(head, ("2026-11.jsonl",))
            clone.git("update-ref", "refs/remotes/origin/audit-log", f"{head}~")
            assert offline.tip() == LogTip(clone.git("rev-parse", f"{head}~"), ()), "what people fetched counts first"

    def test_a_log_that_was_cut_or_deleted_keeps_a_name_in_the_clone_that_had_it(
        self, remote: Repository, clone: Repository
    ) -> None:
        with GitTree(clone.directory) as tree:
            log, heads = GitAuditLog(clone.directory, tree=tree), []
            for text in ("a\n", "a\nb\n"):
                heads.append(remote.commit({"2026-11.jsonl": text}))
                remote.git("branch", "--force", "audit-log")
                assert log.tip()
            assert clone.git("for-each-ref", "refs/stagewright/lost") == "", "it only went on"
            remote.git("branch", "--force", "audit-log", heads[0])
            assert log.tip()
            remote.git("branch", "--delete", "--force", "audit-log")
            assert log.tip() is None
        lost = clone.git("for-each-ref", "--format=%(refname)", "refs/stagewright/lost").split()
        assert lost == sorted(f"refs/stagewright/lost/audit-log/{head}" for head in heads)

    def test_without_a_remote_the_log_is_the_local_branch(self, repository: Repository) -> None:
        head = repository.commit({"2026-11.jsonl": "a\n"})
        repository.git("branch", "audit-log")
        with GitTree(repository.directory) as tree:
            found = GitAuditLog(repository.directory, tree=tree).read()
        assert found == LogContent(head, (LogSegment("2026-11.jsonl", b"a\n"),))

    def test_without_a_remote_the_local_branch_counts(self, repository: Repository) -> None:
        commit = repository.commit({"a": "1"})
        with GitTree(repository.directory) as tree:
            assert tree.default_branch_head() == commit
        with (
            GitTree(repository.directory, default_branch="trunk") as tree,
            pytest.raises(HistoryUnavailable, match="no branch trunk"),
        ):
            tree.default_branch_head()

    @pytest.mark.parametrize("branch", ["", "-x", "a b", "a..b", "x:y", "a*", "x.lock", "/x", "x/"])
    def test_a_branch_name_is_no_refspec(self, tmp_path: Path, branch: str) -> None:
        with pytest.raises(Misuse):
            GitTree(tmp_path, default_branch=branch)

    def test_a_failing_fetch_names_no_secret(self, clone: Repository) -> None:
        clone.git("remote", "set-url", "origin", "http://x-access-token:hunter2@127.0.0.1:9/acme/models.git")
        with GitTree(clone.directory, token=TOKEN, server_url="http://127.0.0.1:9") as tree:
            for ask in (tree.default_branch_head, lambda: tree.fetch_pull(3, "c" * 40)):
                with pytest.raises(ForgeUnavailable, match="could not fetch refs/") as caught:
                    ask()
                assert "hunter2" not in str(caught.value)
                assert TOKEN not in f"{caught.value!r}{caught.value.__context__!r}{tree!r}"

    def test_the_pull_requests_head_becomes_readable(self, remote: Repository, clone: Repository) -> None:
        remote.git("checkout", "--quiet", "-b", "topic")
        head = remote.commit({"a": "proposed"})
        remote.git("update-ref", "refs/pull/5/head", head)
        with GitTree(clone.directory) as tree:
            tree.fetch_pull(5, head)
            assert tree.read(head, "a") == b"proposed"
            assert clone.git("branch", "--all", "--contains", head) == ""
            with pytest.raises(HistoryUnavailable, match=r"its commit dddd.* is not in it"):
                tree.fetch_pull(5, "d" * 40)
            remote.git("update-ref", "-d", "refs/pull/5/head")
            tree.fetch_pull(5, head)

    def test_a_pull_request_needs_a_remote(self, repository: Repository, tree: GitTree) -> None:
        repository.commit({"a": "1"})
        with pytest.raises(HistoryUnavailable, match="no remote `origin`"):
            tree.fetch_pull(5, "d" * 40)

    def test_the_token_is_in_the_environment_of_fetch_alone(self, clone: Repository, tmp_path: Path) -> None:
        seen = tmp_path / "seen"
        spy = tmp_path / "spy"
        spy.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            f"open({str(seen)!r}, 'a').write(json.dumps([sys.argv, dict(os.environ)]) + '\\n')\n"
            "os.execvp('git', ['git', *sys.argv[1:]])\n"
        )
        spy.chmod(0o755)
        with GitTree(clone.directory, token=TOKEN, server_url="https://github.com/", executable=str(spy)) as tree:
            tree.read(tree.default_branch_head(), "a")
        sent = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        calls = seen.read_text().splitlines()
        assert not any(TOKEN in call for call in calls)
        (fetch,) = [call for call in calls if sent in call]
        assert '"fetch"' in fetch
        assert fetch.index(sent) > fetch.index("GIT_CONFIG_")
        assert "http.https://github.com/.extraheader" in fetch


def test_the_token_takes_the_place_of_what_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    environment = authorization(TOKEN, "https://github.com")
    assert environment["GIT_CONFIG_COUNT"] == "4"
    assert environment["GIT_CONFIG_VALUE_1"] == ""
    assert environment["GIT_CONFIG_VALUE_2"].startswith("AUTHORIZATION: basic ")
    assert authorization(None, "https://github.com") == authorization(TOKEN, None) == {}


def test_the_environment_cannot_point_git_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit({"a": "1"})
    other = Repository(tmp_path / "other")
    other.commit({"a": "other"})
    monkeypatch.setenv("GIT_DIR", str(other.directory / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.directory))
    with GitTree(repository.directory) as tree:
        assert tree.head() == commit


def test_closing_twice_leaves_no_process(repository: Repository) -> None:
    commit = repository.commit({"a": "1"})
    git = Git(repository.directory)
    git.object(commit)
    batch = git._batch
    assert batch is not None
    git.close()
    git.close()
    assert batch.returncode is not None


class TestGitAuditLog:
    def test_reads_the_remotes_state_first_and_then_the_local_branch(self, repository: Repository) -> None:
        with GitAuditLog(repository.directory) as log:
            assert log.read() is None
            local = repository.commit(
                {"2026-11.jsonl": "b\n", "2026-10.jsonl": "a\n", "README.md": "", "x/y.jsonl": ""}
            )
            repository.git("branch", "audit-log")
            segments = (LogSegment("2026-10.jsonl", b"a\n"), LogSegment("2026-11.jsonl", b"b\n"))
            assert log.read() == LogContent(local, segments)
            remote = repository.commit({"2026-11.jsonl": "b\nc\n"})
            repository.git("update-ref", "refs/remotes/origin/audit-log", remote)
            assert log.read() == LogContent(remote, (segments[0], LogSegment("2026-11.jsonl", b"b\nc\n")))

    def test_a_segment_may_be_larger_than_a_file_of_the_repository(self, repository: Repository) -> None:
        (repository.directory / "2026-11.jsonl").write_bytes(b"x" * (LARGEST_FILE + 1))
        head = repository.commit({})
        repository.git("branch", "audit-log")
        with GitAuditLog(repository.directory) as log:
            assert len(log.segment(head, "2026-11.jsonl").content) == LARGEST_FILE + 1

    def test_a_link_is_no_segment(self, repository: Repository) -> None:
        (repository.directory / "2026-11.jsonl").symlink_to("elsewhere")
        repository.commit({})
        repository.git("branch", "audit-log")
        with GitAuditLog(repository.directory) as log, pytest.raises(HistoryUnavailable, match="symbolic link"):
            log.read()

    def test_no_repository_is_not_an_empty_log(self, tmp_path: Path) -> None:
        with GitAuditLog(tmp_path) as log, pytest.raises(HistoryUnavailable, match="not the top folder"):
            log.read()

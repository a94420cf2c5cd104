"""The forge's pages, without a browser: that each address leads somewhere, and who may press the buttons."""

import http.client
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests
from markupsafe import Markup

from bot.sandbox.forge import Forge
from bot.sandbox.forge.pages import text
from tests.sandbox.forge_client import APP, commit_files, commit_on, open_pull, repository
from tests.sandbox.furnished_forge import BODY, BRANCH, FILE, HOSTILE_SVG, NAME, RLO, SCRIPT, furnish


def get(forge: Forge, path: str, **options: Any) -> requests.Response:
    return requests.get(f"{forge.server_url}/{forge.repository}{path}", timeout=10, **options)


def press(forge: Forge, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> requests.Response:
    """Press a button as a browser does on the server's own page, unless `headers` say otherwise."""
    url = f"{forge.server_url}/{forge.repository}{path}"
    sent = {"Origin": forge.server_url, "Sec-Fetch-Site": "same-origin"} if headers is None else headers
    return requests.post(url, data=fields, headers=sent, allow_redirects=False, timeout=10)


def alert(answer: requests.Response) -> str:
    found = re.search(r'<div class="notice bad" role="alert">(.*?)</div>', answer.text, re.DOTALL)
    return re.sub(r"<[^>]+>", "", found[1]).strip() if found else ""


def test_every_kind_of_page_answers_hardened_and_shows_hostile_text_as_text(forge: Forge) -> None:
    for kind, path in furnish(forge).items():
        answer = get(forge, path)
        assert answer.status_code == (404 if kind == "missing" else 200), kind
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8", kind
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], kind
        assert "script-src" not in answer.headers["Content-Security-Policy"], kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff", kind
        body = answer.text
        assert "<script" not in body, kind
        assert RLO not in body, kind
        assert not re.search(r"<[^>]+\s(on\w+|style)=", body), kind
        assert not re.search(r"""(href|src|action)=["']?\s*javascript:""", body), kind
        assert not re.search(r"""<(img|iframe|svg|form|link)[^>]*elsewhere""", body), kind


def test_names_appear_as_they_were_written(forge: Forge) -> None:
    paths = furnish(forge)
    page = str(Markup(get(forge, paths["pull"]).text).unescape())
    for written in (NAME, BRANCH, FILE):
        assert written.replace(RLO, "[U+202E]") in page


@pytest.mark.parametrize(
    "path",
    [
        *("/tree/%00", "/tree/main/%00", "/commits/%00", "/commit/%00", "/compare/%00...main"),
        *("/blob/main/%2E%2E/etc", "/raw/main/models/../../x", "/tree/" + "x/" * 20_000),
    ],
    ids=lambda path: path[:30],
)
def test_an_address_that_git_would_not_take_is_not_found(forge: Forge, path: str) -> None:
    connection = http.client.HTTPConnection(forge.server_url.removeprefix("http://"), timeout=10)
    connection.request("GET", f"/{forge.repository}{path}")  # as it is: `requests` would resolve the dots
    assert connection.getresponse().status == 404
    connection.close()


def test_an_address_with_many_slashes_asks_git_no_more_than_a_short_one(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, asked = tmp_path / "bin" / "git", tmp_path / "asked"
    counting.parent.mkdir()
    counting.write_text(f'#!/bin/sh\necho >> {asked}\nexec {shutil.which("git")} "$@"\n')
    counting.chmod(0o755)
    monkeypatch.setenv("PATH", f"{counting.parent}:{os.environ['PATH']}")
    times = []
    for slashes in (2, 100):
        assert get(forge, "/tree/" + "x/" * slashes).status_code == 404
        times.append(len(asked.read_text()))
        asked.unlink()
    assert times[0] == times[1]


def _addresses(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["html_url"]} if isinstance(value.get("html_url"), str) else set()
        return own.union(*(_addresses(each) for each in value.values()))
    return set().union(*(_addresses(each) for each in value)) if isinstance(value, list) else set()


def test_every_html_url_of_the_api_leads_to_a_page(forge: Forge) -> None:
    furnish(forge)
    head = repository(forge, "bob").get_pull(1).head.sha
    token = forge.issue_token("bob")
    found: set[str] = set()
    for path in (
        *("", "/pulls?state=all", "/pulls/1", "/pulls/1/commits", "/pulls/1/reviews", "/pulls/2", "/issues"),
        *(
            "/issues/1/comments",
            "/issues/3/comments",
            "/actions/runs",
            f"/commits/{head}",
            f"/commits/{head}/check-runs",
        ),
        *("/compare/main...merged", "/contents/models?ref=" + head, "/collaborators", "/branches/main"),
    ):
        url = f"{forge.api_url}/repos/{forge.repository}{path}"
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert answer.ok, path
        found |= _addresses(answer.json())
    assert len(found) > 20
    for address in sorted(found):
        assert requests.get(address, timeout=10).status_code == 200, address


def test_the_addresses_of_diffs_and_files_are_plain_text(forge: Forge) -> None:
    pull = open_pull(repository(forge, APP))
    for path, content in (
        ("/pull/1.diff", "+Production: 4"),
        ("/pull/1.patch", "Subject: [PATCH] Promote demand to v4"),
        (f"/raw/{pull.head.sha}/models/demand.yaml", "Production: 4"),
    ):
        answer = get(forge, path)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert content in answer.text


def test_a_picture_is_shown_and_can_do_nothing_else(forge: Forge) -> None:
    app = repository(forge, APP)
    head = commit_files(app, app.get_branch("main").commit.sha, {"evidence/a b.svg": HOSTILE_SVG}, "Picture")
    shown = get(forge, f"/blob/{head}/evidence/a%20b.svg")
    assert f'<img class="drawn" src="/acme/models/raw/{head}/evidence/a%20b.svg"' in shown.text
    assert "&lt;script&gt;" in shown.text
    raw = get(forge, f"/blob/{head}/evidence/a%20b.svg?raw=true")
    assert (raw.url, raw.text) == (f"{forge.server_url}/acme/models/raw/{head}/evidence/a%20b.svg", HOSTILE_SVG)
    assert raw.headers["Content-Type"].startswith("image/svg+xml")
    assert raw.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert raw.headers["X-Content-Type-Options"] == "nosniff"


def test_a_person_reviews_and_merges(forge: Forge) -> None:
    forge.protect("main", required_approvals=1, required_statuses=["ci"])
    app = repository(forge, APP)
    pull = open_pull(app)
    done = press(forge, "/pull/1", {"as": "bob", "action": "approve", "head": pull.head.sha, "text": "Fine."})
    assert (done.status_code, done.headers["Location"]) == (303, "/acme/models/pull/1?as=bob")
    (review,) = app.get_pull(1).get_reviews()
    assert (review.user.login, review.state, review.body) == ("bob", "APPROVED", "Fine.")

    refused = press(forge, "/pull/1", {"as": "bob", "action": "merge", "head": pull.head.sha, "text": "Kept <b>"})
    assert refused.status_code == 405
    assert alert(refused) == "Refused. Required status check &#34;ci&#34; is expected."
    assert "Kept &lt;b&gt;</textarea>" in refused.text
    assert '<option value="bob" selected>' in refused.text

    app.get_commit(pull.head.sha).create_status("success", context="ci")
    assert press(forge, "/pull/1", {"as": "carol", "action": "merge", "head": pull.head.sha}).status_code == 303
    merged = app.get_pull(1)
    assert (merged.merged, merged.merged_by.login) == (True, "carol")


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"as": "", "action": "approve"}, 422, "Pick the person"),
        ({"as": "stagewright[bot]", "action": "approve"}, 422, "Pick the person"),
        ({"as": "web-flow", "action": "approve"}, 422, "Pick the person"),
        ({"as": "bob", "action": "explode"}, 422, "Press one of the buttons"),
        ({"as": "alice", "action": "approve"}, 422, "Can not approve your own pull request"),
        ({"as": "alice", "action": "request-changes", "text": "x"}, 422, "Can not request changes on your own"),
        ({"as": "bob", "action": "request-changes", "text": " "}, 422, "Body can&#39;t be blank"),
        ({"as": "bob", "action": "comment"}, 422, "IssueComment body: missing_field"),
        ({"as": "bob", "action": "approve", "head": "0" * 40}, 422, "commit_id is not part of the pull request"),
        ({"as": "bob", "action": "merge", "head": "0" * 40}, 409, "Head branch was modified"),
        ({"as": "eve", "action": "merge"}, 403, "Must have write rights"),
        ({"as": "eve", "action": "close"}, 403, "Must have write rights"),
    ],
    ids=lambda value: value.get("action") if isinstance(value, dict) else None,
)
def test_a_refusal_shows_in_the_words_of_github(forge: Forge, fields: dict[str, str], status: int, words: str) -> None:
    pull = open_pull(repository(forge, "alice"))
    answer = press(forge, "/pull/1", {"head": pull.head.sha, **fields})
    assert answer.status_code == status
    assert words in alert(answer)
    after = repository(forge, "alice").get_pull(1)
    assert (after.state, list(after.get_reviews()), after.comments) == ("open", [], 0)


def test_a_person_comments_closes_and_reopens(forge: Forge) -> None:
    alice = repository(forge, "alice")
    open_pull(alice)
    issue = alice.create_issue("Drift", "Something moved.")
    for path in ("/pull/1", f"/issues/{issue.number}"):
        for action in ("comment", "close", "reopen"):
            assert press(forge, path, {"as": "bob", "action": action, "text": "First\r\nsecond"}).status_code == 303
            state = "closed" if action == "close" else "open"
            assert alice.get_issue(int(path.rpartition("/")[2])).state == state
    for number in (1, issue.number):
        assert [c.body for c in alice.get_issue(number).get_comments()] == ["First\nsecond"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-site"},
        {"Origin": "{server}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example", "Host": "evil.example"},
        {"Origin": "http://evil.example", "Host": "[evil"},
    ],
    ids=str,
)
def test_a_page_of_another_site_cannot_press_a_button(forge: Forge, headers: dict[str, str]) -> None:
    pull = open_pull(repository(forge, APP))
    sent = {name: value.format(server=forge.server_url) for name, value in headers.items()}
    answer = press(forge, "/pull/1", {"as": "bob", "action": "merge", "head": pull.head.sha}, sent)
    assert answer.status_code == 403
    assert not repository(forge, APP).get_pull(1).merged


@pytest.mark.parametrize(("host", "status"), [("evil.example", 403), ("localhost", 200), ("[::1]:80", 200)])
def test_only_the_names_of_this_machine_are_answered(forge: Forge, host: str, status: int) -> None:
    assert get(forge, "", headers={"Host": host}).status_code == status


def test_a_review_of_an_older_head_is_stale(forge: Forge) -> None:
    app = repository(forge, APP)
    pull = open_pull(app)
    press(forge, "/pull/1", {"as": "bob", "action": "approve", "head": pull.head.sha})
    assert "stale" not in get(forge, "/pull/1").text
    commit_on(app, "promote", {"models/demand.yaml": "Production: 5\n"})
    assert get(forge, "/pull/1").text.count("stale") == 2


def test_a_page_reloads_while_workflows_run_and_has_no_form_then(forge: Forge) -> None:
    open_pull(repository(forge, APP))
    assert "refresh" not in get(forge, "/pull/1").text, "events wait, and nobody will take them"
    forge.report_workflows()
    running = get(forge, "/pull/1").text
    assert 'http-equiv="refresh"' in running
    assert "<textarea" not in running
    still = get(forge, "/pull/1?still").text
    assert "refresh" not in still
    assert "<textarea" in still
    forge.take_events()
    forge.report_workflows(busy=True)
    assert "refresh" in get(forge, "/pull/1").text
    forge.report_workflows()
    assert "refresh" not in get(forge, "/pull/1").text


def test_workflows_that_have_failed_show_on_every_page_and_nothing_waits_for_them(forge: Forge) -> None:
    paths = furnish(forge)
    forge.report_workflows(failure=f"UnsupportedWorkflow: {SCRIPT}")
    for kind, path in paths.items():
        page = get(forge, path).text
        assert "The workflows have stopped." in page, kind
        assert "refresh" not in page, kind


OWN = "http://127.0.0.1:1/acme/models"
_REL = ' rel="noopener noreferrer nofollow"'


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<details>\n<summary>s</summary>\n\n**x**\n\n</details>",
         "<details>\n<summary>s</summary>\n<p><strong>x</strong></p>\n</details>\n"),
        ("[x](javascript:y) [z](data:text/html,y)", f"<p><a{_REL}>x</a> <a{_REL}>z</a></p>\n"),
        ("https://example.com", f'<p><a href="https://example.com"{_REL}>https://example.com</a></p>\n'),
        ("<b onclick=x style=y id=z class=w>b</b>", "<p><b>b</b></p>\n"),
        ("![alt](https://elsewhere.invalid/x.png)", '<p><img alt="alt"></p>\n'),
        (f"![alt]({OWN}.elsewhere.invalid/blob/x.svg)", '<p><img alt="alt"></p>\n'),
        (f"<img src='{OWN}/blob/x.svg' onload=x srcset='{OWN}/blob/y.svg'>", f'<img src="{OWN}/blob/x.svg">\n'),
        ("\u2066\x1b\ud800 <!-- hidden -->", "<p>[U+2066][U+001B]\ufffd </p>\n"),
    ],
)  # fmt: skip
def test_markdown_is_rendered_without_what_could_harm(written: str, shown: str) -> None:
    assert text.markdown(written, OWN) == shown


def test_a_long_hostile_body_stays_inside_its_place() -> None:
    assert text.markdown(BODY, OWN).count("<table>") == text.markdown(BODY, OWN).count("</table>") == 1
    assert "</div></div></main>" not in text.markdown("</div></div></main>", OWN)

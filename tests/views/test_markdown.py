"""What reviewers read: golden files (see `golden` for how to renew them), hostile text, and the length of a body."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateNotFound, UndefinedError

from bot.core.plan import Plan, Refusal
from bot.core.proposal import Proposal
from bot.core.pulls import UNMADE
from bot.core.results import (
    CompareResult,
    Coverage,
    HistoryResult,
    InitResult,
    ProposeResult,
    Result,
    Skipped,
    ValidateResult,
    VerifyResult,
)
from bot.core.standing import NOTHING_STANDS
from bot.errors import Finding
from bot.views.drift import issue_body
from bot.views.escape import Markdown, code, exact
from bot.views.markdown import BODY_BUDGET, apply_comment
from bot.views.proposal import proposal_body, proposal_title
from bot.views.render import rendered
from bot.views.templating import _TEMPLATES, _environment, filled
from tests.views import comparison_samples, drift_samples, golden, rollback_samples, samples
from tests.views.proposals import PROPOSALS
from tests.views.rendering import OURS, TOKENS, page
from tests.views.samples import REGISTRY, WINNER_RUNS

TEXTS = st.one_of(
    st.text(min_size=1, max_size=60), st.lists(st.sampled_from(TOKENS), min_size=1, max_size=8).map("".join)
)


def winner_body(registry: str = REGISTRY) -> str:
    return proposal_body(samples.case_of(samples.winner(), WINNER_RUNS, registry))


def comment() -> str:
    return apply_comment(samples.applied_entries(), samples.applied_links()[-1])


PAGE = "https://github.com/acme/models"
FINDING = Finding("models/a.yaml", 3, 4, "wrong-type", 'expected a whole number, got "3".', "Write `Production: 3`.")
DIGEST = "sha256:" + "a" * 64


def proposed() -> ProposeResult:
    winner = samples.winner()
    return ProposeResult(
        (
            samples.opened(winner, WINNER_RUNS, dry_run=False),
            Skipped(winner, "open", samples.pull_of(9)),
            Skipped(winner, "declined", samples.pull_of(9)),
            Skipped(winner, "limit", None),
            samples.nobody_wins(),
        ),
        dry_run=False,
    )


RESULTS: dict[str, Callable[[], Result]] = {
    "validate": lambda: ValidateResult((FINDING,), 3),
    "compare-winner": lambda: CompareResult(REGISTRY, samples.winner()),
    "compare-noise": lambda: CompareResult(REGISTRY, PROPOSALS["winner"]().proposal),
    "compare-slices": lambda: CompareResult(REGISTRY, PROPOSALS["slices"]().proposal),
    "compare-acknowledged": lambda: CompareResult(REGISTRY, PROPOSALS["acknowledged"]().proposal),
    "compare-differences": lambda: CompareResult(REGISTRY, PROPOSALS["differences"]().proposal),
    "compare-nobody": lambda: CompareResult(REGISTRY, samples.nobody_wins()),
    "compare-evidence": comparison_samples.evidence_that_agrees,
    "compare-evidence-changed": comparison_samples.evidence_that_was_changed,
    "compare-experiment": comparison_samples.tuning,
    "compare-experiment-in-vain": comparison_samples.tuning_in_vain,
    "compare-experiment-empty-slot": comparison_samples.tuning_for_an_empty_slot,
    "propose": proposed,
    "propose-some": lambda: ProposeResult(
        (), dry_run=True, coverage=Coverage(1, 3, "a full sweep was asked for", None, "2/5")
    ),
    "approvals": samples.approvals,
    "approvals-four-eyes": samples.four_eyes,
    "policy-explain": samples.explained,
    "policy-test": samples.policy_tested,
    "plan": samples.plan_result,
    "plan-nothing": samples.nothing_to_do,
    "apply": samples.apply_result,
    "rollback": lambda: rollback_samples.opened(rollback_samples.plain()),
    "rollback-dry-run": lambda: rollback_samples.opened(rollback_samples.everything(), dry_run=True),
    "rollback-open": rollback_samples.already_open,
    "rollback-refused": rollback_samples.could_go_elsewhere,
    "rollback-nothing": rollback_samples.nothing_to_do,
    "drift": drift_samples.found,
    "drift-clean": drift_samples.clean,
    "drift-quick": drift_samples.quick,
    "drift-quick-clean": drift_samples.quick_and_clean,
    "drift-unclear": drift_samples.unclear,
    "drift-adopt": drift_samples.adopted_now,
    "drift-adopt-again": drift_samples.adopted_before,
    "drift-adopt-nothing": drift_samples.nothing_to_adopt,
    "drift-adopt-dry-run": drift_samples.would_adopt,
    "drift-revert": drift_samples.reverted_now,
    "drift-revert-nothing": drift_samples.nothing_to_revert,
    "drift-revert-dry-run": drift_samples.would_revert,
    "history": lambda: HistoryResult(samples.history_periods(), None),
    "history-older": lambda: HistoryResult(samples.history_periods(), None, 80),
    "history-nothing": lambda: HistoryResult((), "2026-01-01T00:00:00Z"),
    "import": samples.import_result,
    "audit-init": lambda: InitResult(DIGEST, created=True),
    "audit-verify": lambda: VerifyResult(
        3, DIGEST, ("entry 2 is missing",), ("the anchors in the registry",), is_whole=False
    ),
    "report": samples.delivery_report,
    "report-nothing": lambda: replace(
        samples.delivery_report(), total=samples.delivery_report().models[1], models=(), approvals=(), unknown=()
    ),
    "audit-verify-slots": lambda: samples.verify_result(),
}


@pytest.mark.parametrize(
    ("name", "render"),
    [
        *((f"proposal-{name}.md", lambda make=make: proposal_body(make())) for name, make in PROPOSALS.items()),
        ("comment-applied-and-refused.md", comment),
        ("drift-issue.md", lambda: issue_body(drift_samples.found(), NOTHING_STANDS)),
        ("drift-issue-quick.md", lambda: issue_body(drift_samples.quick(), drift_samples.STANDING)),
        ("adopt-body.md", lambda: drift_samples.new_pull(drift_samples.wanted()).body),
        ("adopt-body-never-there.md", lambda: drift_samples.new_pull(drift_samples.never_there()).body),
        *((f"{name}.md", lambda make=make: rendered(make(), "markdown")) for name, make in RESULTS.items()),
        *((f"{name}.txt", lambda make=make: rendered(make(), "text") + "\n") for name, make in RESULTS.items()),
    ],
)
def test_golden(name: str, render: Callable[[], str]) -> None:
    golden.check(name, render())


@pytest.mark.parametrize("name", sorted(file.name for file in golden.FOLDER.glob("*.md")))
def test_golden_files_render_as_they_were_meant(name: str) -> None:
    found = page((golden.FOLDER / name).read_text())
    assert found.elements <= OURS
    for rows in found.shape:
        assert len(set(rows)) == 1
    assert all("|" not in text for text in found.bare if "hostile" not in name), "a table that did not become one"
    assert all("**" not in text for text in found.bare if "hostile" not in name), "emphasis that did not become one"


def test_a_revert_leaves_the_issue_as_the_next_look_would_write_it() -> None:
    left = drift_samples.reverted_now()
    looked = replace(left, wish="look", reverted=None)
    assert issue_body(left, NOTHING_STANDS) == issue_body(looked, NOTHING_STANDS)
    assert "1 difference left" in rendered(left, "text")


# The body of a proposal


def test_the_body_leads_with_the_decision() -> None:
    first = winner_body().splitlines()[0]
    assert first.startswith("**Promote `demand` v5 to `Production` in place of v3:** a gain of 5.726% on `val_rmse`")


def test_links_lead_into_the_mlflow_ui() -> None:
    links = page(winner_body()).links
    assert f"{REGISTRY}/#/experiments/7/runs/run5/artifacts" in links
    assert f"{REGISTRY}/#/models/demand/versions/5" in links
    assert f"{REGISTRY}/#/runs/run3" in links
    side_by_side = "name=%22demand%22&runs=%7B%223%22%3A%22run3%22%2C%225%22%3A%22run5%22%7D"
    assert f"{REGISTRY}/#/compare-model-versions?{side_by_side}" in links


@pytest.mark.parametrize("registry", ["databricks-uc", "databricks://profile", "javascript:alert(1)"])
def test_without_a_web_address_there_are_no_links(registry: str) -> None:
    found = page(winner_body(registry))
    assert all(link.startswith(f"{PAGE}/blob/{UNMADE}/evidence/") for link in found.links)


def test_a_run_that_is_not_known_is_shown_by_its_id() -> None:
    body = proposal_body(samples.case_of(samples.winner(), {}))
    assert f"[`run5`]({REGISTRY}/#/runs/run5)" in body


def test_a_first_deployment_says_that_nothing_was_compared() -> None:
    body = proposal_body(PROPOSALS["first-deployment"]())
    assert "**Nothing was compared:** `Production` is empty, so only absolute limits (≥, ≤) were checked." in body
    assert "`Production: null` instead of `Production: 1`" in body
    assert "Archived" not in body
    assert "stagewright rollback" not in body, "there is nothing to go back to"


def test_a_known_noise_is_told_in_the_decision_the_table_and_the_level() -> None:
    body = proposal_body(PROPOSALS["others"]())
    assert "a gain of 5.726% on `val_rmse` (+3.964% or more with 99.96% confidence)" in body
    assert "| +5.726% (+3.964% to +7.455%) | gain ≥ 1%; with this noise ≥ +2.79% | ✓ pass |" in body
    assert "121 versions were looked at" in body
    assert "the best would still look better than v3 in 99 of 100 such cases" in body
    assert "Tested at 0.04132%, its share of the 5% that are accepted for all of them together (Holm)" in body
    assert "The policy expects 20 versions: had these been judged one by one, 13.9% would have been accepted." in body


def test_fewer_than_expected_share_the_level_with_those_to_come() -> None:
    body = proposal_body(PROPOSALS["winner"]())
    assert "its share of the 5% that are accepted for all of the 20 versions that the policy expects in 7 days" in body
    assert "one by one" not in body


def test_an_unknown_noise_is_told_wherever_there_is_a_margin() -> None:
    body = winner_body()
    assert "| +5.726% (noise unknown) | gain ≥ 1% |" in body
    assert "| ↑ `val_r2` | 0.84 | 0.86 | +0.02 | ≥ 0.8 |" in body
    assert "Noise is unknown for `val_rmse`, `latency_p95_ms`: luck is not ruled out there." in body
    assert "confidence" not in body


def test_rows_say_what_is_special() -> None:
    slices, tags = (proposal_body(PROPOSALS[name]()) for name in ("slices", "tags"))
    assert "| ↓ `cost` (guardrail, only informs) |" in slices
    assert "<summary>40 slices, all of which pass</summary>" in slices
    assert "| ↑ `val_auc/region:R07` (slice) |" in slices
    assert "its only required criterion holds against v3 on all 41 metrics and slices" in slices
    assert "| ↑ `validation_f1` (from a version tag) |" in tags


def test_an_acknowledged_jump_says_by_which_reason() -> None:
    body = proposal_body(PROPOSALS["acknowledged"]())
    assert "⚠️ The gain of +50% on `val_r2` (`max_gain` 10%) is acknowledged: the old model was trained without" in body


def test_what_changed_links_the_commits() -> None:
    body = proposal_body(PROPOSALS["winner"]())
    old, new = "c0ffee3" + "0" * 33, "c0ffee5" + "0" * 33
    assert (
        f"training code: `c0ffee3` → `c0ffee5`, [the commits between them](https://github.com/acme/training/compare/{old}...{new})"
        in body
    )


def test_what_changed_besides_the_numbers() -> None:
    body = proposal_body(PROPOSALS["differences"]())
    assert "- the input signature is wider: weather" in body
    assert "- `training` data: `2025` → `2026`" in body
    assert "- `evaluation` data: `d1g3st`, the same for both" in body
    params = page(proposal_body(PROPOSALS["params"]())).tables
    (table,) = [rows for rows in params if rows[0][0] == "Parameter"]
    assert len(table) == 1 + 202
    assert ["gone", "1", "–"] in table
    assert ["new", "–", exact("x" * 500, 60)] in table
    assert all(row[0] != "same" for row in table)


def test_who_has_to_approve_and_who_owns_it() -> None:
    body = winner_body()
    assert (
        "- rule `production`: 2 approvals, for promotion of demand Production; could approve: `bob`, `carol`, `dave`"
        in body
    )
    assert "`ana` asked for this proposal and does not count." in body
    assert "Owners of `demand`: `@acme/demand-ml`, `@bob`" in body
    scheduled = proposal_body(samples.case_of(samples.winner(), WINNER_RUNS, requesters=(), owners=()))
    assert "Whoever asked for this proposal does not count.\n" in scheduled
    assert "Owners" not in scheduled


def test_what_merging_would_be_refused_is_told_with_the_way_out() -> None:
    case = samples.case_of(samples.winner(), WINNER_RUNS)
    refusal = Refusal(("demand", "Production"), "drift", "somebody moved it", "Put v3 back.", case.proposal.incumbent)
    merging = replace(case.merging, plan=Plan((refusal,)), writes=(), needs_force=True)
    body = proposal_body(replace(case, merging=merging))
    assert "| `Production` | v3 → empty | refused: drift |" in body
    assert "- **`Production`:** somebody moved it. Way out: Put v3 back." in body
    assert "Nothing would be written to `https://mlflow.example.com/base` now." in body
    assert "apply will refuse them as `too-many`" in body


def test_nobody_can_approve_is_told() -> None:
    case = samples.case_of(samples.winner(), WINNER_RUNS)
    rule = replace(case.merging.needs.rules[0], could_approve=())
    needs = replace(case.merging.needs, rules=(rule,) * 12, ungoverned=("no rule of the policy governs x",) * 12)
    body = proposal_body(replace(case, merging=replace(case.merging, needs=needs)))
    assert "nobody could approve: give somebody the permission that the rule asks for" in body
    assert "- and 2 more rules" in body
    assert "- ✗ no rule of the policy governs x: this cannot be approved until the policy says who may" in body
    assert "- ✗ and 2 more" in body


def test_without_a_picture_the_body_says_nothing_of_one() -> None:
    pictured = winner_body()
    assert f"{PAGE}/blob/{UNMADE}/evidence/demand/v5-vs-v3.svg?raw=true" in pictured
    for changes in ({"picture": None}, {"repository": ""}):
        assert "svg" not in proposal_body(samples.case_of(samples.winner(), WINNER_RUNS, **changes))


def test_rolling_back_names_file_key_and_value() -> None:
    body = winner_body()
    assert "write in `models/demand.yaml`" in body
    assert 'Run `stagewright rollback demand --slot Production --reason "..."`: it opens a pull request' in body
    assert "- under `stages`: `Production: 3` instead of `Production: 5`" in body
    assert "- under `stages`: `Staging: 5` instead of `Staging: null`" in body


def test_an_alias_as_slot_archives_nothing() -> None:
    spec = samples.spec_of(
        stages={}, aliases={"champion": 3}, promotion={"slot": "champion", "criteria": tuple(samples.CRITERIA)}
    )
    proposal = samples.proposed(spec, samples.model_of("demand", {3: "None", 5: "None"}, {"champion": 3}), WINNER_RUNS)
    body = proposal_body(samples.case_of(proposal, WINNER_RUNS))
    assert "| `champion` | v3 → v5 | promotion |" in body
    assert "- under `aliases`: `champion: 3` instead of `champion: 5`" in body
    assert "Archived" not in body
    assert proposal_title(proposal) == "Promote demand v5 to champion, replacing v3"


@given(TEXTS)
@settings(deadline=None, max_examples=60)
def test_hostile_text_stays_text(text: str) -> None:
    harmless, hostile = (samples.with_texts(t) for t in ("x", text))
    expected = page(proposal_body(samples.case_of(harmless, samples.hostile_runs("x"))))
    found = page(proposal_body(samples.case_of(hostile, samples.hostile_runs(text))))
    assert found.shape == expected.shape
    assert found.elements == expected.elements
    assert found.attributes == expected.attributes
    assert len(found.links) == len(expected.links)
    assert all(link.startswith((f"{REGISTRY}/#/", f"{PAGE}/blob/{UNMADE}/evidence/")) for link in found.links)
    assert found.acting == []


@given(TEXTS)
@settings(deadline=None)
def test_a_title_is_one_line_of_plain_text(text: str) -> None:
    title = proposal_title(samples.with_texts(text))
    assert len(title) <= 256
    assert title.replace("\u2060", "").isprintable()
    assert page(title.replace("[", "(")).acting == []
    assert "[skip" not in title


# Its length


def many(others: int = 0, criteria: int = 0, text: str = "m") -> tuple[Proposal, str]:
    """A proposal with this many other candidates and criteria, and its body."""
    bounds = tuple({"metric": f"{text}{n}", "goal": "maximize", "at_least": 0} for n in range(criteria + 1))
    spec = samples.spec_of(promotion={"slot": "Production", "criteria": bounds})
    versions = {3: "Production", 5: "None", **dict.fromkeys(range(6, 6 + others), "None")}
    metrics = {f"{text}{n}": 1.0 for n in range(criteria + 1)}
    params = {f"{text}{n}": text * 3 for n in range(criteria)}
    runs = {"run3": samples.run_of(3, metrics), "run5": samples.run_of(5, metrics, params=params)}
    held = dict.fromkeys(range(6, 6 + others), text * 200)
    proposal = samples.proposed(spec, samples.model_of("demand", versions), runs, held=held)
    return proposal, proposal_body(samples.case_of(proposal, runs))


@pytest.mark.parametrize(
    ("others", "criteria", "left_out"),
    [
        (100, 0, ""),
        (5_000, 0, "4,900 of 5,000 other candidates"),
        (0, 5_000, "4,990 of 5,000 parameters, 4,901 of 5,001 metrics"),
        (5_000, 5_000, "4,990 of 5,000 other candidates, 4,990 of 5,000 parameters, 4,901 of 5,001 metrics"),
    ],
)
def test_a_body_stays_within_the_budget_and_says_what_it_left_out(others: int, criteria: int, left_out: str) -> None:
    proposal, body = many(others, criteria)
    assert len(body) <= BODY_BUDGET
    assert ("Left out for length:** " in body) == bool(left_out)
    assert left_out in body
    if left_out:
        assert f"{left_out}. All of it is in `{proposal.evidence.path}` or in the runs." in body
    assert page(body).elements <= OURS


@pytest.mark.parametrize("text", ["`" * 250, "|" * 250, "\\|" * 125, "@#" * 125, "日" * 250])
def test_the_longest_texts_stay_within_the_budget(text: str) -> None:
    for others, criteria in ((30, 30), (300, 300)):
        _, body = many(others, criteria, text)
        assert len(body) <= BODY_BUDGET


def test_many_followers_are_counted() -> None:
    aliases = {f"follower-{n}": {"follows": "Production"} for n in range(5_000)}
    model = samples.model_of("demand", {3: "Production", 5: "None"})
    proposal = samples.proposed(samples.spec_of(aliases=aliases), model, WINNER_RUNS)
    body = proposal_body(samples.case_of(proposal, WINNER_RUNS))
    assert "4981 more slots are left out here; after the merge `stagewright plan` shows them." in body
    assert "4981 more writes are left out here." in body


# What a merged pull request is told


def test_a_refusal_comes_with_its_reason_and_its_way_out() -> None:
    assert "the registry holds version 2" in comment()
    assert "Put version 1 back." in comment()
    assert samples.applied_links()[-1].digest in comment()


def test_a_refusal_before_either_version_was_known_claims_no_empty_slot() -> None:
    links = samples.links(
        samples.draft("refused", "churn", "Production", None, None, guard="version-missing", reason="?")
    )
    assert "| `churn` | `Production` | – | refused: version-missing |" in apply_comment([links[-1].entry], links[-1])


def test_a_comment_stays_within_the_budget() -> None:
    refused = samples.links(
        *(
            samples.draft("refused", "`" * 256, f"{n}" + "|" * 250, 1, 2, guard="drift", reason="@" * 5_000)
            for n in range(300)
        )
    )
    text = apply_comment([link.entry for link in refused[1:]], refused[-1])
    assert len(text) <= BODY_BUDGET
    assert "older results are left out" in text


@given(TEXTS)
@settings(deadline=None, max_examples=60)
def test_hostile_entries_stay_text(text: str) -> None:
    mandate = samples.mandate_of(12, approvers=(text, "bob"), merged_by=text)
    link = samples.links(
        samples.draft(
            "refused", text, text, 1, 2, guard=text, reason=text, run=f"https://x.example/{text}", mandate=mandate
        )
    )[-1]
    found = page(apply_comment([link.entry], link))
    assert found.shape == [[4, 4]]
    assert found.elements <= OURS
    assert len(found.links) == 1
    assert found.links[0].startswith("https://x.example/")
    assert found.acting == []


# Forgetting to escape


def test_a_template_cannot_print_what_was_not_escaped() -> None:
    template = _environment().from_string("{{ text }} {{ 'a' ~ text }} {{ text | code }}")
    assert template.render(text="<b>") == r"\<b\> a\<b\> `<b>`"
    assert _environment().from_string("{{ made }}").render(made=code("<b>")) == "`<b>`"
    for value in (None, ["<b>"], 0.1, True):
        with pytest.raises(TypeError, match="expected text, Markdown or a whole number"):
            _environment().from_string("{{ value }}").render(value=value)


def test_a_template_cannot_print_what_it_was_not_given() -> None:
    with pytest.raises(UndefinedError):
        filled("init.md.j2")
    with pytest.raises(TemplateNotFound):
        filled("no-such-template.md.j2")


def test_templates_use_the_form_for_tables_in_tables_only() -> None:
    for file in _TEMPLATES.glob("*.j2"):
        for line in file.read_text().splitlines():
            wrong = "| code" if line.startswith("|") else "| cell"
            assert wrong not in line, f"{file.name}: {line}"
            assert "safe" not in line, f"{file.name}: {line}"


def test_markdown_is_made_by_escaping_only() -> None:
    assert isinstance(rendered(InitResult(DIGEST, created=False), "markdown"), Markdown)


def test_text_and_json_do_not_import_jinja2() -> None:
    program = (
        "import sys; from bot.core.results import InitResult; from bot.views.render import rendered;"
        "r = InitResult('sha256:0', True); rendered(r, 'text'); rendered(r, 'json');"
        "assert 'jinja2' not in sys.modules; rendered(r, 'markdown'); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

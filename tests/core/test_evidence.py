from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.core.canonical import canonical, digest
from bot.core.comparison import compare, measured
from bot.core.evidence import (
    Circumstances,
    Evidence,
    OtherCandidate,
    changed_rules,
    contradictions,
    criteria_digest,
    declared,
    freeze,
    parse,
    path,
    recheck,
)
from bot.core.spec import Criterion, PromotionPolicy
from bot.core.state import Dataset, Identity, ModelVersion, RegisteredModel, RegistryState, Run

POLICY = PromotionPolicy(schema_version=1)
NOON = datetime(2026, 11, 3, 12, 0, 30, 999, tzinfo=UTC)
CRITERIA = (
    Criterion.model_validate({"metric": "auc", "goal": "maximize", "min_gain": "1%", "at_least": 0.5}),
    Criterion.model_validate({"metric": "latency", "goal": "minimize", "max_loss": 2}),
)
GOOD = {"auc": 0.9, "latency": 11.0}
OLD = {"auc": 0.8, "latency": 10.0}


def identity(version: int) -> Identity:
    return Identity("churn", version, f"run{version}", 1_000 + version)


def run(version: int, metrics: Mapping[str, float], data: str = "d1") -> Run:
    return Run(
        run_id=f"run{version}",
        experiment_id="1",
        name="r",
        metrics=metrics,
        params={},
        tags={"mlflow.source.git.commit": f"c0ffee{version}"},
        datasets=(Dataset("test", data, "evaluation"),),
        started_at=0,
    )


def state(*versions: int) -> RegistryState:
    found = {number: ModelVersion(identity(number)) for number in versions}
    return RegistryState({"churn": RegisteredModel("churn", versions=found)})


RUNS = {"run3": run(3, OLD), "run5": run(5, GOOD)}


def frozen(
    runs: Mapping[str, Run] = RUNS,
    incumbent: int | None = 3,
    criteria: tuple[Criterion, ...] = CRITERIA,
    decided_at: datetime = NOON,
) -> Evidence:
    def side(version: int) -> Any:
        return measured(ModelVersion(identity(version)), runs.get(f"run{version}"), POLICY)

    other = OtherCandidate(identity=identity(4), verdict="reject", why="worse")
    comparison = compare(criteria, side(incumbent) if incumbent else None, side(5), POLICY)
    return freeze(
        comparison, Circumstances("Production", ("champion",), "http://mlflow", decided_at, POLICY, runs, (other,))
    )


def parsed(data: bytes) -> Evidence:
    evidence = parse(data)
    assert isinstance(evidence, Evidence)
    return evidence


def refused(data: bytes) -> str:
    reasons = parse(data)
    assert not isinstance(reasons, Evidence)
    assert reasons
    return "; ".join(reasons)


def forged(evidence: Evidence, change: Callable[[dict[str, Any]], None]) -> bytes:
    content = json.loads(evidence.to_bytes())
    change(content)
    return canonical(content)


def test_what_evidence_records() -> None:
    evidence = frozen()
    assert (evidence.model, evidence.slot, evidence.verdict) == ("churn", "Production", "promote")
    assert (evidence.candidate, evidence.incumbent) == (identity(5), identity(3))
    assert (evidence.candidate_git_commit, evidence.incumbent_git_commit) == ("c0ffee5", "c0ffee3")
    assert evidence.decided_at == "2026-11-03T12:00:30Z"
    assert evidence.evaluation_data.candidate == evidence.evaluation_data.incumbent == ("d1",)
    assert [(row.metric, row.gain, row.outcome) for row in evidence.rows] == [
        ("auc", 0.1, "pass"),
        ("latency", -1.0, "pass"),
    ]
    assert evidence.others[0].why == "worse"


def test_the_file_is_canonical_json_without_a_newline() -> None:
    data = frozen().to_bytes()
    assert data == canonical(json.loads(data))
    assert not data.endswith(b"\n")
    assert frozen().digest == digest(data)
    assert json.loads(data)["criteria"][0] == {"at_least": 0.5, "goal": "maximize", "metric": "auc", "min_gain": "1%"}


def test_the_same_moment_in_another_zone_gives_the_same_bytes() -> None:
    assert frozen(decided_at=NOON.astimezone(timezone(timedelta(hours=9)))).to_bytes() == frozen().to_bytes()


def test_a_moment_without_zone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="time zone"):
        frozen(decided_at=NOON.replace(tzinfo=None))


def test_reading_gives_back_what_was_written() -> None:
    for evidence in (frozen(), frozen(incumbent=None)):
        assert parsed(evidence.to_bytes()) == evidence


@pytest.mark.parametrize(
    ("value", "written"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (None, None)]
)
def test_numbers_that_json_lacks(value: float | None, written: str | None) -> None:
    metrics = {"latency": 10.0} if value is None else {"auc": value, "latency": 10.0}
    evidence = frozen({**RUNS, "run5": run(5, metrics)})
    assert json.loads(evidence.to_bytes())["rows"][0]["candidate"] == written
    assert evidence.verdict == "incomparable"
    assert parsed(evidence.to_bytes()) == evidence


@given(st.floats(), st.floats(), st.text(max_size=5))
def test_any_numbers_and_texts_survive(theirs: float, ours: float, data: str) -> None:
    runs = {"run3": run(3, {**OLD, "auc": theirs}, data), "run5": run(5, {**GOOD, "auc": ours}, data)}
    evidence = frozen(runs)
    assert parsed(evidence.to_bytes()).to_bytes() == evidence.to_bytes()


def test_a_run_that_is_gone_has_no_git_commit() -> None:
    evidence = frozen({"run5": run(5, GOOD)})
    assert (evidence.candidate_git_commit, evidence.incumbent_git_commit) == ("c0ffee5", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content.update(extra=1), "extra: "),
        (lambda content: content.pop("verdict"), "verdict: "),
        (lambda content: content.update(schema_version=2), "schema_version: "),
        (lambda content: content.update(schema_version=True), "schema_version: "),
        (lambda content: content.update(verdict="better"), "verdict: "),
        (lambda content: content.update(decided_at="yesterday"), "decided_at: "),
        (lambda content: content["candidate"].update(version="5"), "candidate.version: "),
        (lambda content: content["candidate"].update(note="x"), "candidate.note: "),
        (lambda content: content["rows"][0].update(gain="a lot"), "rows.0.gain"),
        (lambda content: content["criteria"][0].update(min_gain="much"), "criteria.0.min_gain"),
        (lambda content: content["criteria"][0].update(min_gain="0.1%"), "criteria_digest to be the digest"),
        (lambda content: content["rows"].reverse(), "rows for every criterion"),
        (lambda content: content["rows"].pop(), "rows for every criterion"),
        (lambda content: content.update(criteria=[], rows=[]), "criteria: "),
        (lambda content: content["candidate"].update(model="other"), "two versions of the model"),
        (lambda content: content["incumbent"].update(model="other"), "two versions of the model"),
        (lambda content: content.update(incumbent=content["candidate"]), "two versions of the model"),
        (lambda content: content["criteria"][0].update(max_loss=None), "not RFC 8785"),
        (lambda content: content["criteria"][0].update(min_gain="1.0%"), "not RFC 8785"),
    ],
)
def test_what_is_no_evidence_is_refused(change: Callable[[dict[str, Any]], None], reason: str) -> None:
    assert reason in refused(forged(frozen(), change))


def test_only_the_canonical_bytes_are_evidence() -> None:
    data = frozen().to_bytes()
    for other in (
        data + b"\n",
        b" " + data,
        b"\xef\xbb\xbf" + data,
        json.dumps(json.loads(data), indent=2).encode(),
        data.replace(b'"slot":"Production"', b'"slot":"Staging","slot":"Production"'),
        data.replace(b'"candidate":0.9', b'"candidate":0.90'),
        data.replace(b"churn", b"chu\\u0072n", 1),
        data[:-1],
        b"\xff",
        b"",
    ):
        assert other != data
        refused(other)


def test_numbers_beyond_json_are_refused() -> None:
    data = frozen().to_bytes()
    for number in (b"-1", b"9007199254740992", b"1" + b"0" * 400):
        refused(data.replace(b'"created_at":1005', b'"created_at":' + number))
    refused(data.replace(b'"candidate":0.9', b'"candidate":1e999'))
    with pytest.raises(ValidationError):
        Evidence.model_validate({**dict(frozen()), "candidate": replace(identity(5), created_at=2**53)})


def test_where_evidence_lies() -> None:
    assert frozen().path == path("churn", 5, 3) == "evidence/churn/v5-vs-v3.json"
    assert frozen(incumbent=None).path == "evidence/churn/v5-vs-none.json"
    assert path("../a/b", 1, None) == "evidence/%2E.%2Fa%2Fb/v1-vs-none.json"


# Criteria


def test_the_criteria_digest_is_of_the_meaning() -> None:
    def digest_for(**bounds: Any) -> str:
        return criteria_digest([Criterion(metric="m", goal="maximize", **bounds)])

    assert digest_for(min_gain="1%") == digest_for(min_gain="1.00 %")
    assert digest_for(at_least=1) == digest_for(at_least=1.0)
    texts = {digest_for(min_gain=margin) for margin in ("1%", "10%", "100%", "0%", 1, 0, 0.01)}
    assert len(texts) == 7
    assert digest_for(min_gain="1%") != digest_for(max_loss="1%")
    assert criteria_digest(CRITERIA) != criteria_digest(CRITERIA[::-1])


@given(
    st.sampled_from(["min_gain", "max_loss"]),
    st.floats(-1e15, 1e15) | st.integers(-1000, 1000) | st.decimals(-999, 999, places=3).map(lambda one: f"{one:f}%"),
)
def test_a_criterion_reads_back_from_what_is_declared(bound: str, margin: Any) -> None:
    criterion = Criterion.model_validate({"metric": "m", "goal": "minimize", bound: margin, "at_most": 7})
    assert Criterion.model_validate(declared(criterion)) == criterion


# What it supports


def test_evidence_supports_its_own_change_and_that_of_followers() -> None:
    assert contradictions(frozen(), "churn", "Production", 5, 3) == ()
    assert contradictions(frozen(), "churn", "champion", 5, 3) == ()
    assert contradictions(frozen(incumbent=None), "churn", "Production", 5, None) == ()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("fraud", "Production", 5, 3), "the evidence's model is churn, expected fraud"),
        (("churn", "Staging", 5, 3), "the evidence's slot is Production, expected Staging"),
        (("churn", "Production", 6, 3), "the evidence's candidate is v5, expected v6"),
        (("churn", "Production", None, 3), "the evidence's candidate is v5, expected none"),
        (("churn", "Production", 5, 2), "the evidence's incumbent is v3, expected v2"),
        (("churn", "Production", 5, None), "the evidence's incumbent is v3, expected none"),
        (("churn", "Production", 5, "unmanaged"), "the evidence's incumbent is v3, expected unmanaged"),
    ],
)
def test_evidence_for_something_else_contradicts(arguments: Any, reason: str) -> None:
    assert contradictions(frozen(), *arguments) == (reason,)


def test_a_verdict_other_than_promote_contradicts() -> None:
    worse = frozen({**RUNS, "run5": run(5, {**GOOD, "auc": 0.7})})
    reasons = contradictions(worse, "churn", "Production", 5, 3)
    assert reasons[0] == "the evidence's verdict is reject, expected promote"
    assert reasons[1].startswith("the evidence's row for auc says fail: the gain is -12.5%")


@pytest.mark.parametrize("metrics", [{**GOOD, "auc": 0.7}, {**GOOD, "auc": math.nan}])
def test_a_forged_verdict_is_contradicted_by_its_rows(metrics: Mapping[str, float]) -> None:
    honest = frozen({**RUNS, "run5": run(5, metrics)})
    evidence = parsed(forged(honest, lambda content: content.update(verdict="promote")))
    assert contradictions(evidence, "churn", "Production", 5, 3)
    assert recheck(evidence, state(3, 5), {**RUNS, "run5": run(5, metrics)})


def test_a_first_versions_margins_do_not_contradict() -> None:
    evidence = frozen(incumbent=None)
    assert [row.outcome for row in evidence.rows] == ["pass", "unknown"]
    assert contradictions(evidence, "churn", "Production", 5, None) == ()


# Rechecking


def test_nothing_moved() -> None:
    assert recheck(frozen(), state(3, 5, 9), RUNS) == ()
    assert recheck(frozen(incumbent=None), state(5), RUNS) == ()
    nan = {**RUNS, "run5": run(5, {**GOOD, "auc": math.nan})}
    assert recheck(frozen(nan), state(3, 5), nan) == ()


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ({"run5": run(5, {**GOOD, "auc": 0.91})}, "auc: candidate was 0.9 in the evidence and is 0.91 now"),
        ({"run3": run(3, {**OLD, "auc": 0.81})}, "auc: incumbent was 0.8 in the evidence and is 0.81 now"),
        ({"run5": run(5, {"auc": 0.9})}, "latency: candidate was 11.0 in the evidence and is None now"),
        ({"run5": run(5, {**GOOD, "auc": math.nan})}, "the verdict was promote and is incomparable now"),
        ({"run5": run(5, {**GOOD, "auc": 0.7})}, "the verdict was promote and is reject now"),
        ({"run5": replace(run(5, GOOD), deleted=True)}, "the run run5 of v5 was deleted"),
        ({"run3": replace(run(3, OLD), deleted=True)}, "the run run3 of v3 was deleted"),
        ({"run5": run(5, GOOD, "d2")}, "the candidate's evaluation data is not that of the evidence any more"),
        ({"run3": run(3, OLD, "d2")}, "the incumbent's evaluation data is not that of the evidence any more"),
    ],
)
def test_numbers_that_moved(runs: Mapping[str, Run], reason: str) -> None:
    assert any(found.startswith(reason) for found in recheck(frozen(), state(3, 5), {**RUNS, **runs}))


def test_a_run_that_is_gone_by_now() -> None:
    assert "run5 of v5 does not exist any more" in recheck(frozen(), state(3, 5), {"run3": RUNS["run3"]})[0]


@pytest.mark.parametrize(("actual", "gone"), [(RegistryState({}), "v5"), (state(3), "v5"), (state(5), "v3")])
def test_versions_that_are_gone(actual: RegistryState, gone: str) -> None:
    assert recheck(frozen(), actual, RUNS)[0] == f"{gone} of churn does not exist any more: propose again"


def test_a_model_that_was_created_again() -> None:
    again = ModelVersion(replace(identity(5), run_id="other", created_at=9))
    actual = RegistryState({"churn": RegisteredModel("churn", versions={3: ModelVersion(identity(3)), 5: again})})
    (reason,) = recheck(frozen(), actual, RUNS)
    assert reason.startswith("v5 of churn is another version now (run other, in the evidence run run5)")


def test_a_forged_gain_is_found() -> None:
    evidence = parsed(forged(frozen(), lambda content: content["rows"][0].update(gain=0.5)))
    assert recheck(evidence, state(3, 5), RUNS) == ("auc: gain was 0.5 in the evidence and is 0.1 now",)


def test_a_text_may_change_between_releases() -> None:
    evidence = parsed(forged(frozen(), lambda content: content["rows"][0].update(reason="said otherwise")))
    assert recheck(evidence, state(3, 5), RUNS) == ()


def test_other_rules_need_other_evidence() -> None:
    assert changed_rules(frozen(), CRITERIA, POLICY) == ()
    (criteria,) = changed_rules(frozen(), CRITERIA[:1], POLICY)
    assert criteria == "the criteria digest is not that of the evidence: propose again"
    for other in ({"evaluation_data": "may_differ"}, {"evaluation_context": "test"}):
        (rule,) = changed_rules(frozen(), CRITERIA, PromotionPolicy.model_validate({"schema_version": 1, **other}))
        assert rule == "the policy on evaluation data is not that of the evidence: propose again"
    assert len(changed_rules(frozen(), (), PromotionPolicy(schema_version=1, evaluation_context="x"))) == 2

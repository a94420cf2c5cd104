"""`compare` on an experiment, and on evidence alone. What is compared by a model's candidates is in test_plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bot.commands.compare import compare_evidence, compare_experiment
from bot.core.canonical import canonical
from bot.core.evidence import Evidence
from bot.core.results import EvidenceResult, ExperimentResult, Opened
from bot.core.state import RegistryState
from bot.errors import Misuse, Refused
from bot.views.render import rendered
from tests.commands.scene import DEMAND, ReadOnlyRegistry, Scene, run_of
from tests.fakes.registry import FakeRegistry


@pytest.fixture
def scene() -> Scene:
    return Scene()


def tuning(scene: Scene, **rmse: float) -> ExperimentResult:
    return ranked(scene, runs_of_tuning(rmse))


def runs_of_tuning(rmse: Mapping[str, float]) -> dict[str, Any]:
    runs = {name: replace(run_of("demand", 0, value), run_id=name, experiment_id="7") for name, value in rmse.items()}
    return {**runs, "demand-run3": run_of("demand", 3, 0.20)}


def ranked(scene: Scene, runs: Mapping[str, Any], **asked: Any) -> ExperimentResult:
    scene.registry = FakeRegistry(scene.state(), runs, experiments={"tuning": "7"})
    registry = ReadOnlyRegistry(scene.registry)
    return compare_experiment(
        scene.tree,
        registry,
        asked.pop("model", "demand"),
        asked.pop("experiment", "tuning"),
        asked.pop("by", None),
        **asked,
    )


class TestExperiment:
    def test_runs_are_ranked_before_anything_is_registered(self, scene: Scene) -> None:
        result = tuning(scene, good=0.17, better=0.16, worse=0.3)
        assert [(one.identity.run_id, one.verdict) for one in result.runs] == [
            ("better", "promote"),
            ("good", "promote"),
            ("worse", "reject"),
        ]
        assert result.has_winner
        assert result.incumbent is not None
        assert (result.incumbent.version, result.slot, result.cut) == (3, "Production", False)
        text = rendered(result, "text")
        assert "demand: 3 runs of the experiment 'tuning' against v3 in Production: 2 of them" in text
        assert max(map(len, text.splitlines())) <= 80
        assert "`mlflow.register_model('runs:/better/model', 'demand')`" in text
        assert "3. crane-0 worse reject: val_rmse: the gain is -50%, needed gain ≥ 1%" in text
        assert "| 1 | `crane-0 better` | 0.16 | +20% | promote |" in rendered(result, "markdown")
        assert json.loads(rendered(result, "json"))["has_winner"] is True

    def test_nobody_is_better(self, scene: Scene) -> None:
        result = tuning(scene, worse=0.3)
        assert not result.has_winner
        assert "none of them is better" in " ".join(rendered(result, "text").split())
        assert "Nothing to register" in rendered(result, "markdown")
        assert not tuning(scene).runs
        assert "0 runs" in rendered(tuning(scene), "text")

    def test_two_bulk_reads_and_the_noise_of_winners(self, scene: Scene) -> None:
        runs = runs_of_tuning({"good": 0.17, "worse": 0.3})
        for name in ("good", "worse", "demand-run3"):
            runs[name] = replace(runs[name], metrics={**runs[name].metrics, "val_rmse_fold": 0.1})
        ranked(scene, runs)
        assert scene.registry.reads == 1
        (asked,) = scene.registry.asked
        assert set(asked.histories) == {"good", "demand-run3"}
        tuning(scene, worse=0.3)
        assert scene.registry.asked == []

    def test_a_registered_run_is_called_by_its_version(self, scene: Scene) -> None:
        runs = runs_of_tuning({})
        runs["demand-run5"] = replace(run_of("demand", 5, 0.18), experiment_id="7")
        result = ranked(scene, runs)
        assert "| 1 | `v5` |" in rendered(result, "markdown")
        assert "`stagewright compare demand` says whether v5" in " ".join(rendered(result, "text").split())

    def test_the_incumbent_is_shown_where_it_ranks(self, scene: Scene) -> None:
        runs = runs_of_tuning({"good": 0.17})
        runs["demand-run3"] = replace(runs["demand-run3"], experiment_id="7")
        assert "| 2 | `v3` | 0.2 | – | incumbent |" in rendered(ranked(scene, runs), "markdown")

    def test_any_metric_ranks(self, scene: Scene) -> None:
        runs = runs_of_tuning({"a": 0.1, "b": 0.2})
        runs["a"] = replace(runs["a"], metrics={**runs["a"].metrics, "cost": 5.0})
        assert [one.identity.run_id for one in ranked(scene, runs, by="cost").runs] == ["a", "b"]
        with pytest.raises(Misuse, match="No run of 'tuning' has the metric 'price'"):
            ranked(scene, runs, by="price")
        result = ranked(scene, runs, by="cost", lowest_first=True)
        assert "Ranked by `cost`, the lowest first" in rendered(result, "text")

    def test_only_the_newest_thousand_are_read(self, scene: Scene) -> None:
        runs = runs_of_tuning({f"run{number:04}": 0.3 for number in range(1_200)})
        result = ranked(scene, runs)
        assert (len(result.runs), result.cut) == (1_000, True)
        text = rendered(result, "text")
        assert "Only the newest 1,000 were read." in text
        assert "950 more runs are left out here" in text
        assert "800 more runs are left out here" in rendered(result, "markdown")

    def test_an_empty_slot(self, scene: Scene) -> None:
        floors = DEMAND.replace("Production: 3", "Production: null").replace("min_gain: 1%", "at_most: 0.2")
        scene.tree.write("models/demand.yaml", floors.encode())
        runs = runs_of_tuning({"good": 0.17, "worse": 0.3})
        scene.registry = FakeRegistry(RegistryState({}), runs, experiments={"tuning": "7"})
        result = compare_experiment(scene.tree, scene.registry, "demand", "tuning", None)
        assert [one.verdict for one in result.runs] == ["promote", "reject"]
        text = " ".join(rendered(result, "text").split())
        assert "against the empty slot Production: 1 of them meets every absolute limit" in text

    def test_what_cannot_be_asked(self, scene: Scene) -> None:
        with pytest.raises(Misuse, match="MLflow has no experiment 'nothing'"):
            ranked(scene, {}, experiment="nothing")
        with pytest.raises(Misuse, match="No file in models/ is for 'beer'"):
            ranked(scene, {}, model="beer")
        scene.tree.write("models/demand.yaml", DEMAND.partition("promotion:")[0].encode())
        with pytest.raises(Misuse, match="The file of 'demand' has no promotion section"):
            ranked(scene, {})


def evidence_of(scene: Scene) -> Evidence:
    (outcome,) = scene.propose("demand", dry_run=True).outcomes
    assert isinstance(outcome, Opened)
    return outcome.proposal.evidence


def decided(content: bytes, model: str = "demand") -> EvidenceResult:
    return compare_evidence(model, "v5-vs-v3.json", content)


class TestEvidence:
    def test_the_same_verdict_from_the_file_alone(self, scene: Scene) -> None:
        evidence = evidence_of(scene)
        result = decided(evidence.to_bytes())
        assert result.again.verdict == evidence.verdict == "promote"
        assert result.has_winner
        assert result.digest == evidence.digest
        text = rendered(result, "text")
        assert "v5 against v3 for Production, decided again from evidence of" in text
        assert "The evidence says the same." in text
        assert max(map(len, text.splitlines())) <= 80 or evidence.digest in text
        assert "| ↓ `val_rmse` | 0.2 | 0.18 | +10%" in rendered(result, "markdown")
        assert json.loads(rendered(result, "json"))["again"]["verdict"] == "promote"

    def test_what_the_file_says_otherwise_is_told(self, scene: Scene) -> None:
        evidence = evidence_of(scene)
        row = evidence.rows[0].model_copy(update={"candidate": 0.25})
        result = decided(evidence.model_copy(update={"rows": (row,)}).to_bytes())
        assert (result.again.verdict, result.has_winner) == ("reject", False)
        for form in ("text", "markdown"):
            said = " ".join(rendered(result, form).split())
            assert "The evidence says otherwise (promote)" in said
            assert "the verdict was promote and is reject now" in said

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "v5-vs-v3.json is no evidence: the file: Invalid JSON"),
            (
                b"{}",
                r"v5-vs-v3.json is no evidence: schema_version: Field required \(and 2[0-9] more\)\. Take the file",
            ),
        ],
    )
    def test_a_file_that_is_no_evidence(self, content: bytes, why: str) -> None:
        with pytest.raises(Refused, match=why):
            decided(content)

    def test_evidence_with_a_newline_or_on_another_model(self, scene: Scene) -> None:
        data = evidence_of(scene).to_bytes()
        with pytest.raises(Refused, match="not RFC 8785 canonical JSON"):
            decided(data + b"\n")
        with pytest.raises(Refused, match="is evidence on 'demand', not on 'wine'"):
            decided(data, "wine")

    def test_numbers_that_contradict_each_other(self, scene: Scene) -> None:
        content = json.loads(evidence_of(scene).to_bytes())
        source = {"df": 1e-300, "variances": [1e308, 1e308, 1e308], "skews": [1e308, -1e308, 1e308, 1e308]}
        content["rows"][0]["noise"] |= {"method": "x", "unknown": "", "sources": [source, source]}
        content["rows"][0]["noise"] |= {"incumbent": 1, "candidate": 2, "gain": 1}
        with pytest.raises(Refused, match="its numbers cannot have been measured"):
            decided(canonical(content))

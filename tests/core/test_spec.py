"""The documents as values: what they accept, refuse and say."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bot.core.approval_policy import ApprovalPolicy, When
from bot.core.spec import (
    AuditAnchor,
    Criterion,
    EligibilityRules,
    Follows,
    FromStage,
    Hold,
    Margin,
    ModelSpec,
    NewerThan,
    NoisePolicy,
    Promotion,
    PromotionPolicy,
    WithAlias,
    WithTags,
    desired_state,
    encoded,
    file_of_model,
    followed_stages,
)


def types_of(model: type[BaseModel], **values: Any) -> list[str]:
    """The kinds of error that values raise when they come from a file."""
    with pytest.raises(ValidationError) as error:
        model.model_validate_json(json.dumps(values))
    return [item["type"] for item in error.value.errors()]


def read(model: type[BaseModel], **values: Any) -> Any:
    return model.model_validate_json(json.dumps(values))


def spec(**values: Any) -> ModelSpec:
    return ModelSpec.model_validate_json(json.dumps({"schema_version": 1, "name": "x", **values}))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("demand_model-1.2", "models/demand_model-1.2.yaml"),
        ("two words", "models/two words.yaml"),
        ("catalog.schema.model", "models/catalog.schema.model.yaml"),
        ("a/b\\c:d", "models/a%2Fb%5Cc%3Ad.yaml"),
        ("../x", "models/%2E.%2Fx.yaml"),
        (".hidden", "models/%2Ehidden.yaml"),
        ("é%", "models/%C3%A9%25.yaml"),
        ("a\nb\u200b", "models/a%0Ab%E2%80%8B.yaml"),
        ("\ud800", "models/%ED%A0%80.yaml"),
        ("x" * 200, f"models/{'x' * 200}.yaml"),
        ("x" * 201, f"models/{'x' * 135}+{hashlib.sha256(b'x' * 201).hexdigest()}.yaml"),
        ("é" * 256, f"models/{'%C3%A9' * 22}%C3+{hashlib.sha256('é'.encode() * 256).hexdigest()}.yaml"),
    ],
)
def test_files_of_models(name: str, file: str) -> None:
    assert file_of_model(name) == file


NAMES = st.one_of(st.text(min_size=1, max_size=256), st.text("é日🎉%+. ", min_size=60, max_size=256))


@given(NAMES)
def test_an_encoded_name_is_one_segment_that_every_file_system_takes(name: str) -> None:
    segment = encoded(name)
    assert segment.isascii()
    assert segment.isprintable()
    assert not segment.startswith(".")
    assert "/" not in segment
    assert len(f".{segment}.yaml.12345678") <= 255
    if "+" not in segment:
        assert unquote(segment, errors="surrogatepass") == name


@given(NAMES, NAMES)
def test_two_names_never_share_a_file(one: str, other: str) -> None:
    long = "é" * 200
    for first, second in ((one, other), (long + one, long + other), (encoded(one), one)):
        assert (encoded(first) == encoded(second)) == (first == second)


def test_desired_versions() -> None:
    aliases = {"champion": {"follows": "Production"}, "lost": {"follows": "Staging"}, "old": 1, "empty": None}
    document = spec(stages={"Production": 3}, aliases=aliases)
    assert document.desired() == {"Production": 3, "champion": 3, "old": 1, "empty": None}
    assert desired_state({"x": document}) == {
        ("x", "Production"): 3,
        ("x", "champion"): 3,
        ("x", "old"): 1,
        ("x", "empty"): None,
    }
    assert followed_stages({"x": document}) == {("x", "champion"): ("x", "Production"), ("x", "lost"): ("x", "Staging")}
    assert spec(stages={"Production": None}, aliases=aliases).desired()["champion"] is None


def test_values_built_in_code_are_taken_as_they_are() -> None:
    criterion = Criterion(metric="a", goal="minimize", min_gain=Margin(amount=Decimal("0.1"), relative=True))
    promotion = Promotion(
        slot="Production", candidates=FromStage.model_validate({"from": "Staging"}), criteria=(criterion,)
    )
    document = ModelSpec(
        schema_version=1,
        name="x",
        stages={"Production": 1},
        aliases={"champion": Follows(follows="Production")},
        promotion=promotion,
        holds=(Hold(version=1, reason="r", until=date(2026, 12, 31)),),
    )
    assert document.promotion == promotion
    assert document.holds[0].until == date(2026, 12, 31)
    assert document.desired() == {"Production": 1, "champion": 1}


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_schema_version_is_the_integer_one(value: object) -> None:
    assert types_of(AuditAnchor, schema_version=value, genesis=None) == ["wrong-type"]


@pytest.mark.parametrize("alias", ["champion", "v", "v1a", "latest2", "été", "a-b_c", "1"])
def test_aliases_that_mlflow_takes(alias: str) -> None:
    assert spec(aliases={alias: 1}).desired() == {alias: 1}


@pytest.mark.parametrize("alias", ["", "a.b", "a b", "latest", "Latest", "v1", "V12", "staging", "None", "x" * 256])
def test_aliases_that_mlflow_refuses(alias: str) -> None:
    assert types_of(ModelSpec, schema_version=1, name="x", aliases={alias: 1}) == ["refused-alias"]


@pytest.mark.parametrize(
    ("value", "amount", "relative", "text"),
    [
        (0.01, "0.01", False, "0.01"),
        (0, "0", False, "0"),
        (-2, "-2", False, "-2"),
        ("1%", "0.01", True, "1%"),
        ("0.5 %", "0.005", True, "0.5%"),
        ("-10%", "-0.1", True, "-10%"),
        ("+100%", "1", True, "100%"),
        ("0%", "0", True, "0%"),
    ],
)
def test_margins(value: object, amount: str, relative: bool, text: str) -> None:
    criterion = read(Criterion, metric="a", goal="maximize", min_gain=value)
    assert criterion.min_gain == Margin(amount=Decimal(amount), relative=relative)
    assert str(criterion.min_gain) == text


@pytest.mark.parametrize("value", [True, "1", "1 percent", "%", "١%", [1], {}, math.nan, math.inf])
def test_what_is_no_margin(value: object) -> None:
    assert types_of(Criterion, metric="a", goal="maximize", min_gain=value) == ["wrong-margin"]


def test_absolute_bounds_are_finite_numbers() -> None:
    criterion = read(Criterion, metric="a", goal="maximize", at_least=1, at_most=2.5)
    assert (criterion.at_least, criterion.at_most) == (1.0, 2.5)
    assert types_of(Criterion, metric="a", goal="maximize", at_least="1") == ["float_type"]
    assert types_of(Criterion, metric="a", goal="maximize", at_least=True) == ["float_type"]
    assert types_of(Criterion, metric="a", goal="maximize", at_least=math.nan) == ["finite_number"]
    assert types_of(Criterion, metric="a", goal="maximize") == ["criterion-without-bound"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"newer_than": "incumbent"}, NewerThan(newer_than="incumbent")),
        ({"alias": "challenger"}, WithAlias(alias="challenger")),
        ({"tags": {"a": "b"}}, WithTags(tags={"a": "b"})),
    ],
)
def test_candidate_sources(source: object, expected: object) -> None:
    criteria = [{"metric": "a", "goal": "maximize", "min_gain": 0}]
    promotion = read(Promotion, slot="Production", candidates=source, criteria=criteria)
    assert promotion.candidates == expected
    assert types_of(Promotion, slot="P", candidates={}, criteria=criteria) == ["unknown-candidates"]
    assert types_of(Promotion, slot="P", candidates=3, criteria=criteria) == ["unknown-candidates"]


def test_candidates_are_the_newer_versions_unless_told() -> None:
    criteria = [{"metric": "a", "goal": "maximize", "min_gain": 0}]
    assert read(Promotion, slot="P", criteria=criteria).candidates == NewerThan(newer_than="incumbent")


def test_holds() -> None:
    assert read(Hold, version=4, reason="r", until="2026-12-31").until == date(2026, 12, 31)
    assert read(Hold, version=4, reason="r", until=None).until is None
    assert read(Hold, version=4, lift=True).lift
    assert types_of(Hold, version=4) == ["hold-without-reason"]
    for day in ("1767139200", "20261231", "2026-02-30", "2026-2-3", "2026-W01-1", "٢٠٢٦-12-31"):
        assert types_of(Hold, version=4, reason="r", until=day) == ["wrong-type"]
    assert types_of(Hold, version=4, reason="r", until=1767139200) == ["date_type"]


def test_rules_govern_slots_or_paths() -> None:
    assert types_of(When) == ["rule-governs-nothing"]
    assert types_of(When, paths=["**"], kinds=["rollback"]) == ["paths-and-slots"]
    assert read(When, slots=["Production"], kinds=["rollback"], models=["a*"]).models == ("a*",)
    assert read(When, paths=["**"]).paths == ("**",)


@pytest.mark.parametrize("model", [ModelSpec, PromotionPolicy, ApprovalPolicy, AuditAnchor])
def test_documents_have_a_json_schema_and_forbid_unknown_keys(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema_version"]["const"] == 1
    assert "extra_forbidden" in types_of(model, unknown=1)


def test_documents_are_frozen() -> None:
    document = spec()
    with pytest.raises(ValidationError, match="frozen"):
        document.name = "y"  # type: ignore[misc]  # what the test is about


def test_texts_that_would_mean_nothing_are_refused() -> None:
    criterion = {"metric": "a", "goal": "maximize", "min_gain": 0}
    assert types_of(Criterion, **criterion, slices="a/region") == ["wrong-slices"]
    assert read(Criterion, **criterion, slices="a/region=*").slices == "a/region=*"
    for key in ("folds", "seeds", "standard_error"):
        assert types_of(NoisePolicy, **{key: "fold"}) == ["wrong-noise-name"]
        assert read(NoisePolicy, **{key: None}) != NoisePolicy()
    assert read(NoisePolicy, folds="cv/{metric}/fold").names_for("auc") == ("cv/auc/fold", "auc_seed", "auc_se")
    assert types_of(EligibilityRules, name="(a+)+") == ["wrong-expression"]
    assert read(EligibilityRules, name="[a-z]+").name == "[a-z]+"


def test_a_row_that_informs_needs_no_bound() -> None:
    assert types_of(Criterion, metric="a", goal="maximize") == ["criterion-without-bound"]
    assert types_of(Criterion, metric="a", goal="maximize", max_gain="5%") == ["criterion-without-bound"]
    assert read(Criterion, metric="a", goal="maximize", required=False).required is False


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        (NoisePolicy, "confidence", 1),
        (NoisePolicy, "confidence", 0.49),
        (NoisePolicy, "confidence", float("nan")),
        (NoisePolicy, "test_train_ratio", 0),
        (NoisePolicy, "window_days", 0),
        (NoisePolicy, "expected_candidates", 10_001),
        (EligibilityRules, "min_hours_in_staging", -1),
        (EligibilityRules, "min_hours_in_staging", 8761),
        (EligibilityRules, "min_hours_in_staging", float("inf")),
    ],
)
def test_numbers_out_of_range_are_refused(model: type[BaseModel], key: str, value: float) -> None:
    assert len(types_of(model, **{key: value})) == 1

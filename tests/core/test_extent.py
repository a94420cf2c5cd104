"""What a change of some files concerns."""

from __future__ import annotations

from bot.core.extent import Extent, extent_of
from bot.core.recorded import Recorded, SlotRecord


def test_1_a_policy_concerns_everything() -> None:
    for policy in ("policies/approvals.yaml", "policies/tests/shipped.yaml"):
        assert extent_of(["models/a.yaml", policy]) is None


def test_2_else_the_models_whose_files_change() -> None:
    found = extent_of(["README.md", "models/a%2Fb.yaml", "evidence/c/v2-vs-v1.json", "policies.md"])
    assert found == Extent(frozenset({"models/a%2Fb.yaml"}))
    assert [found.covers(model) for model in ("a/b", "a%2Fb", "c")] == [True, False, False]
    assert extent_of([]) == Extent(frozenset())


def test_the_log_is_cut_to_the_same_models() -> None:
    one, other = SlotRecord(began=1), SlotRecord()
    recorded = Recorded({("a", "Production"): one, ("b", "Production"): other}, "c0ffee", ("p",), {7: 1})
    assert recorded.bases.keys() == {("a", "Production")}
    assert recorded.within(lambda model: model == "b") == Recorded(
        {("b", "Production"): other}, "c0ffee", ("p",), {7: 1}
    )
    assert recorded.within(lambda model: model == "b").bases == {}

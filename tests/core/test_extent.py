"""What a change of some files concerns."""

from __future__ import annotations

from bot.core.audit import Draft
from bot.core.extent import Extent, extent_of, left_to_apply
from bot.core.recorded import Recorded
from bot.core.slots import SlotRecord, Slots
from bot.core.state import SlotKey
from tests.core.builders import adopted, applied, chain, draft, identity


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
    recorded = Recorded(Slots.of({("a", "Production"): one, ("b", "Production"): other}), "c0ffee", ("p",), {7: 1})
    assert recorded.bases.keys() == {("a", "Production")}
    assert recorded.within(lambda model: model == "b") == Recorded(
        Slots.of({("b", "Production"): other}), "c0ffee", ("p",), {7: 1}
    )
    assert recorded.within(lambda model: model == "b").bases == {}


def test_4_what_apply_has_left_is_what_changed_what_is_open_and_what_bears_the_anchor() -> None:
    def key(model: str) -> SlotKey:
        return (model, "Production")

    log = chain(
        adopted(key("a"), identity(1, "a")),
        adopted(key("b"), identity(1, "b")),
        draft("refused", key("c"), guard="drift"),
        draft("intended", key("d"), after=identity(2, "d")),
        adopted(key("e"), identity(1, "e")),
        adopted(key("gone"), identity(1, "gone")),
        applied(key("gone"), identity(1, "gone"), None, "unmanage"),
        draft("failed", key("f")),
    )
    assert left_to_apply(["models/a.yaml"], log) == Extent(
        frozenset(f"models/{model}.yaml" for model in ("a", "c", "d", "e", "f"))
    )
    assert left_to_apply(["policies/promotion.yaml"], log) is None
    assert left_to_apply([], chain()) == Extent(frozenset())


def test_the_log_says_up_to_which_commit_all_is_announced() -> None:
    def after(*drafts: Draft) -> str | None:
        return chain(*drafts).recorded.reconciled

    done, other = adopted(commit="one", reconciled=True), adopted(commit="two")
    assert after() is None
    assert after(done) == after(done, other) == "one"
    assert after(done, adopted(commit="two", reconciled=True)) == "two"
    assert after(done, draft("failed", commit="one")) is None
    assert after(done, draft("failed", commit="one"), other) is None

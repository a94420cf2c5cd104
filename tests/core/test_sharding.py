from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.sharding import WHOLE, Shard, shard_of
from bot.core.spec import file_of_model, model_of_file

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)


@pytest.mark.parametrize("text", ["1/1", "2/5", "5/5", "1000/1000"])
def test_a_shard_is_written_as_it_is_read(text: str) -> None:
    assert str(shard_of(text)) == text


@pytest.mark.parametrize("text", ["1", "0/5", "6/5", "1/0", "-1/5", "1/5 ", "a/b", "1/1001", "01/5", "1/5/5", "１/５"])
def test_what_is_no_shard(text: str) -> None:
    assert shard_of(text) is None


@given(NAMES, st.integers(1, 12))
def test_every_model_is_in_exactly_one_shard(name: str, count: int) -> None:
    shards = [Shard(index, count) for index in range(1, count + 1)]
    assert sum(shard.covers(name) for shard in shards) == 1
    assert WHOLE.covers(name)


def test_the_models_are_spread_evenly() -> None:
    sizes = [sum(Shard(index, 4).covers(f"model_{number}") for number in range(2_000)) for index in range(1, 5)]
    assert sum(sizes) == 2_000
    assert min(sizes) > 440


def test_a_model_stays_in_its_shard() -> None:
    """By `printf models/m0.yaml | sha256sum`, as a number modulo the shards: `hash` differs in each process."""
    found = [next(index for index in (1, 2, 3) if Shard(index, 3).covers(f"m{number}")) for number in range(9)]
    assert found == [2, 2, 3, 1, 2, 3, 1, 3, 2]


@given(st.integers(1, 100), st.integers(1, 12))
def test_the_shares_are_the_whole_and_differ_by_one_at_most(most: int, count: int) -> None:
    shares = [Shard(index, count).share(most) for index in range(1, count + 1)]
    assert sum(shares) == most
    assert max(shares) - min(shares) <= 1


@given(NAMES)
def test_a_file_tells_the_model_unless_its_name_was_too_long(name: str) -> None:
    found = model_of_file(file_of_model(name))
    assert found == (None if "+" in file_of_model(name) else name)


def test_a_long_name_is_not_told_by_its_file() -> None:
    assert model_of_file(file_of_model("é" * 200)) is None
    assert model_of_file("models/a%2Fb.yaml") == "a/b"

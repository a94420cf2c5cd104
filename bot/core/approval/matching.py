"""Different people for different requirements: an assignment of approvers to demands, solved exactly.

A demand wants so many approvals, each from another person, and nobody approves for two demands. The most approvals that
can be placed are found by augmenting paths (Kuhn's algorithm); what cannot be placed then is missing. Everything is
tried in the order of the demands and of the logins, so the same input gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """`count` approvals, each from another one of these people."""

    count: int
    people: frozenset[str]


@dataclass(frozen=True, slots=True)
class Placed:
    """Per demand: whose approvals it got, how many it still wants, and from whom any of them could come.

    An approval of a person in `helpful`, if they have not approved yet, would place one more: for the demand itself,
    or for one that can pass somebody on to it.
    """

    approvers: tuple[str, ...]
    missing: int
    helpful: frozenset[str]


def place(demands: Sequence[Demand], approved: frozenset[str]) -> tuple[Placed, ...]:
    """Assign those who approved to demands, as many as can be."""
    seats = [number for number, demand in enumerate(demands) for _ in range(demand.count)]
    able = [sorted(demand.people & approved) for demand in demands]
    taken: dict[str, int] = {}
    for seat in range(len(seats)):
        _seat(seat, seats, able, taken, set())
    by_demand = [tuple(sorted(p for p, seat in taken.items() if seats[seat] == n)) for n in range(len(demands))]
    return tuple(
        Placed(by_demand[n], demand.count - len(by_demand[n]), _helpful(n, demands, by_demand))
        for n, demand in enumerate(demands)
    )


def _seat(
    seat: int, seats: Sequence[int], able: Sequence[Sequence[str]], taken: dict[str, int], tried: set[str]
) -> bool:
    """Find somebody for a seat, moving others to other seats where that makes room."""
    for person in able[seats[seat]]:
        if person in tried:
            continue
        tried.add(person)
        if person not in taken or _seat(taken[person], seats, able, taken, tried):
            taken[person] = seat
            return True
    return False


def _helpful(number: int, demands: Sequence[Demand], by_demand: Sequence[Sequence[str]]) -> frozenset[str]:
    sits_at = {person: at for at, people in enumerate(by_demand) for person in people}
    reached, ahead = {number}, [number]
    while ahead:
        for person in demands[ahead.pop()].people:
            at = sits_at.get(person, number)
            if at not in reached:
                reached.add(at)
                ahead.append(at)
    return frozenset(person for at in reached for person in demands[at].people)

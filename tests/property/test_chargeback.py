"""A statement's lines are the ledger's sum, whatever is shared and however it is divided."""

from collections import Counter
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.chargeback.build import Month, build
from llm_core.chargeback.frozen import digest_of, frozen, thawed
from llm_core.chargeback.rules import Allocation, Currency, Rules, SharedCost, refuse_bad_rules
from llm_core.chargeback.split import in_cents, split
from llm_core.chargeback.statement import Document, Place, Spent, TeamHeads, restricted

MONTH = Month(
    "acme", "2026-11", "UTC", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
)
TEAMS = {"search": "research", "ads": "research", "emea": "sales", "platform": "it"}
CENTRES = {"search": "CC-1", "ads": None, "emea": "CC-2", "platform": "CC-9"}

money = st.integers(0, 10**16).map(lambda units: Decimal(units).scaleb(-12))
weights = st.lists(st.fractions(0, 1000), min_size=1, max_size=20).filter(any)
name = st.sampled_from([None, "a", "b"])
teams = st.sampled_from(sorted(TEAMS))


@st.composite
def spent_rows(draw: Any) -> Spent:
    team = draw(teams)
    place = Place(draw(st.sampled_from([None, "CC-1", "CC-7"])), TEAMS[team], team, draw(name))
    call = {
        "provider": draw(name),
        "served_model": draw(name),
        "region": None,
        "application": draw(name),
        "team": team,
        "project": place.project,
    }
    count = draw(st.integers(1, 9))
    return Spent(place, call, count, 10 * count, count, draw(money))


@st.composite
def some_rules(draw: Any) -> Rules:
    shared = []
    for number in range(draw(st.integers(0, 3))):
        match = draw(
            st.dictionaries(
                st.sampled_from(["application", "team", "project"]),
                st.sampled_from(["", "a", "b", "search", "platform"]),
                min_size=1,
            )
        )
        allocate = draw(st.sampled_from(Allocation))
        shares = {}
        if allocate is Allocation.FIXED:
            part = draw(st.integers(0, 100))
            shares = {
                "team:ads": Decimal(part) / 100,
                "department:research": Decimal(100 - part) / 100,
            }
        shared.append(SharedCost(f"shared {number}", match, allocate, shares))
    currency = draw(st.sampled_from([None, Currency("EUR", Decimal("0.9173"))]))
    rules = Rules(tuple(shared), currency)
    refuse_bad_rules(rules)
    return rules


def heads(counts: list[int]) -> list[TeamHeads]:
    return [
        TeamHeads(Place(CENTRES[team], TEAMS[team], team, None), count)
        for team, count in zip(sorted(TEAMS), counts, strict=True)
    ]


documents = st.builds(
    lambda spent, rules, counts: (spent, rules, build(MONTH, spent, heads(counts), rules)),
    st.lists(spent_rows(), max_size=20),
    some_rules(),
    st.lists(st.integers(0, 5), min_size=4, max_size=4),
)


@given(money, weights)
def test_the_parts_of_a_sum_are_the_sum_and_each_is_fair(
    total: Decimal, wanted: list[Fraction]
) -> None:
    parts = split(total, wanted)
    assert sum(parts) == total
    for part, weight in zip(parts, wanted, strict=True):
        assert abs(Fraction(part) - Fraction(total) * weight / sum(wanted)) < Fraction(1, 10**12)
        assert part >= 0
        assert weight or not part


@given(st.lists(money, max_size=30))
def test_cents_add_up_to_the_rounded_sum_and_each_is_off_by_less_than_one(
    amounts: list[Decimal],
) -> None:
    cents = in_cents(amounts)
    exact = sum(amounts, Decimal(0))
    assert sum(cents) == exact.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    for cent, amount in zip(cents, amounts, strict=True):
        assert abs(cent - amount) < Decimal("0.01")
        assert amount or not cent


@pytest.mark.parametrize("wanted", [[], [0], [1, -1], [Fraction(1), Fraction(-1, 2)]])
def test_odd_weights_are_refused(wanted: list[Any]) -> None:
    with pytest.raises(ValueError, match="weights"):
        split(Decimal(1), wanted)
    with pytest.raises(ValueError, match="more than 12 places"):
        split(Decimal("1e-13"), [1])


@given(documents)
def test_the_lines_add_up_to_the_ledger_and_nothing_is_lost(
    made: tuple[list[Spent], Rules, Document],
) -> None:
    spent, rules, document = made
    statement = document.statement
    total = sum((one.usd for one in spent), Decimal(0))
    assert statement.total_usd == sum(line.usd for line in statement.lines) == total
    assert sum(line.requests for line in statement.lines) == sum(one.requests for one in spent)
    assert statement.billed_usd == total.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert sum(line.billed_usd for line in statement.lines) == statement.billed_usd
    assert all(line.usd == line.direct_usd + line.shared_usd for line in statement.lines)
    assert all(line.direct_usd >= 0 <= line.shared_usd for line in statement.lines)
    assert statement.shared_usd == sum(one.usd for one in statement.shared)
    untagged = sum(line.usd for line in statement.lines if line.cost_centre is None)
    assert statement.untagged_usd == untagged
    assert [one.name for one in statement.shared] == [one.name for one in rules.shared]


@given(documents)
def test_the_charges_are_the_lines_in_pieces(made: tuple[list[Spent], Rules, Document]) -> None:
    document = made[2]
    pieces: Counter[tuple[Any, ...]] = Counter()
    for charge in document.charges:
        key = (charge.cost_centre, charge.department, charge.team, charge.project)
        pieces[(*key, "usd")] += charge.usd
        pieces[(*key, "requests")] += charge.requests
    for line in document.statement.lines:
        key = (line.cost_centre, line.department, line.team, line.project)
        assert (pieces[(*key, "usd")], pieces[(*key, "requests")]) == (line.usd, line.requests)


@given(documents)
def test_what_is_frozen_comes_back_the_same_and_any_change_shows(
    made: tuple[list[Spent], Rules, Document],
) -> None:
    statement = msgspec.structs.replace(
        made[2].statement, id="chb_1", closed_at=datetime(2026, 12, 1, tzinfo=UTC), closed_by="f"
    )
    document = Document(statement, made[2].charges)
    kept = frozen(document)
    digest = digest_of(kept)
    back = thawed(kept, digest)
    assert back.charges == document.charges
    assert back.statement == msgspec.structs.replace(statement, digest=digest)
    with pytest.raises(ValueError, match="not as it was"):
        thawed(kept.replace(b"2026-11", b"2026-10", 1), digest)


@given(documents)
def test_departments_together_see_the_whole_and_each_only_its_own(
    made: tuple[list[Spent], Rules, Document],
) -> None:
    document = made[2]
    assert restricted(document, None) is document
    assert restricted(document, {"organisation:acme"}) is document
    parts = [restricted(document, {f"department:{one}"}) for one in sorted(set(TEAMS.values()))]
    for field in ("total_usd", "untagged_usd", "shared_usd", "billed_usd"):
        seen = sum(getattr(part.statement, field) for part in parts)
        assert seen == getattr(document.statement, field)
    lines = [line for part in parts for line in part.statement.lines]
    assert Counter(lines) == Counter(document.statement.lines)
    assert restricted(document, {"team:nobody"}).statement.lines == ()

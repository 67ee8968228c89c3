"""Rules that cannot be applied are refused in words, and those that can are."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from llm_core.chargeback.build import Month, build
from llm_core.chargeback.rules import Allocation, Currency, Rules, SharedCost, refuse_bad_rules
from llm_core.chargeback.statement import Place, Spent, TeamHeads

MONTH = Month(
    "acme", "2026-11", "UTC", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
)
SEARCH, ADS, EMEA, PLATFORM = (
    Place(f"CC-{team}", department, team, None)
    for department, team in (
        ("research", "search"),
        ("research", "ads"),
        ("sales", "emea"),
        ("it", "platform"),
    )
)
TEAMS = [
    TeamHeads(ADS, 1),
    TeamHeads(EMEA, 3),
    TeamHeads(PLATFORM, 0),
    TeamHeads(SEARCH, 2),
]


def spent(place: Place, usd: str) -> Spent:
    call = {"provider": "openai", "served_model": "m", "region": "eu", "team": place.team}
    return Spent(place, call, 1, 10, 5, Decimal(usd))


def shares_of(rule: SharedCost, *rows: Spent) -> dict[str, str]:
    document = build(MONTH, rows, TEAMS, Rules((rule,)))
    return {line.team: str(line.shared_usd) for line in document.statement.lines}


def platform(allocate: Allocation, **shares: str) -> SharedCost:
    named = {node.replace("_", ":"): Decimal(share) for node, share in shares.items()}
    return SharedCost("platform", {"team": "platform"}, allocate, named)


def test_by_usage_each_pays_in_proportion_to_what_it_spent_itself() -> None:
    rows = (spent(SEARCH, "30"), spent(ADS, "10"), spent(PLATFORM, "8"))
    found = shares_of(platform(Allocation.USAGE), *rows)
    assert {team: Decimal(usd) for team, usd in found.items()} == {
        "search": 6,
        "ads": 2,
        "platform": 0,
    }


def test_by_heads_teams_pay_for_their_people_also_those_that_spent_nothing() -> None:
    found = shares_of(platform(Allocation.HEADS), spent(PLATFORM, "6"))
    assert {team: Decimal(usd) for team, usd in found.items()} == {
        "platform": 0,
        "ads": 1,
        "search": 2,
        "emea": 3,
    }


def test_fixed_shares_of_a_department_are_divided_in_it_by_usage_or_else_evenly() -> None:
    rule = platform(Allocation.FIXED, team_emea="0.25", department_research="0.75")
    used = shares_of(rule, spent(SEARCH, "1"), spent(PLATFORM, "4"))
    assert {team: Decimal(usd) for team, usd in used.items()} == {
        "search": 3,
        "emea": 1,
        "platform": 0,
    }
    unused = shares_of(rule, spent(PLATFORM, "4"))
    assert Decimal(unused["ads"]) == Decimal(unused["search"]) == Decimal("1.5")


def test_what_nobody_can_be_asked_for_stays_where_it_was_spent_and_says_so() -> None:
    document = build(MONTH, [spent(PLATFORM, "4")], TEAMS, Rules((platform(Allocation.USAGE),)))
    [line] = document.statement.lines
    assert (line.team, line.shared_usd) == ("platform", 4)
    assert document.statement.shared[0].stayed


def test_a_share_of_a_team_that_is_gone_is_told() -> None:
    rule = platform(Allocation.FIXED, team_gone="1")
    with pytest.raises(ValueError, match="team:gone has a fixed share and is no more"):
        build(MONTH, [spent(PLATFORM, "4")], TEAMS, Rules((rule,)))


def test_a_call_is_of_the_first_shared_cost_that_it_matches_and_no_tag_is_a_tag() -> None:
    rules = Rules(
        (
            SharedCost("untagged", {"use_case": ""}, Allocation.USAGE),
            SharedCost("platform", {"team": "platform"}, Allocation.USAGE),
        )
    )
    row = spent(PLATFORM, "4")
    rows = [
        msgspec.structs.replace(row, call={**row.call, "use_case": use_case})
        for use_case in (None, "", "chat")
    ]
    document = build(MONTH, rows, TEAMS, rules)
    assert [one.usd for one in document.statement.shared] == [8, 4]


FIXED = Allocation.FIXED
BAD = [
    (Rules((SharedCost("", {"team": "x"}, Allocation.USAGE),)), "needs a name"),
    (Rules((SharedCost("a", {}, Allocation.USAGE),)), "matches every call"),
    (Rules((SharedCost("a", {"hour": "1"}, Allocation.USAGE),)), "'hour'; there are application"),
    (
        Rules((SharedCost("a", {"team": "x"}, Allocation.USAGE, {"team:y": Decimal(1)}),)),
        "for `fixed` only",
    ),
    (Rules((SharedCost("a", {"team": "x"}, FIXED),)), "it needs 1 to"),
    (Rules((SharedCost("a", {"team": "x"}, FIXED, {"user:y": Decimal(1)}),)), "no team:<id>"),
    (Rules((SharedCost("a", {"team": "x"}, FIXED, {"team:y": Decimal("0.9")}),)), "up to 0.9"),
    (Rules((SharedCost("a", {"team": "x"}, FIXED, {"team:y": Decimal("nan")}),)), "no number"),
    (Rules((SharedCost("a", {"team": "x"}, Allocation.USAGE),) * 2), "two shared costs"),
    (Rules(currency=Currency("eur", Decimal(1))), "three capital letters"),
    (Rules(currency=Currency("USD", Decimal(1))), "not USD"),
    (Rules(currency=Currency("EUR", Decimal(0))), "above zero"),
]


@pytest.mark.parametrize(("rules", "why"), BAD)
def test_bad_rules_are_refused_with_what_to_write(rules: Rules, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        refuse_bad_rules(rules)

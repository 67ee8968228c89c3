"""What the API adds up is the ledger, to the last digit, however it is cut."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from policy_service.adapters.sql.engine import open_engine
from policy_service.ports.costs import Dimension, Sums
from policy_service.ports.ledger import UsageRow
from tests.fakes.running_service import Api
from tests.integration.costs.random_usage import filling, put, random_rows

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
AMOUNTS = tuple(field.name for field in fields(Sums))
MONEY = ("usd", "saved_usd", "routing_saved_usd", "estimated_usd")
ALL = {"from": "2026-03-01", "to": "2026-12-01"}
# Within hours, and over both changes of the clocks.
PART = {"from": "2026-03-28T10:17:33.5Z", "to": "2026-11-02T23:59:59.999Z"}
METRICS = (
    ("total_ms", "total_ms"),
    ("first_token_ms", "time_to_first_token_ms"),
    ("overhead_ms", "overhead_ms"),
)
Counted = Sequence[tuple[UsageRow, tuple[int, ...]]]
Truth = dict[Any, tuple[int, ...]]
OF_ROW: dict[str, Callable[[UsageRow], Any]] = {
    "model": lambda row: row.asked_model,
    "served_model": lambda row: row.served_model or row.routed_model,
}


def value(row: UsageRow, dimension: str) -> str | None:
    of_row = OF_ROW.get(dimension)
    found: str | None = of_row(row) if of_row else getattr(row, dimension)
    return found


def amounts_of(row: UsageRow) -> tuple[int, ...]:
    """In the order of `AMOUNTS`; money in its smallest unit, which adds up faster."""
    is_estimated = row.source == "estimated"
    money = (row.usd, row.saved_usd, row.routing_saved_usd)
    usd, saved_usd, routing_saved_usd = (int(one.scaleb(12)) for one in money)
    return (
        1,
        row.error_class != "none",
        row.input_tokens or 0,
        row.cached_input_tokens or 0,
        row.cache_write_tokens or 0,
        row.input_audio_tokens or 0,
        row.input_image_tokens or 0,
        row.output_tokens or 0,
        row.reasoning_tokens or 0,
        row.output_audio_tokens or 0,
        row.cached_audio_tokens or 0,
        usd,
        saved_usd,
        routing_saved_usd,
        row.cache == "hit",
        row.fallbacks,
        is_estimated,
        usd if is_estimated else 0,
    )


@cache
def counted(url: str) -> Counted:
    """The calls that a database is filled with, each with its amounts."""
    return [(row, amounts_of(row)) for row in filling(url)]


def truth(rows: Counted, key: Callable[[UsageRow], Any]) -> Truth:
    """The sums of the rows themselves, by any key."""
    grouped: defaultdict[Any, list[tuple[int, ...]]] = defaultdict(list)
    for row, amounts in rows:
        grouped[key(row)].append(amounts)
    return {one: tuple(map(sum, zip(*found, strict=True))) for one, found in grouped.items()}


@cache
def by_day_and_team(tz: str, url: str) -> Truth:
    zone = ZoneInfo(tz)
    return truth(counted(url), lambda row: (row.at.astimezone(zone).date(), row.team))


def regrouped(sums: Truth, key: Callable[[Any], Any]) -> Truth:
    grouped: defaultdict[Any, list[tuple[int, ...]]] = defaultdict(list)
    for one, amounts in sums.items():
        grouped[key(one)].append(amounts)
    return {one: tuple(map(sum, zip(*found, strict=True))) for one, found in grouped.items()}


def told(row: dict[str, Any]) -> tuple[int, ...]:
    """The sums of a row of the answer, likewise."""
    assert all(isinstance(row[name], str) for name in MONEY)
    return tuple(
        int(Decimal(row[name]).scaleb(12)) if name in MONEY else row[name] for name in AMOUNTS
    )


async def costs(api: Api, **params: Any) -> list[dict[str, Any]]:
    """Every page; the total of each is that of all."""
    rows: list[dict[str, Any]] = []
    totals = set()
    while True:
        answer = await api.get("/admin/v1/costs", **params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        rows += page["rows"]
        totals.add(told(page["total"]))
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    [total] = totals
    assert total == tuple(map(sum, zip(*map(told, rows), strict=True)))
    return rows


async def test_every_cut_adds_up_to_the_ledger(filled_api: Api, filled_url: str) -> None:
    api = filled_api
    for dimension in Dimension:
        found = {
            one["keys"][dimension]: told(one)
            for one in await costs(api, group_by=dimension.value, tz="Asia/Kolkata", **ALL)
        }
        assert found == truth(counted(filled_url), lambda row, name=dimension: value(row, name)), (
            dimension
        )
    for tz in ZONES:
        await days_and_months_add_up(api, tz, filled_url)
    await parts_add_up(api, filled_url)
    await others_add_up(api, filled_url)


async def days_and_months_add_up(api: Api, tz: str, url: str) -> None:
    zone = ZoneInfo(tz)
    days = {
        (datetime.fromisoformat(one["start"]).astimezone(zone).date(), one["keys"]["team"]): (
            told(one)
        )
        for one in await costs(api, tz=tz, interval="day", group_by="team", limit=60, **ALL)
    }
    true = by_day_and_team(tz, url)
    assert days == true, tz
    months = {
        f"{datetime.fromisoformat(one['start']).astimezone(zone):%Y-%m}": told(one)
        for one in await costs(api, tz=tz, interval="month", order="start", **ALL)
    }
    assert months == regrouped(true, lambda key: f"{key[0]:%Y-%m}"), tz


async def parts_add_up(api: Api, url: str) -> None:
    """Times that begin and end within an hour; filters; hours."""
    start, end = (datetime.fromisoformat(PART[name]) for name in ("from", "to"))
    part = [one for one in counted(url) if start <= one[0].at < end]
    [whole] = await costs(api, **PART)
    assert told(whole) == truth(part, lambda _: None)[None]
    hours = {
        datetime.fromisoformat(one["start"]): told(one)
        for one in await costs(api, interval="hour", limit=9000, **{**PART, "from": "2026-10-01"})
    }
    late = [one for one in part if one[0].at.month > 9]
    assert hours == truth(late, lambda row: row.at.replace(minute=0, second=0, microsecond=0))
    untagged = {"project": "", "cost_centre": ["cc-1", ""], "tz": "Australia/Lord_Howe"}
    [filtered] = await costs(api, **untagged, **PART)
    chosen = [
        one for one in part if one[0].project is None and one[0].cost_centre in ("cc-1", None)
    ]
    assert told(filtered) == truth(chosen, lambda _: None)[None]


async def others_add_up(api: Api, url: str) -> None:
    """The heat map, adoption and reliability count the same calls."""
    rows = counted(url)
    zone = ZoneInfo("America/New_York")
    query = {**ALL, "tz": zone.key}
    hours = (await api.get("/admin/v1/usage/hours", **query)).json()["rows"]
    by_hour = truth(rows, lambda row: ((at := row.at.astimezone(zone)).weekday(), at.hour))
    assert {
        (one["weekday"], one["hour"]): int(Decimal(one["usd"]).scaleb(12)) for one in hours
    } == {key: sums[AMOUNTS.index("usd")] for key, sums in by_hour.items()}
    adoption = (await api.get("/admin/v1/usage/adoption", interval="day", **query)).json()
    assert adoption["total"] == {"users": 3, "applications": 1, "teams": 4}
    assert adoption["tz"] == zone.key
    whole = (await api.get("/admin/v1/usage/adoption", interval="none", **query)).json()
    assert whole["total"] == adoption["total"]
    assert [one["requests"] for one in whole["rows"]] == [len(rows)]
    values = (await api.get("/admin/v1/costs/values", dimension="team", **query)).json()["rows"]
    by_team = truth(rows, lambda row: row.team)
    assert {one["value"]: int(Decimal(one["usd"]).scaleb(12)) for one in values} == {
        team: sums[AMOUNTS.index("usd")] for team, sums in by_team.items()
    }
    days = regrouped(by_day_and_team(zone.key, url), lambda key: key[0])
    assert [
        (datetime.fromisoformat(one["start"]).astimezone(zone).date(), one["requests"])
        for one in adoption["rows"]
    ] == [(day, days[day][0]) for day in sorted(days)]
    answer = (await api.get("/admin/v1/reliability", group_by="provider,model", **query)).json()
    groups = truth(rows, lambda row: (row.provider, row.asked_model))
    assert {
        (one["keys"]["provider"], one["keys"]["model"]): (one["requests"], one["failed"])
        for one in answer["rows"]
    } == {key: sums[:2] for key, sums in groups.items()}
    assert answer["total"]["failed"] == sum(answer["total"]["errors"].values())
    for metric, name in METRICS:
        measured = sorted(one for row, _ in rows if (one := getattr(row, name)) is not None)
        latency = answer["total"][metric]
        assert latency["count"] == len(measured)
        for percent in (50, 95, 99):
            true = measured[-(-len(measured) * percent // 100) - 1]
            assert abs(latency[f"p{percent}"] - true) <= 0.05 * true, (metric, percent)


async def test_half_an_hour_belongs_to_the_day_of_its_zone(api: Api, database_url: str) -> None:
    """Nepal's midnight is at a quarter past an hour of UTC."""
    midnight = datetime(2026, 10, 31, 18, 15, tzinfo=UTC)
    rows = [
        replace(row, at=midnight + timedelta(milliseconds=number - 1))
        for number, row in enumerate(random_rows(3))
    ]
    engine = open_engine(database_url)
    await put(engine, rows)
    await engine.dispose()
    query = {"from": "2026-10-01", "to": "2026-12-01", "tz": "Asia/Kathmandu"}
    months = await costs(api, interval="month", order="start", **query)
    assert [(one["start"], one["requests"]) for one in months] == [
        ("2026-09-30T18:15:00Z", 1),
        ("2026-10-31T18:15:00Z", 2),
    ]

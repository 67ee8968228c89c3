"""What the API adds up is the ledger, to the last digit, however it is cut."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from policy_service.adapters.sql.engine import open_engine
from policy_service.ports.costs import Dimension, Sums
from policy_service.ports.ledger import UsageRow
from tests.fakes.running_service import Api
from tests.integration.costs.random_usage import put, random_rows

COUNT = 50_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
AMOUNTS = tuple(field.name for field in fields(Sums))
MONEY = ("usd", "saved_usd", "estimated_usd")
ALL = {"from": "2026-03-01", "to": "2026-12-01"}
# Within hours, and over both changes of the clocks.
PART = {"from": "2026-03-28T10:17:33.5Z", "to": "2026-11-02T23:59:59.999Z"}
OF_ROW: dict[str, Callable[[UsageRow], Any]] = {
    "model": lambda row: row.asked_model,
    "served_model": lambda row: row.served_model or row.routed_model,
}


def value(row: UsageRow, dimension: str) -> str | None:
    of_row = OF_ROW.get(dimension)
    found: str | None = of_row(row) if of_row else getattr(row, dimension)
    return found


def truth(rows: Iterable[UsageRow], key: Callable[[UsageRow], Any]) -> dict[Any, tuple[Any, ...]]:
    """The sums of the rows themselves, by any key, in the order of `AMOUNTS`."""
    sums: defaultdict[Any, list[Any]] = defaultdict(lambda: [0] * len(AMOUNTS))
    for row in rows:
        is_estimated = row.source == "estimated"
        amounts = {
            "requests": 1,
            "failed": row.error_class != "none",
            "cache_hits": row.cache == "hit",
            "estimated_requests": is_estimated,
            "estimated_usd": row.usd if is_estimated else 0,
        }
        total = sums[key(row)]
        for place, name in enumerate(AMOUNTS):
            total[place] += amounts[name] if name in amounts else getattr(row, name) or 0
    return {one: tuple(total) for one, total in sums.items()}


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    assert all(isinstance(row[name], str) for name in MONEY)
    return tuple(Decimal(row[name]) if name in MONEY else row[name] for name in AMOUNTS)


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


async def test_every_cut_adds_up_to_the_ledger(api: Api, database_url: str) -> None:
    """50,000 calls: the issue asks for so many."""
    rows = random_rows(COUNT)
    engine = open_engine(database_url)
    await put(engine, rows)
    await engine.dispose()
    for dimension in Dimension:
        found = {
            one["keys"][dimension]: told(one)
            for one in await costs(api, group_by=dimension.value, tz="Asia/Kolkata", **ALL)
        }
        assert found == truth(rows, lambda row, name=dimension: value(row, name)), dimension
    for tz in ZONES:
        zone = ZoneInfo(tz)
        days = {
            (datetime.fromisoformat(one["start"]).astimezone(zone).date(), one["keys"]["team"]): (
                told(one)
            )
            for one in await costs(api, tz=tz, interval="day", group_by="team", limit=60, **ALL)
        }
        assert days == truth(
            rows, lambda row, zone=zone: (row.at.astimezone(zone).date(), row.team)
        ), tz
        months = {
            f"{datetime.fromisoformat(one['start']).astimezone(zone):%Y-%m}": told(one)
            for one in await costs(api, tz=tz, interval="month", order="start", **ALL)
        }
        assert months == truth(rows, lambda row, zone=zone: f"{row.at.astimezone(zone):%Y-%m}"), tz
    start, end = (datetime.fromisoformat(PART[name]) for name in ("from", "to"))
    part = [row for row in rows if start <= row.at < end]
    [whole] = await costs(api, **PART)
    assert told(whole) == truth(part, lambda _: None)[None]
    hours = {
        datetime.fromisoformat(one["start"]): told(one)
        for one in await costs(api, interval="hour", limit=9000, **{**PART, "from": "2026-10-01"})
    }
    late = [row for row in rows if datetime(2026, 10, 1, tzinfo=UTC) <= row.at < end]
    assert hours == truth(late, lambda row: row.at.replace(minute=0, second=0, microsecond=0))
    untagged = {"project": "", "cost_centre": ["cc-1", ""], "tz": "Australia/Lord_Howe"}
    [filtered] = await costs(api, **untagged, **PART)
    chosen = [one for one in part if one.project is None and one.cost_centre in ("cc-1", None)]
    assert told(filtered) == truth(chosen, lambda _: None)[None]
    await others_add_up(api, rows)


async def others_add_up(api: Api, rows: list[UsageRow]) -> None:
    """The heat map, adoption and reliability count the same calls."""
    zone = ZoneInfo("America/New_York")
    query = {**ALL, "tz": zone.key}
    hours = (await api.get("/admin/v1/usage/hours", **query)).json()["rows"]
    by_hour = truth(rows, lambda row: ((at := row.at.astimezone(zone)).weekday(), at.hour))
    assert {(one["weekday"], one["hour"]): Decimal(one["usd"]) for one in hours} == {
        key: sums[AMOUNTS.index("usd")] for key, sums in by_hour.items()
    }
    adoption = (await api.get("/admin/v1/usage/adoption", interval="day", **query)).json()
    assert adoption["total"] == {"users": 3, "applications": 1, "teams": 4}
    days = truth(rows, lambda row: row.at.astimezone(zone).date())
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
    assert answer["total"]["requests"] == len(rows)
    assert answer["total"]["failed"] == sum(answer["total"]["errors"].values())
    for metric, name in (
        ("total_ms", "total_ms"),
        ("first_token_ms", "time_to_first_token_ms"),
        ("overhead_ms", "overhead_ms"),
    ):
        measured = sorted(one for row in rows if (one := getattr(row, name)) is not None)
        latency = answer["total"][metric]
        assert latency["count"] == len(measured)
        for percent in (50, 95, 99):
            true = measured[-(-len(measured) * percent // 100) - 1]
            assert abs(latency[f"p{percent}"] - true) <= 0.05 * true, (metric, percent)


async def test_half_an_hour_belongs_to_the_day_of_its_zone(api: Api, database_url: str) -> None:
    """Nepal's midnight is at a quarter past an hour of UTC."""
    midnight = datetime(2026, 10, 31, 18, 15, tzinfo=UTC)
    rows = [
        row
        for number, row in enumerate(random_rows(3))
        for row in [
            UsageRow(
                **{
                    **{one.name: getattr(row, one.name) for one in fields(UsageRow)},
                    "at": midnight + timedelta(milliseconds=number - 1),
                }
            )
        ]
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

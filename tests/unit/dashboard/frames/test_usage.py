from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.api.costs import CostRow
from dashboard.api.mine import DayUsed, ModelUsed, Used
from dashboard.api.usage import AdoptionRow, BudgetRow, CallRow, HourRow
from dashboard.frames import usage

AT = datetime(2026, 11, 20, tzinfo=UTC)
COUNT = st.integers(0, 10**12)


@settings(deadline=None)
@given(st.tuples(*[COUNT] * len(usage.BUCKETS)), st.floats(0, 1))
def test_buckets_do_not_contain_each_other_and_lose_no_token(
    counts: tuple[int, ...], audio_in_cached: float
):
    fresh, cached, written, heard, seen, said, thought, spoken = counts
    both = int(cached * audio_in_cached)
    row = CostRow(
        input_tokens=fresh + cached + written + heard + seen,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        input_audio_tokens=heard + both,
        cached_audio_tokens=both,
        input_image_tokens=seen,
        output_tokens=said + thought + spoken,
        reasoning_tokens=thought,
        output_audio_tokens=spoken,
        start=AT,
    )
    found = usage.buckets_frame([row], "UTC").set_index("bucket")["tokens"].to_dict()
    assert [found.get(bucket, 0) for bucket in usage.BUCKETS] == [*counts]
    assert sum(found.values()) == row.tokens


def test_a_cached_image_counts_once():
    row = CostRow(
        input_tokens=100,
        cached_input_tokens=70,
        input_image_tokens=60,
        output_tokens=5,
        start=AT,
    )
    found = usage.buckets_frame([row], "UTC").set_index("bucket")["tokens"].to_dict()
    assert (found["Cached input"], found["Image input"], found["Input"]) == (70, 30, 0)
    assert sum(found.values()) == row.tokens


def test_audio_and_images_are_told_where_there_are_any():
    text = CostRow(input_tokens=10, output_tokens=5, start=AT)
    usual = ["Input", "Cached input", "Cache write", "Output", "Reasoning"]
    assert usage.buckets_frame([text], "UTC")["bucket"].to_list() == usual
    later = CostRow(
        input_tokens=10, input_audio_tokens=4, output_tokens=5, start=AT + timedelta(days=1)
    )
    both = usage.buckets_frame([text, later], "UTC")
    told = ["Input", "Cached input", "Cache write", "Audio input", "Output", "Reasoning"]
    assert both["bucket"].to_list() == [*told, *told]
    assert both.loc[both["bucket"] == "Audio input", "tokens"].to_list() == [0, 4]


def test_every_hour_of_the_week_is_drawn():
    heat = usage.heat_frame([HourRow(6, 23, 4, 9, Decimal(1))])
    assert len(heat) == 7 * 24
    assert heat.iloc[-1][["day", "hour", "requests"]].to_list() == ["Sun", 23, 4]
    assert heat["requests"].sum() == 4


def test_rates_are_shares_and_nothing_has_none():
    row = CostRow(
        requests=4, cache_hits=1, input_tokens=100, cached_input_tokens=25, failed=2, start=AT
    )
    days = usage.days_frame([row, CostRow(start=AT + timedelta(days=1))], "UTC")
    assert days["prompt_cache"].to_list() == [0.25, 0]
    assert days["response_cache"].to_list() == [0.25, 0]


def test_who_was_active_stands_by_kind():
    adoption = usage.adoption_frame([AdoptionRow(AT, 3, 2, 1, 9)], "UTC")
    assert adoption["active"].to_list() == [3, 2, 1]


def test_a_day_bears_its_date_where_it_begins():
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC)
    adoption = usage.adoption_frame([AdoptionRow(midnight, 3, 2, 1, 9)], "Europe/Berlin")
    assert {str(start) for start in adoption["start"]} == {"2026-11-01 00:00:00"}


def test_the_mix_is_by_requests():
    rows = [CostRow(requests=1, keys={"model": "b"}), CostRow(requests=3, keys={"model": None})]
    mix = usage.mix_frame(rows, "model")
    assert mix["name"].to_list() == ["(untagged)", "b"]
    assert mix["share"].to_list() == [75, 25]


def test_the_most_used_budget_comes_first_and_none_last():
    frame = usage.budget_frame(
        (
            BudgetRow("A", "no budget", None, Decimal(9)),
            BudgetRow("A", "half", Decimal(10), Decimal(5)),
            BudgetRow("A", "over", Decimal(10), Decimal(15)),
            BudgetRow("A", "nothing allowed", Decimal(0), Decimal(1)),
        )
    )
    assert frame["team"].to_list() == ["over", "nothing allowed", "half", "no budget"]
    assert frame["used_percent"].to_list()[:3] == [150.0, 100.0, 50.0]
    assert frame["budget_usd"].iloc[-1] is None


def test_calls_are_shown_in_utc_and_unreported_tokens_as_nothing():
    here = timezone(timedelta(hours=5))
    call = CallRow(
        at=datetime(2026, 11, 20, 5, tzinfo=here),
        team="fraud",
        asked_model="smart",
        served_model=None,
        http_status=502,
        error_class="server_error",
        input_tokens=None,
        output_tokens=None,
        usd=Decimal(0),
    )
    frame = usage.recent_frame((call, call))
    assert frame["at"].iloc[0] == datetime(2026, 11, 20)  # noqa: DTZ001 - UTC without saying so
    assert frame["tokens"].isna().all()


def test_a_caller_s_own_figures():
    used = Used(requests=2, errors=1, usd=Decimal("0.5"))
    days = usage.own_days_frame((DayUsed(date(2026, 11, 20), used),))
    models = usage.own_models_frame((ModelUsed("gpt-4o", used),))
    assert days["errors"].to_list() == [1]
    assert models["usd"].to_list() == [Decimal("0.5")]

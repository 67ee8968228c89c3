from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from llm_core.pricing.charge import ModelPrice, Rates, Tier
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.adapters.yaml_file import InvalidFile

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEAD = "currency: USD\nper_tokens: 1000000\nmodels:\n"
SHIPPED = Path(__file__).parents[4] / "prices"

CONTRACT = (
    HEAD
    + """
  - provider: openai
    model: gpt-4o-mini
    checked: 2026-11-20
    prices:
      - from: 2026-01-01
        rates: {input: 0.14, output: 0.56, cached_input: 0.07}
        tiers:
          - {above_input_tokens: 1000, input: 0.28, output: 1.12}
      - from: 2027-01-01
        free: true
"""
)


def price_list(folder: Path, text: str, name: str = "contract.yaml") -> PriceList:
    (folder / name).write_text(text, encoding="utf-8")
    return PriceList(price_files(folder))


def price_at(prices: PriceList, *moment: int) -> ModelPrice:
    price = prices.price("openai", "gpt-4o-mini", datetime(*moment, tzinfo=UTC))  # type: ignore[misc, arg-type]
    assert price is not None
    return price


def test_a_contract_price_wins_over_the_public_list_with_its_decimals_as_written(tmp_path: Path):
    price = price_at(price_list(tmp_path, CONTRACT), 2026, 11, 20)
    assert price.rates == Rates(Decimal("0.14"), Decimal("0.56"), cached_input=Decimal("0.07"))
    assert price.tiers == (Tier(1000, Rates(Decimal("0.28"), Decimal("1.12"))),)
    assert price.version.startswith("contract/openai/gpt-4o-mini@2026-01-01#")


def test_a_contract_price_holds_from_midnight_utc_and_the_public_list_before(tmp_path: Path):
    prices = price_list(tmp_path, CONTRACT)
    public = PriceList().price("openai", "gpt-4o-mini", NOW)
    assert price_at(prices, 2025, 12, 31, 23, 59, 59) == public
    assert price_at(prices, 2026, 1, 1).rates.input == Decimal("0.14")
    assert not price_at(prices, 2026, 12, 31, 23, 59, 59).is_free
    assert price_at(prices, 2027, 1, 1).is_free


def test_a_correction_under_the_same_date_has_another_version(tmp_path: Path):
    before = price_at(price_list(tmp_path, CONTRACT), 2026, 11, 20)
    after = price_at(price_list(tmp_path, CONTRACT.replace("0.56", "0.57")), 2026, 11, 20)
    assert before.version != after.version


def test_a_model_that_nobody_prices_is_unknown_and_not_free(tmp_path: Path):
    prices = price_list(tmp_path, CONTRACT)
    assert prices.price("openai_compatible", "llama", NOW) is None
    assert prices.price("openai_compatible", "gpt-4o-mini", NOW) is None
    assert prices.price("openai", "no-such-model", NOW) is None


def test_a_look_up_made_twice_gives_the_very_same_price():
    prices = PriceList()
    first = prices.price("anthropic", "claude-sonnet-4-5", NOW)
    assert first is not None
    assert prices.price("anthropic", "claude-sonnet-4-5", NOW) is first


def test_the_files_we_ship_are_read():
    prices = PriceList(price_files(SHIPPED))
    small = prices.price("sandbox", "sandbox-small", NOW)
    free = prices.price("sandbox", "sandbox-free", NOW)
    assert small is not None
    assert free is not None
    assert small.rates.input == Decimal("0.15")
    assert (small.is_free, free.is_free) == (False, True)


def entry(*lines: str) -> str:
    head = HEAD + "  - provider: acme\n    model: one\n    prices:\n"
    return head + "".join(f"      {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (entry("- from: 2026-01-01"), 7, "models[0].prices[0]: .*`free: true`"),
        (entry("- from: 2026-01-01", "  free: yes-please"), 8, "prices[0].free"),
        (entry("- from: 2026-01-01", "  rates: {input: 1}"), 8, "prices[0].rates.output"),
        (entry("- from: 2026-01-01", "  rates: {input: -1, output: 1}"), 8, "rates.input"),
        (entry("- from: 2026-01-01", "  rates: {input: 0.1234567, output: 1}"), 8, "rates.input"),
        (entry("- from: 2026-01-01", "  rates: {input: .nan, output: 1}"), 8, "rates.input"),
        (entry("- from: 2026-01-01", "  rates: {input: 1, input: 2, output: 1}"), 8, "twice"),
        (
            entry("- from: 2026-01-01", "  rates: {input: 1, output: 1}", "  per: 1000"),
            9,
            "prices[0].per",
        ),
        (
            entry("- from: 2026-01-01", "  free: true", "  rates: {input: 1, output: 1}"),
            7,
            "not both",
        ),
        (entry("- from: soon", "  free: true"), 7, "prices[0].from"),
        (
            entry("- {from: 2026-01-01, free: true}", "- {from: 2026-01-01, free: true}"),
            4,
            "the same day",
        ),
        (
            entry(
                "- from: 2026-01-01",
                "  rates: {input: 1, output: 1}",
                "  tiers:",
                "  - {above_input_tokens: 9, input: 1, output: 1}",
                "  - {above_input_tokens: 5, input: 1, output: 1}",
            ),
            7,
            "rising order",
        ),
        (entry("[]"), 6, "models[0].prices"),
        (HEAD.replace("USD", "EUR") + "  []", 1, "currency"),
        (HEAD.replace("1000000", "1000") + "  []", 2, "per_tokens"),
        ("models: []", 1, "currency"),
        ("- 1", 1, "the file"),
        ("", 1, "the file"),
        ("models: [", 1, "expected"),
        ("a: !!python/object:os.system {}", 1, "could not determine a constructor"),
    ],
)
def test_a_mistake_stops_the_start_and_names_file_line_and_field(
    tmp_path: Path, text: str, line: int, says: str
):
    with pytest.raises(InvalidFile) as caught:
        price_list(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'contract.yaml'}:{line}: ")
    for part in says.split(".*"):
        assert part in message


def test_a_model_priced_in_two_places_is_refused(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(CONTRACT)
    with pytest.raises(InvalidFile, match=r"b\.yaml.*priced in .*a\.yaml already"):
        price_list(tmp_path, CONTRACT, "b.yaml")


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path):
    with pytest.raises(InvalidFile, match="cannot be read"):
        PriceList([tmp_path / "none.yaml"])
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidFile, match="not UTF-8"):
        PriceList(price_files(tmp_path))

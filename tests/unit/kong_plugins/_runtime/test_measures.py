"""What a plugin server tells Prometheus, and that it tells nothing unless it is asked to."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from kong_plugins._runtime import flags, measures
from kong_plugins._runtime.scraped import Scraped
from llm_core.errors import PolicyUnavailable
from tests.fixtures.scraping import value
from tests.fixtures.services import free_port


@pytest.fixture(autouse=True)
def uncounted() -> Iterator[None]:
    yield
    measures._Holder.current = None


async def page(port: int) -> str:
    async with httpx.AsyncClient() as client:
        for _ in range(400):
            try:
                return (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
    raise AssertionError("nobody listens")


def count() -> None:
    with measures.phase("access"):
        measures.refused("access", "undecided")
    with measures.asking("/v1/decisions"):
        pass
    with (
        pytest.raises(PolicyUnavailable),
        measures.asking("/v1/decisions/dec_01kaf3v2000000000000000000/usage"),
    ):
        raise PolicyUnavailable("away")
    measures.journalled()
    measures.delivered(3)
    measures.lost()
    measures.journal_stands("/var/journal", 7, 90)


def test_where_nobody_scrapes_nothing_is_counted() -> None:
    count()
    assert measures._Holder.current is None


async def test_a_scrape_tells_phases_questions_refusals_and_the_journal() -> None:
    port = free_port()
    scraped = Scraped(("127.0.0.1", port), measures.begin("llm-auth"))
    scraped.start()
    try:
        count()
        text = await page(port)
    finally:
        await scraped.close()
    who = {"plugin": "llm-auth"}
    phases = "gatehouse_plugin_phase_duration_seconds_count"
    assert value(text, phases, phase="access", **who) == 1
    assert value(text, "gatehouse_plugin_refusals_total", code="undecided", **who) == 1
    asked = "gatehouse_plugin_policy_request_duration_seconds_count"
    assert value(text, asked, question="decide", outcome="answered", **who) == 1
    assert value(text, asked, question="report", outcome="failed", **who) == 1
    assert value(text, "gatehouse_plugin_journalled_reports_total", **who) == 1
    assert value(text, "gatehouse_plugin_delivered_reports_total", **who) == 3
    assert value(text, "gatehouse_plugin_lost_reports_total", **who) == 1
    stands = {"journal": "/var/journal", **who}
    assert value(text, "gatehouse_plugin_journal_reports", **stands) == 7
    assert value(text, "gatehouse_plugin_journal_oldest_seconds", **stands) == 90
    assert "dec_01" not in text


async def test_a_new_server_waits_until_the_old_one_lets_go_of_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kong_plugins._runtime.scraped._AGAIN_S", 0.01)
    port, registry = free_port(), measures.begin("llm-auth")
    old, new = Scraped(("127.0.0.1", port), registry), Scraped(("127.0.0.1", port), registry)
    old.start()
    await page(port)
    new.start()
    await asyncio.sleep(0.02)
    await old.close()
    assert "gatehouse_plugin" in await page(port)
    await new.close()


async def test_whoever_asks_for_nothing_holds_nobody_up() -> None:
    port = free_port()
    scraped = Scraped(("127.0.0.1", port), measures.begin("llm-auth"))
    scraped.start()
    await page(port)
    _, silent = await asyncio.open_connection("127.0.0.1", port)
    _, endless = await asyncio.open_connection("127.0.0.1", port)
    endless.write(b"x" * 100_000)
    assert "gatehouse_plugin" in await page(port)
    silent.close()
    endless.close()
    await scraped.close()


def test_the_address_is_read_from_the_command_line() -> None:
    assert flags.parse("llm-auth", ["--dump"]).metrics_at is None
    read = flags.parse("llm-auth", ["--dump", "--metrics", "127.0.0.1:9101"])
    assert read.metrics_at == ("127.0.0.1", 9101)
    assert flags.parse("a", ["--dump", "--metrics", "[::1]:9101"]).metrics_at == ("::1", 9101)


def test_so_is_the_form_of_log_lines() -> None:
    assert not flags.parse("llm-auth", ["--dump"]).is_json
    assert flags.parse("llm-auth", ["--dump", "--log-format", "json"]).is_json


@pytest.mark.parametrize("wrong", ["9101", ":9101", "host:", "host:0", "host:70000", "host:x"])
def test_what_is_no_address_ends_the_start(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags.parse("llm-auth", ["--dump", "--metrics", wrong])
    assert "HOST:PORT" in capsys.readouterr().err

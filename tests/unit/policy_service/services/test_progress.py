import time
from collections.abc import AsyncIterator

import pytest

from llm_core.errors import (
    GatewayError,
    GatewayFault,
    MalformedRequest,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    Undecided,
)
from llm_core.policy.decision import ErrorClass
from policy_service.services.progress import Progress, error_class_of, status_of


@pytest.mark.parametrize(
    ("error", "error_class", "status"),
    [
        (None, ErrorClass.CLIENT_GONE, 499),
        (ProviderTimeout("x"), ErrorClass.TIMEOUT, 504),
        (ProviderUnavailable("x"), ErrorClass.UNREACHABLE, 502),
        (ProviderError("x", upstream_status=429), ErrorClass.RATE_LIMITED, 429),
        (ProviderError("x", upstream_status=400), ErrorClass.CALLER, 400),
        (ProviderError("x", upstream_status=500), ErrorClass.PROVIDER, 500),
        (ProviderError("x", blames_deployment=False), ErrorClass.GATEWAY, 502),
        (MalformedRequest("x"), ErrorClass.CALLER, 400),
        (Undecided("x"), ErrorClass.GATEWAY, 503),
        (GatewayFault("x"), ErrorClass.GATEWAY, 500),
    ],
)
def test_a_failure_has_a_class_and_a_status(
    error: GatewayError | None, error_class: ErrorClass, status: int
) -> None:
    assert (error_class_of(error), status_of(error)) == (error_class, status)


class Watch:
    """`time.perf_counter`, moved by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now_s)


async def test_waiting_for_a_provider_is_not_the_gateways_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch(monkeypatch)
    progress = Progress(started_s=watch.now_s)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            watch.now_s += 2.0
            yield b"x"

    watch.now_s += 0.5
    async for _ in progress.timed(chunks()):
        watch.now_s += 0.25
        progress.token_came()
    assert progress.waited_s == 6
    assert progress.own_ms() == 1250
    report = progress.report(200)
    assert report.total_ms == 7250
    # Until the first token: half a second before asking, a quarter after the first piece.
    assert report.time_to_first_token_ms == 2750
    assert report.overhead_ms == 750


def test_a_call_without_a_token_reports_all_of_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch(monkeypatch)
    progress = Progress(started_s=watch.now_s)
    watch.now_s += 0.003
    report = progress.report(502)
    assert report.time_to_first_token_ms is None
    assert report.overhead_ms == pytest.approx(3)

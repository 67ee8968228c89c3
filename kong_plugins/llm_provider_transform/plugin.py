"""How does an allowed call travel, and in whose language? Translates, or leaves it to the relay."""

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from kong_plugins._runtime import shared_context, spans
from kong_plugins._runtime.pdk import Kong
from kong_plugins._runtime.shared_context import HandedDecision
from kong_plugins.llm_provider_transform.direct import (
    Answer,
    Target,
    answer_of,
    exchange_of,
    target_of,
)
from kong_plugins.llm_provider_transform.schema import Config
from llm_core.answer_headers import dropped_params_header
from llm_core.apis.ask import Exchange
from llm_core.errors import GatewayError, ProviderError, ProviderUnavailable, Undecided
from llm_core.gen_ai import about_call
from llm_core.policy.decision import ErrorClass, PricedDeployment, Transport, UsageReport
from llm_core.tokens.usage import TokenUsage, UsageSource

_FIRST_ERROR = 300
"""A redirect is no answer: Kong does not follow it."""
_MOST_REMEMBERED = 2_000
"""Calls under way at once. Those that Kong could not send are forgotten only so."""
_MOST_REMEMBERED_BYTES = 64 * 1024 * 1024
"""Of their requests. A provider that is down must not fill this process with long prompts."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A call that Kong was told to send.

    Args:
        exchange: Reads the answer.
        took_ms: From the meter's beginning to the end of our access phase.
        held_bytes: About what remembering it takes.
    """

    exchange: Exchange
    took_ms: float
    held_bytes: int = 0


class Plugin:
    """Kong builds one per configuration and calls its phases."""

    def __init__(self, raw_config: dict[str, Any]) -> None:
        self._config = Config.from_kong(raw_config)
        # What the access phase knows for the answer's headers; kept here because handing it on
        # through Kong would cost a PDK call.
        self._sent: OrderedDict[str, _Sent] = OrderedDict()
        self._sent_bytes = 0

    async def access(self, kong: Kong) -> None:
        """Send the call to the provider, or let it go on to the relay."""
        handed = await _decided(kong)
        if handed.decision.transport is Transport.DIRECT:
            priced = handed.decision.deployments[0]
            name = priced.deployment.credential
            secret = self._config.credentials.get(name) if name else None
            if self._config.direct and (secret or name is None):
                _note(handed, priced)
                exchange = await self._exchange(kong, handed, priced)
                await _aim(kong, target_of(exchange, secret))
                self._remember(handed, exchange)
                return
            await shared_context.write_usage(kong, _by_relay())
        spans.note({spans.TRANSPORT: Transport.RELAY.value})
        # Streams must not be collected; this plugin is the last with a `response` phase, so what
        # it sets here holds.
        await kong.nginx.set_ctx("buffered_proxying", False)

    async def response(self, kong: Kong) -> None:
        """Give a provider's answer OpenAI's shape; never runs for what the relay serves."""
        handed = await _decided(kong)
        answered_s = time.monotonic()
        priced = handed.decision.deployments[0]
        _note(handed, priced)
        sent = self._sent_for(handed, priced)
        raw = await kong.service.response.get_raw_body()
        try:
            answer = answer_of(
                sent.exchange, priced, handed.decision, raw, handed.call.prompt_tokens
            )
        except ProviderUnavailable as unread:
            failure, report = await _failure(kong, sent.exchange, raw, unread, handed)
            await shared_context.write_usage(kong, report)
            failure.decision_id = handed.decision.decision_id
            raise failure from unread
        overhead_ms = sent.took_ms + 1000 * (time.monotonic() - answered_s)
        report = replace(answer.report, overhead_ms=round(overhead_ms, 3))
        await shared_context.write_usage(kong, report)
        await kong.response.exit(
            200,
            msgspec.json.encode(answer.body),
            _headers(answer, sent.exchange.request.dropped_params, overhead_ms),
        )

    async def _exchange(
        self, kong: Kong, handed: HandedDecision, priced: PricedDeployment
    ) -> Exchange:
        body = handed.body
        if body is None:
            body = await kong.request.get_raw_body(self._config.max_body_bytes)
        try:
            return exchange_of(priced, handed.decision, handed.call, body)
        except GatewayError as error:
            await shared_context.write_usage(kong, _not_sent(priced, error))
            error.decision_id = handed.decision.decision_id
            raise

    def _sent_for(self, handed: HandedDecision, priced: PricedDeployment) -> _Sent:
        """What the access phase knew.

        Raises:
            Undecided: It is forgotten, or this process was started after it, and the request was
                too long to be handed on.
        """
        sent = self._sent.pop(handed.decision.decision_id, None)
        if sent is None:
            if handed.body is None:
                raise Undecided("The gateway lost the request on its way: try again.")
            exchange = exchange_of(priced, handed.decision, handed.call, handed.body)
            sent = _Sent(exchange, 0.0)
        self._sent_bytes -= sent.held_bytes
        return sent

    def _remember(self, handed: HandedDecision, exchange: Exchange) -> None:
        now_s = time.monotonic()
        began_s = now_s if handed.started_monotonic_s is None else handed.started_monotonic_s
        # What was read of it, and what was made of it.
        held_bytes = handed.call.body_bytes + len(exchange.request.body)
        sent = _Sent(exchange, 1000 * (now_s - began_s), held_bytes)
        self._sent[handed.decision.decision_id] = sent
        self._sent_bytes += held_bytes
        while len(self._sent) > 1 and (
            len(self._sent) > _MOST_REMEMBERED or self._sent_bytes > _MOST_REMEMBERED_BYTES
        ):
            self._sent_bytes -= self._sent.popitem(last=False)[1].held_bytes


async def _decided(kong: Kong) -> HandedDecision:
    """What was decided; this span belongs to its trace.

    Raises:
        Undecided: Nothing was.
    """
    handed = await shared_context.read_decision(kong)
    if handed is None:
        raise Undecided("The call was not decided: llm-token-meter did not run. Try again.")
    spans.follow(handed.traceparent, handed.decision.decision_id)
    spans.note({spans.DECISION: handed.decision.decision_id})
    return handed


def _note(handed: HandedDecision, priced: PricedDeployment) -> None:
    if spans.are_made():
        spans.note(about_call(handed.call.operation.value, priced.deployment))
        spans.note({spans.TRANSPORT: Transport.DIRECT.value})


async def _aim(kong: Kong, target: Target) -> None:
    """Point Kong at the provider, the address last.

    Should this process die half-way, Kong proxies what is set by then. Until the last step that
    goes to the policy service, which refuses it; a request half made never leaves the house.
    """
    request = kong.service.request
    if not target.keeps_authorization:
        await request.clear_header("authorization")
    await request.set_headers(target.headers)
    await request.set_raw_body(target.body)
    await request.set_path(target.path)
    if target.query is not None:
        await request.set_raw_query(target.query)
    await request.set_scheme(target.scheme)
    await kong.service.set_target(target.host, target.port)
    if target.host_header != target.host:
        # Kong sends the bare host after set_target; a server on another port minds.
        await request.set_headers({"host": target.host_header})


async def _failure(
    kong: Kong,
    exchange: Exchange,
    raw: bytes,
    unread: ProviderUnavailable,
    handed: HandedDecision,
) -> tuple[ProviderError, UsageReport]:
    """What to answer, and to report, when the body is no answer."""
    priced = handed.decision.deployments[0]
    status = await kong.service.response.get_status()
    if status < _FIRST_ERROR:
        # The provider did the work, so the prompt is owed, though nobody can read the answer.
        owed = TokenUsage(input_tokens=handed.call.prompt_tokens, output_tokens=0)
        report = _failed(priced, unread.http_status, ErrorClass.PROVIDER)
        return unread, replace(report, usage=owed, source=UsageSource.ESTIMATED)
    # `service.response.get_headers` is empty while Kong buffers (Kong/go-pdk#222).
    headers = await kong.response.get_headers()
    flat = {name.lower(): _first(values) for name, values in headers.items()}
    failure = exchange.failure(status, flat, raw)
    return failure, _failed(priced, failure.http_status, _class_of(failure))


def _first(values: str | list[str]) -> str:
    return values if isinstance(values, str) else ", ".join(values)


def _class_of(failure: ProviderError) -> ErrorClass:
    if failure.upstream_status == 429:  # noqa: PLR2004 - HTTP's Too Many Requests
        return ErrorClass.RATE_LIMITED
    if failure.upstream_status < 500:  # noqa: PLR2004
        return ErrorClass.CALLER
    return ErrorClass.PROVIDER if failure.blames_deployment else ErrorClass.GATEWAY


def _failed(priced: PricedDeployment, status: int, error_class: ErrorClass) -> UsageReport:
    return UsageReport(
        deployment_id=priced.deployment.id,
        transport=Transport.DIRECT,
        http_status=status,
        error_class=error_class,
    )


def _not_sent(priced: PricedDeployment, error: GatewayError) -> UsageReport:
    return _failed(priced, error.http_status, ErrorClass.CALLER)


def _by_relay() -> UsageReport:
    """Marks a direct call that goes by the relay, which will report for itself."""
    return UsageReport(deployment_id=None, transport=Transport.RELAY, http_status=0)


def _headers(answer: Answer, dropped: tuple[str, ...], overhead_ms: float) -> dict[str, str]:
    return {
        **answer.headers,
        **dropped_params_header(dropped),
        "x-gatehouse-overhead-ms": f"{overhead_ms:.2f}",
    }

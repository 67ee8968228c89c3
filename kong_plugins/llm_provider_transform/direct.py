"""The direct transport: OpenAI's request to the provider's, and its answer back."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from llm_core.answer_headers import cost_header, deployment_headers
from llm_core.apis.ask import Exchange
from llm_core.apis.registry import read_ask
from llm_core.policy.call import Call
from llm_core.policy.decision import (
    TICKET_HEADER,
    Decision,
    PricedDeployment,
    Transport,
    UsageReport,
)
from llm_core.tokens.counted import LazyCounter, filled_in

_count = LazyCounter()
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """Everything Kong must be told to call the provider itself.

    Args:
        host_header: The host, with its port unless that is the scheme's own.
        query: `None` leaves the client's.
        keeps_authorization: The provider's credential travels in `Authorization`, so the
            client's own is overwritten and need not be cleared.
    """

    scheme: str
    host: str
    port: int
    host_header: str
    path: str
    query: str | None
    headers: dict[str, str]
    body: bytes
    keeps_authorization: bool


def exchange_of(priced: PricedDeployment, decision: Decision, call: Call, body: bytes) -> Exchange:
    """Put a request to the one deployment it goes to.

    Raises:
        UnsupportedParameter: The provider cannot do what is asked.
    """
    created = int(decision.issued_at.timestamp()) if decision.issued_at is not None else 0
    return read_ask(call.operation, body).exchange(
        priced.deployment, decision.obligations, created=created
    )


def target_of(exchange: Exchange, secret: str | None) -> Target:
    """Say what Kong must be told to send it."""
    translated = exchange.request
    credential = exchange.credential_headers(secret) if secret else {}
    url = urlsplit(translated.url)
    port = url.port or _DEFAULT_PORTS[url.scheme]
    host = url.hostname or ""
    return Target(
        scheme=url.scheme,
        host=host,
        port=port,
        host_header=host if port == _DEFAULT_PORTS[url.scheme] else f"{host}:{port}",
        path=url.path,
        query=url.query or None,
        headers={
            **translated.headers,
            **credential,
            # The response phase reads the body, so it must not come compressed.
            "accept-encoding": "identity",
            # The relay's ticket is nothing for a provider to see.
            TICKET_HEADER: "-",
        },
        body=translated.body,
        keeps_authorization="authorization" in credential,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A translated answer, its headers, and what to report about it."""

    body: dict[str, object]
    headers: dict[str, str]
    report: UsageReport


def answer_of(
    exchange: Exchange, priced: PricedDeployment, decision: Decision, raw: bytes, prompt_tokens: int
) -> Answer:
    """Translate a provider's whole answer.

    Raises:
        ProviderUnavailable: It is no answer of this provider; an error body, for example.
    """
    answered = exchange.answer(raw)
    usage, source = filled_in(answered.usage, prompt_tokens, answered.texts, _count)
    return Answer(
        body=answered.body,
        headers={
            **deployment_headers(priced, ()),
            **decision.headers,
            **cost_header(usage, priced),
            "x-gatehouse-fallbacks": "0",
            "content-type": "application/json",
        },
        report=UsageReport(
            deployment_id=priced.deployment.id,
            transport=Transport.DIRECT,
            http_status=200,
            usage=usage,
            source=source,
            served_model=answered.served_model,
        ),
    )

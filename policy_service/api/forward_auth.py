"""For a gateway without plugins of ours that asks before it proxies, such as Apache APISIX.

Its `forward-auth` plugin sends the client's headers and body here, hands the ticket of our answer
on to the relay, and gives the client whatever else we answer. So this endpoint does what `llm-auth`
and `llm-token-meter` do, and the relay does the rest.

Source:
    https://apisix.apache.org/docs/apisix/plugins/forward-auth/ (checked 2026-11-29)
"""

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_core.errors import InvalidKey, MalformedRequest, Undecided
from llm_core.operation import OWN_OPERATIONS
from llm_core.policy.call import Call
from llm_core.policy.call_facts import call_of, operation_at
from llm_core.policy.caller import Caller
from llm_core.policy.credential import Credential
from llm_core.policy.decision import TICKET_HEADER, DecisionRequest
from llm_core.policy.key_networks import require_network
from llm_core.policy.presented import KEYS, NO_KEY, TOKENS, api_key_in, is_token, refusal
from llm_core.policy.request_facts import facts_in
from llm_core.policy.route import RouteOptions
from llm_core.tokens.estimate import openai_counter
from policy_service import call_context
from policy_service.api.identified import identified
from policy_service.api.wire import json_answer, read_body, resources
from policy_service.resources import Resources

SECRET_HEADER = "x-gatehouse-internal-secret"  # noqa: S105 - a name
"""In which the gateway shows that it is one: a client that came here by itself could say it calls
from anywhere."""

_ROUTE = RouteOptions(has_cache=False)
"""Whatever is answered with 2xx goes on to the relay, so a kept answer could not be given."""
_LONG_BODY_BYTES = 256 * 1024
"""Longer ones are read beside the event loop, in which others want answers."""


async def forward_auth(request: Request) -> Response:
    """Identify, decide and reserve; the ticket comes back in a header.

    Raises:
        GatewayError: What the client is to be told: 4xx, or 503 when no decision can be had.
    """
    opened = _for_gateway(request)
    headers = _lists(request)
    caller = await _caller(opened, headers)
    facts = replace(facts_in(headers), source_ip=_client(headers))
    if caller.networks:
        require_network(facts.source_ip or "", caller.networks)
    call_context.traceparent.set(facts.traceparent)
    path = request.headers.get("x-forwarded-uri", "").partition("?")[0]
    operation = operation_at(request.headers.get("x-forwarded-method", ""), path)
    if operation in OWN_OPERATIONS:
        raise MalformedRequest(f"{path[:200]} is not served by this gateway.")
    body = await read_body(request, opened.settings.max_body_bytes)
    count = await asyncio.to_thread(openai_counter)  # the first time it is read from a file
    if len(body) > _LONG_BODY_BYTES:
        call = await asyncio.to_thread(call_of, operation, body, count, facts)
    else:
        call = call_of(operation, body, count, facts)
    return await _decided(opened, caller, call)


async def _decided(opened: Resources, caller: Caller, call: Call) -> Response:
    decision = await opened.decider.decide(DecisionRequest(caller, call, route=_ROUTE))
    if decision.denial is not None:
        refused = decision.denial
        return json_answer(refused.body, refused.status, dict(refused.headers))
    if not decision.ticket:
        raise Undecided("The decision has no ticket, so the relay could not serve it. Try again.")
    return Response(status_code=200, headers={TICKET_HEADER: decision.ticket})


def _for_gateway(request: Request) -> Resources:
    opened = resources(request)
    secret = opened.settings.internal_secret.get_secret_value()
    shown = request.headers.get(SECRET_HEADER, "")
    if not hmac.compare_digest(shown.encode(), secret.encode()):
        raise InvalidKey(
            f"This endpoint is for the gateway: it sends POLICY_INTERNAL_SECRET in {SECRET_HEADER}."
        )
    return opened


async def _caller(opened: Resources, headers: Mapping[str, list[str]]) -> Caller:
    credential = api_key_in(headers)
    if credential is None:
        raise InvalidKey(NO_KEY)
    # Both are plain ASCII; other bytes could not even be looked up.
    if not credential.isascii():
        raise refusal("mistyped", None, KEYS)
    is_signed = is_token(credential)
    asked = Credential(token=credential) if is_signed else Credential(api_key=credential)
    found = await identified(opened, replace(asked, source_ip=_client(headers)))
    if found.caller is None:
        raise refusal(found.unknown, found.detail, TOKENS if is_signed else KEYS)
    return found.caller


def _lists(request: Request) -> dict[str, list[str]]:
    """Headers as the plugins have them: lower-case name -> values."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name, []).append(value)
    return headers


def _client(headers: Mapping[str, list[str]]) -> str | None:
    """The client's address: the gateway says one, and whatever more there is was not from it."""
    values = headers.get("x-forwarded-for") or []
    return values[0].strip() if len(values) == 1 and "," not in values[0] else None


routes = (Route("/v1/forward-auth", forward_auth, methods=["POST"]),)

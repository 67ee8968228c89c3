"""Checks at the relay itself, where Kong proxies to: it must refuse whatever no plugin has decided.

Kong passes calls on when a plugin server hangs or is gone, so it is the relay that keeps it closed.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

import httpx

from llm_core.policy.decision import TICKET_HEADER
from policy_service.cli.doctor.findings import Finding, broken, good, unseen, warning
from policy_service.cli.doctor.reasons import reason_of
from policy_service.cli.kong.admin_api import Entity
from policy_service.cli.kong.configured import GuardedRoute

_TIMEOUT_S = 10.0
_FORGED = "gt1.dec_0.99999999999999.00"
_CALLS: Mapping[str, Mapping[str, str]] = {
    "relay closed without a ticket": {},
    "relay closed to forged tickets": {TICKET_HEADER: _FORGED},
}


def relay_findings(
    guarded: Sequence[GuardedRoute], *, transport: httpx.BaseTransport | None = None
) -> Iterator[Finding]:
    """Call each relay that Kong's services name, past Kong: without a ticket, and with a forgery.

    Args:
        guarded: The routes whose services are meant.
        transport: In place of the network, for tests.
    """
    addresses = {_address(one.service) for one in guarded if one.service is not None}
    with httpx.Client(timeout=_TIMEOUT_S, transport=transport) as client:
        for address in sorted(addresses):
            for part, ticket in _CALLS.items():
                yield _refusal(client, part, address, ticket)


def _address(service: Entity) -> str:
    host = str(service["host"])
    host = f"[{host}]" if ":" in host else host
    path = str(service.get("path") or "").rstrip("/")
    return f"{service['protocol']}://{host}:{service['port']}{path}"


def _refusal(client: httpx.Client, part: str, address: str, ticket: Mapping[str, str]) -> Finding:
    try:
        answer = client.post(f"{address}/v1/chat/completions", json={}, headers=ticket)
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        return unseen(
            part,
            f"{address} cannot be asked from here: {reason_of(fault)}.",
            "Run this where Kong runs: the address is as Kong resolves it.",
        )
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "undecided" in answer.text:
        return good(part, f"{address} refuses it ({answer.status_code} undecided).")
    if answer.is_success:
        return broken(
            part,
            f"{address} answered {answer.status_code}.",
            "What Kong proxies to must be the policy service's relay and nothing else.",
        )
    return warning(
        part,
        f"{address} refuses it, and not as the relay does ({answer.status_code}).",
        "See that the service's `url` is the policy service's address with /relay.",
    )

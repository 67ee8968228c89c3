"""Looks at the providers: whether each deployment's host can be reached from here, and the time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from llm_core.catalogue import Catalogue, Deployment
from policy_service.cli.doctor.findings import Finding, broken, good
from policy_service.cli.doctor.neighbours import MOST_SKEW_S, clock_finding
from policy_service.cli.doctor.reasons import reason_of
from policy_service.services.health import each_deployment

_TIMEOUT_S = 5.0
_AT_ONCE = 8
_FIRST_SERVER_ERROR = 500
_WITH_A_CLOCK = "https"
"""Plain HTTP is a server of one's own; its clock says nothing about ours."""


async def provider_findings(catalogue: Catalogue) -> AsyncIterator[Finding]:
    """Ask every host once for its address alone: no credential is sent, and it costs nothing."""
    by_address: dict[str, list[str]] = {}
    for one in each_deployment(catalogue):
        by_address.setdefault(_address(one), []).append(one.id)
    free = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client:
        asked = [_look(client, free, address, ids) for address, ids in by_address.items()]
        for answered in asyncio.as_completed(asked):
            for finding in await answered:
                yield finding


async def _look(
    client: httpx.AsyncClient, free: asyncio.Semaphore, address: str, ids: list[str]
) -> list[Finding]:
    part = f"provider {urlsplit(address).hostname or address}"
    async with free:
        try:
            answer = await client.get(address)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            return [
                broken(
                    part,
                    f"It cannot be reached: {reason_of(fault)}. {_needed_by(ids)}",
                    "Look at name resolution, firewall, proxy (HTTPS_PROXY) and certificates of "
                    "this machine, or at `base_url` in the models' file.",
                )
            ]
    if answer.status_code >= _FIRST_SERVER_ERROR:
        return [
            broken(
                part,
                f"It answers {answer.status_code}. {_needed_by(ids)}",
                "See the provider's status page; calls go to the next deployment meanwhile.",
            )
        ]
    return [good(part, "It can be reached."), *_clock(address, answer)]


def _needed_by(ids: list[str]) -> str:
    return f"Deployments that need it: {', '.join(ids)}."


def _clock(address: str, answer: httpx.Response) -> list[Finding]:
    if urlsplit(address).scheme != _WITH_A_CLOCK:
        return []
    try:
        told = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return []
    if told.tzinfo is None:
        return []
    ahead_s = (told - datetime.now(UTC)).total_seconds()
    # The header has whole seconds, and a proxy may have kept it for a moment.
    if abs(ahead_s) <= MOST_SKEW_S + 1:
        return []
    return [clock_finding(f"{urlsplit(address).hostname}'s", ahead_s)]


def _address(one: Deployment) -> str:
    parts = urlsplit(one.base_url)
    return f"{parts.scheme}://{parts.netloc}/"

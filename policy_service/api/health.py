"""Is this process alive, and can it do its work?"""

import asyncio

from fastapi import APIRouter, Response

from policy_service.api.wire import Opened, json_answer

router = APIRouter()


@router.get("/healthz")
async def healthz() -> Response:
    """Alive; touches nothing outside the process."""
    return json_answer({"status": "ok"})


@router.get("/readyz")
async def readyz(opened: Opened) -> Response:
    """Ready: database, limits store and policy engine answer; 503 names those that do not.

    `degraded_decisions` counts the calls that this process has admitted alone since it started.
    `policy` has the live revision, whether it is a bundle or the folder, and in `fault` why a newer
    one was not taken.
    """
    names = ("database", "limits", "policy")
    states = await asyncio.gather(
        opened.ledger.ready(), opened.limits.ready(), opened.policy.ready()
    )
    checks = {name: "ok" if good else "down" for name, good in zip(names, states, strict=True)}
    status = 200 if all(states) else 503
    return json_answer(
        {
            "status": "ok" if all(states) else "not ready",
            "checks": checks,
            "policy_engine": opened.policy.name,
            "policy": opened.policy.detail(),
            "degraded_decisions": opened.degradable.admitted if opened.degradable else 0,
        },
        status,
    )

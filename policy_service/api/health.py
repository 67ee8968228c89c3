"""Is this process alive, and can it do its work?"""

import asyncio

from fastapi import APIRouter, Response

from policy_service.api.wire import Opened, json_answer

router = APIRouter()
_UNSEALED = "off: POLICY_AUDIT_KEY_FILE is not set"


@router.get("/healthz")
async def healthz() -> Response:
    """Alive; touches nothing outside the process."""
    return json_answer({"status": "ok"})


@router.get("/readyz")
async def readyz(opened: Opened) -> Response:
    """Ready: database, limits store and policy engine answer; 503 names those that do not.

    `audit` says whether the audit chain is sealed, and how many events of this process wait for
    their place in it or were lost for want of room.
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
            "audit": {
                "checkpoints": "signed" if opened.auditing.is_sealed else _UNSEALED,
                "waiting": opened.auditing.recorder.waiting,
                "lost": opened.auditing.recorder.lost,
            },
            "degraded_decisions": opened.degradable.admitted if opened.degradable else 0,
        },
        status,
    )

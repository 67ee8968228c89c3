"""What people may ask for by law, in the admin API."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from llm_core.policy.roles import Permission
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.idempotency import AdminRoute
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.organisation import OrganisationError
from policy_service.resources import Resources

router = APIRouter(prefix="/admin/v1/privacy", route_class=AdminRoute)


@dataclass(frozen=True, slots=True)
class NewErasure:
    """The body of `POST /admin/v1/privacy/erasures`.

    Args:
        user: The user's id.
        reason: Why, without naming them: the number of their request.
        dry_run: Only count.
    """

    user: str
    reason: str
    dry_run: bool = False


@router.post("/erasures")
async def erase(request: Request, opened: Opened, actor: CurrentActor) -> Response:
    """Take a user out of the logs and the ledger; the answer comes when it is done."""
    nodes_for(actor, Permission.PRIVACY_ERASE)
    asked = await read_json(request, NewErasure)
    path = await _path(opened, f"user:{asked.user}")
    require(actor, Permission.PRIVACY_ERASE, path)
    if asked.dry_run:
        return json_answer(await opened.erasures.preview(asked.user))
    organisation = path[-1].partition(":")[2] if path else ""
    return json_answer(
        await opened.erasures.erase(asked.user, actor, asked.reason, organisation=organisation)
    )


async def _path(opened: Resources, node: str) -> tuple[str, ...]:
    """Where a user stands; who has no account any more stands below the platform only."""
    try:
        return await opened.administration.path_of(node)
    except OrganisationError:
        return ()

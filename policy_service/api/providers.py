"""How the model providers fare, for who may see the usage of the whole platform."""

from fastapi import APIRouter, Response

from llm_core.policy.roles import Permission
from policy_service.api.admins import CurrentActor, require
from policy_service.api.wire import Opened, json_answer
from policy_service.services.health import providers_health

router = APIRouter(prefix="/v1/providers")


@router.get("/health")
async def health(opened: Opened, actor: CurrentActor) -> Response:
    """Every deployment's breaker and averages, as all processes together have seen them."""
    require(actor, Permission.USAGE_READ, ())
    return json_answer(providers_health(opened.catalogue, opened.health))

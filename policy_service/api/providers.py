"""How the model providers fare; the admin token lets operators in."""

from fastapi import APIRouter, Depends, Response

from policy_service.api.wire import Opened, admin_only, json_answer
from policy_service.services.health import providers_health

router = APIRouter(prefix="/v1/providers", dependencies=[Depends(admin_only)])


@router.get("/health")
async def health(opened: Opened) -> Response:
    """Every deployment's breaker and averages, as all processes together have seen them."""
    return json_answer(providers_health(opened.catalogue, opened.health))

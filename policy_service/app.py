"""The composition root: settings in, an ASGI application out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from policy_service.api import (
    admin,
    admin_tokens,
    alerts,
    approvals,
    audit,
    chargeback,
    content,
    costs,
    forward_auth,
    health,
    incidents,
    internal,
    keys,
    limit_states,
    limits,
    metrics,
    models,
    organisation,
    policies,
    privacy,
    providers,
    relay,
    reliability,
    reports,
    roles,
    sign_in,
    team,
)
from policy_service.api.bodies import BoundedBodies, longest
from policy_service.api.description import DescribedService
from policy_service.api.short_way import ShortWay
from policy_service.api.wire import answer_failures
from policy_service.ports.clock import Clock
from policy_service.settings import Settings
from policy_service.starting import collect_again
from policy_service.stopping import told_of_stop
from policy_service.wiring import open_resources, utc_now


class _Service(DescribedService):
    most_bytes: int
    body_timeout_s: float

    def build_middleware_stack(self) -> ASGIApp:
        usual_way = super().build_middleware_stack()
        return ShortWay(usual_way, self.most_bytes, self.body_timeout_s)


def create_app(
    settings: Settings, clock: Clock = utc_now, *, owns_process: bool = False
) -> FastAPI:
    """Build the policy service; resources open when the server starts it.

    Args:
        settings: Of this one app.
        clock: Says what time it is.
        owns_process: Nothing else lives in this process, so its garbage collector may be tuned.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings, clock) as opened:
            app.state.resources = opened
            if owns_process:
                collect_again()
            with told_of_stop(opened.changes.end):
                yield

    app = _Service(
        title="Gatehouse policy service",
        description="Decides, accounts and relays for the Gatehouse plugins in Kong.",
        lifespan=lifespan,
        routes=[*internal.routes, *forward_auth.routes, *relay.routes],
    )
    app.most_bytes = longest(settings.max_body_bytes)
    app.body_timeout_s = settings.request_timeout_s
    app.add_middleware(
        BoundedBodies, most_bytes=app.most_bytes, timeout_s=settings.request_timeout_s
    )
    for module in (
        health,
        metrics,
        sign_in,
        admin,
        admin_tokens,
        alerts,
        incidents,
        audit,
        approvals,
        costs,
        reliability,
        chargeback,
        keys,
        limits,
        limit_states,
        models,
        organisation,
        policies,
        content,
        privacy,
        team,
        providers,
        reports,
        roles,
    ):
        app.include_router(module.router)
    app.router.routes.append(relay.anywhere_else)
    answer_failures(app)
    return app

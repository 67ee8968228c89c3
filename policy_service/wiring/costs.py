"""What was spent and how calls went, as the admin API reads it."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.policies.rules import rule_of
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.sql.costs import SqlRefusals


def open_refusals(engine: AsyncEngine, bundle: Callable[[], PolicyBundle]) -> SqlRefusals:
    """The decision log's refusals, with the titles of the live policy's rules."""

    def title_of(rule: str, code: str) -> str:
        place = rule_of(bundle().modules, rule, code)
        return place.title if place is not None else ""

    return SqlRefusals(engine, title_of)

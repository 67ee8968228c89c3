"""Models, the deployments behind them, and what they cost, as far as administrators may know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response

from llm_core.catalogue import Agreement, Auth, DataProcessing, Deployment, Model, Strategy
from llm_core.operation import Operation
from llm_core.policy.decision import Transport
from llm_core.policy.roles import Permission
from llm_core.pricing.charge import ModelPrice, Rates, Tier
from policy_service.api.admins import CurrentActor, nodes_for
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import AskedLongPage, Pages
from policy_service.api.wire import Opened, json_answer
from policy_service.resources import Resources

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_MODELS = Pages("models", tuple[str])
_PRICES = Pages("prices", tuple[str, int])


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """What a deployment costs now: USD per million tokens.

    Args:
        version: As it stands in every ledger row that was charged at it.
        rates: What is `None` in it costs what the bucket around it does.
        tiers: Rates for longer inputs, which price every token.
    """

    version: str
    is_free: bool
    rates: Rates
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class ShownDeployment:
    """One place where a model can be called; neither its address nor its credential.

    Args:
        provider: Who serves it, as the ledger knows it.
        wire_format: Whose API it speaks.
        model: What the provider calls it.
        transport: `direct` where Kong can call it by itself; `relay` where only the service can.
        operations: What it serves; `None` for all that its wire format has.
        price: `None` where none is known: the model is refused then.
    """

    id: str
    provider: str
    wire_format: str
    model: str
    region: str
    transport: Transport
    operations: tuple[Operation, ...] | None
    max_output_tokens: int
    context_tokens: int | None
    can_use_tools: bool
    can_see_images: bool
    can_follow_schema: bool
    weight: int
    data_processing: DataProcessing
    agreements: Mapping[str, Agreement]
    price: ShownPrice | None


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A name that callers ask for, and what stands behind it, in order of preference."""

    alias: str
    strategy: Strategy
    is_sticky: bool
    deployments: tuple[ShownDeployment, ...]


@dataclass(frozen=True, slots=True)
class ListedModels:
    """The catalogue, by alias."""

    rows: Sequence[ShownModel]
    next: str | None


@dataclass(frozen=True, slots=True)
class PriceOfDeployment:
    """What one deployment of a model costs.

    Args:
        model: The alias.
        priced_as: Under which provider and model the price list has it.
    """

    model: str
    deployment: str
    provider: str
    priced_as: str
    price: ShownPrice | None


@dataclass(frozen=True, slots=True)
class ListedPrices:
    """Prices in force, by model and in the deployments' order."""

    at: datetime
    currency: str
    per_tokens: int
    rows: Sequence[PriceOfDeployment]
    next: str | None


@router.get("/models")
async def models(opened: Opened, actor: CurrentActor, page: AskedLongPage) -> Response:
    """Every model with its deployments and prices; whoever holds a role may know them."""
    nodes_for(actor, Permission.USAGE_READ)
    now = opened.clock()
    found, following = _MODELS.page_of(opened.catalogue.models, page, lambda one: (one.alias,))
    rows = [_shown(model, opened, now) for model in found]
    return json_answer(ListedModels(rows, following))


@router.get("/prices")
async def prices(
    opened: Opened, actor: CurrentActor, page: AskedLongPage, model: str | None = None
) -> Response:
    """The prices in force, by deployment; `model` is an alias, and none has no rows."""
    nodes_for(actor, Permission.USAGE_READ)
    now = opened.clock()
    placed = [
        (one.alias, index, deployment)
        for one in opened.catalogue.models
        for index, deployment in enumerate(one.deployments)
        if model in (None, one.alias)
    ]
    found, following = _PRICES.page_of(placed, page, lambda one: (one[0], one[1]))
    rows = [
        PriceOfDeployment(
            model=alias,
            deployment=deployment.id,
            provider=deployment.provider_name,
            priced_as="/".join(_listed_as(deployment)),
            price=_price(deployment, opened, now),
        )
        for alias, _, deployment in found
    ]
    return json_answer(ListedPrices(now, "USD", 1_000_000, rows, following))


def _shown(model: Model, opened: Resources, now: datetime) -> ShownModel:
    deployments = tuple(_deployment(one, opened, now) for one in model.deployments)
    return ShownModel(model.alias, model.strategy, model.is_sticky, deployments)


def _deployment(one: Deployment, opened: Resources, now: datetime) -> ShownDeployment:
    return ShownDeployment(
        id=one.id,
        provider=one.provider_name,
        wire_format=one.provider.value,
        model=one.model,
        region=one.region,
        transport=Transport.DIRECT if one.auth is Auth.STATIC else Transport.RELAY,
        operations=one.operations,
        max_output_tokens=one.max_output_tokens,
        context_tokens=one.context_tokens,
        can_use_tools=one.can_use_tools,
        can_see_images=one.can_see_images,
        can_follow_schema=one.can_follow_schema,
        weight=one.weight,
        data_processing=one.data_processing,
        agreements=one.agreements,
        price=_price(one, opened, now),
    )


def _listed_as(one: Deployment) -> tuple[str, str]:
    return one.price_provider or one.provider_name, one.price_model or one.model


def _price(one: Deployment, opened: Resources, now: datetime) -> ShownPrice | None:
    price: ModelPrice | None = opened.prices.price(*_listed_as(one), now)
    if price is None:
        return None
    return ShownPrice(price.version, price.is_free, price.rates, price.tiers)

"""Near questions: found, given, remembered, and paid for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from llm_core.apis.registry import read_ask
from llm_core.catalogue import Catalogue, Deployment, Model, ProviderKind
from llm_core.errors import PolicyDenied, PolicyUnavailable, ProviderUnavailable
from llm_core.operation import Operation
from llm_core.policy.caller import Caller
from llm_core.policy.decision import CacheUse, Obligations, PricedDeployment, Reservation
from llm_core.policy.limits import Limit, Measure
from llm_core.policy.route import RouteOptions
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.memory_cache import MemoryCache
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.services.answer_cache import AnswerCache, Hit, Kept
from policy_service.services.decide import Decider
from policy_service.services.embedding import Embedder
from policy_service.services.own_calls import OwnCalls
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay
from policy_service.services.reserving import Reserving
from policy_service.services.semantic_cache import SemanticCache
from policy_service.services.settle import Settler
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.policy import FakePolicy
from tests.fakes.providers import FakeAnswer, FakeProviders
from tests.fakes.samples import CALLER, OPENAI, PRICE, chat_body, chat_call, openai_answer

VECTORS = {"hello": (1.0, 0.0), "hello there": (0.96, 0.28), "good bye": (0.0, 1.0)}
ROUTE = RouteOptions(similarity=0.9)
BODY = msgspec.json.decode(openai_answer())
KEPT = Kept(BODY, "openai-mini", TokenUsage(12, output_tokens=3))


class FakeNeighbours:
    """Implements `Neighbours` in a dictionary."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], Sequence[float]] = {}
        self.is_away = False

    async def nearest(self, group: str, vector: Sequence[float]) -> list[tuple[str, float]]:
        self._reach()
        found = [
            (name, sum(a * b for a, b in zip(vector, known, strict=True)))
            for (where, name), known in self.names.items()
            if where == group
        ]
        return sorted(found, key=lambda one: -one[1])

    async def add(self, group: str, name: str, vector: Sequence[float], ttl_s: int) -> None:
        self._reach()
        assert ttl_s == 60
        self.names[group, name] = vector

    async def forget(self, group: str, name: str, vector: Sequence[float]) -> None:
        self._reach()
        del self.names[group, name]

    async def close(self) -> None:
        """Nothing to let go of."""

    def _reach(self) -> None:
        if self.is_away:
            raise PolicyUnavailable("away")


class Service:
    """A cache that finds near questions, and an embedding model that knows three texts."""

    def __init__(self) -> None:
        self.neighbours = FakeNeighbours()
        self.cache = MemoryCache(100_000)
        self.embedded: list[str] = []
        self.fault: Exception | None = None
        limits, clock = MemoryLimitsStore(), FakeClock()
        settler = Settler(limits, Reserving(limits, FakeLedger()), clock)
        self.semantic = SemanticCache(self.neighbours, self._embed, "embed")
        self.answers = AnswerCache(self.cache, settler, 100_000, 5.0, self.semantic)

    async def _embed(self, _: Reservation, text: str) -> tuple[float, ...]:
        self.embedded.append(text)
        if self.fault is not None:
            raise self.fault
        return VECTORS[text]

    async def near(self, text: str, made: Reservation | None = None, **fields: Any) -> Hit | None:
        body = question(text, **fields)
        made = made or reserved(text, **fields)
        return await self.answers.near(made, read_ask(Operation.CHAT_COMPLETIONS, body))

    async def asked(self, text: str, kept: Kept | None = KEPT, **fields: Any) -> None:
        """A call that found nothing near, and was answered."""
        assert await self.near(text, **fields) is None
        await self.answers.land(reserved(text, **fields), kept)


def question(text: str, **fields: Any) -> bytes:
    return chat_body(messages=[{"role": "user", "content": text}], **fields)


def reserved(text: str, caller: Caller = CALLER, **fields: Any) -> Reservation:
    call = chat_call(question(text, **fields))
    return Reservation(
        decision_id=f"dec_{text}",
        caller=caller,
        call=call,
        operation=call.operation,
        deployments=(PricedDeployment(OPENAI, PRICE),),
        obligations=Obligations(cache_seconds=60),
        prompt_tokens=10,
        max_output_tokens=100,
        usd=Decimal(1),
        decided_at=NOON,
        expires_at=NOON + timedelta(seconds=300),
        policy_revision="r1",
        route=ROUTE,
        cache=CacheUse.MISS,
        cache_key=f"key of {text}",
    )


async def test_a_near_question_is_answered_and_says_how_near() -> None:
    service = Service()
    await service.asked("hello")
    hit = await service.near("hello there")
    assert hit is not None
    assert hit.kept.body == BODY
    assert hit.headers()["x-gatehouse-cache-similarity"] == "0.9600"
    assert hit.headers()["x-gatehouse-cache"] == "hit"
    assert service.embedded == ["hello", "hello there"]


@pytest.mark.parametrize(
    "other",
    [
        {"text": "good bye"},
        {"text": "hello there", "temperature": 0},
        {"text": "hello there", "model": "both"},
    ],
)
async def test_what_is_not_near_or_asked_otherwise_is_not_answered(other: dict[str, Any]) -> None:
    service = Service()
    await service.asked("hello")
    assert await service.near(**other) is None


async def test_another_team_is_not_near() -> None:
    service = Service()
    await service.asked("hello")
    other = reserved("hello there", replace(CALLER, team="ads"))
    assert await service.near("hello there", other) is None


async def test_another_policy_or_another_deployment_is_not_near() -> None:
    service = Service()
    await service.asked("hello")
    made = reserved("hello there")
    moved = replace(OPENAI, region="eu")
    for other in (
        replace(made, policy_revision="r2"),
        replace(made, deployments=(PricedDeployment(moved, PRICE),)),
        replace(made, obligations=Obligations(max_output_tokens=5, cache_seconds=60)),
    ):
        assert await service.near("hello there", other) is None


async def test_the_route_says_how_near_is_near() -> None:
    service = Service()
    await service.asked("hello")
    made = reserved("hello there")
    strict = replace(made, route=RouteOptions(similarity=0.97))
    assert await service.near("hello there", strict) is None
    assert await service.near("hello there", replace(made, route=RouteOptions())) is None
    assert len(service.embedded) == 2


async def test_an_answer_that_was_not_kept_is_not_found() -> None:
    service = Service()
    await service.asked("hello", kept=None)
    assert service.neighbours.names == {}
    assert await service.near("hello there") is None


async def test_a_near_answer_that_is_forgotten_gives_way_to_the_next() -> None:
    service = Service()
    await service.asked("hello")
    [(group, _)] = service.neighbours.names
    service.neighbours.names[group, "gone"] = VECTORS["hello there"]
    hit = await service.near("hello there")
    assert hit is not None
    assert hit.similarity == pytest.approx(0.96)
    assert [name for _, name in service.neighbours.names] == ["key of hello"]


@pytest.mark.parametrize("fault", [PolicyDenied("no"), ProviderUnavailable("no"), TimeoutError()])
async def test_without_an_embedding_the_call_goes_on(fault: Exception) -> None:
    service = Service()
    service.fault = fault
    assert await service.near("hello") is None
    await service.answers.land(reserved("hello"), KEPT)
    assert await service.cache.get("key of hello") is not None
    assert service.neighbours.names == {}


async def test_without_the_vectors_the_call_goes_on_and_is_kept() -> None:
    service = Service()
    service.neighbours.is_away = True
    assert await service.near("hello") is None
    await service.answers.land(reserved("hello"), KEPT)
    assert await service.cache.get("key of hello") is not None


async def test_a_call_that_may_not_be_read_from_the_cache_is_not_embedded() -> None:
    service = Service()
    assert await service.near("hello", replace(reserved("hello"), cache=CacheUse.BYPASS)) is None
    assert service.embedded == []


async def test_nothing_of_a_call_is_held_when_it_has_ended() -> None:
    service = Service()
    await service.asked("hello")
    await service.asked("good bye", kept=None)
    assert service.semantic._asked == {}


# --- the embedding itself

EMBED = Deployment(
    "openai-embed",
    ProviderKind.OPENAI,
    "text-embedding-3-small",
    "https://openai.test/v1",
    credential="openai",
    operations=(Operation.EMBEDDINGS,),
)
LIMITS = (
    Limit("team:search", Measure.REQUESTS_PER_MINUTE, Decimal(1)),
    Limit("team:search", Measure.USD_PER_MONTH, Decimal(10)),
)
EMBEDDED = (
    b'{"object":"list","model":"text-embedding-3-small","data":[{"object":"embedding","index":0,'
    b'"embedding":[0.5,-0.25]}],"usage":{"prompt_tokens":2,"total_tokens":2}}'
)


class EmbeddingModel:
    """An embedder with everything behind it but the network."""

    def __init__(self, answer: FakeAnswer, policy: FakePolicy | None = None) -> None:
        self.limits, clock = MemoryLimitsStore(), FakeClock()
        self.policy = policy or FakePolicy()
        reserving = Reserving(self.limits, FakeLedger())
        tickets = Tickets("ticket-secret-0123456789")
        health = FakeHealth()
        self.providers = FakeProviders({"openai.test": answer})
        decider = Decider(
            catalogue=Catalogue([Model("embed", (EMBED,))]),
            prices=_Prices(),
            policy=self.policy,
            limits=self.limits,
            reserving=reserving,
            tickets=tickets,
            clock=clock,
            health=health,
            draw=lambda: 0.5,
            ticket_ttl_s=30,
            lease_s=300,
        )
        self.relay = Relay(
            limits=self.limits,
            reach=Reach(self.providers, FakeCredentials({"openai": "sk"}), health, clock, 60.0),
            settler=Settler(self.limits, reserving, clock),
            tickets=tickets,
            clock=clock,
            count=len,
            lease_s=300,
        )
        self.embed = Embedder(
            OwnCalls(decider, self.relay), "embed", lambda text: len(text.split())
        )

    async def rows(self) -> list[UsageRow]:
        await self.relay.drain()
        queued = await self.limits.take_rows(10, 0)
        return [msgspec.json.decode(one.row, type=UsageRow) for one in queued]


class _Prices:
    def price(self, *_: object) -> Any:
        return PRICE


async def test_an_embedding_is_decided_booked_and_paid_for_by_whose_question_it_is() -> None:
    made = EmbeddingModel(FakeAnswer([EMBEDDED]))
    asking = reserved("hello there", replace(CALLER, limits=LIMITS))
    known = replace(asking.call, data_labels=("personal",), networks=("office",))
    asking = replace(asking, call=known)
    assert await made.embed(asking, "hello there") == (0.5, -0.25)
    [row] = await made.rows()
    assert (row.operation, row.asked_model, row.team) == ("embeddings", "embed", "search")
    assert (row.input_tokens, row.usd, row.cache) == (2, Decimal("0.000002"), "bypass")
    states = await made.limits.states(LIMITS, NOON)
    assert [state.used for state in states] == [0, row.usd]
    [document] = made.policy.documents
    assert document["caller"]["team"] == "search"
    assert document["call"]["operation"] == "embeddings"
    assert document["call"]["data_labels"] == ["personal"]
    assert document["call"]["networks"] == ["office"]


async def test_an_embedding_counts_in_the_limits_of_its_own_model_and_in_no_others() -> None:
    """What the ledger sums for a limit is then what its counter says."""
    per_day = Limit("team:search", Measure.TOKENS_PER_DAY, Decimal(1000))
    own, other = (
        replace(LIMITS[1], scope=f"model:{model}", models=(model,)) for model in ("embed", "mini")
    )
    made = EmbeddingModel(FakeAnswer([EMBEDDED]))
    caller = replace(CALLER, limits=(per_day, other), operations=(Operation.CHAT_COMPLETIONS,))
    await made.embed(replace(reserved("hello there", caller), unmet=(own,)), "hello there")
    [row] = await made.rows()
    states = await made.limits.states((per_day, own, other), NOON)
    assert [state.used for state in states] == [2, row.usd, 0]


async def test_a_caller_who_may_not_use_the_embedding_model_has_no_words_sent_there() -> None:
    made = EmbeddingModel(FakeAnswer([EMBEDDED]), FakePolicy(permitted=()))
    with pytest.raises(PolicyDenied):
        await made.embed(reserved("hello"), "hello")
    assert made.providers.sent == []


@pytest.mark.parametrize(
    "data",
    [
        b'{"data":[],"usage":{"prompt_tokens":2,"total_tokens":2}}',
        EMBEDDED.replace(b"0.5,-0.25", b"0,0"),
        EMBEDDED.replace(b"[0.5,-0.25]", b'"AAAA"'),
    ],
)
async def test_what_is_no_vector_is_none(data: bytes) -> None:
    made = EmbeddingModel(FakeAnswer([data]))
    with pytest.raises(ProviderUnavailable):
        await made.embed(reserved("hello"), "hello")
    await made.relay.drain()

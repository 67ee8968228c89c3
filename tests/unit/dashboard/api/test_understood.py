"""The service's own rows are understood: would catch a field that the service renames."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx
import msgspec

from dashboard.api import (
    alerts,
    approvals,
    audit,
    identity,
    limits,
    mine,
    policies,
    reliability,
    usage,
)
from dashboard.api.client import Client
from dashboard.settings import Settings
from llm_core.policy.approvals import ApprovalState, Step
from llm_core.policy.limits import Limit, Measure
from llm_core.pricing.charge import Rates, Tier
from llm_core.routing.facts import BreakerState
from llm_core.routing.transitions import Cause
from policy_service.api.admin import Held, WhoAmI
from policy_service.api.models import ListedPrices, PriceOfDeployment, ShownPrice
from policy_service.api.reliability import ListedTransitions, ShownTransition
from policy_service.ports import policies as policy_ports
from policy_service.ports.alerts import Alert
from policy_service.ports.approvals import ApprovalRecord, ApprovalStep
from policy_service.ports.audit import AuditRow
from policy_service.ports.ledger import UsageRow
from policy_service.ports.organisation import RaiseRecord
from policy_service.services.approvals import shown
from policy_service.services.self_service import Me, ModelUsed, MyUsage, OwnLimit, Used

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SETTINGS = Settings("http://policy", "t", gateway_url="http://gateway")


def _client(document: object) -> Client:
    content = msgspec.json.encode(document)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=content))
    return Client(SETTINGS, transport=transport)


def test_who_looks():
    told = WhoAmI("user:a", "oidc", (Held("member", "team:x", ("usage.read",)),), "Asia/Tokyo")
    with _client(told) as client:
        assert identity.whoami(client).may("usage.read")


def test_calls():
    row = UsageRow(
        decision_id="d1",
        at=AT,
        organisation="acme",
        department="Risk",
        team="fraud",
        project=None,
        user=None,
        application=None,
        key_id=None,
        operation="chat.completions",
        asked_model="smart",
        routed_model="gpt-4o",
        served_model="gpt-4o-2024-11-20",
        deployment_id="openai",
        provider="openai",
        region="eu",
        transport="direct",
        is_streaming=False,
        http_status=200,
        error_class="none",
        source="provider",
        input_tokens=10,
        cached_input_tokens=None,
        cache_write_tokens=None,
        output_tokens=20,
        reasoning_tokens=None,
        usd=Decimal("0.000123"),
        price_version="v1",
        policy_revision="r1",
        total_ms=812.5,
    )
    with _client({"rows": [row]}) as client:
        (call,) = usage.recent(client, 50)
    assert (call.at, call.usd, call.total_ms) == (row.at, row.usd, 812.5)
    assert (call.asked_model, call.served_model) == ("smart", "gpt-4o-2024-11-20")


def test_limits_and_raises():
    limit = Limit("team:x", Measure.USD_PER_MONTH, Decimal("1.5"))
    with _client({"rows": [limit]}) as client:
        assert limits.limits(client)[0].amount == Decimal("1.5")
    more = RaiseRecord(
        "r", "team:x", "", Measure.USD_PER_MONTH, Decimal(5), AT, AT, "user:a", "why"
    )
    with _client({"rows": [more]}) as client:
        assert limits.raises(client)[0].until == AT


def test_prices_with_their_tiers():
    rates = Rates(Decimal(3), Decimal(15))
    price = ShownPrice("p/1", False, rates, (Tier(200_000, rates),))
    row = PriceOfDeployment("smart", "openai-1", "openai", "openai/gpt-4o", price)
    bare = PriceOfDeployment("smart", "azure-1", "azure_openai", "openai/x", None)
    with _client(ListedPrices(AT, "USD", 1_000_000, [row, bare], None)) as client:
        [known, unknown] = approvals.prices(client, "smart")
    assert known.price is not None
    assert known.price.tiers[0].above_input_tokens == 200_000
    assert unknown.price is None


def test_approvals_with_their_history():
    record = ApprovalRecord(
        "apr_1",
        ApprovalState.REQUESTED,
        "o1",
        "user:sam",
        "acme",
        "research",
        "search",
        None,
        "user:sam",
        "why",
        Decimal(5),
        AT,
        AT,
        AT,
        steps=(ApprovalStep(AT, "user:sam", Step.REQUEST, "why", Decimal(5), AT),),
    )
    with _client(shown(record)) as client:
        one = approvals.shown(client, "apr_1")
    assert (one.node, one.asked_usd, one.steps[0].step) == ("user:sam", Decimal(5), "request")


def test_policies_and_their_shadow():
    bundle = policy_ports.BundleRecord("d", "r", "k", "41 passed", "user:a", AT)
    listed = {
        "rows": [bundle],
        "standing": policy_ports.Standing("d"),
        "history": [
            policy_ports.ActivationRecord(
                policy_ports.ActivationAction.ACTIVATE, "d", "r", "why", "user:a", AT
            )
        ],
    }
    with _client(listed) as client:
        assert policies.policies(client).standing.live == "d"
    report = policy_ports.ShadowReport(
        bundle,
        AT,
        (policy_ports.ShadowCount(AT, "acme", "search", 4, 1),),
        (
            policy_ports.ShadowDifference(
                AT, "r", "acme", "search", "chat.completions", "gpt-4o", ("denied",), {}, {}
            ),
        ),
    )
    with _client(report) as client:
        found = policies.shadow(client)
    assert (found.counts[0].differing, found.differences[0].kinds) == (1, ("denied",))


def test_events_and_thresholds():
    row = AuditRow("platform", 1, "e", AT, "sign_in", "user:a", None, {"a": 1}, "h")
    with _client({"rows": [row]}) as client:
        assert audit.events(client, ()).rows[0].payload == {"a": 1}
    alert = Alert("k", "2026-11", 80, "team:x", "usd_per_month", AT, Decimal(8), Decimal(10))
    with _client({"rows": [alert]}) as client:
        [found], has_older = alerts.thresholds(client)
    assert (found.percent, has_older) == (80, False)


def test_what_a_key_is_told_about_itself():
    me = Me(
        organisation="acme",
        department="research",
        team="search",
        project=None,
        user="sam",
        application=None,
        cost_centre=None,
        proof="api_key",
        key=None,
        roles=(),
        groups=(),
        clearance=None,
        priority="interactive",
        models=("gpt-4o",),
        operations=(),
        networks=(),
        time_zone="UTC",
        limits=(OwnLimit("team:x", "usd_per_month", Decimal(2), Decimal(1), Decimal(1), 1.0),),
    )
    used = Used(requests=3, usd=Decimal("0.5"))
    usage_told = MyUsage("key:k", "UTC", "2026-11", used, (ModelUsed("gpt-4o", used),), ())
    answers = {"/v1/me": me, "/v1/me/usage": usage_told}
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, content=msgspec.json.encode(answers[request.url.path]))
    )
    about, theirs = mine.about_me(SETTINGS, "gk-key", transport=transport)
    assert about.limits[0].remaining == 1
    assert theirs.by_model[0].used.usd == Decimal("0.5")


def test_steps_of_breakers():
    at = {"at": AT, "opens_until": AT}
    told = ListedTransitions(
        [
            ShownTransition(
                id="brk_1",
                deployment_id="d",
                provider="openai",
                model="m",
                before=BreakerState.CLOSED,
                after=BreakerState.HALF_OPEN,
                reason=Cause.TIME_OVER,
                error_class="",
                **at,
            )
        ],
        None,
    )
    with _client(told) as client:
        [step] = reliability.breakers(client, ()).data
    assert (step.before, step.after, step.reason) == ("closed", "half_open", "time_over")

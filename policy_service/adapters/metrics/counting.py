"""What is counted as it happens.

Kong's own names come first, so that boards which were made for its AI plugins show our calls too;
they count bookings, as the ledger does. What Kong has no name for begins with `gatehouse_`.

Source:
    https://developer.konghq.com/ai-gateway/monitor-ai-llm-metrics (checked 2026-11-29). Kong's
    prometheus plugin puts `kong_` before each of its names:
    https://developer.konghq.com/how-to/visualize-llm-metrics-with-grafana (checked 2026-11-29)
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from policy_service.adapters.metrics.labels import CappedNames, CatalogueNames, code_label
from policy_service.ports.ledger import UsageRow
from policy_service.ports.observing import DecisionFacts

_CALL: Final = (
    "ai_provider",
    "ai_model",
    "cache_status",
    "vector_db",
    "embeddings_provider",
    "embeddings_model",
    "request_mode",
    "workspace",
    "consumer",
)
"""Kong's labels. `consumer` holds the team where that is wanted; `workspace` is Kong's default."""

_WORKSPACE: Final = "default"
_QUICK_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
)  # fmt: skip
_SLOW_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
_SLOW_MS: Final = tuple(1000 * bound for bound in _SLOW_S)
_OWN_S: Final = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
_CACHE: Final = {"hit": "hit", "miss": "miss"}


class Counting:
    """Implements `Observer` with Prometheus's counters and histograms.

    Args:
        registry: Of this app. With several processes what is counted lies in shared files, and
            the registry only names it.
        names: What the catalogue knows.
        most_teams: So many teams get a label's value of their own; 0 for none.
    """

    def __init__(self, registry: CollectorRegistry, names: CatalogueNames, most_teams: int) -> None:
        self._names = names
        self._teams = CappedNames(most_teams)
        self._open_kongs(registry)
        self._decisions = Counter(
            "gatehouse_decisions_total",
            "Decisions by outcome: allowed, or the code that the caller got.",
            ("code", "operation", "policy_engine"),
            registry=registry,
        )
        self._decision_s = Histogram(
            "gatehouse_decision_duration_seconds",
            "From the plugin's question to the decision.",
            ("outcome",),
            registry=registry,
            buckets=_QUICK_S,
        )
        self._policy_s = Histogram(
            "gatehouse_policy_evaluation_duration_seconds",
            "Waiting for the policy engine, within a decision.",
            ("policy_engine",),
            registry=registry,
            buckets=_QUICK_S,
        )
        self._refused_by_limit = Counter(
            "gatehouse_limit_refusals_total",
            "Calls that a limit refused, by what it measures.",
            ("measure",),
            registry=registry,
        )
        self._degraded = Counter(
            "gatehouse_degraded_decisions_total",
            "Decisions in which one process decided about the limits alone.",
            registry=registry,
        )
        self._settled = Counter(
            "gatehouse_settlements_total",
            "Bookings by whose tokens they charge, how the call went and where it travelled.",
            ("source", "error_class", "transport"),
            registry=registry,
        )
        self._estimated_usd = Counter(
            "gatehouse_estimated_usd_total",
            "USD that was charged as an estimate.",
            registry=registry,
        )
        self._cache = Counter(
            "gatehouse_cache_results_total",
            "What the response cache had to do with booked calls.",
            ("result",),
            registry=registry,
        )
        self._saved_usd = Counter(
            "gatehouse_cache_saved_usd_total",
            "USD that hits in the response cache would have cost.",
            registry=registry,
        )
        self._fallbacks = Counter(
            "gatehouse_fallbacks_total",
            "Deployments that failed before the one that answered, or was tried last.",
            ("ai_provider", "ai_model", "deployment"),
            registry=registry,
        )
        self._overhead_s = Histogram(
            "gatehouse_overhead_seconds",
            "The gateway's own time in a call, the provider's taken off.",
            ("transport",),
            registry=registry,
            buckets=_OWN_S,
        )
        self._first_token_s = Histogram(
            "gatehouse_time_to_first_token_seconds",
            "Until the first token of a stream came.",
            ("ai_provider", "ai_model"),
            registry=registry,
            buckets=_SLOW_S,
        )
        self._reports = Counter(
            "gatehouse_usage_reports_total",
            "Plugins' reports by what settling did; `journal` for those that bring along what was "
            "decided.",
            ("source", "outcome"),
            registry=registry,
        )
        self._unidentified = Counter(
            "gatehouse_failed_credentials_total",
            "Credentials by which nobody was known, by why.",
            ("reason",),
            registry=registry,
        )

    def _open_kongs(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "kong_ai_llm_requests_total", "AI requests by provider.", _CALL, registry=registry
        )
        self._usd = Counter(
            "kong_ai_llm_cost_total", "AI requests' cost in USD.", _CALL, registry=registry
        )
        self._tokens = Counter(
            "kong_ai_llm_tokens_total",
            "AI tokens by provider: prompt_tokens, completion_tokens, total_tokens.",
            (*_CALL[:6], "token_type", *_CALL[6:]),
            registry=registry,
        )
        self._latency_ms = Histogram(
            "kong_ai_llm_provider_latency_ms",
            "How long providers took, in milliseconds.",
            _CALL,
            registry=registry,
            buckets=_SLOW_MS,
        )

    def decided(self, facts: DecisionFacts) -> None:
        """See the port."""
        code = code_label(facts.code)
        self._decisions.labels(code, facts.operation.value, facts.engine).inc()
        outcome = "allowed" if code == "allowed" else "refused"
        self._decision_s.labels(outcome).observe(facts.taken_s)
        if facts.engine:
            self._policy_s.labels(facts.engine).observe(facts.policy_s)
        if facts.exceeded is not None:
            self._refused_by_limit.labels(facts.exceeded.value).inc()
        if facts.is_degraded:
            self._degraded.inc()

    def booked(self, row: UsageRow) -> None:
        """See the port."""
        self._settled.labels(row.source, row.error_class, row.transport).inc()
        self._cache.labels(row.cache).inc()
        if row.saved_usd:
            self._saved_usd.inc(float(row.saved_usd))
        if row.source == "estimated":
            self._estimated_usd.inc(float(row.usd))
        provider, model = self._names.provider(row.provider), self._names.model(row.routed_model)
        if row.fallbacks:
            deployment = self._names.deployment(row.deployment_id)
            self._fallbacks.labels(provider, model, deployment).inc(row.fallbacks)
        if row.overhead_ms is not None:
            self._overhead_s.labels(row.transport).observe(row.overhead_ms / 1000)
        if row.time_to_first_token_ms is not None:
            taken_s = row.time_to_first_token_ms / 1000
            self._first_token_s.labels(provider, model).observe(taken_s)
        self._count_as_kong(row, provider, model)

    def reported(self, outcome: str, *, is_brought_along: bool) -> None:
        """See the port."""
        self._reports.labels("journal" if is_brought_along else "plugin", outcome).inc()

    def not_identified(self, why: str) -> None:
        """See the port."""
        self._unidentified.labels(why).inc()

    def _count_as_kong(self, row: UsageRow, provider: str, model: str) -> None:
        kept = (provider, model, _CACHE.get(row.cache, ""), "", "", "")
        mode = "stream" if row.is_streaming else "oneshot"
        where = (mode, _WORKSPACE, self._teams.label(row.team))
        labels = (*kept, *where)
        self._requests.labels(*labels).inc()
        self._usd.labels(*labels).inc(float(row.usd))
        counted, read, written = self._tokens, row.input_tokens or 0, row.output_tokens or 0
        for kind, tokens in (
            ("prompt_tokens", read),
            ("completion_tokens", written),
            ("total_tokens", read + written),
        ):
            counted.labels(*kept, kind, *where).inc(tokens)
        if row.provider is not None and row.cache != "hit" and row.total_ms is not None:
            took_ms = max(row.total_ms - (row.overhead_ms or 0.0), 0.0)
            self._latency_ms.labels(*labels).observe(took_ms)

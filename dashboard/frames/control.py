"""Chargeback, limits, approvals, policies, audit and alerts as frames.

Times are without their zone, which the page names.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.api.alerts import Incident, PassedThreshold
from dashboard.api.approvals import Approval, PricedDeployment, Step
from dashboard.api.audit import EventRow
from dashboard.api.chargeback import ClosedPeriod, Reconciliation, Statement
from dashboard.api.limits import LimitState, RaiseRow
from dashboard.api.mine import OwnLimit
from dashboard.api.policies import Activation, ShadowCount, ShadowDifference
from dashboard.formats import Currency, in_zone, key_text, measure_text, unit_text
from dashboard.frames.costs import TOTAL
from dashboard.frames.money import exact_sum, share


def local(at: datetime | None, tz: str = "UTC") -> datetime | None:
    """A moment in a zone, without it."""
    return None if at is None else in_zone(at, tz).replace(tzinfo=None)


def _frame(lines: Sequence[Sequence[object]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=list(columns)).astype(object)


# --- chargeback ----------------------------------------------------------------------------------


def statement_frame(statement: Statement) -> pd.DataFrame:
    """The lines of a statement, dearest first, with the total at the end.

    Returns:
        `cost_centre`, `department`, `team`, `project`, `requests`, `direct_usd`, `shared_usd`,
        `usd`.
    """
    lines: list[tuple[object, ...]] = [
        (
            key_text(line.cost_centre),
            key_text(line.department),
            key_text(line.team),
            line.project or "",
            line.requests,
            line.direct_usd,
            line.shared_usd,
            line.usd,
        )
        for line in sorted(statement.lines, key=lambda line: -line.usd)
    ]
    sums = [
        exact_sum(getattr(line, name) for line in statement.lines)
        for name in ("direct_usd", "shared_usd", "usd")
    ]
    requests = sum(line.requests for line in statement.lines)
    lines.append((TOTAL, "", "", "", requests, *sums))
    columns = ("cost_centre", "department", "team", "project", "requests")
    return _frame(lines, (*columns, "direct_usd", "shared_usd", "usd"))


def closed_frame(periods: Sequence[ClosedPeriod]) -> pd.DataFrame:
    """Closed months, the newest first.

    Returns:
        `period`, `total_usd`, `closed_at`, `closed_by`, `digest`.
    """
    ordered = sorted(periods, key=lambda one: one.period, reverse=True)
    lines = [
        (one.period, one.total_usd, local(one.closed_at), one.closed_by, one.digest)
        for one in ordered
    ]
    return _frame(lines, ("period", "total_usd", "closed_at", "closed_by", "digest"))


def differences_frame(found: Reconciliation) -> pd.DataFrame:
    """An invoice beside the ledger, the largest difference first, with the total at the end.

    Returns:
        `model`, `invoiced_usd`, `ledger_usd`, `difference_usd`, `note`.
    """
    lines: list[tuple[object, ...]] = [
        (
            key_text(row.model),
            row.invoiced_usd,
            row.ledger_usd,
            row.difference_usd,
            row.note or "",
        )
        for row in sorted(found.rows, key=lambda row: -abs(row.difference_usd))
    ]
    lines.append((TOTAL, found.invoiced_usd, found.ledger_usd, found.difference_usd, ""))
    return _frame(lines, ("model", "invoiced_usd", "ledger_usd", "difference_usd", "note"))


# --- limits --------------------------------------------------------------------------------------


def states_frame(states: Sequence[LimitState], currency: Currency) -> pd.DataFrame:
    """Limits and where they stand, the fullest first; amounts are written in their own units.

    Returns:
        `node`, `limit`, `used_percent`, `used`, `reserved`, `amount`, `raised`, `left`,
        `resets_at` (UTC).
    """
    ordered = sorted(states, key=lambda one: (-_used(one), one.node, one.measure))

    def line(one: LimitState) -> tuple[object, ...]:
        def text(amount: Decimal) -> str:
            return unit_text(one.measure, amount, currency)

        return (
            one.node,
            limit_text(one.measure, one.scope),
            100 * _used(one),
            text(one.used),
            text(one.reserved) if one.reserved else "",
            text(one.amount),
            text(one.raised) if one.raised else "",
            text(one.left),
            local(one.resets_at),
        )

    columns = ("node", "limit", "used_percent", "used", "reserved", "amount", "raised", "left")
    frame = _frame([line(one) for one in ordered], (*columns, "resets_at"))
    return frame.astype({"used_percent": "float64", "resets_at": "datetime64[ns]"})


def _used(one: LimitState) -> float:
    whole = one.amount + one.raised
    taken = one.used + one.reserved
    return share(taken, whole) if whole else float(bool(taken))


def limit_text(measure: str, scope: str = "") -> str:
    """What a limit counts, and for which models."""
    return f"{measure_text(measure)}, {scope}" if scope else measure_text(measure)


def raises_frame(raises: Sequence[RaiseRow], currency: Currency) -> pd.DataFrame:
    """Raises, those that end first on top.

    Returns:
        `node`, `limit`, `amount`, `until` (UTC), `author`, `reason`.
    """
    lines = [
        (
            one.node,
            limit_text(one.measure, one.scope),
            f"+{unit_text(one.measure, one.amount, currency)}",
            local(one.until),
            one.author,
            one.reason,
        )
        for one in sorted(raises, key=lambda one: one.until)
    ]
    return _frame(lines, ("node", "limit", "amount", "until", "author", "reason"))


def own_limits_frame(limits: Sequence[OwnLimit], currency: Currency) -> pd.DataFrame:
    """The limits that bind a caller, the fullest first.

    Returns:
        `node`, `limit`, `used_percent`, `used`, `amount`, `left`.
    """
    lines = [
        (
            one.node,
            limit_text(one.measure, one.scope),
            100 * share(one.used, one.amount),
            unit_text(one.measure, one.used, currency),
            unit_text(one.measure, one.amount, currency),
            unit_text(one.measure, one.remaining, currency),
        )
        for one in limits
    ]
    lines.sort(key=lambda line: -float(line[2]))
    frame = _frame(lines, ("node", "limit", "used_percent", "used", "amount", "left"))
    return frame.astype({"used_percent": "float64"})


# --- approvals -----------------------------------------------------------------------------------


def approvals_frame(approvals: Sequence[Approval]) -> pd.DataFrame:
    """Requests, in the order given.

    Returns:
        `state`, `model`, `for`, `requester`, `asked_usd`, `granted_usd`, `spent_usd`, `created_at`,
        `until`, `decided_by`, `reason`. Times are UTC.
    """
    lines = [
        (
            one.state,
            one.model,
            one.node,
            one.requester,
            one.asked_usd,
            one.granted_usd,
            one.spent_usd,
            local(one.created_at),
            local(one.granted_until or one.asked_until),
            one.decided_by or "",
            one.decision_reason or one.reason,
        )
        for one in approvals
    ]
    columns = ("state", "model", "for", "requester", "asked_usd", "granted_usd", "spent_usd")
    return _frame(lines, (*columns, "created_at", "until", "decided_by", "reason"))


def prices_frame(deployments: Sequence[PricedDeployment]) -> pd.DataFrame:
    """What a million tokens cost, a line for each deployment and for each tier of it.

    Returns:
        `deployment`, `input`, `output`, `cached_input`, `cache_write` in USD, `inputs`: of which
        length.
    """
    lines: list[tuple[object, ...]] = []
    for one in deployments:
        if one.price is None:
            lines.append((one.deployment, None, None, None, None, "no price is known"))
            continue
        tiers = [("free" if one.price.is_free else "all", one.price.rates)]
        tiers += [
            (f"over {tier.above_input_tokens:,} tokens", tier.rates) for tier in one.price.tiers
        ]
        for inputs, rates in tiers:
            # What has no rate of its own costs what other input does.
            cached, written = rates.cached_input, rates.cache_write
            lines.append(
                (
                    one.deployment,
                    rates.input,
                    rates.output,
                    rates.input if cached is None else cached,
                    rates.input if written is None else written,
                    inputs,
                )
            )
    columns = ("deployment", "input", "output", "cached_input", "cache_write", "inputs")
    return _frame(lines, columns)


def steps_frame(steps: Sequence[Step]) -> pd.DataFrame:
    """A request's history.

    Returns:
        `at` (UTC), `step`, `actor`, `amount_usd`, `until`, `reason`.
    """
    lines = [
        (local(one.at), one.step, one.actor, one.amount_usd, local(one.until), one.reason)
        for one in steps
    ]
    return _frame(lines, ("at", "step", "actor", "amount_usd", "until", "reason"))


# --- policies ------------------------------------------------------------------------------------


def activations_frame(history: Sequence[Activation]) -> pd.DataFrame:
    """What was live since when.

    Returns:
        `at` (UTC), `action`, `revision`, `actor`, `reason`.
    """
    lines = [
        (local(one.at), one.action, one.revision or "the service's own", one.actor, one.reason)
        for one in history
    ]
    return _frame(lines, ("at", "action", "revision", "actor", "reason"))


def shadow_frame(counts: Sequence[ShadowCount]) -> pd.DataFrame:
    """What a shadow came to by team.

    Returns:
        `team`, `evaluated`, `differing`, `share` (0 to 100), `failed`, `dropped`; most differences
        first.
    """
    sums: dict[str, list[int]] = {}
    for one in counts:
        line = sums.setdefault(one.team, [0, 0, 0, 0])
        for place, more in enumerate((one.evaluated, one.differing, one.failed, one.dropped)):
            line[place] += more
    lines = [
        (team, evaluated, differing, 100 * share(differing, evaluated), failed, dropped)
        for team, (evaluated, differing, failed, dropped) in sums.items()
    ]
    lines.sort(key=lambda line: (-line[2], line[0]))
    columns = ("team", "evaluated", "differing", "share", "failed", "dropped")
    return _frame(lines, columns).astype({"share": "float64"})


def shadow_differences_frame(found: Sequence[ShadowDifference]) -> pd.DataFrame:
    """Decisions that would have been others.

    Returns:
        `at` (UTC), `team`, `asked_model`, `kinds`, `before`, `after`.
    """
    lines = [
        (
            local(one.at),
            one.team,
            one.asked_model,
            ", ".join(one.kinds),
            _verdict(one.before),
            _verdict(one.after),
        )
        for one in found
    ]
    return _frame(lines, ("at", "team", "asked_model", "kinds", "before", "after"))


def _verdict(said: dict[str, object]) -> str:
    codes = said.get("codes")
    told = ", ".join(map(str, codes)) if isinstance(codes, list) else ""
    verdict = "allowed" if said.get("allow") else "denied"
    return f"{verdict}: {told}" if told else verdict


# --- audit and alerts ----------------------------------------------------------------------------


def events_frame(events: Sequence[EventRow]) -> pd.DataFrame:
    """Events as they are listed.

    Returns:
        `at` (UTC), `chain`, `seq`, `kind`, `actor`, `subject`.
    """
    lines = [
        (local(one.at), one.chain, one.seq, one.kind, one.actor or "", one.subject or "")
        for one in events
    ]
    return _frame(lines, ("at", "chain", "seq", "kind", "actor", "subject"))


def incidents_frame(incidents: Sequence[Incident]) -> pd.DataFrame:
    """Incidents, in the order given.

    Returns:
        `severity`, `title`, `kind`, `where`, `opened_at`, `last_seen_at`, `recovered_at` (UTC),
        `detail`.
    """
    lines = [
        (
            one.severity,
            one.title,
            one.kind,
            one.node or one.subject or "",
            local(one.opened_at),
            local(one.last_seen_at),
            local(one.recovered_at),
            one.detail or "",
        )
        for one in incidents
    ]
    columns = ("severity", "title", "kind", "where", "opened_at", "last_seen_at", "recovered_at")
    return _frame(lines, (*columns, "detail"))


def thresholds_frame(passed: Sequence[PassedThreshold], currency: Currency) -> pd.DataFrame:
    """Thresholds that were passed.

    Returns:
        `at` (UTC), `node`, `limit`, `percent`, `used`, `amount`.
    """
    lines = [
        (
            local(one.at),
            one.node,
            measure_text(one.measure),
            one.percent,
            unit_text(one.measure, one.used, currency),
            unit_text(one.measure, one.amount, currency),
        )
        for one in passed
    ]
    return _frame(lines, ("at", "node", "limit", "percent", "used", "amount"))

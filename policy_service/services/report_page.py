"""A report as HTML and as plain text. Everything that people named is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from html import escape

from llm_core.chargeback.statement import Statement
from llm_core.chargeback.table import UNTAGGED
from policy_service.ports.report_schedules import Cadence, ReportFigures, UsedBy
from policy_service.services.report_periods import ReportPeriod
from policy_service.services.report_plots import Plot, days_plot, ranking_plot

_MOST_ROWS = 25
_MOST_LINES = 500
_CELL = "padding:4px 10px;border-bottom:1px solid #ddd;text-align:{}"
_BODY = "font-family:sans-serif;color:#1a1a1a;background:#fff;max-width:960px;margin:16px auto"
_LEFT, _RIGHT = "left", "right"
_LEFT_COLUMNS = frozenset({"cost centre", "department", "team", "project", "name"})
_PERIODS = {Cadence.WEEKLY: "Week", Cadence.MONTHLY: "Month"}
_NOT_CLOSED = {
    Cadence.WEEKLY: "preview, not closed: only months are",
    Cadence.MONTHLY: "preview, not closed yet",
}
_OWED = (
    "cost centre",
    "department",
    "team",
    "project",
    "requests",
    "direct USD",
    "shared USD",
    "owed USD",
)


@dataclass(frozen=True, slots=True)
class ReportPage:
    """What is sent.

    Args:
        html: Complete in itself, with the plots as SVG.
        plots: Those that stand in `html`.
    """

    subject: str
    html: str
    text: str
    total_usd: Decimal
    plots: tuple[Plot, ...] = ()


def mailed(page: ReportPage) -> tuple[str, dict[str, bytes]]:
    """The HTML with pictures in place of SVG, which most mail programs leave out.

    Returns:
        The HTML, and the pictures (PNG) by the content id that it names.
    """
    html, pictures = page.html, {}
    for number, plot in enumerate(page.plots, 1):
        name = f"plot-{number}@gatehouse"
        html = html.replace(
            plot.svg,
            f'<img src="cid:{name}" alt="{escape(plot.title)}; the figures are in the table." '
            f'width="{plot.width}" style="max-width:100%;height:auto">',
        )
        pictures[name] = plot.png()
    return html, pictures


def summary_page(node: str, period: ReportPeriod, zone: str, figures: ReportFigures) -> ReportPage:
    """What a node used in a week or a month."""
    subject = f"Gatehouse: {node} used {_usd(figures.usd)} USD in {period.name}"
    facts = [
        ("Spend", f"{_usd(figures.usd)} USD, {_change(figures.usd, figures.before_usd)}"),
        ("Requests", f"{figures.requests:,}"),
        ("Without a cost centre", f"{_usd(figures.untagged_usd)} USD"),
        ("Time", f"{period.days[0][0]} to {period.days[-1][0]}, {zone}"),
    ]
    plots = [days_plot(figures.days)]
    parts = [_facts_html(facts), f"<h2>By day</h2>{plots[0].svg}"]
    for kind, some in (("team", figures.teams), ("model", figures.models)):
        if figures.usd:
            plots.append(ranking_plot(f"Spend by {kind}", some))
            parts.append(f"<h2>By {kind}</h2>{plots[-1].svg}")
        parts.append(_ranking_html(kind, some))
    text = [*(f"{name}: {fact}" for name, fact in facts), ""]
    for title, some in (("team", figures.teams), ("model", figures.models)):
        text.append(f"By {title}:")
        text += [f"  {one.name}: {_usd(one.usd)} USD" for one in some[:_MOST_ROWS]]
    page = _page(subject, f"{node}, {period.name}", parts, text, figures.usd)
    return replace(page, plots=tuple(plots))


def chargeback_page(node: str, statement: Statement, cadence: Cadence) -> ReportPage:
    """A node's part of a month's statement, or of a week's preview."""
    state = "closed" if statement.id else _NOT_CLOSED[cadence]
    total = _usd(statement.billed_usd)
    subject = f"Gatehouse: {node} owes {total} USD for {statement.period} ({state})"
    facts = [
        ("Owed", f"{total} USD"),
        ("Of it shared", f"{_usd(statement.shared_usd)} USD"),
        ("Without a cost centre", f"{_usd(statement.untagged_usd)} USD"),
        (_PERIODS[cadence], f"{statement.period}, {statement.tz}"),
        ("State", state),
    ]
    if statement.currency is not None:
        there = statement.billed_usd * statement.currency.usd_rate
        rate = f"{statement.currency.usd_rate:f} for a dollar"
        facts.insert(1, (f"In {statement.currency.code}", f"{_usd(there)}, at {rate}"))
    if statement.digest is not None:
        facts.append(("Digest of the whole", statement.digest))
    rows = [
        [
            line.cost_centre or UNTAGGED,
            line.department,
            line.team,
            line.project or "",
            f"{line.requests:,}",
            _usd(line.direct_usd),
            _usd(line.shared_usd),
            _usd(line.billed_usd),
        ]
        for line in statement.lines
    ]
    requests = sum(line.requests for line in statement.lines)
    direct = statement.total_usd - statement.shared_usd
    sums = [_usd(amount) for amount in (direct, statement.shared_usd, statement.billed_usd)]
    totals = ["total", "", "", "", f"{requests:,}", *sums]
    used = [
        UsedBy(f"{line.department} / {line.team}", line.requests, line.usd)
        for line in sorted(statement.lines, key=lambda line: -line.usd)
    ]
    parts, plots = [_facts_html(facts)], []
    if statement.total_usd:
        plots.append(ranking_plot("Owed by team", _by_name(used)))
        parts.append(f"<h2>By team</h2>{plots[0].svg}")
    parts.append(_table_html(_OWED, [*rows[:_MOST_LINES], totals]))
    if len(rows) > _MOST_LINES:
        parts.append(f"<p>{len(rows) - _MOST_LINES} lines more are in the statement.</p>")
    text = [f"{name}: {fact}" for name, fact in facts]
    text += [
        "",
        *(
            f"  {line.department} / {line.team} / {line.project or '-'} "
            f"({line.cost_centre or UNTAGGED}): {_usd(line.billed_usd)} USD"
            for line in statement.lines[:_MOST_LINES]
        ),
    ]
    page = _page(subject, f"{node}, {statement.period}", parts, text, statement.total_usd)
    return replace(page, plots=tuple(plots))


def _by_name(used: Iterable[UsedBy]) -> list[UsedBy]:
    summed: dict[str, UsedBy] = {}
    for one in used:
        old = summed.get(one.name, UsedBy(one.name, 0, Decimal(0)))
        summed[one.name] = UsedBy(one.name, old.requests + one.requests, old.usd + one.usd)
    return sorted(summed.values(), key=lambda one: -one.usd)


def _page(
    subject: str, head: str, parts: Sequence[str], text: Sequence[str], total_usd: Decimal
) -> ReportPage:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(subject)}'
        f'</title></head><body style="{_BODY}"><h1>{escape(head)}</h1>{"".join(parts)}'
        "</body></html>"
    )
    return ReportPage(subject, html, "\n".join([head, "", *text]) + "\n", total_usd)


def _facts_html(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL.format(_LEFT)}">{escape(name)}</th>'
        f'<td style="{_CELL.format(_LEFT)}">{escape(fact)}</td></tr>'
        for name, fact in facts
    )
    return f'<table style="border-collapse:collapse">{rows}</table>'


def _ranking_html(kind: str, parts: Sequence[UsedBy]) -> str:
    rows = [
        [one.name, f"{one.requests:,}", _usd(one.usd), _usd(one.before_usd)]
        for one in parts[:_MOST_ROWS]
    ]
    if len(parts) > _MOST_ROWS:
        others = parts[_MOST_ROWS:]
        rows.append(
            [
                f"{len(others)} others",
                f"{sum(one.requests for one in others):,}",
                _usd(sum((one.usd for one in others), Decimal(0))),
                _usd(sum((one.before_usd for one in others), Decimal(0))),
            ]
        )
    if not rows:
        return "<p>Nothing was used.</p>"
    return _table_html(("name", "requests", "USD", "USD before"), rows, first=kind)


def _table_html(heads: Sequence[str], rows: Sequence[Sequence[str]], *, first: str = "") -> str:
    sides = [_LEFT if head in _LEFT_COLUMNS else _RIGHT for head in heads]
    named = [first or heads[0], *heads[1:]]
    head = "".join(
        f'<th scope="col" style="{_CELL.format(side)}">{escape(name)}</th>'
        for name, side in zip(named, sides, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL.format(side)}">{escape(cell)}</td>'
            for cell, side in zip(row, sides, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<table style="border-collapse:collapse;font-size:14px">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _change(now: Decimal, before: Decimal) -> str:
    if not before:
        return "nothing before" if not now else "from nothing"
    return f"{(now - before) / before * 100:+.0f} % from {_usd(before)}"

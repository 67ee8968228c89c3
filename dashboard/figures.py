"""From frames to figures. Pure: a function gives a figure and shows nothing.

Colours are told apart by colour-blind people too: Okabe and Ito's, and lighter relatives of them on
a dark ground.

Source:
    https://jfly.uni-koeln.de/color/ (checked 2026-11-20)
"""

import altair as alt
import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.formats import usd_text

Layered = alt.LayerChart | alt.FacetChart
"""What `alt.layer` gives."""
OTHER = "other models"
_LIGHT = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_DARK = ("#4FA3DB", "#F2B84B", "#35C08F", "#DF9CC3", "#9AD4F5", "#F0844A")
_OTHER_COLOUR = "#8C8C8C"
_BAR_PX = 32


def spend_by_team(spend: pd.DataFrame, budgets: pd.DataFrame, *, is_dark: bool) -> Layered:
    """Draw a bar for every team, stacked by model, with a mark at the team's budget.

    Args:
        spend: As `frames.team_model_frame` gives it, not empty.
        budgets: As `frames.budget_frame` gives it.
        is_dark: Whether the ground is dark.
    """
    models = _dearest_first(spend)
    colours = list((_DARK if is_dark else _LIGHT)[: len(models)])
    shown = models[: len(colours)]
    bars = _bars(spend, shown)
    order = _teams_in_order(bars)
    limits = _limits(budgets, order)
    names = [*shown, OTHER] if len(models) > len(shown) else shown
    colour = alt.Color(
        "model:N",
        scale=alt.Scale(domain=names, range=[*colours, _OTHER_COLOUR][: len(names)]),
        legend=alt.Legend(title=None, orient="top", columns=4, symbolType="square"),
    )
    place = alt.Y(
        "label:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelLimit=220, ticks=False, domain=False, labelPadding=8),
    )
    money = alt.X("amount:Q", title=None, axis=alt.Axis(format="$,.2~f", tickCount=6, domain=False))
    stacked = (
        alt.Chart(bars)
        .mark_bar(height=_BAR_PX * 0.6, cornerRadius=1)
        .encode(
            x=money,
            y=place,
            color=colour,
            order=alt.Order("rank:Q"),
            tooltip=[
                alt.Tooltip("department:N", title="Department"),
                alt.Tooltip("team:N", title="Team"),
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("usd:N", title="Spent"),
            ],
        )
    )
    marks = (
        alt.Chart(limits)
        .mark_tick(thickness=3, height=_BAR_PX * 0.9, color="#EDEBE8" if is_dark else "#2F2D2B")
        .encode(
            x=alt.X("amount:Q"),
            y=alt.Y("label:N", sort=order),
            tooltip=[
                alt.Tooltip("label:N", title="Team"),
                alt.Tooltip("usd:N", title="Budget"),
            ],
        )
    )
    return alt.layer(stacked, marks).properties(height=alt.Step(_BAR_PX))


def _dearest_first(spend: pd.DataFrame) -> list[str]:
    sums = {model: sum(group["usd"]) for model, group in spend.groupby("model", sort=True)}
    return [str(model) for model in sorted(sums, key=lambda model: -sums[model])]


def _bars(spend: pd.DataFrame, shown: list[str]) -> pd.DataFrame:
    bars = spend.copy()
    bars["model"] = [model if model in shown else OTHER for model in bars["model"]]
    summed = [
        (department, team, model, sum(group["usd"]))
        for (department, team, model), group in bars.groupby(["department", "team", "model"])
    ]
    ranks = {model: rank for rank, model in enumerate([*shown, OTHER])}
    return pd.DataFrame(
        {
            "department": [line[0] for line in summed],
            "team": [line[1] for line in summed],
            "model": [line[2] for line in summed],
            "label": [_label(line[0], line[1]) for line in summed],
            "rank": [ranks[line[2]] for line in summed],
            # A length on the screen, not an amount: the exact one is beside it as text.
            "amount": [float(line[3]) for line in summed],
            "usd": [usd_text(line[3]) for line in summed],
        }
    )


def _teams_in_order(bars: pd.DataFrame) -> list[str]:
    """Teams by department, the dearest department first, then the dearest team."""
    by_department = bars.groupby("department")["amount"].sum()
    by_team = bars.groupby(["department", "label"])["amount"].sum()
    keys = sorted(by_team.index, key=lambda key: (-by_department[key[0]], key[0], -by_team[key]))
    return [str(label) for _, label in keys]


def _limits(budgets: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    limited = [
        (_label(row.department, row.team), row.budget_usd)
        for row in budgets.itertuples()
        if row.budget_usd is not None
    ]
    shown = [(label, amount) for label, amount in limited if label in order]
    return pd.DataFrame(
        {
            "label": [label for label, _ in shown],
            "amount": [float(amount) for _, amount in shown],
            "usd": [usd_text(amount) for _, amount in shown],
        }
    )


def _label(department: str, team: str) -> str:
    return f"{team}, {department}"

from decimal import Decimal
from typing import Any

from dashboard import figures, frames
from dashboard.usage_api import BudgetRow, SpendRow


def _figure(models: int, *, is_dark: bool = False) -> dict[str, Any]:
    spend = [
        SpendRow("Risk", "fraud", f"model-{place}", 1, 1, 1, Decimal(100 - place))
        for place in range(models)
    ]
    budgets = (
        BudgetRow("Risk", "fraud", Decimal(50), Decimal(90)),
        BudgetRow("HR", "idle", Decimal(10), Decimal(0)),
    )
    figure = figures.spend_by_team(
        frames.team_model_frame(spend), frames.budget_frame(budgets), is_dark=is_dark
    )
    found: dict[str, Any] = figure.to_dict()
    return found


def _data(figure: dict[str, Any], layer: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = figure["datasets"][figure["layer"][layer]["data"]["name"]]
    return rows


def test_many_models_become_the_dearest_and_the_rest():
    figure = _figure(9)
    scale = figure["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [*(f"model-{place}" for place in range(6)), figures.OTHER]
    assert len(scale["range"]) == 7
    assert {row["model"] for row in _data(figure, 0)} == set(scale["domain"])
    assert sum(row["amount"] for row in _data(figure, 0)) == sum(100 - place for place in range(9))


def test_few_models_leave_no_rest():
    assert _figure(2)["layer"][0]["encoding"]["color"]["scale"]["domain"] == ["model-0", "model-1"]


def test_only_teams_in_the_chart_have_a_budget_mark():
    assert [row["label"] for row in _data(_figure(1), 1)] == ["fraud, Risk"]


def test_a_dark_ground_has_its_own_colours():
    light, dark = _figure(3), _figure(3, is_dark=True)
    ranges = [one["layer"][0]["encoding"]["color"]["scale"]["range"] for one in (light, dark)]
    assert not set(ranges[0]) & set(ranges[1])

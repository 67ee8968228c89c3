"""Why policy refused what an approval is asked for, and who did what about it."""

from collections.abc import Iterable, Sequence

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own

from dashboard.api.approvals import Approval
from dashboard.api.reliability import RefusalRow
from dashboard.formats import plain_text
from dashboard.frames.control import approvals_frame, local


def queue_frame(waiting: Sequence[Approval], refused: Sequence[RefusalRow]) -> pd.DataFrame:
    """Requests that wait, with why policy refused their teams their models.

    Args:
        waiting: In the order of the lines.
        refused: By team, model, code and rule, the most frequent first.

    Returns:
        As `approvals_frame`, and `policy`: codes; empty where none is known.
    """
    told = [
        ", ".join(dict.fromkeys(_code(row) for row in refused if is_about(row, approval)))
        for approval in waiting
    ]
    return approvals_frame(waiting).assign(policy=told)


def grounds_told(refused: Iterable[RefusalRow]) -> list[str]:
    """What policy said, each sentence once, in Markdown: its code, its rule and the sentence."""
    return list(dict.fromkeys(_ground(row) for row in refused))


def decided_frame(decided: Sequence[Approval]) -> pd.DataFrame:
    """Requests that were decided, with who did what.

    Returns:
        As `approvals_frame`, and `steps`: each with its day (UTC) and by whom.
    """
    told = [
        "; ".join(f"{one.step} by {one.actor} on {one.at:%Y-%m-%d}" for one in approval.steps)
        for approval in decided
    ]
    return approvals_frame(decided).assign(steps=told)


def is_about(row: RefusalRow, approval: Approval) -> bool:
    """Whether calls of the request's team for its model were refused so."""
    return (row.keys.get("team"), row.keys.get("model")) == (approval.team, approval.model)


def grounds_frame(refused: Sequence[RefusalRow]) -> pd.DataFrame:
    """Why calls were refused, in the order given.

    Returns:
        `code`, `rule`: the path of the rule in the policy, `count`, `last_at` (UTC).
    """
    lines = [
        (
            _code(row),
            row.keys.get("rule") or "",
            row.count,
            local(row.last_at),
        )
        for row in refused
    ]
    frame = pd.DataFrame(lines, columns=["code", "rule", "count", "last_at"])
    return frame.astype({"last_at": "datetime64[ns]"})


def _code(row: RefusalRow) -> str:
    return row.keys.get("code") or ""


def _ground(row: RefusalRow) -> str:
    rule = row.keys.get("rule")
    by = f" ({plain_text(rule)})" if rule else ""
    return f"**{plain_text(_code(row))}**{by}: {plain_text(row.message or '')}"

"""`gatehouse policy replay`: which past decisions would a policy have made otherwise?"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from policy_service.cli.database import DEFAULT_DATABASE, Database, with_database
from policy_service.cli.failures import WOULD_CHANGE, fail, needs
from policy_service.cli.policy.sources import find_policy
from policy_service.cli.tables import show_table
from policy_service.cli.times import span_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.adapters.policies.replay import Changed, Replayed
    from policy_service.ports.decision_log import LoggedDecision

_PAGE = 500


class ReplayEngine(StrEnum):
    """What evaluates."""

    AUTO = "auto"
    OPA = "opa"
    REGOPY = "regopy"


def replay(
    bundle: Annotated[
        str, typer.Argument(help="A folder, a tarball, or a bundle's name in the database.")
    ],
    *,
    since: Annotated[
        str, typer.Option(help="From when on: 7d, 12h, or a time as 2026-11-20T08:00Z.")
    ],
    until: Annotated[str, typer.Option(help="Until when, likewise.")] = "now",
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="End with 3 when a decision would change, for scripts."),
    ] = False,
    engine: Annotated[
        ReplayEngine, typer.Option(help="What evaluates; OPA, if installed, by default.")
    ] = ReplayEngine.AUTO,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Ask a policy what was decided before, and tell what would change.

    The decision log has everything that policy was told, so that a decision can be made again.
    Decisions whose question has been erased are counted apart, and so are those that would only
    oblige to something else.
    """
    with needs("service"):
        from policy_service.adapters.policies import replay as replaying
        from policy_service.adapters.policies.testing import opa_program
        from policy_service.adapters.sql.decision_log import SqlDecisionLog

    now = datetime.now(UTC)
    start, end = _moment(since, now), now if until == "now" else _moment(until, now)
    policy = find_policy(bundle, database_url)
    opa = None if engine is ReplayEngine.REGOPY else opa_program()
    if opa is None and engine is ReplayEngine.OPA:
        raise fail("`opa` is not installed; `make services` installs it")

    async def work(engine: "AsyncEngine") -> "Replayed":
        log = SqlDecisionLog(engine)
        with _progress(await log.count(start, end), is_shown=not as_json) as tell:
            pages = _of_team(log.read(start, end, batch=_PAGE), team, tell)
            return await replaying.replay(
                policy, pages, at_once=os.cpu_count() or 1, opa=opa, tell=tell
            )

    found = with_database(database_url, work)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(_as_json(found)))
    else:
        _show(found, policy.revision)
    if exit_code and found.changed:
        raise typer.Exit(WOULD_CHANGE)


async def _of_team(
    pages: "AsyncIterator[Sequence[LoggedDecision]]", team: str | None, tell: Callable[[int], None]
) -> "AsyncIterator[Sequence[LoggedDecision]]":
    async for page in pages:
        kept = [one for one in page if team is None or one.team == team]
        tell(len(page) - len(kept))
        if kept:
            yield kept


class _Rate(ProgressColumn):
    """So many a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f}/s")


@contextmanager
def _progress(total: int, *, is_shown: bool) -> Iterator[Callable[[int], None]]:
    bar = Progress(
        TextColumn("Asking again"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not is_shown,
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.advance(task, done)


def _show(found: "Replayed", revision: str) -> None:
    typer.echo(
        f"Under {revision} these {found.changed:,} of {found.decisions:,} decisions would change."
    )
    typer.echo(
        f"Beside them {found.obligations:,} would oblige to something else, and {found.reasons:,} "
        "would only be denied for other reasons."
    )
    for count, said in (
        (found.erased, "could not be asked again: what was asked has been erased"),
        (found.not_asked, "were refused before policy was asked, and are left out"),
        (found.failed, "got no answer from this policy, and would be refused"),
    ):
        if count:
            typer.echo(f"{count:,} {said}.")
    for head, counts in (("team", found.by_team), ("reason", found.by_reason)):
        if counts:
            show_table(
                (head, "would be", "decisions"),
                [(name, kind, f"{count:,}") for (name, kind), count in counts.most_common()],
            )
    _show_examples("for example", found.examples)
    _show_examples("for example, obligations only", found.other_examples)


def _show_examples(head: str, examples: "Sequence[Changed]") -> None:
    if examples:
        show_table(
            (head, "when", "team", "model", "difference", "reasons that came or went"),
            [
                (
                    one.decision.decision_id,
                    f"{one.decision.at:%Y-%m-%d %H:%M:%S}",
                    one.decision.team,
                    one.decision.asked_model,
                    ", ".join(one.kinds),
                    ", ".join(one.codes),
                )
                for one in examples
            ],
        )


def _as_json(found: "Replayed") -> dict[str, object]:
    names = ("decisions", "changed", "obligations", "reasons", "erased", "not_asked", "failed")
    return {
        **{name: getattr(found, name) for name in names},
        "by_team": [
            {"team": team, "kind": kind, "decisions": count}
            for (team, kind), count in found.by_team.most_common()
        ],
        "by_reason": [
            {"code": code, "kind": kind, "decisions": count}
            for (code, kind), count in found.by_reason.most_common()
        ],
        "examples": [_example(one) for one in [*found.examples, *found.other_examples]],
    }


def _example(one: "Changed") -> dict[str, object]:
    return {
        "decision_id": one.decision.decision_id,
        "at": one.decision.at,
        "team": one.decision.team,
        "asked_model": one.decision.asked_model,
        "kinds": one.kinds,
        "before": one.before,
        "after": one.after,
    }


def _moment(text: str, now: datetime) -> datetime:
    span = span_of(text)
    if span is not None:
        return now - span
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise fail(f"{text!r} is no time: write 7d, 12h, or 2026-11-20T08:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

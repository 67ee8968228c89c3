"""`gatehouse policy eval`: what a policy says to one question, why, and what would change it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from policy_service.cli.database import DEFAULT_DATABASE, Database, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.policy.sources import find_policy

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.adapters.policies.what_if import FactChange
    from policy_service.adapters.policy_bundle import PolicyBundle
    from policy_service.ports.decision_log import LoggedDecision
    from policy_service.ports.policy import PolicyEngine, PolicyResult

_SHOWN = 12


class Engine(StrEnum):
    """What evaluates."""

    REGOPY = "regopy"
    OPA = "opa"


def evaluate(
    *,
    input: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="The question, JSON; `-` for standard input."),
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(help="In its place: what was asked for this decision, from the log."),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle",
            "-b",
            envvar="POLICY_REGO_DIR",
            help="A folder, a tarball, or a bundle's name in the database; the shipped policy by "
            "default.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Name the rules, and what would make it allow.")
    ] = False,
    engine: Annotated[Engine, typer.Option(help="What evaluates.")] = Engine.REGOPY,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Ask a policy one question.

    Without `--explain` the answer is printed as JSON. What would make a denied call allowed is
    found by asking: questions that differ in one fact, or two, are tried, and those that come back
    allowed are named.
    """
    if (input is None) == (decision is None):
        raise fail("name a question: --input FILE, or --decision dec_... for a logged one")
    document = _logged(decision, database_url) if input is None else _document(input)
    policy = find_policy(bundle, database_url)
    try:
        answer = asyncio.run(_asked(policy, document, engine, explain=explain))
    except _failures() as fault:
        raise fail(str(fault)) from fault
    typer.echo(answer)


async def _asked(
    policy: "PolicyBundle", document: dict[str, Any], engine: Engine, *, explain: bool
) -> str:
    import msgspec

    from policy_service.adapters.policies.what_if import smallest_changes

    async with _running(policy, engine) as asked:
        result = await asked.evaluate(document)
        if not explain:
            return json.dumps(msgspec.to_builtins(result), indent=2)
        changes: tuple[tuple[FactChange, ...], ...] = ()
        if not result.allow:
            changes = await smallest_changes(asked.evaluate, document, policy.data)
    return "\n".join(_explained(policy, result, changes))


@asynccontextmanager
async def _running(policy: "PolicyBundle", engine: Engine) -> "AsyncIterator[PolicyEngine]":
    from policy_service.adapters.policies.own_opa import own_opa
    from policy_service.adapters.policies.testing import opa_program
    from policy_service.adapters.policies.trial import compiled

    if engine is Engine.OPA:
        program = opa_program()
        if program is None:
            raise ValueError("`opa` is not installed; `make services` installs it")
        async with own_opa(program, policy) as server:
            yield server.policy
        return
    embedded = await compiled(policy)
    try:
        yield embedded
    finally:
        await embedded.close()


def _explained(
    policy: "PolicyBundle",
    result: "PolicyResult",
    changes: "tuple[tuple[FactChange, ...], ...]",
) -> list[str]:
    from policy_service.adapters.policies.rules import rule_of

    said = "ALLOWED" if result.allow else "DENIED"
    lines = [f"{said} by {result.revision} on {result.engine} in {result.duration_ms:.1f} ms"]
    if result.permitted:
        lines.append(f"Permitted: {', '.join(result.permitted)}")
    for reason in result.reasons:
        place = rule_of(policy.modules, reason.rule, reason.code)
        where = f"{place.file}:{place.line}" if place else "not found in the policy's files"
        title = f" ({place.title})" if place and place.title else ""
        lines += ["", f"{reason.code}: {reason.message}"]
        lines += [f"  rule  {reason.rule}, {where}{title}", f"  fix   {reason.solution}"]
    if not result.allow:
        lines += ["", *_flips(changes)]
    return lines


def _flips(changes: "tuple[tuple[FactChange, ...], ...]") -> list[str]:
    if not changes:
        return [
            "No change of one fact, or of two, that was tried would allow it: see what the "
            "reasons above ask for."
        ]
    lines = ["It would be allowed:"]
    lines += [f"  {' and '.join(one.said for one in change)}" for change in changes[:_SHOWN]]
    if len(changes) > _SHOWN:
        lines.append(f"  and {len(changes) - _SHOWN} other ways")
    return lines


def _logged(decision_id: str | None, database_url: str) -> dict[str, Any]:
    """What policy was asked for a decision."""
    with needs("service"):
        from policy_service.adapters.sql.decision_log import SqlDecisionLog

    async def work(engine: "AsyncEngine") -> "LoggedDecision | None":
        return await SqlDecisionLog(engine).find(str(decision_id))

    found = with_database(database_url, work)
    if found is None:
        raise fail(f"the decision log has no {decision_id}")
    if found.input is None:
        raise fail(f"what was asked for {decision_id} is erased; only what was decided is kept")
    return found.input


def _document(file: Path) -> dict[str, Any]:
    try:
        text = (
            typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text("utf-8")
        )
        found = json.loads(text)
    except (OSError, ValueError) as fault:
        raise fail(f"{file} cannot be read as JSON: {fault}") from fault
    if not isinstance(found, dict):
        raise fail(f"{file} is no question: it has to be an object")
    return found


def _failures() -> tuple[type[Exception], ...]:
    with needs("service"):
        from llm_core.errors import PolicyUnavailable
    return (PolicyUnavailable, ValueError)

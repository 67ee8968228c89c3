"""`gatehouse providers`: what each provider can do, as the translators have it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import typer

from llm_core.apis.support import (
    FEATURES,
    SAMPLES,
    feature_support,
    operation_support,
    operations,
)
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.providers.servers import SERVERS


def providers() -> None:
    """Print what becomes of each operation and parameter at each provider."""
    typer.echo("Operations\n")
    typer.echo(operations_table())
    typer.echo("Parameters of a chat completion\n")
    typer.echo(features_table())
    typer.echo("Servers that speak OpenAI's format, by name\n")
    typer.echo(servers_table())


def operations_table() -> str:
    """Provider by operation: `native`, `translated` or `no`."""
    names = [operation.value for operation in operations()]
    rows = (
        (name, *(operation_support(deployment, operation) for operation in operations()))
        for name, deployment in _samples().items()
    )
    return _table(("Provider", *names), rows)


def features_table() -> str:
    """Feature by provider: `yes`, `dropped` or `refused`."""
    return _by_feature(_samples())


def servers_table() -> str:
    """The same for named servers that speak OpenAI's format."""
    plain = SAMPLES[ProviderKind.OPENAI_COMPATIBLE]
    return _by_feature({name: replace(plain, vendor=name) for name in SERVERS})


def _samples() -> Mapping[str, Deployment]:
    return {kind.value: deployment for kind, deployment in SAMPLES.items()}


def _by_feature(deployments: Mapping[str, Deployment]) -> str:
    rows = (
        (feature.name, *(feature_support(one, feature).value for one in deployments.values()))
        for feature in FEATURES
    )
    return _table(("", *deployments), rows)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

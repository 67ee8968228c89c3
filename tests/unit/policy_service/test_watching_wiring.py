"""Nothing that counts or exports is loaded where nobody watches."""

import subprocess
import sys

import pytest

_LOADED = """
import sys
import {module}
told = ("prometheus_client", "opentelemetry.exporter", "policy_service.adapters.otel")
print(sorted(set(told) & set(sys.modules)))
"""


@pytest.mark.parametrize("module", ["policy_service.app", "kong_plugins.llm_token_meter.plugin"])
def test_who_is_not_watched_loads_nothing_for_it(module: str) -> None:
    """redis-py loads OpenTelemetry's own SDK by itself; that is not ours to prevent."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED.format(module=module)], capture_output=True, check=True
    )
    assert done.stdout.strip() == b"[]"

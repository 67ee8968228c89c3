"""Neither library is loaded where nobody watches; redis-py loads OpenTelemetry's interface."""

import subprocess
import sys

_LOADED = """
import sys
import policy_service.app
print(sorted({"prometheus_client", "opentelemetry.sdk"} & set(sys.modules)))
"""


def test_a_service_that_nobody_watches_loads_neither_prometheus_nor_opentelemetry() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_nor_does_a_plugin_server() -> None:
    loaded = _LOADED.replace("policy_service.app", "kong_plugins.llm_token_meter.plugin")
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"

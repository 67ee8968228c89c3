"""Three plugins that make the PDK calls of the real ones, with as much to carry, and think nothing.

What they add is what Gatehouse costs at least, on this machine and with this stand-in for Kong: the
traffic between the gateway and its plugin servers. `gateway_latency.py` measures them beside the
real ones. As a plugin server: `python -m tests.load.thoughtless_plugins auth -p <folder>`.
"""

import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kong_plugins._runtime.main import run
from kong_plugins._runtime.pdk import Kong

CALLER: Final = "x" * 900
DECISION: Final = "x" * 1900
"""As long as a caller and a decision are that the real plugins hand on."""


class Auth:
    """llm-auth's two calls."""

    def __init__(self, config: dict[str, Any]) -> None:
        pass

    async def access(self, kong: Kong) -> None:
        """Read the headers, hand a caller on."""
        await kong.request.get_headers(1000)
        await kong.ctx.shared.set("caller", CALLER)


class Meter:
    """llm-token-meter's four calls, and the three of its log phase."""

    def __init__(self, config: dict[str, Any]) -> None:
        pass

    async def access(self, kong: Kong) -> None:
        """Read caller and body, set the ticket, hand a decision on."""
        await kong.ctx.shared.get("caller")
        body = await kong.request.get_raw_body(2**20)
        await kong.service.request.set_headers({"x-gatehouse-ticket": "x" * 110})
        await kong.ctx.shared.set("decision", DECISION + body.decode())

    async def log(self, kong: Kong) -> None:
        """Read what there is to report."""
        await kong.ctx.shared.get("decision")
        await kong.ctx.shared.get("usage")
        await kong.log.serialize()


class Transform:
    """llm-provider-transform's six and four calls."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._target = urlsplit(config["target"])
        self._credential = str(config["credential"])

    async def access(self, kong: Kong) -> None:
        """Aim at the provider."""
        handed = await kong.ctx.shared.get("decision")
        host, port = self._target.hostname or "", self._target.port or 80
        await kong.service.set_target(host, port)
        await kong.service.request.set_scheme("http")
        await kong.service.request.set_path(self._target.path)
        headers = {"authorization": f"Bearer {self._credential}", "host": f"{host}:{port}"}
        await kong.service.request.set_headers(headers)
        await kong.service.request.set_raw_body(handed[len(DECISION) :])

    async def response(self, kong: Kong) -> None:
        """Answer with what the provider answered."""
        await kong.ctx.shared.get("decision")
        body = await kong.service.response.get_raw_body()
        await kong.ctx.shared.set("usage", "x" * 400)
        await kong.response.exit(200, body, {"content-type": "application/json"})


PLUGINS: Final = {"auth": (Auth, 1010), "meter": (Meter, 950), "transform": (Transform, 760)}
_FIELDS: Final = ("target", "credential")


def conf(folder: Path) -> str:
    """The kong.conf that has devkong start them; it must do so in the repository's folder."""
    names = ",".join(PLUGINS)
    lines = [f"plugins = {names}", f"pluginserver_names = {names}"]
    for name in PLUGINS:
        start = f"{sys.executable} -m {__spec__.name} {name}"
        lines += [
            f"pluginserver_{name}_socket = {folder / name}.sock",
            f"pluginserver_{name}_start_cmd = {start} --kong-prefix {folder}",
            f"pluginserver_{name}_query_cmd = {start} --dump",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    plugin, priority = PLUGINS[chosen]
    fields = [{name: {"type": "string"}} for name in _FIELDS]
    run(chosen, plugin, version="1", priority=priority, schema=fields)

"""Looks at Kong's side: kong.conf, kong.yaml, the plugin servers, and the service they ask."""

import hmac
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import httpx

from policy_service.adapters.yaml_file import InvalidFile
from policy_service.cli.doctor.findings import Finding, broken, good, unseen, warning
from policy_service.cli.doctor.reasons import reason_of
from policy_service.cli.kong import PLUGINS
from policy_service.cli.kong.kong_file import KongFile, Plugin, read_kong
from policy_service.settings import Settings

_TIMEOUT_S = 3.0
_VAULT = re.compile(r"\{vault://env/([a-z0-9-]+)\}")
_HOW_CONF = "`gatehouse kong config` prints the lines that kong.conf needs."
_HOW_YAML = "Mend what is named, or name another file with --kong-yaml."
_LEAST_BODY_BYTES = 16 * 1024 * 1024
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def conf_findings(path: Path) -> Iterator[Finding]:
    """Whether kong.conf starts the three plugin servers and lets long prompts through."""
    try:
        conf = _read_conf(path)
    except (OSError, UnicodeDecodeError) as fault:
        yield broken("kong.conf", f"{path} cannot be read: {fault}.", "Name it with --kong-conf.")
        return
    faults = list(_conf_faults(conf))
    yield from faults
    if not faults:
        yield good("kong.conf", "It starts the three plugin servers.")


def _conf_faults(conf: Mapping[str, str]) -> Iterator[Finding]:
    for name in ("plugins", "pluginserver_names"):
        listed = {one.strip() for one in conf.get(name, "").split(",")}
        missing = [plugin for plugin in PLUGINS if plugin not in listed]
        if missing:
            yield broken("kong.conf", f"`{name}` does not name {', '.join(missing)}.", _HOW_CONF)
    for plugin in PLUGINS:
        key = f"pluginserver_{plugin.replace('-', '_')}"
        if not conf.get(f"{key}_socket") or not conf.get(f"{key}_query_cmd"):
            yield broken("kong.conf", f"{plugin} has no socket or no query_cmd.", _HOW_CONF)
            continue
        program = Path(conf[f"{key}_query_cmd"].split()[0])
        if program.is_absolute() and not os.access(program, os.X_OK):
            yield broken(
                "kong.conf", f"{program} ({key}_query_cmd) is not there to be run.", _HOW_CONF
            )
    longest = _bytes(conf.get("nginx_http_client_max_body_size", "0"))
    if 0 < longest < _LEAST_BODY_BYTES:
        yield warning(
            "kong.conf",
            "`nginx_http_client_max_body_size` is less than the plugins take (16 MiB).",
            "Set it to 32m, so that the plugins refuse what is too long, in OpenAI's shape.",
        )


def socket_findings(path: Path) -> Iterator[Finding]:
    """Whether each plugin server that kong.conf names takes connections."""
    try:
        conf = _read_conf(path)
    except (OSError, UnicodeDecodeError):
        return  # told by `conf_findings`
    for plugin in PLUGINS:
        place = conf.get(f"pluginserver_{plugin.replace('-', '_')}_socket")
        if not place:
            continue
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_TIMEOUT_S)
                probe.connect(place)
        except OSError as fault:
            yield broken(
                f"plugin server {plugin}",
                f"{place} takes no connection: {reason_of(fault)}. Kong passes calls on without "
                "it, and the relay refuses what was not decided; the first call of a configuration "
                "gets Kong's 500.",
                "Kong starts it: look into Kong's error log (<prefix>/logs/error.log) for its last "
                f"words, and run pluginserver_{plugin.replace('-', '_')}_start_cmd of kong.conf by "
                "hand.",
            )
        else:
            yield good(f"plugin server {plugin}", "It takes connections.")


def yaml_findings(path: Path, settings: Settings | None) -> Iterator[Finding]:
    """Whether kong.yaml has the plugins, on one service, asking this policy service."""
    try:
        _, held = read_kong(path, KongFile)
    except InvalidFile as fault:
        yield broken("kong.yaml", f"It cannot be read as Kong's. {fault}.", _HOW_YAML)
        return
    plugins = held.every_plugin()
    faults = list(_yaml_faults(plugins))
    yield from faults
    if not faults:
        yield good("kong.yaml", "It has the three plugins, and they ask one policy service.")
    if settings is not None:
        yield from _secret_faults(plugins, settings)


def service_findings(url: str, secret: str | None) -> Iterator[Finding]:
    """Whether the policy service is ready, and takes the plugins' secret."""
    with httpx.Client(base_url=url, timeout=_TIMEOUT_S) as client:
        try:
            ready = client.get("/readyz")
            known = secret and client.post(
                "/v1/callers/identify",
                headers={"authorization": f"Bearer {secret}"},
                json={"api_key": "gk-doctor"},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            yield broken(
                "policy service",
                f"{url} cannot be reached: {reason_of(fault)}.",
                "Start it with `gatehouse serve`, or name where it is with --policy-url.",
            )
            return
    checks = _checks(ready)
    if checks is None:
        yield broken(
            "policy service",
            f"What answers at {url} is no policy service.",
            "Name where it is with --policy-url.",
        )
        return
    down = [name for name, state in checks.items() if state != "ok"]
    if down:
        yield broken(
            "policy service",
            f"It runs and is not ready: {', '.join(down)}.",
            "See what this report says of them, and the service's log.",
        )
    else:
        yield good("policy service", "It is ready.")
    if isinstance(known, httpx.Response) and known.status_code == HTTPStatus.UNAUTHORIZED:
        yield broken(
            "policy service",
            "It refuses this environment's POLICY_INTERNAL_SECRET: it was started with another.",
            "Use one and the same value here, for the service, and for the plugins "
            "(`policy_secret`); then start again what had another.",
        )


def _checks(answer: httpx.Response) -> Mapping[str, str] | None:
    try:
        checks = answer.json()["checks"]
    except (ValueError, KeyError, TypeError):
        return None
    return checks if isinstance(checks, dict) else None


def _read_conf(path: Path) -> dict[str, str]:
    conf = {}
    text = path.read_text(encoding="utf-8")
    if "\0" in text:
        raise OSError("it holds a NUL, so it is no text")
    for line in text.splitlines():
        name, is_set, value = line.partition("=")
        if is_set and not line.lstrip().startswith("#"):
            conf[name.strip()] = value.strip()
    return conf


def _bytes(size: str) -> int:
    found = re.fullmatch(r"(\d{1,18})([kmg]?)", size.strip().lower())
    return int(found[1]) * _UNITS[found[2]] if found else 0


def _yaml_faults(plugins: Sequence[Plugin]) -> Iterator[Finding]:
    how = "Add it as in the kong.yaml that ships (docs/kong.md), and reload Kong."
    named = {plugin.name for plugin in plugins}
    for plugin in PLUGINS:
        if plugin not in named:
            yield broken("kong.yaml", f"{plugin} is enabled nowhere, so nobody is served.", how)
    ours = [plugin for plugin in plugins if plugin.name in PLUGINS]
    off = [plugin.name for plugin in ours if plugin.enabled is False]
    if off:
        yield broken(
            "kong.yaml",
            f"`enabled: false` switches off: {', '.join(sorted(set(off)))}.",
            "Take `enabled: false` away, and reload Kong.",
        )
    urls = [(one.name, one.config["policy_url"]) for one in ours if "policy_url" in one.config]
    for name, url in urls:
        if not isinstance(url, str):
            yield broken(
                "kong.yaml",
                f"`policy_url` of {name} is no text.",
                "Write the policy service's address, `http://host:port`.",
            )
    asked = {str(url) for _, url in urls}
    if len(asked) > 1:
        yield warning(
            "kong.yaml",
            f"The plugins ask different policy services: {', '.join(sorted(asked))}.",
            "One and the same `policy_url` is meant.",
        )


def _secret_faults(plugins: Sequence[Plugin], settings: Settings) -> Iterator[Finding]:
    """Secrets that stand in the file itself, and ones that Kong's environment must have."""
    wanted = set()
    for plugin in plugins:
        secret = plugin.config.get("policy_secret")
        if plugin.name not in PLUGINS or not isinstance(secret, str):
            continue
        vault = _VAULT.fullmatch(secret)
        if vault is not None:
            wanted.add(vault[1].upper().replace("-", "_"))
        elif not secret.startswith("{vault://"):
            yield warning(
                "kong.yaml",
                f"`policy_secret` of {plugin.name} stands in the file in clear.",
                'Write "{vault://env/gatehouse-internal-secret}", and set the variable for Kong.',
            )
            ours = settings.internal_secret.get_secret_value()
            if not hmac.compare_digest(secret.encode(), ours.encode()):
                yield broken(
                    "kong.yaml",
                    f"`policy_secret` of {plugin.name} is not POLICY_INTERNAL_SECRET.",
                    "Give both the same value, and reload Kong: until then every call is refused.",
                )
    if wanted:
        names = ", ".join(sorted(wanted))
        yield unseen(
            "kong.yaml", f"Kong's own environment must have {names}, which is not seen from here."
        )

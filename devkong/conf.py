"""kong.conf: which plugins are enabled, and which plugin servers serve them."""

import re
from dataclasses import dataclass
from pathlib import Path

from devkong.errors import ConfigError

DEFAULT_BODY_BUFFER_BYTES = 8 * 1024
DEFAULT_SOCKET_TIMEOUT_S = 60.0

_UNIT_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_KONGS_DIRECTIVES = {"client_body_buffer_size": "8k", "client_max_body_size": "0"}
_UNIT_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class PluginServerConf:
    """One plugin server: where it listens, how it is started and asked what it offers."""

    name: str
    socket: str
    start_cmd: str | None
    query_cmd: str | None


@dataclass(frozen=True, slots=True)
class KongConf:
    """The settings of kong.conf that devkong honours.

    Attributes:
        plugins: Enabled plugin names; `bundled` stands for Kong's own.
        socket_read_timeout_s: How long one answer of a plugin server may take.
        body_buffer_bytes: Longer request bodies are "spooled to disk".
        max_body_bytes: Longer request bodies are refused with 413; 0 is no limit.
        main_env: Environment of plugin servers; a name without a value passes devkong's own on.
        http_directives: What is injected into nginx' `http` block, as the Admin API shows it.
    """

    plugins: tuple[str, ...] = ("bundled",)
    plugin_servers: tuple[PluginServerConf, ...] = ()
    socket_read_timeout_s: float = DEFAULT_SOCKET_TIMEOUT_S
    body_buffer_bytes: int = DEFAULT_BODY_BUFFER_BYTES
    max_body_bytes: int = 0
    main_env: tuple[tuple[str, str | None], ...] = ()
    http_directives: tuple[tuple[str, str], ...] = tuple(_KONGS_DIRECTIVES.items())


def read_conf(path: Path) -> KongConf:
    """Read a kong.conf file.

    Raises:
        ConfigError: The file cannot be read, or a value is no value of its kind.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    return parse_conf(content)


def parse_conf(content: str) -> KongConf:
    """Read the text of a kong.conf.

    Raises:
        ConfigError: A line or a value cannot be understood.
    """
    settings = _settings(content)
    names = _list(settings.get("pluginserver_names", ""))
    return KongConf(
        plugins=tuple(_list(settings.get("plugins", "bundled"))),
        plugin_servers=tuple(_server(name.lower(), settings) for name in names),
        socket_read_timeout_s=_seconds(settings, "nginx_http_lua_socket_read_timeout", "60s"),
        body_buffer_bytes=_bytes(settings, "nginx_http_client_body_buffer_size", "8k"),
        max_body_bytes=_bytes(settings, "nginx_http_client_max_body_size", "0"),
        main_env=tuple(_main_env(settings.get("nginx_main_env", ""))),
        http_directives=tuple(_http_directives(settings).items()),
    )


def _settings(content: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for number, line in enumerate(content.splitlines(), 1):
        # A comment starts a line or follows a blank: `#` inside a value is a part of it.
        stripped = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not stripped:
            continue
        key, equals, value = stripped.partition("=")
        if not equals:
            raise ConfigError(f"kong.conf line {number}: expected `key = value`")
        settings[key.strip()] = _unquoted(value.strip())
    return settings


def _server(name: str, settings: dict[str, str]) -> PluginServerConf:
    prefix = f"pluginserver_{name.replace('-', '_')}"
    return PluginServerConf(
        name=name,
        socket=settings.get(f"{prefix}_socket") or f"/usr/local/kong/{name}.socket",
        start_cmd=settings.get(f"{prefix}_start_cmd") or None,
        query_cmd=settings.get(f"{prefix}_query_cmd") or None,
    )


def _http_directives(settings: dict[str, str]) -> dict[str, str]:
    injected = {
        key.removeprefix("nginx_http_"): value
        for key, value in settings.items()
        if key.startswith("nginx_http_")
    }
    return dict(sorted({**_KONGS_DIRECTIVES, **injected}.items()))


def _list(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip() and item.strip() != "off"]


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _bytes(settings: dict[str, str], key: str, default: str) -> int:
    match = re.fullmatch(r"(\d+)([kKmMgG]?)", settings.get(key, default))
    if match is None:
        raise ConfigError(f"kong.conf: {key} must be a size such as 8k or 16m")
    return int(match[1]) * _UNIT_BYTES[match[2].lower()]


def _seconds(settings: dict[str, str], key: str, default: str) -> float:
    match = re.fullmatch(r"(\d+)(ms|[smhd]?)", settings.get(key, default))
    if match is None:
        raise ConfigError(f"kong.conf: {key} must be a time such as 500ms or 60s")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def _main_env(value: str) -> list[tuple[str, str | None]]:
    """`A` or `A=value`; several directives are joined as nginx wants them: `A; env B`."""
    entries: list[tuple[str, str | None]] = []
    for directive in value.split(";"):
        name, equals, given = directive.strip().removeprefix("env ").strip().partition("=")
        if name:
            entries.append((name, given if equals else None))
    return entries

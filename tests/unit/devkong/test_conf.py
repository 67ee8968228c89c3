"""kong.conf."""

import pytest

from devkong.conf import KongConf, PluginServerConf, parse_conf
from devkong.errors import ConfigError


def test_an_empty_file_gives_kongs_defaults():
    assert parse_conf("") == KongConf()
    assert KongConf().socket_read_timeout_s == 60.0
    assert KongConf().body_buffer_bytes == 8192


def test_plugin_servers_are_read_with_dashes_as_underscores():
    conf = parse_conf(
        """
        # our plugins
        plugins = bundled,llm-auth   # and Kong's own
        pluginserver_names = llm-auth, sidecar
        pluginserver_llm_auth_socket = /run/llm-auth.sock
        pluginserver_llm_auth_start_cmd = /opt/bin/python -m kong_plugins.llm_auth -p /run#1
        pluginserver_llm_auth_query_cmd = /opt/bin/python -m kong_plugins.llm_auth --dump
        """
    )
    assert conf.plugins == ("bundled", "llm-auth")
    assert conf.plugin_servers == (
        PluginServerConf(
            name="llm-auth",
            socket="/run/llm-auth.sock",
            start_cmd="/opt/bin/python -m kong_plugins.llm_auth -p /run#1",
            query_cmd="/opt/bin/python -m kong_plugins.llm_auth --dump",
        ),
        PluginServerConf("sidecar", "/usr/local/kong/sidecar.socket", None, None),
    )


def test_nginx_directives_are_read_with_their_units():
    conf = parse_conf(
        "nginx_http_lua_socket_read_timeout = 3s\n"
        "nginx_http_client_body_buffer_size = 1m\n"
        "nginx_http_client_max_body_size = 0\n"
        "nginx_main_env = OPENAI_KEY; env MODE=test\n"
    )
    assert conf.socket_read_timeout_s == 3.0
    assert conf.body_buffer_bytes == 1024 * 1024
    assert conf.max_body_bytes == 0
    assert conf.main_env == (("OPENAI_KEY", None), ("MODE", "test"))


@pytest.mark.parametrize(
    "line",
    [
        "no equals sign",
        "nginx_http_client_body_buffer_size = big",
        "nginx_http_lua_socket_read_timeout = soon",
    ],
)
def test_what_cannot_be_understood_is_an_error(line: str):
    with pytest.raises(ConfigError):
        parse_conf(line)

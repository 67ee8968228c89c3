"""A request's way through devkong with real kong-pdk plugin servers."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.integration.devkong.harness import (
    Upstream,
    call,
    devkong,
    eventually,
    gateway,
    late_probe,
    log_lines,
    probe,
    results,
    server_lines,
)

PROBE = "plugins = bundled,probe\n"
BOTH = "plugins = bundled,probe,late-probe\n"


async def test_headers_arrive_as_lower_case_names_with_lists_of_values(
    prefix: Path, upstream: Upstream
):
    plugin = probe(call("kong.request.get_headers"), call("kong.request.get_header", "X-Twice"))
    async with devkong(
        prefix, gateway(upstream.port, [plugin]), PROBE + server_lines(prefix, "probe")
    ) as running:
        sent = [("X-Twice", "one"), ("x-twice", "two"), ("X-Caps", "Yes")]
        await running.client.get("/echo", headers=sent)
    headers, first = results(upstream)
    assert headers["x-twice"] == ["one", "two"]
    assert headers["x-caps"] == ["Yes"]
    assert first == "one"


async def test_the_request_can_be_rewritten_and_sent_elsewhere(prefix: Path, upstream: Upstream):
    plugin = probe(
        call("kong.service.set_target", "127.0.0.1", upstream.port),
        call("kong.service.request.set_scheme", "http"),
        call("kong.service.request.set_method", "PUT"),
        call("kong.service.request.set_path", "/echo/new path"),
        call("kong.service.request.set_raw_query", "a=1"),
        call("kong.service.request.set_headers", {"X-New": ["1", "2"], "X-Old": "changed"}),
        call("kong.service.request.clear_header", "X-Gone"),
        call("kong.service.request.set_raw_body", {"bytes": "\x00\xff binary"}),
        call("kong.request.get_headers"),
    )
    async with devkong(
        prefix, gateway(1, [plugin]), PROBE + server_lines(prefix, "probe")
    ) as running:
        sent = {"X-Old": "1", "X-Gone": "1"}
        answer = await running.client.post("/anything?b=2", headers=sent, content=b"old")
    seen = upstream.seen[0]
    assert answer.status_code == 200
    assert (seen["method"], seen["target"]) == ("PUT", "/echo/new%20path?a=1")
    assert seen["body"] == b"\x00\xff binary"
    assert seen["headers"]["host"] == "127.0.0.1"
    assert [value for name, value in seen["pairs"] if name == "X-New"] == ["1", "2"]
    assert seen["headers"]["x-old"] == "changed"
    assert "x-gone" not in seen["headers"]
    assert results(upstream)[-1]["x-old"] == ["changed"]  # later calls see the change


async def test_exit_answers_the_client_and_later_plugins_do_not_run(
    prefix: Path, upstream: Upstream
):
    exits = call("kong.response.exit", 403, {"bytes": "\x00no"}, {"X-Why": "because"})
    plugins = [
        probe(call("kong.ctx.shared.set", "note", "first"), exits, log_file=str(prefix / "log")),
        late_probe(access=(call("kill"),)),
    ]
    conf = BOTH + server_lines(prefix, "probe", "late_probe")
    async with devkong(prefix, gateway(upstream.port, plugins), conf) as running:
        answer = await running.client.get("/echo")
        lines = await eventually(lambda: log_lines(prefix / "log"))
    assert (answer.status_code, answer.content) == (403, b"\x00no")
    assert answer.headers["x-why"] == "because"
    assert answer.headers["server"] == "kong/3.9.1"
    assert upstream.seen == []
    assert (lines[0]["source"], lines[0]["status"]) == ("exit", 403)
    assert lines[0]["shared"] == "first"


async def test_log_runs_with_what_is_known_at_the_end(prefix: Path, upstream: Upstream):
    plugin = probe(call("kong.ctx.shared.set", "note", {"a": [1, 2]}), log_file=str(prefix / "log"))
    async with devkong(
        prefix, gateway(upstream.port, [plugin]), PROBE + server_lines(prefix, "probe")
    ) as running:
        await running.client.get("/status/404?q=1", headers={"authorization": "Bearer secret"})
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    record = json.loads(line["record"])
    assert (line["source"], line["status"]) == ("service", 404)
    assert line["headers"]["x-upstream"] == ["a", "b"]
    assert line["shared"] == {"a": [1, 2]}
    assert record["request"]["uri"] == "/status/404?q=1"
    assert record["request"]["headers"]["authorization"] == "REDACTED"
    assert record["request"]["size"] > 0
    assert record["response"]["status"] == 404
    assert record["route"]["name"] == "all"
    assert record["service"]["name"] == "upstream"
    assert record["client_ip"] == "127.0.0.1"
    assert record["tries"][0]["port"] == upstream.port
    assert set(record["latencies"]) >= {"request", "proxy", "kong"}
    assert record["started_at"] > 1_600_000_000_000


async def test_a_response_phase_turns_buffering_on(prefix: Path, upstream: Upstream):
    plugin = late_probe(
        call("kong.service.response.get_status"),
        call("kong.service.response.get_raw_body"),
        call("kong.service.response.get_header", "X-Upstream"),
        call("kong.service.response.get_headers"),
        call("kong.response.get_headers"),
    )
    conf = "plugins = bundled,late-probe\n" + server_lines(prefix, "late_probe")
    async with devkong(prefix, gateway(upstream.port, [plugin]), conf) as running:
        upstream.go(3)
        answer = await running.client.get("/stream")
    body = b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert answer.content == body  # and its head already told what `response` had read of it
    assert answer.headers["content-type"] == "text/event-stream"
    assert "content-length" not in answer.headers  # the upstream told none, and Kong adds none
    status, size, header, headers, all_headers = json.loads(answer.headers["x-late-probe"])
    assert (status, size, header) == (200, {"bytes": len(body)}, None)
    assert headers == {}  # Kong hands external plugins an empty table here
    assert all_headers["content-type"] == ["text/event-stream"]


async def test_without_a_response_phase_chunks_pass_as_they_come(prefix: Path, upstream: Upstream):
    async with (
        devkong(prefix, gateway(upstream.port, [])) as running,
        running.client.stream("GET", "/stream") as answer,
    ):
        chunks = answer.aiter_raw()
        for number in range(3):
            upstream.go()
            assert await anext(chunks) == b"data: %d\n\n" % number


async def test_buffering_switched_off_in_access_streams_and_skips_response(
    prefix: Path, upstream: Upstream
):
    off = call("kong.nginx.set_ctx", "buffered_proxying", False)
    plugins = [
        probe(log_file=str(prefix / "log")),
        late_probe(call("kong.service.response.get_status"), access=(off,)),
    ]
    conf = BOTH + server_lines(prefix, "probe", "late_probe")
    async with devkong(prefix, gateway(upstream.port, plugins), conf) as running:
        async with running.client.stream("GET", "/stream") as answer:
            chunks = answer.aiter_raw()
            upstream.go()
            assert await anext(chunks) == b"data: 0\n\n"
            upstream.go(2)
            assert b"".join([chunk async for chunk in chunks]) == b"data: 1\n\ndata: 2\n\n"
        assert "x-late-probe" not in answer.headers
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    assert (line["source"], line["status"]) == ("service", 200)


async def test_buffering_switched_off_too_early_is_switched_on_again(
    prefix: Path, upstream: Upstream
):
    plugins = [
        probe(call("kong.nginx.set_ctx", "buffered_proxying", False)),
        late_probe(call("kong.service.response.get_status")),
    ]
    conf = BOTH + server_lines(prefix, "probe", "late_probe")
    async with devkong(prefix, gateway(upstream.port, plugins), conf) as running:
        answer = await running.client.get("/status/200")
    assert json.loads(answer.headers["x-late-probe"]) == [200]


async def test_exit_in_response_replaces_status_body_and_headers(prefix: Path, upstream: Upstream):
    body = {"bytes": "\x00\x01\xff"}
    plugin = late_probe(
        call("kong.response.exit", 200, body, {"Content-Type": "application/x-test"})
    )
    conf = "plugins = bundled,late-probe\n" + server_lines(prefix, "late_probe")
    async with devkong(prefix, gateway(upstream.port, [plugin]), conf) as running:
        answer = await running.client.get("/status/500")
    assert (answer.status_code, answer.content) == (200, b"\x00\x01\xff")
    assert answer.headers["content-type"] == "application/x-test"
    assert "x-kong-upstream-latency" in answer.headers


async def test_a_client_that_leaves_mid_stream_closes_the_upstream_and_log_runs(
    prefix: Path, upstream: Upstream
):
    config = gateway(upstream.port, [probe(log_file=str(prefix / "log"))])
    async with devkong(prefix, config, PROBE + server_lines(prefix, "probe")) as running:
        async with running.client.stream("GET", "/stream") as answer:
            upstream.go()
            await anext(answer.aiter_raw())
        async with asyncio.timeout(5):
            await upstream.stream_closed.wait()
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    assert line["status"] == 200


async def test_a_client_that_leaves_while_buffering_does_not_stop_response_and_log(
    prefix: Path, upstream: Upstream
):
    plugins = [probe(log_file=str(prefix / "log")), late_probe(call("kong.log.notice", "ran"))]
    conf = BOTH + server_lines(prefix, "probe", "late_probe")
    async with devkong(prefix, gateway(upstream.port, plugins), conf) as running:
        _, leaving = await asyncio.open_connection("127.0.0.1", running.state()["port"])
        leaving.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually(lambda: upstream.seen)
        leaving.close()
        await leaving.wait_closed()
        upstream.go(3)
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    assert line["status"] == 200
    assert not upstream.stream_closed.is_set()
    assert any("[late-probe] ran" in each for each in running.log)


@pytest.mark.parametrize(
    ("path", "service", "status"),
    [
        ("/echo", {"url": "http://127.0.0.1:1"}, 502),
        ("/silent", {"read_timeout": 300}, 504),
        ("/echo", {"url": "http://no-such-host.invalid"}, 503),
        ("/truncated", {}, 502),
        ("/garbage", {}, 502),
    ],
    ids=["refused", "timeout", "unresolved", "truncated", "garbage"],
)
async def test_an_upstream_failure_while_buffering_skips_response_and_logs_exit(
    prefix: Path, upstream: Upstream, path: str, service: dict[str, object], status: int
):
    plugins = [
        probe(log_file=str(prefix / "log")),
        late_probe(call("kong.response.exit", 200, "replaced")),
    ]
    conf = BOTH + server_lines(prefix, "probe", "late_probe")
    async with devkong(prefix, gateway(upstream.port, plugins, **service), conf) as running:
        answer = await running.client.get(path)
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    assert answer.status_code == status
    assert set(answer.json()) == {"message", "request_id"}
    assert (line["source"], line["status"]) == ("exit", status)


async def test_an_upstream_failure_without_buffering_is_logged_as_error(
    prefix: Path, upstream: Upstream
):
    config = gateway(upstream.port, [probe(log_file=str(prefix / "log"))], url="http://127.0.0.1:1")
    async with devkong(prefix, config, PROBE + server_lines(prefix, "probe")) as running:
        answer = await running.client.get("/echo")
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    assert answer.status_code == 502
    assert line["source"] == "error"


async def test_a_connection_refused_is_tried_again_as_often_as_the_service_says(
    prefix: Path, upstream: Upstream
):
    plugin = probe(log_file=str(prefix / "log"))
    config = gateway(upstream.port, [plugin], url="http://127.0.0.1:1", retries=2)
    async with devkong(prefix, config, PROBE + server_lines(prefix, "probe")) as running:
        await running.client.post("/echo", content=b"x")
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    assert len(json.loads(line["record"])["tries"]) == 3


async def test_a_truncated_stream_breaks_the_clients_connection(prefix: Path, upstream: Upstream):
    async with devkong(prefix, gateway(upstream.port, [])) as running:
        with pytest.raises(httpx.RemoteProtocolError):
            await running.client.get("/truncated")


async def test_5_megabytes_pass_a_plugin_byte_for_byte(prefix: Path, upstream: Upstream):
    body = bytes(range(256)) * (5 * 1024 * 4)
    plugins = [
        probe(call("kong.request.get_raw_body", 0)),
        late_probe(call("kong.service.response.get_raw_body")),
    ]
    conf = BOTH + server_lines(prefix, "probe", "late_probe")
    async with devkong(prefix, gateway(upstream.port, plugins), conf) as running:
        answer = await running.client.post(f"/bytes/{len(body)}", content=body)
    assert upstream.seen[0]["body"] == body
    assert results(upstream) == [{"bytes": len(body)}]
    assert answer.content == body
    assert json.loads(answer.headers["x-late-probe"]) == [{"bytes": len(body)}]


async def test_16_megabytes_pass_both_ways(prefix: Path, upstream: Upstream):
    body = bytes(range(256)) * (16 * 1024 * 4)
    async with devkong(prefix, gateway(upstream.port, [])) as running:
        answer = await running.client.post(f"/bytes/{len(body)}", content=body)
    assert upstream.seen[0]["body"] == body
    assert answer.content == body


@pytest.mark.parametrize(
    ("args", "size", "status"),
    [((), 8192, 200), ((), 8193, 500), ((10_000,), 9_000, 200), ((10_000,), 10_001, 500)],
)
async def test_a_body_on_disk_needs_a_limit_and_has_to_keep_it(
    prefix: Path, upstream: Upstream, args: tuple[int, ...], size: int, status: int
):
    plugin = probe(call("kong.request.get_raw_body", *args))
    async with devkong(
        prefix, gateway(upstream.port, [plugin]), PROBE + server_lines(prefix, "probe")
    ) as running:
        answer = await running.client.post("/echo", content=b"x" * size)
    assert answer.status_code == status


async def test_a_body_over_the_limit_is_refused(prefix: Path, upstream: Upstream):
    conf = "nginx_http_client_max_body_size = 1k\n"
    async with devkong(prefix, gateway(upstream.port, []), conf) as running:
        answer = await running.client.post("/echo", content=b"x" * 1025)
    assert answer.status_code == 413


async def test_an_unknown_pdk_method_is_an_error_that_names_it(prefix: Path, upstream: Upstream):
    plugin = probe(call("kong.request.get_horoscope"))
    async with devkong(
        prefix, gateway(upstream.port, [plugin]), PROBE + server_lines(prefix, "probe")
    ) as running:
        answer = await running.client.get("/echo")
    assert answer.status_code == 200
    assert "kong.request.get_horoscope" in results(upstream)[0]["error"]


@pytest.mark.parametrize(
    "wrong",
    [
        call("kong.service.request.set_scheme", "ftp"),
        call("kong.service.set_target", "host", 70_000),
        call("kong.service.request.set_path", "no-slash"),
        call("kong.service.response.get_status"),
        call("kong.response.exit", 20),
    ],
)
async def test_a_wrong_call_is_a_500_and_the_event_is_abandoned(
    prefix: Path, upstream: Upstream, wrong: str
):
    plugin = probe(wrong, call("kong.ctx.shared.set", "note", 1), log_file=str(prefix / "log"))
    async with devkong(
        prefix, gateway(upstream.port, [plugin]), PROBE + server_lines(prefix, "probe")
    ) as running:
        answer = await running.client.get("/echo")
        line = (await eventually(lambda: log_lines(prefix / "log")))[0]
    assert answer.status_code == 500
    assert answer.json()["message"] == "An unexpected error occurred"
    assert (line["source"], line["status"], line["shared"]) == ("error", 500, None)
    assert upstream.seen == []


async def test_shared_values_forget_what_lua_cannot_tell(prefix: Path, upstream: Upstream):
    value = {"bytes_too": "x", "none": None, "whole": 1.0, "empty": {}, "list": [1, "a"]}
    plugin = probe(
        call("kong.ctx.shared.set", "table", value),
        call("kong.ctx.shared.get", "table"),
        call("kong.ctx.shared.set", "bytes", {"bytes": "text"}),
        call("kong.ctx.shared.get", "bytes"),
        call("kong.ctx.shared.get", "never set"),
    )
    async with devkong(
        prefix, gateway(upstream.port, [plugin]), PROBE + server_lines(prefix, "probe")
    ) as running:
        await running.client.get("/echo")
    _, table, _, text, nothing = results(upstream)
    assert table == {"bytes_too": "x", "whole": 1, "empty": [], "list": [1, "a"]}
    assert (text, nothing) == ("text", None)


@pytest.mark.parametrize("path", ["/status/204", "/status/304"])
async def test_answers_without_a_body_keep_the_connection(
    prefix: Path, upstream: Upstream, path: str
):
    async with devkong(prefix, gateway(upstream.port, [])) as running:
        answers = [await running.client.get(path), await running.client.head("/echo")]
        answers.append(await running.client.get("/echo"))
    assert [answer.content for answer in answers[:2]] == [b"", b""]
    assert answers[2].status_code == 200
    assert "keep-alive" not in answers[2].headers
    assert answers[2].headers["via"] == "1.1 kong/3.9.1"


async def test_requests_sent_in_one_go_are_answered_in_order(prefix: Path, upstream: Upstream):
    async with devkong(prefix, gateway(upstream.port, [])) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.state()["port"])
        writer.write(
            b"GET /status/201 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"POST /status/202 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        answers = (await reader.read()).decode()
        writer.close()
    assert answers.index("upstream says 201") < answers.index("upstream says 202")
    assert upstream.seen[1]["body"] == b"hello"


async def test_a_path_without_a_route_is_kongs_404(prefix: Path, upstream: Upstream):
    config = gateway(upstream.port, [])
    config["services"][0]["routes"][0]["paths"] = ["/v1"]
    async with devkong(prefix, config) as running:
        missing = await running.client.get("/other")
        await running.client.get("/v1/echo?x=1", headers={"x-forwarded-for": "10.0.0.1"})
    assert missing.status_code == 404
    assert missing.json()["message"] == "no Route matched with those values"
    seen = upstream.seen[0]
    assert seen["target"] == "/echo?x=1"
    assert seen["headers"]["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert seen["headers"]["x-forwarded-prefix"] == "/v1"
    assert seen["headers"]["host"] == f"127.0.0.1:{upstream.port}"


async def test_key_auth_recognises_consumers_and_refuses_the_rest(prefix: Path, upstream: Upstream):
    auth = {"name": "key-auth", "config": {"key_names": ["x-key"], "hide_credentials": True}}
    identity = probe(call("kong.client.get_consumer"), call("kong.client.get_credential"))
    config = gateway(upstream.port, [auth, identity])
    config["consumers"] = [
        {"username": "ann", "custom_id": "a-1", "keyauth_credentials": [{"key": "good"}]}
    ]
    async with devkong(prefix, config, PROBE + server_lines(prefix, "probe")) as running:
        none = await running.client.get("/echo")
        wrong = await running.client.get("/echo", headers={"x-key": "bad"})
        right = await running.client.get("/echo", headers={"x-key": "good"})
    assert (none.status_code, wrong.status_code, right.status_code) == (401, 401, 200)
    assert none.json()["message"] == "No API key found in request"
    assert none.headers["www-authenticate"] == "Key"
    assert wrong.json()["message"] == "Unauthorized"
    consumer, credential = results(upstream)
    assert (consumer["username"], consumer["custom_id"]) == ("ann", "a-1")
    assert credential["consumer"]["id"] == consumer["id"]
    seen = upstream.seen[0]["headers"]
    assert (seen["x-consumer-username"], seen["x-consumer-custom-id"]) == ("ann", "a-1")
    assert "x-key" not in seen


async def test_the_plugin_gets_its_secrets_and_kongs_own_fields(prefix: Path, upstream: Upstream):
    plugin = probe(
        report_config=True,
        key="{vault://env/openai-key}",
        keys={"openai": "{vault://env/openai-key}", "lost": "{vault://env/no-such-key}"},
    )
    async with devkong(
        prefix,
        gateway(upstream.port, [plugin]),
        PROBE + server_lines(prefix, "probe"),
        {"OPENAI_KEY": "s3cret"},
    ) as running:
        await running.client.get("/echo")
    config = results(upstream)[0]
    assert (config["key"], config["keys"]) == ("s3cret", {"openai": "s3cret", "lost": ""})
    assert config["$refs"]["key"] == "{vault://env/openai-key}"
    assert config["$refs"]["keys"]["openai"] == "{vault://env/openai-key}"
    assert {"__plugin_id", "__seq__", "__key__", "__ws_id", "route_id"} <= set(config)
    assert any("no-such-key" in line for line in running.log)
    assert not any("s3cret" in line for line in running.log)

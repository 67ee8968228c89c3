"""A request's way through Kong: route, access, upstream, response, log.

The phases and who may end them are Kong's (kong/init.lua); failing open is in `plugin_server`.
"""

import asyncio
import copy
import logging
import time
from collections.abc import Sequence

from devkong.context import ACCESS, BUFFERED, ERROR, LOG, RESPONSE, ClientRequest, Context, Target
from devkong.entities import Declaration, Route, Service
from devkong.errors import ClientGone, LuaError, ResponseExit, UpstreamFailure
from devkong.headers import Headers
from devkong.http_client import Exchange
from devkong.http_server import Responder
from devkong.log_record import serialize
from devkong.pdk.response import JSON_TYPE, error_body
from devkong.plugins import Configured, PluginSet
from devkong.proxy import NAME_NOT_RESOLVED, Proxy, passed_on
from devkong.routing import Match, Router, normalized, upstream_path
from devkong.version import SERVER, VIA

_CLIENT_CLOSED_REQUEST = 499
_LOG_GRACE_S = 3.0

_log = logging.getLogger("devkong.gateway")


class Gateway:
    """Answers requests.

    Args:
        declaration: The routes.
        plugins: The plugins and their configurations.
    """

    def __init__(self, declaration: Declaration, plugins: PluginSet) -> None:
        self._router = Router(declaration.routes)
        self._plugins = plugins
        self._proxy = Proxy()
        self._log_tasks: set[asyncio.Task[None]] = set()

    def configure(self, declaration: Declaration) -> None:
        """Take other routes and configurations; requests under way keep their own.

        Raises:
            ConfigError: They cannot be used; then the ones before stay.
        """
        router = Router(declaration.routes)
        self._plugins.configure(declaration)
        self._router = router

    async def handle(self, request: ClientRequest, responder: Responder) -> None:
        """Answer one request."""
        context = Context(request)
        plugins: Sequence[Configured] = ()
        match = self._match(request)
        if match is None:
            plugins = self._plugins.for_request(None, None, None)
            context.has_exited = True
            _send_error(context, responder, 404, "no Route matched with those values")
        else:
            context.match = match
            context.target = _target(match, request)
            plugins, is_answered = await self._access(context, responder)
            if not is_answered:
                await self._pass_on(context, responder, plugins)
        self._start_log(context, responder, plugins)

    async def close(self) -> None:
        """Let the log phases end, then close all connections."""
        if self._log_tasks:
            await asyncio.wait(self._log_tasks, timeout=_LOG_GRACE_S)
        self._proxy.close()
        self._plugins.close()

    def _match(self, request: ClientRequest) -> Match | None:
        host = (request.headers.first("host") or "").lower()
        return self._router.match(request.method, host, normalized(request.path), request.headers)

    async def _access(
        self, context: Context, responder: Responder
    ) -> tuple[Sequence[Configured], bool]:
        """Run the access phases; gives the request's plugins, and whether one has answered."""
        route, service = _ids(context.route), _ids(context.service)
        plugins = self._plugins.for_request(route, service, None)
        consumer = None
        position = 0
        while position < len(plugins):
            plugin = plugins[position].plugin
            if RESPONSE in plugin.phases:
                context.ngx_ctx[BUFFERED] = True
            if ACCESS in plugin.phases and not await self._run(context, plugins[position]):
                await self._answer_failed_phase(context, responder)
                return plugins, True
            position += 1
            if context.consumer is not None and context.consumer.id != consumer:
                consumer = context.consumer.id
                behind = (-plugin.priority, plugin.name)
                later = [
                    each
                    for each in self._plugins.for_request(route, service, consumer)
                    if (-each.plugin.priority, each.plugin.name) > behind
                ]
                plugins = [*plugins[:position], *later]
        return plugins, False

    async def _run(self, context: Context, configured: Configured) -> bool:
        """Run one plugin's phase; `False` when it has ended the phase with an answer."""
        plugin, config = configured.plugin, configured.config
        context.plugin_name = plugin.name
        context.ngx_ctx["plugin_id"] = config["__plugin_id"]
        try:
            await plugin.run(context.phase, config, context)
        except ResponseExit as exited:
            context.has_exited = True
            context.ended_by = exited
            return False
        except LuaError as error:
            _log.error("[%s] %s: %s", plugin.name, context.phase, error)
            context.ended_by = error
            return False
        return True

    async def _answer_failed_phase(self, context: Context, responder: Responder) -> None:
        ended_by = context.ended_by
        if isinstance(ended_by, ResponseExit):
            for name, values in ended_by.headers.items():
                if name.lower() != "transfer-encoding":
                    context.headers.replace(name, values)
            if "content-length" not in {name.lower() for name in ended_by.headers}:
                context.headers.replace("Content-Length", [str(len(ended_by.body))])
            context.status = ended_by.status
            _send(context, responder, ended_by.body)
        else:
            # Kong answers itself in access; in response it is nginx' error page.
            context.is_unexpected = context.phase == RESPONSE
            _send_error(context, responder, 500)

    async def _pass_on(
        self, context: Context, responder: Responder, plugins: Sequence[Configured]
    ) -> None:
        if context.service is None or not context.service.enabled:
            context.has_exited = True
            _send_error(context, responder, 503, "no Service found with those values")
            return
        context.is_proxied = True
        is_buffered = context.is_buffered
        try:
            exchange = await self._proxy.send(context, None if is_buffered else responder)
        except UpstreamFailure as failure:
            self._upstream_failed(context, responder, failure, is_buffered=is_buffered)
            return
        except ClientGone:
            context.status = _CLIENT_CLOSED_REQUEST
            return
        context.upstream_status = exchange.status
        context.upstream_headers = exchange.headers
        _note_waiting(context)
        if is_buffered:
            await self._buffered(context, responder, exchange, plugins)
        else:
            await self._streamed(context, responder, exchange)

    def _upstream_failed(
        self,
        context: Context,
        responder: Responder,
        failure: UpstreamFailure,
        *,
        is_buffered: bool,
    ) -> None:
        _log.error("upstream %s: %s", context.target.host, failure)
        _note_waiting(context)
        is_unresolved = failure.status == NAME_NOT_RESOLVED
        if is_unresolved:
            context.is_proxied = False
            context.has_exited = True
        elif is_buffered:
            context.has_exited = True
        else:
            context.is_unexpected = True
        message = str(failure) if is_unresolved else None
        _send_error(context, responder, failure.status, message)

    async def _streamed(self, context: Context, responder: Responder, exchange: Exchange) -> None:
        for name, value in passed_on(exchange.headers):
            context.headers.add(name, value)
        context.status = exchange.status
        _add_kongs_headers(context)
        responder.on_pause, responder.on_resume = exchange.pause, exchange.resume
        responder.start(context.status, context.headers)
        started = time.monotonic()
        try:
            await exchange.pipe(responder.write)
        except UpstreamFailure as failure:
            _log.error("upstream %s: %s", context.target.host, failure)
            responder.abort()
        except ClientGone:
            _log.info("the client closed the connection while the upstream was answering")
        else:
            responder.finish()
        finally:
            responder.on_gone = responder.on_pause = responder.on_resume = None
            self._proxy.done(context, exchange)
            context.latencies.receive_ms = round((time.monotonic() - started) * 1000)

    async def _buffered(
        self,
        context: Context,
        responder: Responder,
        exchange: Exchange,
        plugins: Sequence[Configured],
    ) -> None:
        started = time.monotonic()
        try:
            context.upstream_body = await exchange.read()
        except UpstreamFailure as failure:
            context.upstream_status = context.upstream_headers = None
            self._upstream_failed(context, responder, failure, is_buffered=True)
            return
        finally:
            self._proxy.done(context, exchange)
            context.latencies.receive_ms = round((time.monotonic() - started) * 1000)
        context.phase = RESPONSE
        context.status = exchange.status
        upstream = Headers(passed_on(exchange.headers))
        for name, _ in list(upstream.pairs()):
            context.headers.replace(name, upstream.values_of(name))
        for configured in plugins:
            if RESPONSE in configured.plugin.phases and not await self._run(context, configured):
                await self._answer_failed_phase(context, responder)
                return
        _print(context, responder, context.upstream_body)

    def _start_log(
        self, context: Context, responder: Responder, plugins: Sequence[Configured]
    ) -> None:
        """Start the log phases: in the background, with a copy of what is known now."""
        loggers = [each for each in plugins if LOG in each.plugin.phases]
        if not loggers:
            return
        context.bytes_sent = responder.bytes_sent
        context.phase = LOG
        context.record = serialize(context)
        context.request.body = b""
        context.upstream_body = None if context.upstream_body is None else b""
        loop = asyncio.get_running_loop()
        for configured in loggers:
            saved = copy.copy(context)
            saved.ngx_ctx = dict(context.ngx_ctx)
            task = loop.create_task(self._run_log(saved, configured))
            self._log_tasks.add(task)
            task.add_done_callback(self._log_tasks.discard)

    async def _run_log(self, saved: Context, configured: Configured) -> None:
        await self._run(saved, configured)


def _target(match: Match, request: ClientRequest) -> Target:
    service = match.route.service
    if service is None:
        return Target()
    return Target(
        scheme=service.protocol,
        host=service.host,
        port=service.port,
        path=upstream_path(match, service.path, normalized(request.path)),
        host_header=request.headers.first("host") if match.route.preserve_host else None,
        retries=service.retries,
        connect_timeout_s=service.connect_timeout_ms / 1000,
        read_timeout_s=service.read_timeout_ms / 1000,
    )


def _ids(entity: Route | Service | None) -> str | None:
    return entity.id if entity is not None else None


def _note_waiting(context: Context) -> None:
    known = context.latencies
    if known.proxy_ms is None:
        known.proxy_ms = context.elapsed_ms()
    known.waiting_ms = context.elapsed_ms() - known.proxy_ms


def _send_error(
    context: Context, responder: Responder, status: int, message: str | None = None
) -> None:
    """Answer with one of Kong's own errors."""
    if context.is_unexpected:
        context.headers = Headers()
    body = error_body(status, context.request_id, message)
    context.phase = ERROR
    context.status = status
    context.headers.replace("Content-Type", [JSON_TYPE])
    context.headers.replace("Content-Length", [str(len(body))])
    _send(context, responder, body)


def _send(context: Context, responder: Responder, body: bytes) -> None:
    _add_kongs_headers(context)
    if not responder.is_gone:
        responder.send(context.status, context.headers, body)


def _print(context: Context, responder: Responder, body: bytes) -> None:
    """Pass a collected answer on; as Kong does, in chunks where the upstream told no length."""
    _add_kongs_headers(context)
    if not responder.is_gone:
        responder.start(context.status, context.headers)
        responder.write(body)
        responder.finish()


def _add_kongs_headers(context: Context) -> None:
    headers, known = context.headers, context.latencies
    if context.is_proxied:
        headers.replace("X-Kong-Upstream-Latency", [str(known.waiting_ms or 0)])
        headers.replace("X-Kong-Proxy-Latency", [str(known.proxy_ms or 0)])
        headers.replace("Via", [", ".join([*headers.values_of("via"), VIA])])
    else:
        known.response_ms = context.elapsed_ms()
        headers.replace("X-Kong-Response-Latency", [str(known.response_ms)])
        if "via" not in headers:
            headers.replace("Server", [SERVER])
    headers.replace("X-Kong-Request-Id", [context.request_id])

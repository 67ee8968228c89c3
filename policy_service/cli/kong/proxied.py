"""Checks through Kong's proxy, as a client's calls: closed without a key, answered with one."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import httpx

from policy_service.cli.doctor.findings import Finding, broken, good, unseen, warning

_TIMEOUT_S = 120.0
_LONG_BYTES = 256 * 1024
_LEAST_SPREAD = 0.05
"""Of the time from the call to the last piece: pieces that are not collected take longer."""
_LONG_WORD = "gatehouse "
_UNKNOWN_MODEL = "gatehouse-check"
_CHAT = "/v1/chat/completions"
_DECISION = "x-gatehouse-decision-id"
_NEVER_SERVED = "No request without a key may be answered: look at the route's plugins and service."


@dataclass(frozen=True, slots=True)
class Proxy:
    """Kong's proxy, and who calls through it.

    Attributes:
        host: The Host header, where our routes ask for one.
        key: A Gatehouse key; without it only what is refused can be seen.
        model: A model to ask; costs a few tokens.
    """

    client: httpx.Client
    host: str | None = None
    key: str | None = None
    model: str | None = None

    def headers(self, **more: str) -> dict[str, str]:
        """What a call carries; with the key."""
        headers = {} if self.host is None else {"host": self.host}
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        return headers | more


def proxy_client(url: str) -> httpx.Client:
    """Calls a proxy by its address."""
    return httpx.Client(base_url=url.rstrip("/"), timeout=_TIMEOUT_S)


def proxied_findings(proxy: Proxy) -> Iterator[Finding]:
    """All checks through the proxy; those with a key where there is one."""
    try:
        yield from _closed(proxy)
        if proxy.key is None:
            yield unseen("streaming", "It takes a key and a model.", "Give --key and --model.")
            return
        yield from _long_body(proxy)
        if proxy.model is None:
            yield unseen("streaming", "It takes a model to be asked.", "Name one with --model.")
            return
        yield from _whole(proxy)
        yield from _streamed(proxy, proxy.model)
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        yield broken(
            "proxy",
            f"{proxy.client.base_url} cannot be asked ({type(fault).__name__}).",
            "Name where `proxy_listen` in kong.conf has Kong listen with --proxy-url.",
        )


def ask_nothing(proxy: Proxy) -> httpx.Response:
    """A call that is refused: of a model that there is not; with the key, if there is one."""
    body = {"model": _UNKNOWN_MODEL, "messages": [{"role": "user", "content": "hello"}]}
    return proxy.client.post(_CHAT, json=body, headers=proxy.headers())


def ask_model(proxy: Proxy) -> httpx.Response:
    """A call of the model; costs a few tokens."""
    return proxy.client.post(_CHAT, json=_question(proxy), headers=proxy.headers())


def decision_of(answer: httpx.Response) -> str | None:
    """The decision that an answer was served by."""
    decision: str | None = answer.headers.get(_DECISION)
    return decision


def _closed(proxy: Proxy) -> Iterator[Finding]:
    """Nobody is served without a key."""
    yield _refusal(ask_nothing(replace(proxy, key=None)))


def _refusal(answer: httpx.Response) -> Finding:
    part = "closed without a key"
    code = _code(answer)
    if answer.is_success:
        return broken(part, f"Kong answered {answer.status_code}.", _NEVER_SERVED)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        whose = "llm-auth" if code else "Kong's own authentication"
        return good(part, f"{whose} refuses it with 401.")
    if code == "policy_unavailable":
        return broken(
            part,
            "It is refused with 503: the plugins cannot ask the policy service.",
            "Kong's error log says whether it is `policy_url`, or the secret (`policy_secret`).",
        )
    if code == "undecided":
        return broken(
            part,
            "It is refused with 503 by the relay: llm-auth did not run.",
            "Look for its `server started` line in Kong's error log.",
        )
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return broken(
            part,
            f"No route takes POST {_CHAT} here.",
            "`gatehouse kong enable` adds it; name its host with --host if it asks for one.",
        )
    return warning(
        part, f"It is refused with {answer.status_code}.", "401 was expected: see Kong's error log."
    )


def _long_body(proxy: Proxy) -> Iterator[Finding]:
    """A prompt that nginx would put on disk reaches the meter, which refuses its model."""
    words = _LONG_WORD * (_LONG_BYTES // len(_LONG_WORD))
    body = {"model": _UNKNOWN_MODEL, "messages": [{"role": "user", "content": words}]}
    answer = proxy.client.post(_CHAT, json=body, headers=proxy.headers())
    code = _code(answer)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        yield broken("key", "It is refused.", "Give a Gatehouse key that is valid with --key.")
    elif code is None or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        yield broken(
            "long prompts",
            f"A prompt of 256 KiB was answered with {answer.status_code}.",
            "Set `nginx_http_client_body_buffer_size = 16m` and `nginx_http_client_max_body_size = "
            "32m` in kong.conf.",
        )
    else:
        yield good("long prompts", "A prompt of 256 KiB reaches llm-token-meter.")


def _whole(proxy: Proxy) -> Iterator[Finding]:
    answer = ask_model(proxy)
    decision = decision_of(answer)
    if answer.is_success and decision is not None:
        yield good("call", f"Answered by decision {decision}.")
    elif answer.is_success:
        yield broken("call", "It was answered without a decision.", _NEVER_SERVED)
    else:
        yield broken(
            "call", f"It was refused with {answer.status_code}: {_message(answer)}", "Mend that."
        )


def _streamed(proxy: Proxy, model: str) -> Iterator[Finding]:
    """Whether pieces of a stream arrive one by one.

    Told by when they arrive: a Kong that collected them sends them without a length as well.
    """
    question = _question(proxy) | {"stream": True, "max_tokens": 64}
    started = time.monotonic()
    with proxy.client.stream("POST", _CHAT, json=question, headers=proxy.headers()) as answer:
        if not answer.is_success:
            answer.read()
            why = f"{answer.status_code}: {_message(answer)}"
            yield broken("streaming", f"The stream was refused with {why}", "Mend that.")
            return
        arrivals = [time.monotonic() for piece in answer.iter_raw() if piece]
    if not arrivals:
        yield broken("streaming", f"{model} sent nothing.", "See Kong's error log.")
        return
    spread_s, whole_s = arrivals[-1] - arrivals[0], arrivals[-1] - started
    if comes_in_pieces(started, arrivals):
        what = f"{len(arrivals)} pieces came over {spread_s * 1000:.0f} ms."
        yield good("streaming", what)
    else:
        yield warning(
            "streaming",
            f"Everything arrived at once, {whole_s * 1000:.0f} ms after the call.",
            "If another plugin on the route has a `response` phase and a priority below 760, Kong "
            "collects: give the route up to ours, or the plugin a higher priority. See that no "
            "proxy in between collects. If neither, ask a model that answers at length.",
        )


def comes_in_pieces(started: float, arrivals: Sequence[float]) -> bool:
    """Whether a stream's pieces came one by one; a Kong that collects sends them all at the end.

    Args:
        started: When it was asked for, of a clock in seconds.
        arrivals: When each piece came, of the same clock; one at least.
    """
    return arrivals[-1] - arrivals[0] > (arrivals[-1] - started) * _LEAST_SPREAD


def _question(proxy: Proxy) -> dict[str, Any]:
    content = "Count from one to twenty in words."
    messages = [{"role": "user", "content": content}]
    return {"model": proxy.model, "messages": messages, "max_tokens": 16}


def _error(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        error = json.loads(answer.content)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _code(answer: httpx.Response) -> str | None:
    """The code of an error of ours; `None` for everybody else's."""
    code = _error(answer).get("code")
    return str(code) if code else None


def _message(answer: httpx.Response) -> str:
    return str(_error(answer).get("message") or "no reason given")

"""Stands in for the policy service's admin API: a real HTTP server with answers of its own.

What it says is as the service says it: money as text, times as RFC 3339. Spend is summed from
`SPENT`, so that filters and groups come to what they should.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

TODAY = date(2026, 11, 20)
LEAST = "0.000000000001"
_COUNTS = (
    "requests", "failed", "input_tokens", "cached_input_tokens", "cache_write_tokens",
    "input_audio_tokens", "input_image_tokens", "output_tokens", "reasoning_tokens",
    "output_audio_tokens", "cached_audio_tokens", "cache_hits", "fallbacks", "estimated_requests",
)  # fmt: skip
_MONEY = ("usd", "saved_usd", "routing_saved_usd", "estimated_usd")


def _spent() -> tuple[dict[str, Any], ...]:
    """Two months of spend, a row for each day and habit; weekends are quiet."""
    habits = (
        ("research", "search", "ranking", "sam", "gpt-4o", "openai", "rank", "4711", "9.17"),
        ("research", "search", "ranking", "sam", "gpt-4o-mini", "openai", "rank", "4711", "1.03"),
        ("research", "platform", None, "pat", "claude-4", "anthropic", "code", "4711", "21"),
        ("support", "helpdesk", "chatbot", None, "gpt-4o-mini", "openai", "chat", "4720", "2.6"),
        ("support", "trainees", None, "terry", "mistral-large", "mistral", None, None, LEAST),
        ("marketing", "campaigns", None, "mia", "claude-4", "anthropic", "ads", "4730", "13"),
        ("marketing", "campaigns", None, "mia", "gemini-2.5-flash", "gemini", "ads", "4730", "3.3"),
    )  # fmt: skip
    rows = []
    for back in range(50):
        day = TODAY - timedelta(days=back)
        busy = Decimal("0.2") if day.weekday() >= 5 else Decimal(1) + Decimal(back % 5) / 10
        for place, habit in enumerate(habits):
            department, team, project, user, model, provider, use_case, centre, usd = habit
            requests = int((40 + 30 * place) * busy)
            rows.append(
                {
                    "day": day, "department": department, "team": team, "project": project,
                    "user": user, "application": None if user else "bot", "model": model,
                    "provider": provider, "region": "us" if place < 2 else "eu",
                    "use_case": use_case,
                    "cost_centre": centre, "served_model": model,
                    "requests": requests, "failed": requests // 50,
                    "input_tokens": requests * 2600, "cached_input_tokens": requests * 700,
                    "cache_write_tokens": requests * 90, "output_tokens": requests * 420,
                    "input_audio_tokens": requests * 20, "input_image_tokens": requests * 30,
                    "reasoning_tokens": requests * 60, "output_audio_tokens": requests * 10,
                    "cached_audio_tokens": requests * 5,
                    "usd": Decimal(usd) * busy,
                    "saved_usd": Decimal("0.2"), "cache_hits": requests // 12,
                    "routing_saved_usd": Decimal("0.1"),
                    "fallbacks": requests // 90, "estimated_requests": place % 2,
                    "estimated_usd": Decimal("0.01") * (place % 2),
                }
            )  # fmt: skip
    return tuple(rows)


SPENT = _spent()


@dataclass
class Answer:
    """What is answered: a status, and a body."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """What was asked."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Any
    token: str


Handler = Callable[[Asked], Answer]


@dataclass
class AdminService:
    """A running service.

    Args:
        url: Where it listens.
        answers: By method and path, such as `GET /admin/v1/whoami`; the newest of two that fit.
        asked: All that was asked, in order.
        failure: Answered in place of everything, when there is one.
    """

    url: str
    answers: dict[str, Handler | Answer]
    asked: list[Asked] = field(default_factory=list)
    failure: Answer | None = None

    def say(self, what: str, body: Any, status: int = 200) -> None:
        """Answer so from now on; `what` is a method and a path below `/admin/v1/`."""
        method, _, path = what.partition(" ")
        self.answers[f"{method} /admin/v1/{path}"] = Answer(body, status)

    def changes(self) -> list[tuple[str, str, Any]]:
        """What was asked that changes something: method, path below `/admin/v1/`, body."""
        return [
            (one.method, one.path.removeprefix("/admin/v1/"), one.body)
            for one in self.asked
            if one.method != "GET"
        ]

    def answer(self, asked: Asked) -> Answer:
        """What is answered to it."""
        self.asked.append(asked)
        if self.failure is not None:
            return self.failure
        found = self.answers.get(f"{asked.method} {asked.path}")
        if found is None:
            return refused(404, "There is no such thing here.")
        return found if isinstance(found, Answer) else found(asked)


def refused(status: int, message: str) -> Answer:
    """A failure, as the service tells of it."""
    return Answer({"error": {"message": message, "code": "x", "type": "y", "param": None}}, status)


def costs_answer(asked: Asked) -> Answer:
    """`GET /admin/v1/costs`, over `SPENT`."""
    begin, end = (date.fromisoformat(asked.query[name][0][:10]) for name in ("from", "to"))
    keys = [key for part in asked.query.get("group_by", []) for key in part.split(",")]
    interval = asked.query.get("interval", ["none"])[0]
    chosen = [row for row in SPENT if begin <= row["day"] < end and _fits(row, asked.query)]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in chosen:
        groups.setdefault((_start(row["day"], interval), *(row[key] for key in keys)), []).append(
            row
        )
    rows = [
        {"start": start, "keys": dict(zip(keys, named, strict=True)), **_sums(group)}
        for (start, *named), group in groups.items()
    ]
    return Answer(
        {
            "from": str(begin), "to": str(end), "tz": "UTC", "interval": interval,
            "group_by": keys, "rows": rows, "total": _sums(chosen), "next": None,
        }
    )  # fmt: skip


def values_answer(asked: Asked) -> Answer:
    """`GET /admin/v1/costs/values`, over `SPENT`."""
    [dimension] = asked.query["dimension"]
    costs = costs_answer(replace(asked, query={**asked.query, "group_by": [dimension]}))
    rows = [{"value": row["keys"][dimension], "usd": row["usd"]} for row in costs.body["rows"]]
    rows.sort(key=lambda row: -Decimal(row["usd"]))
    return Answer({"rows": rows, "left_out": 0})


def _fits(row: Mapping[str, Any], query: Mapping[str, list[str]]) -> bool:
    return all(
        row[name] in [value or None for value in values]
        for name, values in query.items()
        if name in row
    )


def _start(day: date, interval: str) -> str | None:
    if interval == "none":
        return None
    return f"{day.replace(day=1) if interval == 'month' else day}T00:00:00Z"


def _sums(rows: list[dict[str, Any]]) -> dict[str, Any]:
    counts = {name: sum(row[name] for row in rows) for name in _COUNTS}
    money = {name: f"{sum((row[name] for row in rows), Decimal(0)):f}" for name in _MONEY}
    return {**counts, **money}


def spent_in(begin: date, end: date, **wanted: str) -> Decimal:
    """The sum of `SPENT` in a period."""
    fitting = (
        row
        for row in SPENT
        if begin <= row["day"] < end and all(row[name] == value for name, value in wanted.items())
    )
    return sum((row["usd"] for row in fitting), Decimal(0))


@contextmanager
def admin_service(answers: Mapping[str, Handler | Answer]) -> Iterator[AdminService]:
    """Start one on a free port of this machine; it ends with the block."""
    service = AdminService("", dict(answers))

    class _Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            sent = self.rfile.read(length)
            parts = urlsplit(self.path)
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            query = parse_qs(parts.query, keep_blank_values=True)
            asked = Asked(
                self.command, parts.path, query, json.loads(sent) if sent else None, token
            )
            answer = service.answer(asked)
            content = (
                answer.body
                if isinstance(answer.body, bytes)
                else b""
                if answer.body is None
                else json.dumps(answer.body, default=str).encode()
            )
            self.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def moment(text: str) -> str:
    """`20 09:30` as a moment of November 2026."""
    [(day, clock)] = re.findall(r"(\d+) (\d\d:\d\d)", text)
    return datetime.fromisoformat(f"2026-11-{int(day):02d}T{clock}:00+00:00").isoformat()

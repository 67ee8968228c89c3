"""Two processes tell of a request once, remind of it once, and let it expire once."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.fixtures.gateway import SECRETS, eventually
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.service_group import ServiceGroup, start_services
from tests.integration.identity.small_company import COMPANY, MODELS

pytestmark = pytest.mark.integration

ADMIN = {"authorization": f"Bearer {SECRETS['POLICY_ADMIN_TOKEN']}"}
LONG_ENOUGH_S = 3.0
"""Both processes have looked more than once by then."""


class Receiver(BaseHTTPRequestHandler):
    """Takes what is told."""

    bodies: list[Any]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.bodies.append(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def told() -> Iterator[tuple[str, list[Any]]]:
    bodies: list[Any] = []
    handler = type("Bound", (Receiver,), {"bodies": bodies})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", bodies
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def group(tmp_path: Path, told: tuple[str, list[Any]]) -> Iterator[ServiceGroup]:
    with (
        start_postgres() as postgres,
        start_redis() as redis,
        start_services(
            tmp_path,
            count=2,
            postgres=postgres,
            redis=redis,
            companies=[COMPANY],
            models=MODELS,
            settings={"POLICY_ALERT_WEBHOOK_URL": told[0]},
        ) as running,
    ):
        yield running


def events(bodies: list[Any]) -> list[str]:
    return [body["event"] for body in bodies]


def test_two_processes_tell_of_each_thing_once(
    group: ServiceGroup, told: tuple[str, list[Any]]
) -> None:
    bodies = told[1]
    team = COMPANY["departments"][0]["teams"][0]["id"]
    alias = MODELS["models"][0]["alias"]
    asked = httpx.post(
        f"{group.urls[0]}/admin/v1/approvals",
        json={"model": alias, "reason": "a test", "for": f"team:{team}"},
        headers=ADMIN,
    )
    assert asked.status_code == 201, asked.text
    eventually(lambda: events(bodies) == ["approval.requested"])
    assert bodies[0]["approval"]["reason"] == "a test"
    group.move_clock(timedelta(hours=25))
    eventually(lambda: events(bodies) == ["approval.requested", "approval.reminder"])
    group.move_clock(timedelta(days=15))
    path = f"{group.urls[1]}/admin/v1/approvals/{asked.json()['id']}"
    eventually(lambda: httpx.get(path, headers=ADMIN).json()["state"] == "expired")
    time.sleep(LONG_ENOUGH_S)
    assert events(bodies) == ["approval.requested", "approval.reminder"]
    audit = httpx.get(
        f"{group.urls[0]}/admin/v1/audit",
        params={"subject": f"approval:{asked.json()['id']}"},
        headers=ADMIN,
    ).json()["rows"]
    assert [row["action"] for row in audit] == ["approval.expire", "approval.request"]

"""Lists that a page needs whole are read to their end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dashboard.api import alerts, approvals, limits
from dashboard.api.client import Client
from dashboard.settings import Settings
from tests.fakes.admin_service import AdminService, Answer, Asked, admin_service
from tests.fixtures import admin_answers

READS: dict[str, Callable[[Client], list[Any]]] = {
    "limits/states": limits.states,
    "limits": limits.limits,
    "limits/raises": limits.raises,
    "approvals": approvals.waiting,
    "incidents": alerts.incidents,
}


@pytest.fixture
def service() -> Iterator[AdminService]:
    with admin_service(admin_answers.full()) as running:
        yield running


@pytest.mark.parametrize("path", READS)
def test_a_list_of_several_pages_is_read_to_its_end(path: str, service: AdminService) -> None:
    named = f"GET /admin/v1/{path}"
    answer = service.answers[named]

    def paged(asked: Asked) -> Answer:
        whole = answer if isinstance(answer, Answer) else answer(asked)
        is_last = "cursor" in asked.query
        return Answer({**whole.body, "next": None if is_last else "the next one"})

    def read() -> int:
        with Client(Settings(service.url, "root-token")) as client:
            return len(READS[path](client))

    of_one = read()
    assert of_one
    service.answers[named] = paged
    assert read() == 2 * of_one

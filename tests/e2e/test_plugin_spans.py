"""Traces through all of it: client, the plugins in Kong, the policy service, the provider."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from llm_core.trace_context import ids_of
from policy_service.cli.kong import PLUGINS
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import SECRETS, Gateway, eventually, start_gateway
from tests.fixtures.otlp_receiver import Receiver, Span, start_receiver

pytestmark = pytest.mark.e2e
MARK = "zebra-in-the-prompt"
TRACE = "1af7651916cd43dd8448eb211c8031{:02x}"
PARENT = "c7ad6b7169203331"
AUTH, METER = "llm-auth access", "llm-token-meter access"
TRANSFORM, ANSWER = "llm-provider-transform access", "llm-provider-transform response"
REPORT, CALL = "llm-token-meter report", "chat gpt-4o-mini"
RELAY_TREE = {AUTH, METER, "decide", "policy", TRANSFORM, CALL}
DIRECT_TREE = RELAY_TREE | {ANSWER, REPORT}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


def be_patient(kong: dict[str, Any]) -> None:
    """As patient as an event's deadline lets it be: a busy machine is no refusal."""
    for service in kong["services"]:
        for plugin in [*service["plugins"], *(p for r in service["routes"] for p in r["plugins"])]:
            if "policy_url" in plugin["config"]:
                plugin["config"]["timeout_ms"] = 2200


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Gateway]:
    with start_gateway(
        tmp_path_factory.mktemp("traced"),
        company=COMPANY,
        models=models,
        settings={"POLICY_OTLP_ENDPOINT": receiver.url},
        adjust_kong=be_patient,
        plugin_flags=dict.fromkeys(PLUGINS, f"--traces {receiver.url}"),
    ) as running:
        # The first decision compiles policy, which may take longer than a call may.
        eventually(lambda: ask(running).status_code == 200, timeout_s=60)
        yield running


def ask(gateway: Gateway, trace: int | None = None, key: str = "team", **more: Any) -> Any:
    """A marked chat completion; with a number, as part of that trace."""
    messages = [{"role": "user", "content": f"Say {MARK}"}]
    body = {"model": "gpt-4o-mini", "messages": messages, **more}
    headers = {} if trace is None else {"traceparent": f"00-{TRACE.format(trace)}-{PARENT}-01"}
    return gateway.post(json.dumps(body).encode(), key, **headers)


def tree(receiver: Receiver, trace: str, names: set[str]) -> dict[str, Span]:
    """A trace's spans by name, as soon as they have all arrived."""

    def arrived() -> dict[str, Span]:
        spans = receiver.of(trace)
        return {span.name: span for span in spans} if len(spans) >= len(names) else {}

    found = eventually(arrived)
    assert set(found) == names
    return found


def parents(spans: dict[str, Span]) -> dict[str, str]:
    """Whose child each is, by name."""
    known = {span.id: name for name, span in spans.items()}
    return {name: known.get(span.parent, span.parent) for name, span in spans.items()}


@pytest.mark.parametrize(("number", "is_streamed"), [(1, False), (2, True)])
def test_a_call_is_one_tree_from_the_client_to_the_provider(
    traced: Gateway, receiver: Receiver, *, number: int, is_streamed: bool
) -> None:
    """What is not streamed goes directly, a stream by the relay."""
    traced.forget_calls()
    answer = ask(traced, number, stream=is_streamed)
    assert answer.status_code == 200, answer.text
    spans = tree(receiver, TRACE.format(number), RELAY_TREE if is_streamed else DIRECT_TREE)
    assert parents(spans) == {
        **dict.fromkeys((AUTH, METER, TRANSFORM), PARENT),
        **({} if is_streamed else {ANSWER: PARENT, REPORT: PARENT}),
        "decide": METER,
        "policy": "decide",
        CALL: "decide",
    }
    services = {name: span.resource["service.name"] for name, span in spans.items()}
    assert services[METER] == "gatehouse-plugins"
    assert services["decide"] == "gatehouse"
    decision_id = answer.headers["x-gatehouse-decision-id"]
    for name in set(spans) - {AUTH, "policy"}:
        assert spans[name].attributes["gatehouse.decision.id"] == decision_id, name
    transport = "relay" if is_streamed else "direct"
    for name in (METER, "decide", TRANSFORM, CALL):
        assert spans[name].attributes["gatehouse.transport"] == transport, name
    assert not any(span.is_failed for span in spans.values())
    # Upstream nothing has changed: directly the client's own header, through the relay our call's.
    [reached] = traced.calls()
    upstream = spans[CALL].id if is_streamed else PARENT
    assert reached["traceparent"] == f"00-{TRACE.format(number)}-{upstream}-01"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_without_a_trace_of_the_client_s_the_first_plugin_begins_one(
    traced: Gateway, receiver: Receiver, *, is_streamed: bool
) -> None:
    traced.forget_calls()
    answer = ask(traced, stream=is_streamed)
    trace_id, span_id = ids_of(answer.headers["x-gatehouse-decision-id"])
    spans = tree(receiver, trace_id, RELAY_TREE if is_streamed else DIRECT_TREE)
    assert parents(spans) == {
        AUTH: "",
        **dict.fromkeys((METER, TRANSFORM), AUTH),
        **({} if is_streamed else {ANSWER: AUTH, REPORT: AUTH}),
        "decide": METER,
        "policy": "decide",
        CALL: "decide",
    }
    assert spans["decide"].id == span_id
    assert is_streamed or not traced.calls()[0]["traceparent"]


def test_a_call_that_is_refused_ends_where_it_was(traced: Gateway, receiver: Receiver) -> None:
    assert ask(traced, 10, "gk-nobody-has-this").status_code == 401
    spans = tree(receiver, TRACE.format(10), {AUTH})
    assert spans[AUTH].parent == PARENT
    assert spans[AUTH].attributes["gatehouse.refusal"] == "invalid_api_key"
    assert spans[AUTH].attributes["http.response.status_code"] == 401
    assert not spans[AUTH].is_failed

    answer = ask(traced, 11, "poor")
    assert answer.status_code == 429
    spans = tree(receiver, TRACE.format(11), {AUTH, METER, "decide", "policy"})
    assert parents(spans)["decide"] == METER
    assert spans[METER].attributes["gatehouse.refusal"] == answer.json()["error"]["code"]
    assert spans[METER].attributes["http.response.status_code"] == 429


def test_a_provider_s_failure_is_told_by_its_code(traced: Gateway, receiver: Receiver) -> None:
    answer = ask(traced, 12, model="broken")
    assert answer.status_code >= 500
    names = (DIRECT_TREE - {CALL}) | {"chat gpt-4o-mini--fault-500"}
    spans = tree(receiver, TRACE.format(12), names)
    assert spans[ANSWER].is_failed
    assert spans[ANSWER].attributes["error.type"] == answer.json()["error"]["code"]


def test_who_does_not_want_to_be_traced_is_not(traced: Gateway, receiver: Receiver) -> None:
    headers = {"traceparent": f"00-{TRACE.format(13)}-{PARENT}-00"}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
    assert traced.post(json.dumps(body).encode(), **headers).status_code == 200
    ask(traced, 14)
    tree(receiver, TRACE.format(14), DIRECT_TREE)
    assert receiver.of(TRACE.format(13)) == []


def test_no_word_of_a_call_and_no_secret_is_in_what_plugins_send(
    traced: Gateway, receiver: Receiver
) -> None:
    answer = ask(traced, 20)
    words = answer.json()["choices"][0]["message"]["content"]
    tree(receiver, TRACE.format(20), DIRECT_TREE)
    sent = b"".join(receiver.bodies)
    assert len(words) > 10
    for text in (MARK, words, "Say ", "sam", traced.keys["team"], *SECRETS.values()):
        assert text.encode() not in sent
    for key in traced.vault.values():
        assert key.encode() not in sent

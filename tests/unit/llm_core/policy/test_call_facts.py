import pytest

from llm_core.errors import MalformedRequest
from llm_core.operation import Operation
from llm_core.policy.call_facts import call_of, operation_at
from llm_core.policy.request_facts import RequestFacts
from tests.fakes.samples import chat_body


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/chat/completions", Operation.CHAT_COMPLETIONS),
        ("POST", "/team-a/v1/chat/completions/", Operation.CHAT_COMPLETIONS),
        ("POST", "/v1/completions", Operation.COMPLETIONS),
        ("POST", "/v1/embeddings", Operation.EMBEDDINGS),
        ("POST", "/v1/responses", Operation.RESPONSES),
        ("POST", "/v1/messages", Operation.MESSAGES),
        ("GET", "/v1/models", Operation.MODELS),
        ("GET", "/v1/me", Operation.ME),
        ("GET", "/team-a/v1/me/", Operation.ME),
        ("GET", "/v1/me/usage", Operation.ME_USAGE),
        ("GET", "/v1/approvals", Operation.APPROVALS),
        ("POST", "/approvals/", Operation.APPROVALS_REQUEST),
    ],
)
def test_the_end_of_the_path_says_the_operation(
    method: str, path: str, operation: Operation
) -> None:
    assert operation_at(method, path) is operation


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("POST", "/v1/me"),
        ("GET", "/v1/usage"),
        ("GET", "/v1/name"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/chat/completions/x"),
        ("DELETE", "/"),
    ],
)
def test_whatever_else_is_not_served(method: str, path: str) -> None:
    with pytest.raises(MalformedRequest, match="is not served here"):
        operation_at(method, path)


def test_the_facts_of_a_call_hold_no_word_of_it() -> None:
    body = chat_body(
        messages=[{"role": "user", "content": "a secret plan"}],
        max_tokens=7,
        n=2,
        stream=True,
        response_format={"type": "json_object"},
    )
    call = call_of(Operation.CHAT_COMPLETIONS, body, lambda text: len(text.split()))
    assert (call.asked_model, call.max_output_tokens, call.choices) == ("mini", 7, 2)
    assert call.is_streaming
    assert call.response_format == "json_object"
    assert call.prompt_tokens > 3
    assert call.body_bytes == len(body)
    assert "secret" not in repr(call)


def test_the_digest_does_not_depend_on_the_order_of_members() -> None:
    one = call_of(
        Operation.CHAT_COMPLETIONS, b'{"model":"m","messages":[{"role":"user","content":"x"}]}', len
    )
    other = call_of(
        Operation.CHAT_COMPLETIONS,
        b'{ "messages":[{"content":"x","role":"user"}], "model":"m" }',
        len,
    )
    assert one.body_digest == other.body_digest


def test_the_question_is_the_same_whole_and_streamed() -> None:
    bodies = [
        chat_body(),
        chat_body(stream=False),
        chat_body(stream=True),
        chat_body(stream=True, stream_options={"include_usage": True}),
    ]
    calls = [call_of(Operation.CHAT_COMPLETIONS, body, len) for body in bodies]
    assert len({call.question_digest for call in calls}) == 1
    assert len({call.body_digest for call in calls}) == 4


def test_whatever_else_differs_is_another_question() -> None:
    bodies = [
        chat_body(),
        chat_body(temperature=0),
        chat_body(model="both"),
        chat_body(drop_params=False),
        chat_body(n=2),
    ]
    calls = [call_of(Operation.CHAT_COMPLETIONS, body, len) for body in bodies]
    assert len({call.question_digest for call in calls}) == len(bodies)


def test_the_headers_facts_are_the_calls() -> None:
    facts = RequestFacts(reads_cache=False, fills_cache=False)
    call = call_of(Operation.CHAT_COMPLETIONS, chat_body(), len, facts)
    assert not call.reads_cache
    assert not call.fills_cache


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"model":"m"}'])
def test_what_is_no_chat_request_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        call_of(Operation.CHAT_COMPLETIONS, body, len)

"""A stream that is passed through tells what the translated one tells, however it was cut."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_core.apis.chat_completions import read_chat_completion
from llm_core.apis.dialect import ChatAsk
from llm_core.catalogue import ProviderKind
from llm_core.errors import ProviderError
from llm_core.policy.decision import Obligations
from llm_core.sse import SseDecoder
from tests.golden.cases import Case, all_cases

CASES = [
    case for case in all_cases() if case.provider is ProviderKind.OPENAI and case.stream is not None
]


def outcome(case: Case, pieces: list[bytes], *, is_passed: bool) -> tuple[list[object], object]:
    """What the client reads, and how it ended: the texts, the usage or the error."""
    fields = {**case.request.fields, "stream": True, "stream_options": {"include_usage": True}}
    ask = read_chat_completion(json.dumps(fields).encode())
    make = type(ask).exchange if is_passed else ChatAsk.exchange
    stream = make(ask, case.deployment, Obligations(), created=1).stream(is_kept=True)
    events: list[bytes] = []
    try:
        for piece in pieces:
            events += stream.feed(piece)
        events += stream.finish()
    except ProviderError as error:
        return _read(events), (str(error), error.http_status)
    return _read(events), (list(stream.texts()), stream.usage, stream.folded())


def _read(events: list[bytes]) -> list[object]:
    read = SseDecoder().feed(b"".join(events))
    return ["end" if one.data == b"[DONE]" else json.loads(one.data) for one in read]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@given(cuts=st.lists(st.integers(0, 20_000), max_size=12))
def test_any_cut_of_a_passed_through_stream_tells_what_translating_tells(
    case: Case, cuts: list[int]
) -> None:
    stream = case.stream or b""
    borders = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(borders)]
    assert outcome(case, pieces, is_passed=True) == outcome(case, [stream], is_passed=False)

import json

import pytest

from tests.soak.traffic import read_stream, read_whole
from tests.soak.verdicts import Answer, End

ERROR = {"error": {"message": "m", "type": "server_error", "param": None, "code": "provider_error"}}


def answer(status: int = 200) -> Answer:
    return Answer(End.WHOLE, 0, 1, status=status)


def chunk(text: str) -> str:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n"


@pytest.mark.parametrize(
    ("last", "end"),
    [
        ("data: [DONE]\n\n", End.WHOLE),
        ("", End.UNFINISHED),
        (f"data: {json.dumps(ERROR)}\n\n", End.ERROR),
    ],
)
def test_how_a_stream_ends_is_told_by_its_last_event(last: str, end: End) -> None:
    told = answer()
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    text = f": waiting\n\n{chunk('one ')}{chunk('two')}data: {json.dumps(usage)}\n\n{last}"
    assert read_stream(text, told) is end
    assert (told.said, told.input_tokens, told.output_tokens) == ("one two", 3, 2)


def test_a_refusal_is_ours_or_kongs_or_nobodys() -> None:
    ours, kongs, nobodys = answer(503), answer(502), answer(502)
    read_whole(json.dumps(ERROR), ours)
    read_whole('{"message": "An invalid response was received", "request_id": "1"}', kongs)
    read_whole("<html>502</html>", nobodys)
    assert ours.error == ERROR["error"]
    assert (kongs.error, kongs.is_kongs) == (None, True)
    assert (nobodys.error, nobodys.is_kongs) == (None, False)

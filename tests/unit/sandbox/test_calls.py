from sandbox.calls import Call, Calls


def _add(calls: Calls, body: bytes) -> Call:
    return calls.add(
        provider="openai",
        path="/x",
        query={},
        header_names=["Authorization", "x-api-key", "Api-Key", "Accept"],
        body=body,
    )


def test_only_the_latest_calls_are_remembered():
    calls = Calls(most=2, most_bytes=1000)
    for body in (b"a", b"b", b"c"):
        _add(calls, body)
    assert [call["number"] for call in calls.listing()] == [2, 3]


def test_bodies_are_bounded_in_bytes():
    calls = Calls(most=100, most_bytes=10)
    for _ in range(5):
        _add(calls, b"12345")
    assert len(calls.listing()) == 2
    _add(calls, b"x" * 11)
    assert calls.listing() == []


def test_credentials_are_not_even_named():
    assert _add(Calls(9, 99), b"").header_names == ["accept"]


def test_forgetting_says_how_many_and_goes_on_counting():
    calls = Calls(9, 99)
    _add(calls, b"")
    assert calls.clear() == 1
    assert _add(calls, b"").number == 2

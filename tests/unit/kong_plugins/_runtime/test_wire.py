import msgpack
import pytest

from kong_plugins._runtime.wire import MAX_MEMBERS, GarbledMessage, Packer, RequestReader

STEP = [0, 7, "plugin.Step", [{"EventId": 1, "Data": "x" * 300}]]


def test_requests_are_read_however_they_are_cut():
    stream = msgpack.packb(STEP) * 3
    for size in (1, 2, 7, 100, len(stream)):
        reader = RequestReader()
        read = [
            request
            for start in range(0, len(stream), size)
            for request in reader.feed(stream[start : start + size])
        ]
        assert read == [(7, "plugin.Step", STEP[3])] * 3


def test_a_lua_string_of_any_bytes_is_text_that_packs_to_the_same_bytes():
    # what Lua's MessagePack makes of a string: `str`, whatever is in it
    header = b"\xff\x00\xe9t\xe9"
    message = b"\x94\x00\x01\xabplugin.Step\x91\xa5" + header
    ((_, _, (text,)),) = RequestReader().feed(message)
    assert isinstance(text, str)
    assert Packer().pack([text]) == b"\x91\xa5" + header


def test_binary_stays_bytes_both_ways():
    message = msgpack.packb([0, 1, "plugin.Step", [b"\xff\x00"]])
    ((_, _, (body,)),) = RequestReader().feed(message)
    assert body == b"\xff\x00"
    assert Packer().pack([body]) == b"\x91\xc4\x02\xff\x00"


def test_tables_with_numbers_for_keys_are_read():
    ((_, _, (table,)),) = RequestReader().feed(msgpack.packb([0, 1, "m", [{1: "a", 3: "b"}]]))
    assert table == {1: "a", 3: "b"}


@pytest.mark.parametrize(
    "message", [1, "text", [], [1, 2, None, None], [0, 1, "m"], [0, 1, 2, []], [0, "1", "m", []]]
)
def test_what_is_no_request_is_garbled(message: object):
    with pytest.raises(GarbledMessage):
        RequestReader().feed(msgpack.packb(message))


def test_a_list_longer_than_kong_sends_is_garbled_when_it_is_announced():
    for announced in (b"\xdd", b"\xdf"):
        with pytest.raises(GarbledMessage):
            RequestReader().feed(announced + (MAX_MEMBERS + 1).to_bytes(4, "big"))
    assert RequestReader().feed(b"\xdd" + MAX_MEMBERS.to_bytes(4, "big")) == []


def test_a_message_that_cannot_be_packed_leaves_nothing_behind():
    packer = Packer()
    with pytest.raises(TypeError, match="cannot carry a object"):
        packer.pack(["begun", object()])
    assert packer.pack([1]) == b"\x91\x01"


def test_mappings_and_tuples_are_packed_as_maps_and_arrays():
    from types import MappingProxyType  # noqa: PLC0415 - of no use elsewhere

    packed = Packer().pack([MappingProxyType({"a": (1, 2)})])
    assert msgpack.unpackb(packed) == [{"a": [1, 2]}]

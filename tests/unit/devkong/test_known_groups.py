"""Groups of a caller whom Kong knows by no consumer."""

from devkong.context import ClientRequest, Context
from devkong.headers import Headers
from devkong.known_groups import KnownGroups


async def test_the_groups_are_where_kongs_own_plugins_leave_them():
    request = ClientRequest("GET", "/", "/", "", Headers(), b"", "1.1", "127.0.0.1", 1, 80)
    context = Context(request)
    await KnownGroups().run("access", {"groups": ["/data-science", "staff"]}, context)
    assert context.shared["authenticated_groups"] == ["/data-science", "staff"]
    assert context.consumer is None


def test_it_runs_after_key_auth_and_before_llm_auth():
    assert 1250 > KnownGroups.priority > 1010

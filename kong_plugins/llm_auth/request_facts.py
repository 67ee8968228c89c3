"""What a request's headers ask of the gateway itself."""

from collections.abc import Mapping

from kong_plugins._runtime.shared_context import RequestFacts


def facts_in(headers: Mapping[str, list[str]]) -> RequestFacts:
    """Read the headers that later plugins heed.

    Of `Cache-Control` those directives that a request may carry and that say something to a cache
    of answers: `no-cache` and `max-age=0` (ask anew), `no-store` (keep nothing).

    Args:
        headers: Lower-case names.

    Source:
        https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1 (checked 2026-11-20)
    """
    said = {
        directive.strip().lower()
        for line in headers.get("cache-control") or ()
        for directive in line.split(",")
    }
    return RequestFacts(
        reads_cache=not said & {"no-cache", "max-age=0"}, fills_cache="no-store" not in said
    )

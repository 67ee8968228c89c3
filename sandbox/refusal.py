"""How a stand-in says no."""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """An error answer in the vendor's own shape.

    Args:
        status: HTTP status.
        body: The JSON document to answer with.
        headers: Further response headers.
    """

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

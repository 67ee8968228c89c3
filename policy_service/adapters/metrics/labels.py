"""Labels' values, of which there must be few: each combination is a series for ever.

Nothing that a caller can make up becomes a label. Models and providers are the catalogue's, codes
are our own errors', and whoever is in neither is `other`.
"""

from collections.abc import Iterator

from llm_core.catalogue import Catalogue
from llm_core.errors import GatewayError
from policy_service.ports.observing import ALLOWED
from policy_service.services.health import each_deployment

OTHER = "other"
NONE = ""


class CatalogueNames:
    """What the catalogue knows.

    Args:
        catalogue: Of the running service.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        deployments = list(each_deployment(catalogue))
        self._providers = {one.provider_name for one in deployments}
        self._models = {one.model for one in deployments}
        self._deployments = {one.id for one in deployments}

    def provider(self, name: str | None) -> str:
        """Who served a call; empty when nobody was asked."""
        return _known(name, self._providers)

    def model(self, name: str | None) -> str:
        """The routed model; empty when nobody was asked."""
        return _known(name, self._models)

    def deployment(self, name: str | None) -> str:
        """Where a call went; empty when it went nowhere."""
        return _known(name, self._deployments)


class CappedNames:
    """The first so many names that come; all others are `other`.

    Args:
        most: How many; 0 for none, and then every name is empty.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: set[str] = set()

    def label(self, name: str) -> str:
        """The name itself while there is room."""
        if self._most == 0:
            return NONE
        if name in self._names:
            return name
        if len(self._names) < self._most:
            self._names.add(name)
            return name
        return OTHER


def code_label(code: str) -> str:
    """`allowed`, or one of our own errors' codes."""
    return code if code in _CODES else OTHER


def _known(name: str | None, names: set[str]) -> str:
    if name is None:
        return NONE
    return name if name in names else OTHER


def _codes(error: type[GatewayError]) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        yield from _codes(kind)


_CODES = frozenset({ALLOWED, *_codes(GatewayError)})

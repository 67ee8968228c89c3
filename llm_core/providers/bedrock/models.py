"""What a model behind Bedrock takes, read from its id.

Converse is one format for many makers' models, but what lies beyond its own fields (reasoning,
`top_k`, schemas, the cache) differs by maker. The id names the maker: `anthropic.claude-...`, with
a region before it in a cross-region profile (`eu.anthropic.claude-...`), or inside an ARN. An
application inference profile's ARN names nothing; what it is called in the price list does.

Which makers' models cannot be held to a schema is inferred: AWS lists those that can, and the list
grows. A model that is wrongly taken to be able answers 400, which names the field.

Source:
    https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
    The pages were seen in excerpts, 2026-11-20.
"""

from dataclasses import dataclass
from enum import StrEnum

from llm_core.catalogue import Deployment
from llm_core.providers.anthropic.models import Capabilities, capabilities_of

# Bedrock has no such header; this is the last version under which models take `temperature`.
_ANTHROPIC_API_VERSION = "2023-06-01"
_WITHOUT_SCHEMAS = ("amazon.", "meta.", "cohere.", "ai21.", "writer.", "mistral.mistral-7b")


class Family(StrEnum):
    """Whose ways a model has."""

    CLAUDE = "claude"
    NOVA = "nova"
    """The first generation: no reasoning."""
    NOVA_2 = "nova_2"
    GPT_OSS = "gpt_oss"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model takes.

    Args:
        family: Whose ways it has.
        claude: What Claude takes; `None` for other families.
        takes_schemas: Whether answers and tool arguments can be held to a JSON schema.
    """

    family: Family
    claude: Capabilities | None
    takes_schemas: bool

    @property
    def takes_cache_points(self) -> bool:
        """Whether the system prompt and messages can be marked for the cache."""
        return self.family in (Family.CLAUDE, Family.NOVA, Family.NOVA_2)

    @property
    def takes_cached_tools(self) -> bool:
        """Whether tools can be marked for the cache."""
        return self.family is Family.CLAUDE


def traits_of(deployment: Deployment) -> Traits:
    """What the deployment's model takes; a model that is not known takes what Converse has."""
    id_ = f"{deployment.model} {deployment.price_model or ''}".lower()
    family = _family(id_)
    claude = capabilities_of(id_, _ANTHROPIC_API_VERSION) if family is Family.CLAUDE else None
    return Traits(
        family=family,
        claude=claude,
        takes_schemas=(
            claude.takes_schemas
            if claude is not None
            else not any(maker in id_ for maker in _WITHOUT_SCHEMAS)
        ),
    )


def _family(id_: str) -> Family:
    if "claude" in id_:
        return Family.CLAUDE
    if "nova-2" in id_:
        return Family.NOVA_2
    if "amazon.nova" in id_:
        return Family.NOVA
    return Family.GPT_OSS if "gpt-oss" in id_ else Family.OTHER

"""Where a model of Bedrock's is called.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

from urllib.parse import quote

from llm_core.catalogue import Deployment

CONVERSE = "converse"
CONVERSE_STREAM = "converse-stream"
INVOKE = "invoke"


def url_of(deployment: Deployment, operation: str) -> str:
    """Give the URL.

    A model's id is one segment of the path: the colon of `...-v1:0` and the slash of an ARN are
    percent-encoded, as the vendor's SDKs do it; the signature covers that form.
    """
    return f"{deployment.base_url}/model/{quote(deployment.model, safe='-._~')}/{operation}"

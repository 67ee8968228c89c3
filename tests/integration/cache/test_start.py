"""What the service says at its start when near questions cannot be looked for."""

from pathlib import Path
from typing import Any

import pytest

from policy_service.settings import Settings
from policy_service.wiring import open_resources
from tests.fixtures.redis_server import RedisServer, start_redis_with_vectors

pytestmark = pytest.mark.integration

MODELS = """
models:
  - alias: chat
    deployments:
      - {id: chat, provider: openai, model: gpt-4o-mini, base_url: "https://openai.test/v1"}
  - alias: embed
    deployments:
      - id: embed
        provider: openai
        model: text-embedding-3-small
        base_url: "https://openai.test/v1"
        operations: [embeddings]
"""


@pytest.fixture
def models_file(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(MODELS, encoding="utf-8")
    return path


async def started(models_file: Path, **fields: Any) -> bool:
    settings = Settings(
        internal_secret="internal-0123456789",
        ticket_secret="ticket-0123456789abcdef",
        admin_token="admin-0123456789abcdef",
        models_file=models_file,
        database_url=f"sqlite+aiosqlite:///{models_file.parent / 'x.db'}",
        **fields,
    )
    async with open_resources(settings) as opened:
        answers = opened.decider.answers
        assert answers is not None
        assert answers is opened.relay.answers
        return answers.semantic is not None


async def test_without_an_embedding_model_only_the_very_same_is_looked_for(
    models_file: Path,
) -> None:
    assert not await started(models_file)


async def test_near_questions_need_a_redis(models_file: Path) -> None:
    with pytest.raises(ValueError, match="needs a Redis with vector sets"):
        await started(models_file, semantic_cache_model="embed")


@pytest.mark.parametrize("model", ["chat", "unknown"])
async def test_near_questions_need_a_model_that_embeds(
    models_file: Path, redis_url: str, model: str
) -> None:
    with pytest.raises(ValueError, match="names no model of the catalogue that serves embeddings"):
        await started(models_file, semantic_cache_model=model, redis_url=redis_url)


async def test_a_redis_without_vector_sets_ends_the_start(
    models_file: Path, redis_server: RedisServer
) -> None:
    if redis_server.version >= 8:
        pytest.skip("this redis-server has vector sets")
    with pytest.raises(ValueError, match="use Redis 8 or newer"):
        await started(models_file, semantic_cache_model="embed", redis_url=redis_server.url)


async def test_a_cache_of_its_own_may_have_the_vectors(models_file: Path, redis_url: str) -> None:
    with start_redis_with_vectors() as vectors:
        assert await started(
            models_file,
            semantic_cache_model="embed",
            redis_url=redis_url,
            cache_redis_url=vectors.url,
        )

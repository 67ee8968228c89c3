"""The whole policy service in this process: SQLite, limits in memory, the embedded engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from fastapi import FastAPI

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.company import read_company, seed_company
from policy_service.adapters.sql.engine import open_engine
from policy_service.app import create_app
from policy_service.resources import Resources
from policy_service.settings import Settings
from tests.fakes.clock import FakeClock

INTERNAL = {"authorization": "Bearer internal-0123456789abcdef"}
ADMIN = {"authorization": "Bearer admin-0123456789abcdef"}
COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "departments": [
        {
            "id": "engineering",
            "teams": [
                {
                    "id": "search",
                    "limits": {"usd_per_month": 100, "requests_per_minute": 1000},
                    "keys": [{"name": "team", "user": "sam"}],
                    "consumers": [{"username": "shop"}],
                }
            ],
        }
    ],
}
MODELS = {
    "models": [
        {
            "alias": "mini",
            "deployments": [
                {
                    "id": "openai-mini",
                    "provider": "openai",
                    "model": "gpt-4o-mini",
                    "base_url": "http://127.0.0.1:9/v1",
                    "credential": "openai",
                    "region": "us",
                    "max_output_tokens": 100,
                }
            ],
        }
    ]
}


@dataclass
class Api:
    """A running service and a client of it."""

    client: httpx.AsyncClient
    opened: Resources
    clock: FakeClock
    key: str
    app: FastAPI

    async def post(self, path: str, body: Any, headers: Any = INTERNAL) -> httpx.Response:
        """As a plugin; `bytes` go as they are."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.client.post(path, headers=headers, **content)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        """As the dashboard."""
        return await self.client.get(path, headers=ADMIN, params=params)

    async def caller(self) -> dict[str, Any]:
        """Who is behind the company's key."""
        answer = await self.post("/v1/callers/identify", {"api_key": self.key})
        found: dict[str, Any] = answer.json()["caller"]
        return found


@asynccontextmanager
async def running_service(folder: Path, **others: Any) -> AsyncIterator[Api]:
    """Start it with everything in `folder`, and stop it; `others` are further settings."""
    url = others.get("database_url", f"sqlite+aiosqlite:///{folder}/gatehouse.db")
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (folder / "company.yaml").write_text(yaml.safe_dump(COMPANY))
    await schema.migrate(url)
    engine = open_engine(url)
    keys = await seed_company(engine, read_company(folder / "company.yaml"))
    await engine.dispose()
    settings = Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": "admin-0123456789abcdef",
            "models_file": folder / "models.yaml",
            "database_url": url,
            "credentials": {"openai": "sk-test"},
            "max_body_bytes": 1000,
            **others,
        }
    )
    clock = FakeClock()
    app = create_app(settings, clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        yield Api(client, app.state.resources, clock, keys["team"], app)

"""`gatehouse demo`: the whole product on one machine, with embedded defaults."""

from policy_service.cli.demo.command import app

__all__ = ["app"]

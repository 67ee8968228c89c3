"""`gatehouse doctor`: looks at an installation, and says what is wrong and what to do."""

from policy_service.cli.doctor.command import doctor

__all__ = ["doctor"]

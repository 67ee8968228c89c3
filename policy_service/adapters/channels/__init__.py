"""Where people are told of incidents: webhook, Slack, e-mail."""

from policy_service.adapters.channels.email import EmailChannel
from policy_service.adapters.channels.posting import Poster
from policy_service.adapters.channels.slack import SlackChannel
from policy_service.adapters.channels.webhook import WebhookChannel

__all__ = ["EmailChannel", "Poster", "SlackChannel", "WebhookChannel"]

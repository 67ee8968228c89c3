"""Anthropic's Messages API, in front of every provider.

Source:
    https://platform.claude.com/docs/en/api/messages/create (checked 2026-11-20)
"""

from llm_core.apis.messages.ask import MessagesAsk, read_messages

__all__ = ["MessagesAsk", "read_messages"]

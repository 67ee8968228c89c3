"""Why an answer cannot be had.

ServiceFailure
├── Unreachable     nobody answers, or not in a way that is understood
├── SignInNeeded    whoever looks is signed in no longer
├── NotPermitted    whoever looks may not see or do this
├── NotOffered      this service has no such answer
└── Refused         what was sent cannot be done; the service says why
"""


class ServiceFailure(Exception):
    """An answer cannot be had.

    Args:
        what: One sentence on what is wrong, in Markdown.
        hint: One sentence on what to do about it, in Markdown.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Unreachable(ServiceFailure):
    """Nobody answers, or not in a way that is understood: the whole page cannot be shown."""


class SignInNeeded(ServiceFailure):
    """Whoever looks is signed in no longer."""


class NotPermitted(ServiceFailure):
    """Whoever looks may not see or do this."""


class NotOffered(ServiceFailure):
    """The service is too old for this, or has it switched off: the rest of the page can be."""


class Refused(ServiceFailure):
    """What was sent cannot be done: it makes no sense, or somebody else was faster."""

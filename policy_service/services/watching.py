"""Telling those who count and those who trace what became of a decision."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from llm_core.answer_headers import DEGRADED
from llm_core.errors import GatewayError, GatewayFault
from llm_core.policy.decision import Decision, DecisionRequest
from policy_service import call_context
from policy_service.ports.observing import ALLOWED, UNOBSERVED, DecisionFacts, Observer
from policy_service.ports.tracing import UNTRACED, Tracing
from policy_service.services.decision_recorder import Heard


@dataclass(slots=True)
class Outcome:
    """What a decision came to.

    Args:
        made: `None` where none could be had.
    """

    made: Decision | None = None
    code: str = GatewayFault.code

    def settle(self, made: Decision) -> None:
        """It was made."""
        self.made = made
        self.code = ALLOWED if made.denial is None else _code(made.denial.body)

    @property
    def is_degraded(self) -> bool:
        """Whether one process decided alone."""
        if self.made is None:
            return False
        denial = self.made.denial
        return DEGRADED in (self.made.headers if denial is None else denial.headers)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches over decisions.

    Args:
        observer: Counts them.
        tracing: Follows them.
    """

    observer: Observer = UNOBSERVED
    tracing: Tracing = UNTRACED

    @contextmanager
    def deciding(
        self, decision_id: str, request: DecisionRequest, heard: Heard
    ) -> Iterator[Outcome]:
        """Around a decision, which says in the outcome what was made."""
        outcome, started_s = Outcome(), perf_counter()
        working_on = call_context.decision_id.set(decision_id)
        with self.tracing.deciding(decision_id, request) as span:
            try:
                yield outcome
            except GatewayError as fault:
                outcome.code = fault.code
                raise
            finally:
                call_context.decision_id.reset(working_on)
                self.observer.decided(
                    DecisionFacts(
                        operation=request.call.operation,
                        code=outcome.code,
                        engine=heard.engine,
                        taken_s=perf_counter() - started_s,
                        policy_s=heard.taken_s,
                        # With another grant there may have been room.
                        exceeded=None if outcome.code == ALLOWED else heard.exceeded,
                        is_degraded=outcome.is_degraded,
                    )
                )
                made = outcome.made
                span.note(
                    {
                        "gatehouse.decision.code": outcome.code,
                        "gatehouse.policy.engine": heard.engine,
                        "gatehouse.policy.revision": made.policy_revision if made else "",
                        "gatehouse.transport": made.transport.value if made else "",
                    }
                )


UNWATCHED = Watch()


def _code(body: dict[str, object]) -> str:
    error = body.get("error")
    return str(error.get("code")) if isinstance(error, dict) else GatewayFault.code

"""What people ask about incidents and channels."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_core.alerts.incident import Incident, IncidentKind, Notice, NoticeEvent, Severity
from llm_core.alerts.routing import Routes
from llm_core.errors import NotServed
from policy_service.ids import new_id
from policy_service.ports.clock import Clock
from policy_service.ports.incidents import Channel, Incidents, Outbox


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """A channel, without its address.

    Args:
        kinds: What it is told of; `None`: everything.
        waiting: How many notices wait for it.
    """

    name: str
    kind: str
    kinds: tuple[IncidentKind, ...] | None
    least: Severity
    waiting: int


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """Incidents, and the channels that tell of them.

    Args:
        channels: By name.
    """

    incidents: Incidents
    outbox: Outbox
    channels: Mapping[str, Channel]
    routes: Routes
    clock: Clock

    async def shown_channels(self) -> tuple[ShownChannel, ...]:
        """Every channel, in the configuration's order.

        Raises:
            PolicyUnavailable: The database is away.
        """
        waiting = await self.outbox.waiting()
        return tuple(
            ShownChannel(
                name=rule.name,
                kind=self.channels[rule.name].kind,
                kinds=None if rule.kinds is None else tuple(sorted(rule.kinds)),
                least=rule.least,
                waiting=waiting.get(rule.name, 0),
            )
            for rule in self.routes.channels
        )

    async def test(self, name: str) -> None:
        """Send a notice that says that it is a test, now, whatever the hour.

        Raises:
            NotServed: There is no such channel.
            ChannelFailed: It did not take it.
        """
        channel = self.channels.get(name)
        if channel is None:
            raise NotServed("There is no channel of that name.")
        now = self.clock()
        incident = Incident(
            id=new_id("inc"),
            kind=IncidentKind.BACKLOG,
            node=None,
            subject="test",
            severity=Severity.INFO,
            title="This is a test of the channel",
            detail="Nothing is wrong: somebody has asked whether messages arrive.",
            opened_at=now,
            last_seen_at=now,
        )
        await channel.send(Notice(new_id("ntc"), name, NoticeEvent.TEST, now, incident))

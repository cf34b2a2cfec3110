"""Messages as they lie in our database, joined with what Svix knows of them.

A message that Svix has not accepted yet stands with the relay alone, under the relay's own id; one that it has accepted
stands with the endpoints that it has there. What went to endpoints of our own, before Svix was on, is shown as it was.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from svix.models import EndpointMessageOut, EndpointOut, MessageStatus

from webhooks import history, redelivery
from webhooks.desk import Selection, UnknownObject
from webhooks.history import Attempt, Delivery, Message
from webhooks.local_desk import Announce
from webhooks.message import DeliveryState
from webhooks.ports import Sessions
from webhooks.relay.directory import Directory
from webhooks.relay.records import Records, Wanted, message_id_of
from webhooks.relay.rows import relay_id
from webhooks.relay.shapes import STATES, endpoint_id_of, in_utc

Found = list[tuple[Message, list[Delivery]]]


class Archive:
    """What the desk shows of messages. Whatever asks Svix raises SvixFailed."""

    def __init__(self, sessions: Sessions, directory: Directory, records: Records) -> None:
        self._sessions = sessions
        self._directory = directory
        self._records = records

    async def page(self, project_id: UUID, wanted: Selection) -> Found:
        """Messages, newest first; asked for by endpoint or state, in the order in which Svix took them.

        Those that it has not taken come first, and only where no endpoint is asked for.
        """
        if wanted.endpoint_id is None and wanted.state is None:
            return await self._ours(project_id, wanted)
        there = await self._directory.all(project_id)
        if wanted.endpoint_id is None:
            return await self._of_endpoints(project_id, there, wanted)
        meant = [out for out in there if endpoint_id_of(out) == wanted.endpoint_id]
        if not meant:
            return await self._ours(project_id, wanted)  # it may be one of before Svix was on, or the relay
        return await self._of_endpoints(project_id, meant, wanted)

    async def one(self, project_id: UUID, message_id: UUID) -> tuple[Message, list[Delivery]]:
        """A message and where it stands. Raises UnknownObject."""
        message, _ = await self._known(project_id, message_id)
        return (await self._with_deliveries(project_id, [message]))[0]

    async def attempts(self, project_id: UUID, message_id: UUID) -> list[Attempt]:
        """Every attempt, to hand it over and to deliver it, oldest first. Raises UnknownObject."""
        _, deliveries = await self._known(project_id, message_id)
        async with self._sessions.read() as conn:
            ours = await history.message_attempts(conn, project_id, message_id)
        theirs = await self._records.attempts(project_id, message_id) if _is_accepted(project_id, deliveries) else []
        return sorted([*ours, *theirs], key=lambda attempt: (attempt.at, attempt.id))

    async def resend(self, project_id: UUID, message_id: UUID, *, now: datetime, announce: Announce) -> bool:
        """Hand a message over again that Svix has not accepted; False when it has. Raises UnknownObject."""
        _, deliveries = await self._known(project_id, message_id)
        relay = relay_id(project_id)
        if _is_accepted(project_id, deliveries) or all(delivery.endpoint_id != relay for delivery in deliveries):
            return False
        async with self._sessions.write() as conn:
            count = await redelivery.resend(conn, project_id, message_id, endpoint_id=relay, now=now)
            announce(conn, "deliver")
        return count > 0

    async def hand_over_again(
        self,
        project_id: UUID,
        *,
        since: datetime,
        until: datetime | None,
        event_types: list[str] | None,
        now: datetime,
        announce: Announce,
    ) -> int:
        """Hand over again what was given up in a span of time; how many messages."""
        total = 0
        last: UUID | None = None
        while True:
            async with self._sessions.write() as conn:
                piece = await redelivery.recover(
                    conn,
                    project_id,
                    relay_id(project_id),
                    since=since,
                    until=until,
                    event_types=event_types,
                    now=now,
                    after=last,
                )
                if piece:
                    announce(conn, "deliver")
            total += len(piece)
            if len(piece) < redelivery.PIECE:
                return total
            last = piece[-1]
            await asyncio.sleep(0)

    async def _known(self, project_id: UUID, message_id: UUID) -> tuple[Message, list[Delivery]]:
        async with self._sessions.read() as conn:
            found = await history.message(conn, project_id, message_id)
        if found is None:
            raise UnknownObject
        return found

    async def _ours(self, project_id: UUID, wanted: Selection) -> Found:
        async with self._sessions.read() as conn:
            found = await history.page(conn, project_id, **wanted._asdict())
        return await self._with_deliveries(project_id, found)

    async def _of_endpoints(self, project_id: UUID, outs: Sequence[EndpointOut], wanted: Selection) -> Found:
        """Messages by what Svix knows of them; the page begins behind a message that it has taken, or one that waits."""
        found: Found = []
        start = await self._records.svix_id(project_id, wanted.before) if wanted.before is not None else None
        if wanted.endpoint_id is None and start is None:
            found = await self._ours(project_id, wanted._replace(endpoint_id=relay_id(project_id)))
            found = [each for each in found if not _is_accepted(project_id, each[1])]
        room = wanted.limit - len(found)
        states = _states(wanted.state)
        if room <= 0 or not states:
            return found
        asked = Wanted(
            states=states,
            types=None if wanted.type is None else [wanted.type],
            channel=None if wanted.calendar_id is None else str(wanted.calendar_id),
            since=wanted.since,
            until=wanted.until,
        )
        taken: dict[str, EndpointMessageOut] = {}
        for out in outs:
            page = await self._records.of_endpoint(project_id, out.id, asked, before=start, limit=room)
            taken |= {each.id: each for each in page}
        newest = sorted(taken.values(), key=lambda each: (in_utc(each.timestamp), each.id), reverse=True)[:room]
        ids = [message_id_of(each) for each in newest]
        async with self._sessions.read() as conn:
            known = {message.id: message for message in await history.some(conn, project_id, ids)}
        ours = [known[message_id] for message_id in ids if message_id in known]
        return found + await self._with_deliveries(project_id, ours)

    async def _with_deliveries(self, project_id: UUID, messages: Sequence[Message]) -> Found:
        ids = [message.id for message in messages]
        async with self._sessions.read() as conn:
            deliveries = await history.message_deliveries(conn, project_id, ids)
        by_message: dict[UUID, list[Delivery]] = {message_id: [] for message_id in ids}
        for delivery in deliveries:
            by_message[delivery.message_id].append(delivery)
        accepted = [message_id for message_id in ids if _is_accepted(project_id, by_message[message_id])]
        theirs = await self._records.deliveries(project_id, accepted)
        relay = relay_id(project_id)
        return [
            (
                message,
                [*(each for each in by_message[message.id] if each.endpoint_id != relay), *theirs[message.id]]
                if message.id in theirs
                else by_message[message.id],
            )
            for message in messages
        ]


def _is_accepted(project_id: UUID, deliveries: Sequence[Delivery]) -> bool:
    """Whether Svix has taken the message."""
    relay = relay_id(project_id)
    return any(each.endpoint_id == relay and each.state == DeliveryState.DELIVERED for each in deliveries)


def _states(state: str | None) -> list[MessageStatus | None]:
    """Svix's words for a state of ours; none for what it does not have."""
    return [None] if state is None else [theirs for theirs, ours in STATES.items() if ours == state]

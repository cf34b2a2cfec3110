"""What became of messages at Svix: where each stands with each endpoint, every attempt, and sending again."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from svix.api.message_attempt import (
    MessageAttemptListAttemptedDestinationsOptions,
    MessageAttemptListAttemptedMessagesOptions,
    MessageAttemptListByMsgOptions,
    MessageAttemptResendOptions,
)
from svix.api.svix import SvixAsync
from svix.models import (
    EndpointMessageOut,
    EndpointOut,
    ListResponseEndpointMessageOut,
    ListResponseMessageAttemptOut,
    ListResponseMessageEndpointOut,
    MessageAttemptOut,
    MessageEndpointOut,
    MessageStatus,
)

from webhooks.history import Attempt, Delivery
from webhooks.relay.channel import SvixRefused
from webhooks.relay.directory import PAGE
from webhooks.relay.remote import Remote, is_unknown
from webhooks.relay.shapes import as_uuid, attempt_of, delivery_of, endpoint_id_of, id_of, in_utc

MOST_PAGES = 4
"""Of attempts of one message, and of messages of one endpoint: past that, somebody should look in the portal."""


class Wanted(NamedTuple):
    """Which messages of an endpoint are asked for: of these states, types and calendar, after and before these times."""

    states: Sequence[MessageStatus | None] = (None,)
    types: list[str] | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Records:
    """What Svix has written down of a project's messages. All raise SvixFailed; a message is named by our id of it."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def svix_id(self, project_id: UUID, message_id: UUID) -> str | None:
        """Svix's own id of a message; None where it does not have it."""

        async def work(svix: SvixAsync) -> str:
            return (await svix.message.get(str(project_id), str(message_id))).id

        try:
            return await self._remote.call(work)
        except SvixRefused as error:
            if is_unknown(error):
                return None
            raise

    async def destinations(self, project_id: UUID, message_id: UUID | str) -> list[MessageEndpointOut]:
        """The endpoints that a message was for, and where it stands with each; none where Svix has forgotten it."""
        options = MessageAttemptListAttemptedDestinationsOptions(limit=PAGE)

        async def work(svix: SvixAsync) -> ListResponseMessageEndpointOut:
            return await svix.message_attempt.list_attempted_destinations(str(project_id), str(message_id), options)

        try:
            return (await self._remote.call(work)).data
        except SvixRefused as error:
            if is_unknown(error):
                return []
            raise

    async def deliveries(self, project_id: UUID, message_ids: Sequence[UUID]) -> dict[UUID, list[Delivery]]:
        """Where messages stand, those that Svix has accepted. How many attempts there were is counted for one alone."""

        async def of_one(message_id: UUID) -> tuple[UUID, list[Delivery]]:
            found = await self.destinations(project_id, message_id)
            made = await self._made(project_id, message_id) if len(message_ids) == 1 else []
            counts: dict[str, int] = defaultdict(int)
            for attempt in made:
                counts[attempt.endpoint_id] += 1
            return message_id, [delivery_of(out, message_id, counts[out.id]) for out in found]

        return dict(await self._remote.each(message_ids, of_one))

    async def attempts(self, project_id: UUID, message_id: UUID) -> list[Attempt]:
        """Every attempt of a message, oldest first."""
        found = await self.destinations(project_id, message_id)
        named = {out.id: out for out in found}
        return _numbered(await self._made(project_id, message_id), message_id, named)

    async def first_attempt(self, project_id: UUID, svix_message_id: str, out: EndpointOut) -> Attempt | None:
        """The first attempt of a message that only Svix has an id of, to the endpoint that it was for; None so far."""
        made = [attempt for attempt in await self._made(project_id, svix_message_id) if attempt.endpoint_id == out.id]
        if not made:
            return None
        first = min(made, key=lambda attempt: in_utc(attempt.timestamp))
        return attempt_of(
            first,
            message_id=id_of(svix_message_id, first.timestamp),
            endpoint_id=endpoint_id_of(out),
            number=1,
            next_attempt_at=None,
        )

    async def _made(self, project_id: UUID, message_id: UUID | str) -> list[MessageAttemptOut]:
        found: list[MessageAttemptOut] = []
        iterator: str | None = None
        for _ in range(MOST_PAGES):
            options = MessageAttemptListByMsgOptions(limit=PAGE, iterator=iterator, with_content=True)

            async def work(
                svix: SvixAsync, options: MessageAttemptListByMsgOptions = options
            ) -> ListResponseMessageAttemptOut:
                return await svix.message_attempt.list_by_msg(str(project_id), str(message_id), options)

            try:
                page: Any = await self._remote.call(work)
            except SvixRefused as error:
                if is_unknown(error):
                    return []
                raise
            found += page.data
            iterator = page.iterator
            if page.done or not iterator:
                break
        return found

    async def of_endpoint(
        self, project_id: UUID, svix_id: str, wanted: Wanted, *, before: str | None = None, limit: int = PAGE
    ) -> list[EndpointMessageOut]:
        """Up to about `limit` messages of one endpoint for each state, newest first; `before` is Svix's id of one."""
        found: list[EndpointMessageOut] = []
        for state in wanted.states:
            iterator, count = before, 0
            for _ in range(MOST_PAGES):
                options = MessageAttemptListAttemptedMessagesOptions(
                    limit=min(PAGE, limit),
                    iterator=iterator,
                    status=state,
                    channel=wanted.channel,
                    event_types=wanted.types,
                    after=wanted.since,
                    before=wanted.until,
                )

                async def work(
                    svix: SvixAsync, options: MessageAttemptListAttemptedMessagesOptions = options
                ) -> ListResponseEndpointMessageOut:
                    return await svix.message_attempt.list_attempted_messages(str(project_id), svix_id, options)

                page: Any = await self._remote.call(work)
                # Svix heeds the times only where no page came before.
                inside = [out for out in page.data if _is_between(out, wanted)]
                found += inside
                count += len(inside)
                iterator = page.iterator
                if page.done or not iterator or count >= limit or len(inside) < len(page.data):
                    break
        return sorted(found, key=lambda out: (in_utc(out.timestamp), out.id), reverse=True)

    async def resend(self, project_id: UUID, message_ids: Sequence[str], svix_endpoint_id: str) -> None:
        """Have messages sent to an endpoint again, behind nothing: Svix does it now."""

        async def one(message_id: str) -> None:
            async def work(svix: SvixAsync) -> None:
                await svix.message_attempt.resend(
                    str(project_id), message_id, svix_endpoint_id, MessageAttemptResendOptions()
                )

            await self._remote.call(work)

        await self._remote.each(message_ids, one)


def message_id_of(out: EndpointMessageOut) -> UUID:
    """Our id of a message of Svix's, which is its `eventId`."""
    return as_uuid(out.event_id) or id_of(out.id, out.timestamp)


def _is_between(out: EndpointMessageOut, wanted: Wanted) -> bool:
    at = in_utc(out.timestamp)
    low = wanted.since or datetime.min.replace(tzinfo=UTC)
    high = wanted.until or datetime.max.replace(tzinfo=UTC)
    return low <= at < high


def _numbered(
    made: Sequence[MessageAttemptOut], message_id: UUID, named: dict[str, MessageEndpointOut]
) -> list[Attempt]:
    """Attempts in order, counted by endpoint; the last one of each that goes on knows when the next is."""
    counts: dict[str, int] = defaultdict(int)
    ordered = sorted(made, key=lambda out: (in_utc(out.timestamp), out.id))
    last = {out.endpoint_id: out.id for out in ordered}
    shown = []
    for out in ordered:
        counts[out.endpoint_id] += 1
        endpoint = named.get(out.endpoint_id)
        goes_on = endpoint is not None and last[out.endpoint_id] == out.id and endpoint.next_attempt is not None
        shown.append(
            attempt_of(
                out,
                message_id=message_id,
                endpoint_id=endpoint_id_of(endpoint) if endpoint else id_of(out.endpoint_id, out.timestamp),
                number=counts[out.endpoint_id],
                next_attempt_at=in_utc(endpoint.next_attempt)
                if goes_on and endpoint and endpoint.next_attempt
                else None,
            )
        )
    return shown

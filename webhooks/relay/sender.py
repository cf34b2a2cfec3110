"""Handing a message over to Svix: it is accepted once, however often that has to be tried.

202, or 409 because the `eventId` was seen ──► accepted: delivering it is Svix's work from here on
400, 413, 422 in Svix's own words ──► given up: the same bytes would be refused for ever
anything else ──► tried again by the outbox's schedule
"""

import logging
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx
import msgspec
from svix.api.message import MessageCreateOptions
from svix.api.svix import SvixAsync
from svix.models import MessageIn, MessageOut

from webhooks.attempt import fit
from webhooks.message import Dispatch, Outcome
from webhooks.ports import Clock
from webhooks.relay.channel import SvixAway, SvixFailed, SvixRefused
from webhooks.relay.remote import Remote, application, is_unknown, misses_a_type
from webhooks.relay.shapes import channels_of

REMEMBERED = timedelta(hours=12)
"""For how long Svix is trusted to know an `eventId` and an idempotency key again: it promises a day for the one, and its
server keeps the other for twelve hours. What is older is looked up before it is sent."""

FINAL = frozenset({400, 413, 422})

log = logging.getLogger("webhooks")


class RelaySender:
    """Satisfies `Sends` for a Svix server. `retention_days` is for how long Svix keeps what a message says (5 to 90)."""

    def __init__(self, remote: Remote, clock: Clock, *, retention_days: int = 30) -> None:
        self._remote = remote
        self._clock = clock
        self._retention_days = min(90, max(5, retention_days))

    async def send(self, _client: httpx.AsyncClient, dispatch: Dispatch) -> Outcome:
        """Hand a dispatch over; the slot that came with it stays unused, because Svix is the operator's choice of host."""
        at, started = self._clock(), perf_counter()
        status, answer, failure = 0, "", None
        try:
            status, answer = await self._hand_over(dispatch, at)
        except SvixFailed as error:
            failure = error
        except Exception as error:  # a bug here must be counted and retried like any failure, not leak the delivery
            log.exception("handing a webhook over broke off", extra={"delivery_id": str(dispatch.delivery_id)})
            failure = SvixAway("internal", type(error).__name__)
        duration = perf_counter() - started
        if failure is None:
            return Outcome(at, duration, status=status, answer=answer)
        return _failed(failure, at, duration)

    async def _hand_over(self, dispatch: Dispatch, now: datetime) -> tuple[int, str]:
        """The status that says that it is accepted, and what else there is to say. Raises SvixFailed."""
        app_id, event_id = str(dispatch.target.project_id), str(dispatch.message_id)
        if now - born(dispatch.message_id) > REMEMBERED and await self._is_known(app_id, event_id):
            return 409, "Svix has it already"
        wish = MessageIn(
            event_id=event_id,
            event_type=dispatch.type,
            payload=_payload(dispatch.body),
            channels=channels_of(dispatch.calendar_ids),
            application=application(dispatch.target.project_id),
            payload_retention_period=self._retention_days,
        )
        # A new round of attempts is a new wish: an answer that Svix keeps under a key may be of what it has forgotten.
        options = MessageCreateOptions(idempotency_key=f"{event_id}.{dispatch.schedule_start}")
        try:
            accepted = await self._accepted(app_id, wish, options)
        except SvixRefused as error:
            if error.status != httpx.codes.CONFLICT:
                raise
            return 409, fit(error.text)
        return 202, accepted.id[:100]

    async def _accepted(self, app_id: str, wish: MessageIn, options: MessageCreateOptions) -> MessageOut:
        try:
            return await self._remote.call(lambda svix: svix.message.create(app_id, wish, options))
        except SvixRefused as error:
            if not misses_a_type(error):
                raise
        # An environment may take only types that it knows, and somebody may have deleted some.
        await self._remote.tell_catalogue(again=True)
        return await self._remote.call(lambda svix: svix.message.create(app_id, wish, options))

    async def _is_known(self, app_id: str, event_id: str) -> bool:
        async def work(svix: SvixAsync) -> None:
            await svix.message.get(app_id, event_id)

        try:
            await self._remote.call(work)
        except SvixRefused as error:
            if is_unknown(error):
                return False
            raise
        return True


def born(message_id: UUID) -> datetime:
    """When a message was made (RFC 9562, 5.7: the first 48 bits of a UUIDv7 are milliseconds)."""
    return datetime.fromtimestamp((message_id.int >> 80) / 1000, UTC)


def _payload(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])


def _failed(failure: SvixFailed, at: datetime, duration: float) -> Outcome:
    if not isinstance(failure, SvixRefused):
        kind = failure.kind if isinstance(failure, SvixAway) else "protocol"
        return Outcome(at, duration, error_kind=kind, error_detail=fit(str(failure)))
    return Outcome(
        at,
        duration,
        status=failure.status,
        error_kind="status",
        error_detail=fit(str(failure)),
        answer=fit(failure.text),
        retry_after=failure.retry_after,
        control="abort-message" if failure.is_svix and failure.status in FINAL else None,
    )

"""The values that travel through this package: a notice becomes a dispatch to a target, which becomes an outcome."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

STANDARD = "standard"
"""The format of a body in the envelope of Standard Webhooks; other formats are bodies that the caller makes."""

RELAY = "relay"
"""The format of the hidden endpoints behind which somebody else's server addresses and sends; they get all that is standard."""


class EndpointState(StrEnum):
    """Where an endpoint stands; a deleted one is kept, without its secret, for the history of its deliveries."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"


class DeliveryState(StrEnum):
    """Where one message to one endpoint stands.

    pending    to be sent at `next_at`; while a lease is on the row, `next_at` is the end of that lease
    delivered  answered 2xx
    failed     all attempts used up, or the receiver asked to abort
    parked     its endpoint was disabled; enabling makes it pending again
    cancelled  its endpoint was deleted, or narrowed its filters while this waited
    merged     a newer message, sent in its place, says what it would have said
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    PARKED = "parked"
    CANCELLED = "cancelled"
    MERGED = "merged"


class Rank(IntEnum):
    """Whose turn comes first: news, or what is sent again or made up for."""

    NEWS = 0
    BACKFILL = 1


class Told(NamedTuple):
    """The same news in another format: what it is called there, and the whole body."""

    type: str
    body: Any


Tell = Callable[[AsyncConnection, str], Awaitable[Sequence[Told]]]
"""Tells news in the format of that name, inside the transaction that makes it true; nothing in one that has no word for it."""


class Notice(msgspec.Struct, frozen=True):
    """News of one project, not yet addressed to anybody.

    `data` is a Struct, a JSON-like value or ready JSON (`msgspec.Raw`). With a `format` other than `standard` it is
    the whole body, and only endpoints of that format get it. `also` are further calendars that the news is about: an
    endpoint that wants one of them gets it. `tell` is asked only where an endpoint wants another format.
    """

    project_id: UUID
    type: str
    data: Any
    at: datetime
    calendar_id: UUID | None = None
    format: str = STANDARD
    also: tuple[UUID, ...] = ()
    tell: Tell | None = None


class Lease(msgspec.Struct, frozen=True):
    """The right of one process to send a delivery and to record what came of it, until it runs out."""

    owner: UUID
    until: datetime


class Target(msgspec.Struct, frozen=True):
    """What sending needs to know of an endpoint; `version` rises with each change, also of the secret."""

    endpoint_id: UUID
    project_id: UUID
    version: int
    url: str
    rate_limit: int | None
    sealed_secret: bytes
    format: str = STANDARD

    def __repr__(self) -> str:
        return f"Target(endpoint_id={self.endpoint_id}, version={self.version})"


class Dispatch(msgspec.Struct, frozen=True):
    """One attempt to be made: this body to this target, as attempt number `attempt` (1 is the first).

    `schedule_start` is how many attempts came before the present round of retries: a resend starts a new round.
    Without a `lease` it only says that a row is due, and a deliverer has to claim it. `ordered` means that another
    delivery may wait for this one to end, `mergeable` that a newer one may take it in as long as nobody holds it.
    `calendar_ids` are all that the message is about.
    """

    delivery_id: UUID
    message_id: UUID
    target: Target
    type: str
    body: bytes
    lease: Lease | None
    attempt: int = 1
    schedule_start: int = 0
    ordered: bool = False
    rank: int = Rank.NEWS
    mergeable: bool = False
    calendar_ids: tuple[str, ...] = ()

    @property
    def round_attempt(self) -> int:
        """The place of this attempt in the schedule of retries, from 1."""
        return self.attempt - self.schedule_start


class Placed(NamedTuple):
    """The rows to insert, and the dispatches to hand to a deliverer after the commit."""

    messages: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    dispatches: list[Dispatch]


class Outcome(msgspec.Struct, frozen=True):
    """What came of one request; a failure is a value. Durations are in seconds.

    `error_kind` is None for a 2xx, else one of timeout, connect, dns, tls, protocol, status, or the kind that the
    client's guard gave (blocked_address). `answer` is the first 4 KiB of the body, fit to be stored and shown.
    `retry_after` and `control` are the headers Retry-After and webhook-delivery as they came.
    """

    at: datetime
    duration: float
    status: int | None = None
    error_kind: str | None = None
    error_detail: str | None = None
    answer: str = ""
    retry_after: str | None = None
    control: str | None = None

    @property
    def ended_at(self) -> datetime:
        return self.at + timedelta(seconds=self.duration)


def about(calendar_id: UUID | None, also: Iterable[UUID | str] | None) -> tuple[str, ...]:
    """All calendars that a message is about, each once."""
    named = [calendar_id] if calendar_id is not None else []
    return tuple(dict.fromkeys(str(each) for each in [*named, *(also or ())]))


class _Envelope(msgspec.Struct):
    type: str
    timestamp: datetime
    data: Any


_encoder = msgspec.json.Encoder()


def body(notice: Notice) -> bytes:
    """The exact bytes that are stored, signed and sent: `{"type","timestamp","data"}`, the time in UTC with `Z`.

    Raises ValueError when the notice's time has no zone.
    """
    if notice.format != STANDARD:
        return _encoder.encode(notice.data)
    if notice.at.tzinfo is None:
        raise ValueError("a notice's time needs a time zone")
    return _encoder.encode(_Envelope(notice.type, notice.at.astimezone(UTC), notice.data))

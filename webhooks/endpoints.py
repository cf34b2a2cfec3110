"""Endpoints, the receivers of webhooks: made, listed, changed, disabled, deleted; and their secrets."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, case, exists, func, insert, literal, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from webhooks.filters import stored_pass
from webhooks.keyring import place
from webhooks.message import RELAY, STANDARD, DeliveryState, EndpointState, Rank
from webhooks.ports import Cipher
from webhooks.signing import SigningKey, new_secret, packed, unpacked
from webhooks.tables import deliveries, endpoints, messages

OVERLAP = timedelta(hours=24)
OLD_KEYS = 5
"""How many old keys may sign beside the new one; past that the oldest stops early and the header stays short."""

CHANGEABLE = frozenset(
    {"url", "description", "event_types", "calendar_ids", "rate_limit", "ordering"},
)


class EndpointDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of a new endpoint. No `event_types` means all but the families on request.

    `headers` go along with every request, and are kept as the secret is.
    """

    url: str
    description: str | None = None
    event_types: list[str] | None = None
    calendar_ids: list[UUID] | None = None
    rate_limit: int | None = None
    ordering: str = "best_effort"
    format: str = STANDARD
    headers: dict[str, str] = {}


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as it may be shown: everything but the secret. `rate_limit` is per second.

    `first_failure_at` and `failed_messages` are of the failure that goes on; the last two fields are `health.rates`.
    """

    id: UUID
    project_id: UUID
    url: str
    description: str | None
    event_types: list[str] | None
    calendar_ids: list[UUID] | None
    rate_limit: int | None
    ordering: str
    format: str
    state: str
    disabled_reason: str | None
    disabled_at: datetime | None
    first_failure_at: datetime | None
    failed_messages: int
    version: int
    created_at: datetime
    updated_at: datetime
    last_success_at: datetime | None = None
    success_rate: float | None = None


_SEALED = select(endpoints.c.secret)
_SHOWN = [endpoints.c[name] for name in Endpoint.__struct_fields__ if name in endpoints.c]


def _known(project_id: UUID, endpoint_id: UUID) -> Any:
    return and_(
        endpoints.c.id == endpoint_id,
        endpoints.c.project_id == project_id,
        endpoints.c.state != EndpointState.DELETED.value,
        endpoints.c.format != RELAY,
    )


async def create(
    conn: AsyncConnection,
    cipher: Cipher,
    project_id: UUID,
    draft: EndpointDraft,
    *,
    now: datetime,
    endpoint_id: UUID | None = None,
) -> tuple[Endpoint, str]:
    """Store a new endpoint, under an id of the caller's choice; the answer's second half is its secret, to be shown once."""
    endpoint_id, secret = endpoint_id or uuid7(), new_secret()
    said = msgspec.structs.asdict(draft)
    headers = said.pop("headers")
    endpoint = Endpoint(
        **said,
        id=endpoint_id,
        project_id=project_id,
        state=EndpointState.ENABLED.value,
        disabled_reason=None,
        disabled_at=None,
        first_failure_at=None,
        failed_messages=0,
        version=1,
        created_at=now,
        updated_at=now,
    )
    sealed = cipher.seal(packed([SigningKey(secret, headers=headers)]), place(project_id, endpoint_id))
    row = {name: value for name, value in msgspec.structs.asdict(endpoint).items() if name in endpoints.c}
    await conn.execute(insert(endpoints).values(_storable(row | {"secret": sealed})))
    return endpoint, secret


def _storable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values; ids of calendars lie in JSON as text."""
    row = dict(values)
    if row.get("calendar_ids") is not None:
        row["calendar_ids"] = [str(calendar_id) for calendar_id in row["calendar_ids"]]
    return row


async def page(
    conn: AsyncConnection, project_id: UUID, *, after: UUID | None = None, limit: int = 50
) -> list[Endpoint]:
    """The project's endpoints by id, which is by age; `after` is the last id of the page before."""
    query = select(*_SHOWN).where(
        endpoints.c.project_id == project_id,
        endpoints.c.state != EndpointState.DELETED.value,
        endpoints.c.format != RELAY,
    )
    if after is not None:
        query = query.where(endpoints.c.id > after)
    rows = await conn.execute(query.order_by(endpoints.c.id).limit(limit))
    return [_endpoint(row) for row in rows]


async def get(conn: AsyncConnection, project_id: UUID, endpoint_id: UUID) -> Endpoint | None:
    """The endpoint, or None when the project has none of this id."""
    row = (await conn.execute(select(*_SHOWN).where(_known(project_id, endpoint_id)))).first()
    return _endpoint(row) if row else None


def _endpoint(row: Any) -> Endpoint:
    return msgspec.convert(row._asdict(), Endpoint)


async def change(
    conn: AsyncConnection,
    project_id: UUID,
    endpoint_id: UUID,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    secret: bytes | None = None,
) -> Endpoint | None:
    """Set some of the fields in `CHANGEABLE`; None for an unknown endpoint, ValueError for another field.

    `secret` is what `sealed_with` answered, to take effect together with them.
    """
    if not changes.keys() <= CHANGEABLE:
        raise ValueError(f"cannot change {', '.join(sorted(changes.keys() - CHANGEABLE))}")
    sealed = {} if secret is None else {"secret": secret}
    return await _update(conn, project_id, endpoint_id, _storable(changes) | sealed, now=now)


async def sealed_with(conn: AsyncConnection, cipher: Cipher, endpoint: Endpoint, headers: Mapping[str, str]) -> bytes:
    """The signing keys of an endpoint that is held, sealed, with these headers in place of those that it has."""
    keys = await _keys(conn, cipher, endpoint.project_id, endpoint.id, _SEALED) or []
    renewed = [msgspec.structs.replace(key, headers=dict(headers) if n == 0 else {}) for n, key in enumerate(keys)]
    return cipher.seal(packed(renewed), place(endpoint.project_id, endpoint.id))


async def hold_project(conn: AsyncConnection, project_id: UUID) -> None:
    """Let nobody else who asks for this go on with the project before this transaction ends; SQLite has one writer anyway."""
    if conn.dialect.name == "postgresql":
        # A lock by number: the rows of projects are not this package's.
        number = int.from_bytes(project_id.bytes[-8:], signed=True)
        await conn.execute(select(func.pg_advisory_xact_lock(number)))


async def hold(conn: AsyncConnection, project_id: UUID, endpoint_id: UUID) -> Endpoint | None:
    """The endpoint, which nobody else changes before this transaction ends."""
    query = select(*_SHOWN).where(_known(project_id, endpoint_id)).with_for_update(key_share=True)
    row = (await conn.execute(query)).first()
    return _endpoint(row) if row else None


async def versions(conn: AsyncConnection, endpoint_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The versions of the endpoints that can be sent to."""
    query = select(endpoints.c.id, endpoints.c.version).where(
        endpoints.c.id.in_(endpoint_ids), endpoints.c.state == EndpointState.ENABLED.value
    )
    return {row.id: row.version for row in await conn.execute(query)}


async def _update(
    conn: AsyncConnection, project_id: UUID, endpoint_id: UUID, values: Mapping[str, Any], *, now: datetime
) -> Endpoint | None:
    statement = (
        update(endpoints)
        .where(_known(project_id, endpoint_id))
        .values(**values, updated_at=now, version=endpoints.c.version + 1)
        .returning(*_SHOWN)
    )
    row = (await conn.execute(statement)).first()
    return _endpoint(row) if row else None


async def disable(
    conn: AsyncConnection, project_id: UUID, endpoint_id: UUID, *, reason: str, now: datetime
) -> Endpoint | None:
    """Stop sending; what was pending is parked. Announcing it is the caller's choice (`settlement.disabled_notice`)."""
    values = {"state": EndpointState.DISABLED.value, "disabled_reason": reason, "disabled_at": now}
    endpoint = await _update(conn, project_id, endpoint_id, values, now=now)
    if endpoint:
        await _move(conn, endpoint_id, DeliveryState.PENDING, {"state": DeliveryState.PARKED.value})
    return endpoint


async def enable(conn: AsyncConnection, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> Endpoint | None:
    """Send again, with a clean record; what was parked is due now, behind what is new."""
    values = {
        "state": EndpointState.ENABLED.value,
        "disabled_reason": None,
        "disabled_at": None,
        "first_failure_at": None,
        "failed_messages": 0,
    }
    endpoint = await _update(conn, project_id, endpoint_id, values, now=now)
    if endpoint:
        due = {"state": DeliveryState.PENDING.value, "next_at": now, "rank": Rank.BACKFILL.value}
        await _move(conn, endpoint_id, DeliveryState.PARKED, due)
    return endpoint


async def delete(conn: AsyncConnection, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> bool:
    """Forget an endpoint's secret and address and cancel its deliveries; False when there is no such endpoint.

    The row stays until its deliveries are purged, because they are history.
    """
    values = {"state": EndpointState.DELETED.value, "secret": b"", "url": "", "description": None}
    if await _update(conn, project_id, endpoint_id, values, now=now) is None:
        return False
    await _move_waiting(conn, endpoint_id, {"state": DeliveryState.CANCELLED.value})
    return True


async def free_from_order(conn: AsyncConnection, endpoint_id: UUID, *, now: datetime) -> None:
    """Let nothing that waits for the endpoint wait for its turn any more: what did so is due from now on."""
    next_at = case((deliveries.c.next_at < now, literal(now, deliveries.c.next_at.type)), else_=deliveries.c.next_at)
    await _move_waiting(conn, endpoint_id, {"fifo_key": None, "next_at": next_at}, deliveries.c.fifo_key.is_not(None))


async def cancel_unwanted(conn: AsyncConnection, endpoint: Endpoint) -> None:
    """Cancel what waits and does not pass the endpoint's filters; those in flight a claim finds, should they come back.

    A test (it has a round of retries that began before it) was for the endpoint whatever it subscribes to.
    """
    its_message = messages.c.id == deliveries.c.message_id
    passing = exists().where(its_message, stored_pass(endpoint.event_types, endpoint.calendar_ids))
    await _move_waiting(
        conn, endpoint.id, {"state": DeliveryState.CANCELLED.value}, deliveries.c.schedule_start >= 0, ~passing
    )


async def _move_waiting(
    conn: AsyncConnection, endpoint_id: UUID, values: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> None:
    for state in (DeliveryState.PENDING, DeliveryState.PARKED):
        await _move(conn, endpoint_id, state, values, *conditions)


async def _move(
    conn: AsyncConnection,
    endpoint_id: UUID,
    state: DeliveryState,
    values: Mapping[str, Any],
    *conditions: ColumnElement[bool],
) -> None:
    """Change the endpoint's deliveries in one state; those in flight are left to their settlement."""
    await conn.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id == endpoint_id,
            deliveries.c.state == literal_column(f"'{state.value}'"),
            deliveries.c.lease.is_(None),
            *conditions,
        )
        .values(**values)
    )


async def reveal(conn: AsyncConnection, cipher: Cipher, project_id: UUID, endpoint_id: UUID) -> str | None:
    """The endpoint's current secret, or None when there is no such endpoint."""
    keys = await _keys(conn, cipher, project_id, endpoint_id, _SEALED)
    return keys[0].secret if keys else None


async def rotate_secret(
    conn: AsyncConnection,
    cipher: Cipher,
    project_id: UUID,
    endpoint_id: UUID,
    *,
    now: datetime,
    overlap: timedelta = OVERLAP,
    rotation_id: UUID | None = None,
) -> str | None:
    """Give the endpoint a new secret and answer with it; the old ones go on signing too, for `overlap` at most.

    The same `rotation_id` again gets the secret that it got before.
    """
    keys = await _keys(conn, cipher, project_id, endpoint_id, _SEALED.with_for_update(key_share=True))
    if keys is None:
        return None
    if rotation_id is not None and keys[0].rotation_id == rotation_id:
        return keys[0].secret
    end = now + overlap
    old = [SigningKey(key.secret, min(key.expires_at or end, end)) for key in keys if key.signs_at(now)]
    secret = new_secret()
    sealed = cipher.seal(
        packed([SigningKey(secret, rotation_id=rotation_id, headers=keys[0].headers), *old[:OLD_KEYS]]),
        place(project_id, endpoint_id),
    )
    await _update(conn, project_id, endpoint_id, {"secret": sealed}, now=now)
    return secret


async def _keys(
    conn: AsyncConnection, cipher: Cipher, project_id: UUID, endpoint_id: UUID, query: Select[Any]
) -> list[SigningKey] | None:
    sealed = (await conn.execute(query.where(_known(project_id, endpoint_id)))).scalar()
    return None if sealed is None else unpacked(cipher.open(sealed, place(project_id, endpoint_id)))


async def reseal(conn: AsyncConnection, cipher: Cipher, *, after: UUID | None = None, limit: int = 100) -> UUID | None:
    """Seal up to `limit` secrets anew, under the cipher's first key; the last id done, to go on after, or None."""
    query = select(endpoints.c.id, endpoints.c.project_id, endpoints.c.secret).where(
        endpoints.c.state != EndpointState.DELETED.value, endpoints.c.format != RELAY
    )
    if after is not None:
        query = query.where(endpoints.c.id > after)
    rows = (await conn.execute(query.order_by(endpoints.c.id).limit(limit).with_for_update(key_share=True))).all()
    for row in rows:
        where = place(row.project_id, row.id)
        sealed = cipher.seal(cipher.open(row.secret, where), where)
        await conn.execute(update(endpoints).where(endpoints.c.id == row.id).values(secret=sealed))
    return rows[-1].id if rows else None

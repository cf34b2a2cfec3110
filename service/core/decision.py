"""What a round comes to: of everything that differs, what is written, and what of it is news."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from service.core.event import CANCELLED, Event, FieldChange, diff, encode_event, fingerprint, hint_action
from service.core.sync import Comparison, Fresh, Known, Malformed

MAX_FLAPS: Final = 24
"""A row that goes back and forth between two versions is announced this often, then kept up to date in silence."""

ALWAYS_TOLD: Final = frozenset({"starts_at", "ends_at", "status", "meeting"})
"""Fields whose change is announced however often they flap."""


class Upsert(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be written, with its bytes and what the store counts about it; `raw` is None when nothing came."""

    id: UUID
    event: Event
    body: bytes
    raw: bytes | None
    fingerprint: bytes
    previous_fingerprint: bytes | None
    flaps: int
    version: int
    created_at: datetime


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an event that is news: its kind, the fields that differ, and the hint for bots."""

    upsert: Upsert
    kind: str
    cause: str
    fields: dict[str, FieldChange]
    action: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a round wants written; `cured` are provider ids whose quarantine ends."""

    upserts: list[Upsert] = []
    changes: list[Change] = []
    quarantined: list[Malformed] = []
    cured: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.upserts or self.quarantined or self.cured)


def decide(
    found: Comparison,
    stored: Mapping[UUID, Event],
    *,
    cause: str,
    now: datetime,
    ids: Iterator[UUID],
    entered: AbstractSet[str] = frozenset(),
) -> Decision:
    """What to write and what to announce; `stored` has the events that `found.needs` names.

    `cause` is the round's; new events whose provider id is in `entered` came by the rolling of the window, and those that
    were only examined again differ because of us (`resync`).
    """
    decision = Decision(upserts=[], changes=[], quarantined=list(found.quarantined), cured=list(found.cured))
    for fresh in found.fresh:
        if fresh.known is None:
            why = "window" if fresh.event.provider_event_id in entered else cause
            _create(decision, fresh, why, now, next(ids))
        else:
            why = cause if fresh.raw is not None else "resync"
            _update(decision, fresh, fresh.known, stored[fresh.known.id], why)
    for row in found.gone:
        _cancel(decision, row, stored[row.id], cause)
    return decision


def _create(decision: Decision, fresh: Fresh, cause: str, now: datetime, new_id: UUID) -> None:
    event = fresh.event
    upsert = Upsert(
        id=new_id,
        event=event,
        body=fresh.body,
        raw=fresh.raw,
        fingerprint=fresh.fingerprint,
        previous_fingerprint=None,
        flaps=0,
        version=1,
        created_at=now,
    )
    decision.upserts.append(upsert)
    action = hint_action(None, event, {})
    decision.changes.append(Change(upsert=upsert, kind="created", cause=cause, fields={}, action=action))


def _update(decision: Decision, fresh: Fresh, row: Known, old: Event, cause: str) -> None:
    event = fresh.event
    flaps = row.flaps + 1 if fresh.fingerprint == row.previous_fingerprint else 0
    upsert = Upsert(
        id=row.id,
        event=event,
        body=fresh.body,
        raw=fresh.raw,
        fingerprint=fresh.fingerprint,
        previous_fingerprint=row.fingerprint,
        flaps=flaps,
        version=row.version + 1,
        created_at=row.created_at,
    )
    fields = diff(old, event)
    if not fields:
        # The same event, stored in an older form: renewed, and nobody's news.
        decision.upserts.append(msgspec.structs.replace(upsert, version=row.version, flaps=row.flaps))
        return
    decision.upserts.append(upsert)
    action = hint_action(old, event, fields)
    if flaps <= MAX_FLAPS or action != "none" or not fields.keys().isdisjoint(ALWAYS_TOLD):
        decision.changes.append(Change(upsert=upsert, kind="updated", cause=cause, fields=fields, action=action))


def _cancel(decision: Decision, row: Known, old: Event, cause: str) -> None:
    event = msgspec.structs.replace(old, status=CANCELLED)
    body = encode_event(event)
    upsert = Upsert(
        id=row.id,
        event=event,
        body=body,
        raw=None,
        fingerprint=fingerprint(body),
        previous_fingerprint=row.fingerprint,
        flaps=row.flaps,
        version=row.version + 1,
        created_at=row.created_at,
    )
    decision.upserts.append(upsert)
    fields = diff(old, event)
    action = hint_action(old, event, fields)
    decision.changes.append(Change(upsert=upsert, kind=CANCELLED, cause=cause, fields=fields, action=action))

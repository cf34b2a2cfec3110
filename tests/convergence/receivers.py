"""Two who never look at the store's events: one reads the change log, the other lives on webhooks; both keep a copy."""

from typing import Any
from uuid import UUID

import msgspec
from flows.stage import Stage
from sqlalchemy import select

from service.core.announcements import Change
from service.core.event import EventView
from webhooks import tables

Copy = dict[UUID, EventView]


class LogReader:
    """Keeps its last `seq`, as `GET /changes` asks for, and applies what comes behind it."""

    def __init__(self) -> None:
        self.copy: Copy = {}
        self.last = 0

    async def pull(self, stage: Stage) -> list[Change]:
        """Apply the news; an AssertionError says what no reader of the log should see."""
        news = await stage.changes(self.last)
        for change in news:
            self.last += 1
            assert change.seq == self.last, f"seq {change.seq} follows {self.last - 1}"
            self._check(change)
            _apply(self.copy, change)
        return news

    def _check(self, change: Change) -> None:
        known = self.copy.get(change.event_id)
        if change.kind == "created":
            assert known is None, f"created twice: {change.event.provider_event_id}"
            return
        assert change.fields, f"an {change.kind} change without a difference: {change}"
        if known is None:
            # It was cancelled and has come back.
            assert change.kind == "updated"
            assert change.fields["status"].old == "cancelled", change
            return
        assert change.event.version > known.version
        shown = msgspec.to_builtins(known)
        for name, field in change.fields.items():
            assert shown[name] == field.old, f"{name} was {shown[name]!r}, the change says {field.old!r}"


class WebhookReceiver:
    """Gets `event.*` and `calendar.sync_events`; after a first sync it reads the events once, as it is told to.

    Messages come in any order and more than once: a copy that is newer by its `version` stays.
    """

    def __init__(self) -> None:
        self.copy: Copy = {}
        self.gone: dict[UUID, int] = {}
        self._seen: set[UUID] = set()

    async def receive(self, stage: Stage) -> None:
        query = select(tables.messages.c.id, tables.messages.c.type, tables.messages.c.body)
        async with stage.gateway.database.read() as conn:
            found = (await conn.execute(query)).all()
        fresh = [row for row in found if row.id not in self._seen]
        # The newest first, which is the worst order that at-least-once delivery allows.
        for row in sorted(fresh, key=lambda row: row.id, reverse=True):
            self._seen.add(row.id)
            data = msgspec.json.decode(row.body)["data"]
            if row.type.startswith("event."):
                self._take(msgspec.convert(data, Change))
            elif row.type == "calendar.sync_events" and data["initial"]:
                await self._read_all(stage, UUID(data["calendar_id"]))

    async def _read_all(self, stage: Stage, calendar_id: UUID) -> None:
        for event in await stage.events(calendar_id):
            self._keep(event)

    def _take(self, change: Change) -> None:
        if change.kind != "cancelled":
            self._keep(change.event)
        elif change.event.version > self._version(change.event_id):
            self.copy.pop(change.event_id, None)
            self.gone[change.event_id] = change.event.version

    def _keep(self, event: EventView) -> None:
        if event.version > self._version(event.id):
            self.copy[event.id] = event
            self.gone.pop(event.id, None)

    def _version(self, event_id: UUID) -> int:
        known = self.copy.get(event_id)
        return known.version if known is not None else self.gone.get(event_id, 0)


def _apply(copy: Copy, change: Change) -> None:
    if change.kind == "cancelled":
        del copy[change.event_id]
    else:
        copy[change.event_id] = change.event


def differences(name: str, copy: Copy, store: Copy) -> list[str]:
    """What a copy has, lacks or has otherwise, in words."""
    said = [f"{name} lacks {_named(store[key])}" for key in store.keys() - copy.keys()]
    said += [f"{name} still has {_named(copy[key])}" for key in copy.keys() - store.keys()]
    for key in store.keys() & copy.keys():
        if store[key] != copy[key]:
            fields = _differing(copy[key], store[key])
            said.append(f"{name} differs in {fields} of {_named(store[key])}")
    return said


def _differing(mine: Any, theirs: Any) -> dict[str, Any]:
    return {
        name: (getattr(mine, name), getattr(theirs, name))
        for name in EventView.__struct_fields__
        if getattr(mine, name) != getattr(theirs, name)
    }


def _named(event: EventView) -> str:
    return f"{event.provider_event_id} ({event.title}, {event.starts_at:%F %T}, version {event.version})"

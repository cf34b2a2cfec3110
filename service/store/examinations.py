"""Calendars whose events are to be examined again for links, because the rules are others by now, and those events.

`link_rules` of a calendar follows from what it and its project decide. Whoever works that out holds the project's
choices (`hold_choices`) from before its first lock to its commit: so a calendar that comes, or that takes its project's
choices on, and a project that changes them never miss each other. Calendars are locked before their project's row, as
by everybody.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, ColumnElement, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.lifecycle import State
from service.core.meeting_links import evidence
from service.core.meeting_links.choices import inherited_rules
from service.core.meeting_links.evidence import LinkRules
from service.store.tables import CalendarRow, EventRow, EventSourceRow, Found, Table
from webhooks.claims import padded

AT_ONCE: Final = 500

_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_events = Table.metadata.tables[str(EventRow.__tablename__)]
_sources = Table.metadata.tables[str(EventSourceRow.__tablename__)]
_c = _calendars.c
_key = bindparam("key", type_=BigInteger)
_hold_alone = select(func.pg_advisory_xact_lock(_key))
_hold_shared = select(func.pg_advisory_xact_lock_shared(_key))
_page = (
    select(_events.c.id, _events.c.provider_event_id, _events.c.body, _sources.c.raw)
    .join(_sources, _sources.c.event_id == _events.c.id)
    .where(_events.c.calendar_id == bindparam("calendar"), _events.c.deleted_at.is_(None))
    .order_by(_events.c.id)
    .limit(bindparam("most"))
)


class Examined(msgspec.Struct, frozen=True):
    """A stored event, its `body` as `service.store.events` writes it, with the provider's row as received.

    `raw` is None where that does not read any more.
    """

    id: UUID
    provider_event_id: str
    body: str
    raw: bytes | None


def rules_of(row: Found) -> LinkRules:
    """By which rules a stored calendar judges links."""
    return msgspec.convert(row.link_rules, LinkRules)


def is_examined(row: Found) -> bool:
    """Whether a calendar's stored events were examined by its rules and by the tables of today."""
    return bool(row.examined_epoch == row.link_epoch and row.examined_version == evidence.RULES_VERSION)


def rule_values(rules: LinkRules) -> dict[str, Any]:
    """Rules as column values of a new calendar."""
    return {"link_rules": msgspec.to_builtins(rules)}


def new_rule_values(rules: LinkRules, now: datetime) -> dict[str, Any]:
    """Rules that are others than a stored calendar had, as column values: it is due, to have its events examined."""
    due_at = case((_c.due_at < now, _c.due_at), else_=now)
    return rule_values(rules) | {"link_epoch": _c.link_epoch + 1, "due_at": due_at}


async def hold_choices(conn: AsyncConnection, project_id: UUID, *, alone: bool) -> None:
    """Keep others from changing what a project decides (`alone`: also from reading it for a calendar) until the commit.

    SQLite has one writer anyway.
    """
    if conn.dialect.name == "postgresql":
        key = int.from_bytes(project_id.bytes[8:], signed=True)
        await conn.execute(_hold_alone if alone else _hold_shared, {"key": key})


async def inherit(conn: AsyncConnection, project_id: UUID, preference: str, hosts: Sequence[Any], now: datetime) -> int:
    """A project decides this from now on: its calendars take on what they do not decide themselves, and are due.

    How many have other rules now.
    """
    query = (
        select(_c.id, _c.link_preference, _c.meeting_hosts, _c.link_rules)
        .where(_c.project_id == project_id, or_(_c.link_preference.is_(None), _c.meeting_hosts.is_(None)))
        .order_by(_c.id)
        .with_for_update(key_share=True)
    )
    others: dict[LinkRules, list[UUID]] = {}
    for row in await conn.execute(query):
        rules = inherited_rules(row.link_preference, row.meeting_hosts, preference, hosts)
        if rules != rules_of(row):
            others.setdefault(rules, []).append(row.id)
    for rules, ids in others.items():
        for start in range(0, len(ids), AT_ONCE):
            chunk = _c.id.in_(padded(ids[start : start + AT_ONCE]))
            await conn.execute(update(_calendars).where(chunk).values(new_rule_values(rules, now)))
    return sum(len(ids) for ids in others.values())


async def make_due(conn: AsyncConnection, now: datetime, most: int) -> int:
    """Have up to `most` disconnected calendars examined that nothing else would make due; how many."""
    behind = (
        select(_c.id)
        .where(_c.status == State.DISCONNECTED.value, _c.due_at.is_(None), _is_behind())
        .order_by(_c.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    statement = update(_calendars).where(_c.id.in_(behind.scalar_subquery())).values(due_at=now)
    return (await conn.execute(statement)).rowcount


async def page(conn: AsyncConnection, calendar_id: UUID, after: UUID | None, most: int) -> list[Examined]:
    """A calendar's live events that have a provider's row, by id, those behind the id `after`."""
    query = _page if after is None else _page.where(_events.c.id > after)
    found = await conn.execute(query, {"calendar": calendar_id, "most": most})
    return [Examined(row.id, row.provider_event_id, row.body, _decompressed(row.raw)) for row in found]


def _decompressed(stored: bytes) -> bytes | None:
    try:
        return zlib.decompress(stored)
    except zlib.error:
        return None


def _is_behind() -> ColumnElement[bool]:
    return or_(_c.examined_epoch != _c.link_epoch, _c.examined_version != evidence.RULES_VERSION)

"""What was read, or written, at a provider goes into the store in one transaction, together with the news of it.

    guard the leases → events and their sources → how the calendars stand → numbers → change log → outbox

The numbers are taken late, because they lock the project until the commit; who reads the log therefore never sees a
hole. The results of many calendars share a transaction, and each is still guarded by its own lease.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.announcements import Entry, entries, state_change, sync_notice, views
from service.core.decision import Decision
from service.core.lifecycle import Standing, State
from service.core.managed import newly_declined
from service.core.meeting_links import evidence
from service.store import (
    bots,
    calendars,
    changes,
    connection_standing,
    dialects,
    events,
    leases,
    managed_events,
    meetings,
    starts,
)
from service.store.tables import LEAD_SECONDS, Found
from webhooks import outbox
from webhooks.message import Dispatch, Lease, Notice


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What one sync wants written: `row` is the calendar as claimed, with its lease.

    `entries` are the changes of `decision`, encoded; `rejected_client` marks a fault that is the OAuth client's and is
    announced once for all of its calendars. `lead_seconds` are those that `event_rows` were made with.
    Without `is_examined` the stored events are still to be examined for links. What `is_ours` was written by us, and stands
    in the change log without being anybody's news.
    """

    row: Found
    now: datetime
    standing: Standing
    next_due: datetime | None
    cursor: str | None
    last_synced_at: datetime | None
    stale_at: datetime | None
    next_meeting_at: datetime | None
    time_zone: str | None
    decision: Decision
    entries: Sequence[Entry] = ()
    event_rows: Sequence[dict[str, Any]] = ()
    source_rows: Sequence[dict[str, Any]] = ()
    rejected_client: bool = False
    is_examined: bool = True
    is_ours: bool = False
    lead_seconds: tuple[int, ...] = LEAD_SECONDS

    @property
    def is_news(self) -> bool:
        """Whether more is to be written than the calendar's own row."""
        return bool(self.decision) or self.standing.status != self.row.announced_status or self.accepts_client

    @property
    def accepts_client(self) -> bool:
        """Whether an OAuth client that was at fault works again: its next fault is news."""
        return self.row.error_code == "client_rejected" and self.standing.status is State.ACTIVE

    @property
    def turns_connection(self) -> bool:
        """Whether the calendar's connection may stand otherwise from now on."""
        return (self.standing.status, self.standing.error_code) != (self.row.status, self.row.error_code)

    @property
    def is_first_sync(self) -> bool:
        """Whether this is the calendar's first whole round, which is announced as one, even when it is empty."""
        return self.row.last_synced_at is None and self.last_synced_at is not None

    @property
    def speaks(self) -> bool:
        """Whether the change log and the webhooks tell of it."""
        return bool(self.entries) or self.is_first_sync

    @property
    def weight(self) -> int:
        """About how many rows it stands for."""
        return 1 + 2 * len(self.event_rows) + len(self.entries)


class Settled(msgspec.Struct, frozen=True):
    """Whether the result was applied (False: the lease had passed to another), and what is to be delivered.

    `has_bots` says that meetings are to be looked at for their bots, `has_managed` that events of ours have changed.
    """

    applied: bool
    dispatches: Sequence[Dispatch] = ()
    has_bots: bool = False
    has_managed: bool = False


class _Concerned(NamedTuple):
    """The projects that have bots, those that have events which were written here, and those of which both is known."""

    bots: set[UUID]
    managed: set[UUID]
    known: set[UUID]

    @classmethod
    def nobody(cls) -> "_Concerned":
        return cls(set(), set(), set())

    def may_have_bots(self, project_id: UUID) -> bool:
        return project_id in self.bots or project_id not in self.known


def news_of(row: Found, decision: Decision, now: datetime, lead_seconds: tuple[int, ...]) -> dict[str, Any]:
    """A decision, and what it comes to in rows and in entries of the change log, as fields of a settlement."""
    shown = views(decision.upserts, row.id, now)
    placed = {"project_id": row.project_id, "calendar_id": row.id, "now": now}
    return {
        "decision": decision,
        "entries": entries(decision.changes, shown, row.id, now),
        "event_rows": events.rows(decision.upserts, shown, **placed, lead_seconds=lead_seconds),
        "source_rows": events.sources(decision.upserts),
        "lead_seconds": lead_seconds,
    }


async def settle_written(
    conn: AsyncConnection,
    written: Settlement,
    delivery: Lease | None,
    lead_seconds: MutableMapping[UUID, tuple[int, ...]],
) -> Settled:
    """Store what we have written to a calendar that is locked by this transaction.

    How the calendar stands, and where its next read goes on, is nothing of ours.
    """
    concerned = _Concerned.nobody()
    await _write_events(conn, [written])
    notices = await _publish(conn, [written], lead_seconds, concerned)
    dispatches = await outbox.put(conn, notices, now=written.now, lease=delivery) if notices else []
    has_bots = await _look_at_bots(conn, [written], concerned)
    # Others may have changed what we were about to write; what we set right ourselves need not be looked at.
    is_theirs = any(change.cause != "write" for change in written.decision.changes)
    has_managed = is_theirs and await _look_at_managed(conn, [written], concerned.managed)
    return Settled(True, dispatches, has_bots, has_managed)


async def settle(
    conn: AsyncConnection,
    settlements: Sequence[Settlement],
    delivery: Lease | None,
    lead_seconds: MutableMapping[UUID, tuple[int, ...]],
) -> list[Settled]:
    """Write the results of syncs; with `delivery` the webhooks are born leased to this process.

    `lead_seconds` learns the lead times of the projects that had news.
    """
    news = [settlement for settlement in settlements if settlement.is_news]
    turned = {each.row.connection_id for each in settlements if each.turns_connection}
    await connection_standing.hold(conn, turned)
    held: set[UUID] = set()
    if news:
        # All of the group, though only the news is asked about: rows are locked in one order.
        held = await leases.still_held(conn, [(each.row.id, each.row.lease) for each in settlements])
        news = [settlement for settlement in news if settlement.row.id in held]
    await _write_events(conn, news)
    await _rank_copies(conn, news)
    announced = {each.row.id: await _announced(conn, each) for each in news}
    for client_id in sorted({each.row.oauth_client_id for each in news if each.accepts_client}):
        await calendars.forget_rejection(conn, client_id)
    await leases.settle(conn, [_calendar_values(each, announced.get(each.row.id)) for each in settlements])
    notices = [notice for each in news for notice in _state_notices(each, announced[each.row.id])]
    notices += await connection_standing.news(conn, turned, settlements[0].now)
    concerned = _Concerned.nobody()
    notices += await _publish(conn, news, lead_seconds, concerned)
    dispatches = await outbox.put(conn, notices, now=settlements[0].now, lease=delivery) if notices else []
    # The dispatches of a group leave together; the first result carries them.
    results = [Settled(applied=not each.is_news or each.row.id in held) for each in settlements]
    has_bots = await _look_at_bots(conn, news, concerned)
    has_managed = await _look_at_managed(conn, news, concerned.managed)
    results[0] = Settled(results[0].applied, dispatches, has_bots, has_managed)
    return results


async def _write_events(conn: AsyncConnection, news: Sequence[Settlement]) -> None:
    event_rows = [row for settlement in news for row in settlement.event_rows]
    source_rows = [row for settlement in news for row in settlement.source_rows]
    if event_rows:
        await events.write(conn, event_rows, source_rows)
    for settlement in news:
        if settlement.decision.quarantined:
            await events.quarantine(conn, settlement.row.id, settlement.decision.quarantined, settlement.now)
        if settlement.decision.cured:
            await events.cure(conn, settlement.row.id, settlement.decision.cured)


async def _rank_copies(conn: AsyncConnection, news: Sequence[Settlement]) -> None:
    turned = [each for each in news if each.standing.status != each.row.status]
    lost = [each.row.id for each in turned if each.standing.status is State.DISCONNECTED]
    # Events of a first sync were just written as they are.
    read = [each.row.id for each in turned if each.standing.status is State.ACTIVE and each.row.last_synced_at]
    await meetings.mark_stale(conn, lost)
    await meetings.mark_fresh(conn, read)


async def _announced(conn: AsyncConnection, settlement: Settlement) -> str:
    """The status that the world has been told once this is committed."""
    status = settlement.standing.status
    told: str = settlement.row.announced_status
    if state_change(State(told), status) is None:
        return told
    if settlement.rejected_client and not await calendars.announce_rejection(conn, settlement.row.oauth_client_id):
        return told
    return status.value


async def _look_at_bots(conn: AsyncConnection, news: Sequence[Settlement], concerned: _Concerned) -> bool:
    """Have meetings that have changed, or whose lead may be another, looked at; last, as their looks are locked last."""
    turned = [each.row for each in news if each.standing.status != each.row.status]
    asked = [row.id for row in turned if concerned.may_have_bots(row.project_id)]
    found = await bots.mark_calendars(conn, asked, news[0].now) if asked else False
    for project_id in sorted(concerned.bots):
        mine = [row for each in news if each.row.project_id == project_id for row in each.event_rows]
        if mine:
            found = await bots.mark_written(conn, project_id, mine, news[0].now) or found
    return found


async def _look_at_managed(conn: AsyncConnection, news: Sequence[Settlement], with_managed: set[UUID]) -> bool:
    """Have events of ours looked at that were found changed."""
    found = False
    for each in sorted(news, key=lambda settlement: settlement.row.id):
        if each.row.project_id in with_managed and each.decision.changes:
            found = await managed_events.mark(conn, each.row.id, each.decision.changes, each.now) or found
    return found


async def _publish(
    conn: AsyncConnection,
    news: Sequence[Settlement],
    lead_seconds: MutableMapping[UUID, tuple[int, ...]],
    concerned: _Concerned,
) -> list[Notice]:
    """The news, written to the change log; `concerned` learns whose matter it is beside the readers'."""
    notices: list[Notice] = []
    numbered: list[dict[str, Any]] = []
    # One order of projects everywhere, so that two workers never wait for each other's numbers.
    writing = [each for each in news if each.speaks or each.event_rows]
    for project_id in sorted({each.row.project_id for each in writing}):
        mine = [each for each in writing if each.row.project_id == project_id]
        taken = await changes.take_numbers(conn, project_id, sum(len(each.entries) for each in mine))
        seq, lead_seconds[project_id] = taken.first, taken.lead_seconds
        concerned.known.add(project_id)
        if taken.has_bots:
            concerned.bots.add(project_id)
        if taken.has_managed:
            concerned.managed.add(project_id)
        await _correct(conn, mine, lead_seconds[project_id])
        for settlement in mine:
            if not settlement.speaks:
                continue
            rows = changes.rows(
                settlement.entries,
                project_id=project_id,
                calendar_id=settlement.row.id,
                first_seq=seq,
                now=settlement.now,
            )
            numbered.extend(rows)
            if not settlement.is_ours:
                notices.extend(_change_notices(settlement, seq))
            seq += len(rows)
    if numbered:
        await changes.append(conn, numbered)
    return notices


async def _correct(conn: AsyncConnection, mine: Sequence[Settlement], lead_seconds: tuple[int, ...]) -> None:
    """Arm events anew that were made with lead times which the project no longer has, or which nobody knew yet."""
    for settlement in mine:
        if settlement.event_rows and settlement.lead_seconds != lead_seconds:
            await starts.correct(conn, settlement.event_rows, lead_seconds, settlement.now)


def _change_notices(settlement: Settlement, first_seq: int) -> list[Notice]:
    row, now, entries = settlement.row, settlement.now, settlement.entries
    summary = sync_notice(row.id, entries, first_seq=first_seq, now=now, initial=settlement.is_first_sync)
    tell = dialects.of_sync(row, entries, now, is_first=settlement.is_first_sync)
    notices = [Notice(row.project_id, "calendar.sync_events", summary, now, row.id, tell=tell)]
    if not settlement.is_first_sync:
        notices += [
            Notice(row.project_id, f"event.{entry.kind}", msgspec.Raw(changes.numbered_body(seq, entry)), now, row.id)
            for seq, entry in enumerate(entries, first_seq)
        ]
        notices += _declined(settlement, first_seq)
    return notices


def _declined(settlement: Settlement, first_seq: int) -> Iterator[Notice]:
    """`event.declined` for each attendee who has said no."""
    row = settlement.row
    told = zip(settlement.entries, settlement.decision.changes, strict=True)
    for seq, (entry, change) in enumerate(told, first_seq):
        for person in newly_declined(change.fields):
            body = b'%b,"attendee":%b}' % (changes.numbered_body(seq, entry)[:-1], msgspec.json.encode(person))
            yield Notice(row.project_id, "event.declined", msgspec.Raw(body), settlement.now, row.id)


def _state_notices(settlement: Settlement, announced: str) -> list[Notice]:
    row, standing = settlement.row, settlement.standing
    if announced == row.announced_status or announced != standing.status.value:
        return []
    data = calendars.notice(row, standing, previous=row.status)
    tell = dialects.of_calendar(row, standing, announced, settlement.now)
    return [Notice(row.project_id, f"calendar.{announced}", data, settlement.now, row.id, tell=tell)]


def _calendar_values(settlement: Settlement, announced: str | None) -> dict[str, Any]:
    row = settlement.row
    new = calendars.standing_values(settlement.standing) | {
        "announced_status": announced or row.announced_status,
        "cursor": settlement.cursor,
        "last_synced_at": settlement.last_synced_at,
        "stale_at": settlement.stale_at,
        "next_meeting_at": settlement.next_meeting_at,
        "time_zone": settlement.time_zone,
        "examined_epoch": row.link_epoch if settlement.is_examined else row.examined_epoch,
        "examined_version": evidence.RULES_VERSION if settlement.is_examined else row.examined_version,
        "updated_at": settlement.now if settlement.standing.status != row.status else row.updated_at,
    }
    return {"held_id": row.id, "held": row.lease, "next_due": settlement.next_due} | {
        f"new_{name}": new[name] for name in leases.SETTLED
    }

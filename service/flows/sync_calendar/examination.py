"""Examining a calendar's stored events again: the rules for links are others by now, or the tables have improved.

It asks no provider: what each row said is kept. So it also serves calendars that cannot be read now, or never again.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from service.core import sync
from service.core.decision import Decision, decide
from service.core.event import Event, decode_event
from service.core.lifecycle import State
from service.core.meeting_links.evidence import LinkRules
from service.core.meeting_links.finding import find
from service.core.schedule import window_at
from service.core.sync import Round
from service.flows.gateway import Gateway
from service.providers.protocol import Provider
from service.store import events, examinations
from service.store.examinations import AT_ONCE, Examined
from service.store.tables import Found

AT_A_TURN: Final = 20
"""Events examined between two turns of the event loop: a few milliseconds, unless their texts are long."""


def is_due_for_examination_alone(row: Found, now: datetime) -> bool:
    """Whether a claimed calendar's provider is not to be asked: never again, or not before a pause is over.

    Somebody's wish to have it read now ends a pause; new rules do not.
    """
    if row.status == State.DISCONNECTED.value:
        return True
    in_pause = row.retry_at is not None and row.retry_at > now
    return in_pause and row.due_cause != "resync" and not examinations.is_examined(row)


async def examine(gateway: Gateway, row: Found) -> dict[str, Event]:
    """A claimed calendar's stored events whose link is another by the rules of now, by provider id, with that link.

    Nothing, and no query, when it is examined already.
    """
    if examinations.is_examined(row) or row.last_synced_at is None:
        return {}
    provider, rules = gateway.providers[row.provider], examinations.rules_of(row)
    found: dict[str, Event] = {}
    after = None
    while True:
        async with gateway.database.look() as conn:
            page = await examinations.page(conn, row.id, after, AT_ONCE)
        for start in range(0, len(page), AT_A_TURN):
            found |= _relinked(provider, rules, page[start : start + AT_A_TURN])
            await asyncio.sleep(0)
        if len(page) < AT_ONCE:
            return found
        after = page[-1].id


async def decide_alone(gateway: Gateway, row: Found, now: datetime) -> Decision:
    """What an examination without a reading wants written."""
    progress = Round(window=window_at(now, row.horizon_days), full=False, reexamined=await examine(gateway, row))
    if not progress.reexamined:
        return Decision()
    async with gateway.database.read() as conn:
        known = await events.known(conn, row.id, rows=progress.reexamined)
        found = sync.compare(progress, known)
        stored = await events.stored(conn, found.needs)
    return decide(found, stored, cause="resync", now=now, ids=iter(()))


def _relinked(provider: Provider, rules: LinkRules, page: Iterable[Examined]) -> dict[str, Event]:
    found: dict[str, Event] = {}
    for stored in page:
        if stored.raw is None:
            continue  # what does not read (any more) keeps the link that it had
        try:
            link = find(provider.evidence(stored.raw), rules)
        except ValueError:
            continue
        event = decode_event(stored.body)
        if (event.meeting, event.meeting_hint) != (link.meeting, link.hint):
            found[stored.provider_event_id] = msgspec.structs.replace(
                event, meeting=link.meeting, meeting_hint=link.hint
            )
    return found

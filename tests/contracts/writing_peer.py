"""The other side of what is written: a peer like the real one, and the short forms of asking it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from contracts.provider_contract import NOW, WINDOW, ZONE, read_round

from service.core.drafts import Draft, Patch
from service.core.event import Event, encode_event
from service.core.sync import Listed
from service.providers.protocol import Access, Provider
from service.providers.writing import Place, Target, Writer, Written

KEY, OTHER_KEY = UUID(int=0x1234 << 96 | 7).hex, UUID(int=0x4321 << 96 | 8).hex
AT = NOW + timedelta(days=1, hours=5)
GRACE, ALAN = "grace@example.org", "alan@example.org"
PLAIN = Draft(
    title="Planning",
    description="What comes next",
    location="Room 4",
    starts_at=AT,
    ends_at=AT + timedelta(minutes=45),
    time_zone=ZONE,
)


class WriterPeer(Protocol):
    """The other side: one account with an empty calendar in ZONE that it may write, at the time NOW.

    `read_only_id` is a calendar that it may read alone, `conference` what it can make and `foreign_conference` what not;
    None where there is no such thing. `always_mails` says that guests are told whatever is asked; `tells` that the peer
    knows who was.
    """

    provider: Provider
    writer: Writer
    access: Access
    calendar_id: str
    read_only_id: str | None
    conference: str | None
    foreign_conference: str | None
    always_mails: bool
    tells: bool
    has_scopes: bool

    def count(self) -> int:
        """How many events and series are in the calendar."""
        ...

    def told(self) -> list[tuple[str, str]]:
        """Who was mailed since the last look, as (kind, address): invitation, update, cancellation."""
        ...

    def reminders(self, event_id: str) -> list[int]: ...
    def rename(self, event_id: str, title: str) -> None: ...
    def erase(self, event_id: str) -> None: ...
    def answer(self, event_id: str, email: str) -> None:
        """The guest accepts."""
        ...

    def lose_answer(self) -> None:
        """The next write is carried out, and its answer lost."""
        ...

    def refuse_once(self) -> None:
        """The next write fails, and is not carried out."""
        ...

    def withhold_writing(self) -> None: ...
    def remove_calendar(self) -> None: ...


def place_of(peer: WriterPeer, calendar_id: str | None = None) -> Place:
    return Place(raw_calendar_id=calendar_id or peer.calendar_id, time_zone=ZONE)


def draft_with(**fields) -> Draft:
    return Draft(**{**{name: getattr(PLAIN, name) for name in Draft.__struct_fields__}, **fields})


class RacingPeer(WriterPeer, Protocol):
    """A peer that can have something happen between our reading and our writing."""

    def before_write(self, act: Callable[[], None]) -> None:
        """Do this once, when the next PATCH or DELETE has arrived and before it is carried out."""
        ...


async def create(peer: WriterPeer, key: str = KEY, **fields) -> Written:
    return await peer.writer.create(peer.access, place_of(peer), draft_with(**fields), key=key)


async def change(peer: WriterPeer, written: Written, *, strict: bool = True, **fields) -> Written:
    return await peer.writer.change(peer.access, place_of(peer), target_of(written), Patch(**fields), strict=strict)


async def remove(peer: WriterPeer, written: Written, *, notify: bool = True, strict: bool = True) -> None:
    await peer.writer.remove(peer.access, place_of(peer), target_of(written), notify=notify, strict=strict)


def target_of(written: Written) -> Target:
    raw = written.item.raw if isinstance(written.item, Listed) else None
    return Target(provider_event_id=written.provider_event_id, raw=raw, is_series=written.item is None)


def event_of(written: Written) -> Event:
    assert isinstance(written.item, Listed)
    assert written.item.event.provider_event_id == written.provider_event_id
    return written.item.event


async def listed(peer: WriterPeer) -> dict[str, Event]:
    """What a sync reads."""
    items, _token = await read_round(peer)
    return {item.event.provider_event_id: item.event for item in items if isinstance(item, Listed)}


async def same_as_read(peer: WriterPeer, written: Written) -> Event:
    """The event, which has to be to the byte what the next sync reads: what we wrote is no news."""
    event = event_of(written)
    assert encode_event((await listed(peer))[written.provider_event_id]) == encode_event(event)
    return event


async def occurrences(peer: WriterPeer, series_id: str) -> list[Listed]:
    rows = peer.provider.series(peer.access, peer.calendar_id, series_id, window=WINDOW, time_zone=ZONE)
    found = [item async for item in rows]
    return sorted((item for item in found if isinstance(item, Listed)), key=lambda item: item.event.starts_at)


def weekly(**fields) -> dict:
    return {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"], **fields}

"""A calendar's store in miniature, and short forms of what a provider lists, to play rounds with."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from service.core.decision import Decision, decide
from service.core.event import Event, Meeting, decode_event
from service.core.schedule import Window
from service.core.sync import Item, Known, Listed, Page, Round, absorb, absorb_series, compare

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(NOW - DAY, NOW + 30 * DAY)
LINK = Meeting(url="https://zoom.us/j/12345678901", platform="zoom", found_in="conferenceData")


def event(name: str, *, day: float = 1, series: str | None = None, **more: object) -> Event:
    start = NOW + day * DAY
    return Event(
        provider_event_id=name,
        series_id=series,
        title=str(more.pop("title", "t")),
        starts_at=start,
        ends_at=start + timedelta(hours=1),
        **more,  # type: ignore[arg-type]
    )


class Store:
    """What a calendar has, kept as the tables keep it; `play` is a whole round and leaves its result here."""

    def __init__(self, *events: Event) -> None:
        self.known: dict[str, Known] = {}
        self.events: dict[UUID, Event] = {}
        self.set_aside: set[str] = set()
        self._ids = (UUID(int=number) for number in range(1, 10_000))
        for each in events:
            self.play(Round(window=WINDOW, full=False), Listed(each, b"{}"))

    def play(self, progress: Round, *items: Item, series: dict[str, list[Item]] | None = None) -> Decision:
        absorb(progress, Page(items, "token"))
        for name, listed in (series or {}).items():
            absorb_series(progress, name, listed)
        found = compare(progress, self.known, self.set_aside)
        stored = {each: self.events[each] for each in found.needs}
        decision = decide(found, stored, cause="poll", now=NOW, ids=self._ids, entered=progress.entered)
        self.write(decision)
        return decision

    def write(self, decision: Decision) -> None:
        for upsert in decision.upserts:
            kept = decode_event(upsert.body)
            self.events[upsert.id] = kept
            self.known[kept.provider_event_id] = Known(
                id=upsert.id,
                provider_event_id=kept.provider_event_id,
                series_id=kept.series_id,
                starts_at=kept.starts_at,
                ends_at=kept.ends_at,
                fingerprint=upsert.fingerprint,
                previous_fingerprint=upsert.previous_fingerprint,
                flaps=upsert.flaps,
                version=upsert.version,
                created_at=upsert.created_at,
                is_cancelled=kept.status == "cancelled",
            )
        self.set_aside -= set(decision.cured)
        self.set_aside |= {row.provider_event_id for row in decision.quarantined}

    @property
    def live(self) -> set[str]:
        return {each.provider_event_id for each in self.events.values() if each.status != "cancelled"}


def delta() -> Round:
    return Round(window=WINDOW, full=False)


def full() -> Round:
    return Round(window=WINDOW, full=True)


def listed(*events: Event) -> list[Item]:
    return [Listed(each, b"{}") for each in events]


def news(decision: Decision) -> list[tuple[str, str]]:
    return [(change.kind, change.upsert.event.provider_event_id) for change in decision.changes]


def occurrences(*days: float, series: str = "s", **more: object) -> list[Event]:
    return [event(f"{series}_{day}", day=day, series=series, **more) for day in days]

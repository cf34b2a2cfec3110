"""calendarView/delta: full rounds and incremental ones, with everything that Graph leaves out of them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from simulator.google.answers import Request
from simulator.microsoft.access import origin_of
from simulator.microsoft.changes import lay_at, overlaps
from simulator.microsoft.errors import GraphError, invalid, sync_state_gone
from simulator.microsoft.links import Round, seal, unseal
from simulator.microsoft.moments import parse_bound, show_instant
from simulator.microsoft.query import refuse_all, text
from simulator.microsoft.rows import Row, in_window, instances, row_of
from simulator.microsoft.state import Calendar, Record, State
from simulator.microsoft.views import Preference, show_event, show_removed, show_sparse

CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#Collection(event)"
LAST = 1_000_000


@dataclass(frozen=True, slots=True)
class DeltaRow:
    """A row and its place: by revision, by family, and within the family."""

    place: list[Any]
    row: Row | None = None
    removed: tuple[str, str] | None = None  # key and reason
    poison: dict[str, Any] | None = None


def read_delta(
    state: State, calendar: Calendar, request: Request, prefer: Preference, *, looping: bool = False
) -> dict[str, Any]:
    """One page of a round. `looping` gives a nextLink that leads to the same page for ever."""
    refuse_all(request.query, "CalendarView")
    at = _read_round(state, calendar, request)
    link = f"{origin_of(request)}{request.path}?"
    answer: dict[str, Any] = {"@odata.context": CONTEXT}
    if at.after is None and at.empties < state.settings.empty_pages:
        further = msgspec.structs.replace(at, kind="skip", empties=at.empties + 1)
        return {**answer, "@odata.nextLink": f"{link}$skiptoken={seal(further)}", "value": []}
    rows = sorted(_rows(state, calendar, at), key=lambda each: each.place)
    if at.after is not None:
        rows = [each for each in rows if each.place > at.after]
    size = min(prefer.page_size or state.settings.default_page, state.settings.largest_page)
    page, more = rows[:size], len(rows) > size
    if looping:
        again = msgspec.structs.replace(at, kind="skip", nonce=state.random.getrandbits(32))
        answer["@odata.nextLink"] = f"{link}$skiptoken={seal(again)}"
    elif more:
        # The last row may come again; of a page with one row it would come for ever.
        last = page[-2] if state.settings.repeat_rows and len(page) > 1 else page[-1]
        further = msgspec.structs.replace(at, kind="skip", after=last.place, empties=LAST)
        answer["@odata.nextLink"] = f"{link}$skiptoken={seal(further)}"
    else:
        done = Round("delta", calendar.id, calendar.epoch, at.low, at.high, since=at.upto)
        answer["@odata.deltaLink"] = f"{link}$deltatoken={seal(done)}"
    answer["value"] = [_show(state, calendar, each, prefer) for each in page]
    return answer


def location_of(request: Request) -> str:
    """Where a client that lost its state may begin again: the same window, and an empty token."""
    token = text(request.query, "$deltatoken") or text(request.query, "$skiptoken")
    if token:
        at = unseal(token)
        low, high = show_instant(at.low), show_instant(at.high)
    else:
        low, high = text(request.query, "startDateTime") or "", text(request.query, "endDateTime") or ""
    window = f"startDateTime={quote(low, safe=':')}&endDateTime={quote(high, safe=':')}"
    return f"{origin_of(request)}{request.path}?{window}&$deltatoken="


def _read_round(state: State, calendar: Calendar, request: Request) -> Round:
    """The round that a link stands for, or a new one. Raises GraphError for a link that has expired."""
    skip, delta = text(request.query, "$skiptoken"), text(request.query, "$deltatoken")
    if not skip and not delta:
        low = parse_bound(text(request.query, "startDateTime"), "StartDateTime")
        high = parse_bound(text(request.query, "endDateTime"), "EndDateTime")
        if high <= low:
            raise invalid("The end of the window must be after its start.")
        return Round("first", calendar.id, calendar.epoch, low, high, upto=calendar.revision)
    at = unseal(skip or delta or "")
    if at.calendar != calendar.id or at.kind != ("skip" if skip else "delta"):
        raise GraphError(400, "SyncStateInvalid", "The token belongs to another request.")
    if at.epoch != calendar.epoch:
        settings = state.settings
        said = settings.sync_state_status == 410 and settings.sync_state_location
        raise sync_state_gone(settings.sync_state_status, {"Location": location_of(request)} if said else None)
    return at if skip else msgspec.structs.replace(at, upto=max(state.visible(calendar), at.since or 0))


def _rows(state: State, calendar: Calendar, at: Round) -> list[DeltaRow]:
    newest = calendar.revision if at.since is None else max(state.visible(calendar), at.since)
    since = at.since if at.since is not None else -1
    rows: list[DeltaRow] = []
    if newest <= since:
        return rows  # the common answer of a poll: nothing new
    for record in calendar.records.values():
        if record.master is None and since < record.revision <= newest:
            rows += _family(state, calendar, record, at)
    if at.since is not None:
        for grave in calendar.tombstones.values():
            if since < grave.revision <= newest and (state.settings.stray_removals or _was_seen(grave.spans, at)):
                rows.append(DeltaRow([grave.revision, grave.key, 0], removed=(grave.key, "deleted")))
    for revision, raw in calendar.poison:
        if since < revision <= newest:
            rows.append(DeltaRow([revision, "", 0], poison=raw))
    return rows


def _family(state: State, calendar: Calendar, record: Record, at: Round) -> list[DeltaRow]:
    """The rows of a changed event. A changed series comes whole: its master and what is left of it in the window.

    An occurrence that was cancelled or moved away is simply not among them.
    """
    top = row_of(record)
    if record.recurring:
        found = instances(state, calendar, record, at.low, at.high)
        if found:
            place = LAST if state.settings.masters_last else 0
            rows = [DeltaRow([record.revision, record.key, number], row) for number, row in enumerate(found, 1)]
            return [DeltaRow([record.revision, record.key, place], top), *rows]
    elif in_window(calendar, top, at.low, at.high):
        return [DeltaRow([record.revision, record.key, 0], top)]
    if at.since is not None and (state.settings.stray_removals or _was_seen(record.spans, at)):
        return [DeltaRow([record.revision, record.key, 0], removed=(record.key, "changed"))]
    return []


def _was_seen(spans: list[tuple[int, int, int]], at: Round) -> bool:
    """Whether the reader of the last round has it; of a series only the whole extent is remembered."""
    before = lay_at(spans, at.since or 0)
    during = [span[1:] for span in spans if span[0] > (at.since or 0)]
    return any(overlaps(*span, at.low, at.high) for span in [*([before] if before else []), *during])


def _show(state: State, calendar: Calendar, each: DeltaRow, prefer: Preference) -> dict[str, Any]:
    if each.poison is not None:
        return each.poison
    if each.removed is not None:
        return show_removed(*each.removed, prefer)
    row = each.row
    if row is None:
        return {}
    if row.kind == "occurrence":
        return show_sparse(calendar, row, prefer)
    return {"@odata.type": "#microsoft.graph.event", **show_event(state, calendar, row, prefer)}

"""Writing to Outlook's calendars: events made once for each key, changed and removed.

Graph has no word for "and tell nobody": whoever is on a meeting's list of guests gets its invitation, its updates and its
cancellation (graph/api/calendar-post-events). So what would mail guests although the caller asked that it should not is
refused, with that reason; a caller who can live with the mail asks again with `notify`. Events without guests, and what
only concerns one's own copy (reminders, how one's time is shown, sensitivity), are written either way.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NoReturn
from uuid import UUID

import msgspec
from msgspec import UNSET

from service.core.drafts import Draft, Patch, given
from service.core.event import Event
from service.errors import (
    CalendarGone,
    CannotBeSilent,
    EventGone,
    Outdated,
    ProviderError,
    ReadOnly,
    RequestRefused,
    ScopeMissing,
    TransientFault,
)
from service.providers.edits import is_made
from service.providers.exchange import Answer
from service.providers.lenient import UNREADABLE
from service.providers.microsoft.answers import judge_write
from service.providers.microsoft.bodies import MARK, TEAMS, TEAMS_PROVIDER, draft_body, patch_body, wants_teams
from service.providers.microsoft.graph import Graph, segment
from service.providers.microsoft.reading import Lens
from service.providers.microsoft.standing import STANDING_FIELDS, Standing, Standpoint, seen_of
from service.providers.protocol import Access
from service.providers.writing import Place, Target, Written

WAITS: Final = (0.3, 0.5, 0.8, 1.0, 1.0)
"""Seconds between looks at an online meeting whose address Graph does not have yet: less than four in all."""

TIMES: Final = 3
"""How often a change is made anew because somebody wrote in between."""

UNTOLD: Final = "Outlook mails the guests of a meeting whatever is asked: let notify be true, or have no guests"
_OWN: Final = frozenset({"visibility", "is_busy", "reminders"})
_DUPLICATE: Final = "errorduplicatetransactionid"


class _Calendar(msgspec.Struct, gc=False, rename="camel"):
    can_edit: bool | None = None
    allowed_online_meeting_providers: list[str] | None = None


_calendar: Final = msgspec.json.Decoder(_Calendar)


class MicrosoftWriter:
    """Graph as a place to write to. `waits` are the pauses before looks at an online meeting that has no address yet."""

    def __init__(self, graph: Graph, *, waits: Sequence[float] = WAITS) -> None:
        self._graph = graph
        self._waits = waits

    async def create(self, access: Access, place: Place, draft: Draft, *, key: str) -> Written:
        """POST with the key as `transactionId`, to which Exchange answers a repeat with the event that is there."""
        if draft.attendees and not draft.notify:
            raise CannotBeSilent(UNTOLD)
        body = draft_body(draft, place.time_zone, _transaction(key))
        if draft.conference == TEAMS:
            await self._require_teams(access, place)
        answer = await self._graph.call(access, "POST", self._graph.url(f"{_path(place)}/events"), json=body)
        if answer.status == 409 and self._judge(answer).reason.lower() == _DUPLICATE:
            found = await self._marked(access, place, key)
            if not found:
                raise EventGone("the transaction is known, and its event deleted")
            row = await self._get(access, place, found[0])
        else:
            row = Standpoint(await self._good(access, place, answer))
        return await self._settled(access, place, row, wants_teams=draft.conference == TEAMS)

    async def withdraw(self, access: Access, place: Place, draft: Draft, *, key: str) -> None:  # noqa: ARG002 - the key is enough
        """Delete what bears the key as its mark. Guests who got an invitation get a cancellation: Graph sees to that."""
        for event_id in await self._marked(access, place, key):
            await self._delete(access, place, event_id)

    async def change(self, access: Access, place: Place, target: Target, patch: Patch, *, strict: bool) -> Written:
        """PATCH of the version that was just read. A change that is there already is not made twice."""
        lens = _lens(access, place)
        for _ in range(TIMES):
            row = await self._get(access, place, target.provider_event_id)
            event = row.event(lens)
            asks_teams = patch.conference is not UNSET and patch.conference == TEAMS
            if strict and await self._is_made(access, place, target, patch, event):
                return await self._settled(access, place, row, wants_teams=asks_teams)
            _refuse_to_mail(patch, row.standing)
            if wants_teams(patch, row.standing):
                await self._require_teams(access, place)
            body = patch_body(patch, event, row.standing, place.time_zone)
            if not body:
                return row.written(lens)
            url = self._graph.url(f"{_path(place)}/events/{segment(target.provider_event_id)}")
            answer = await self._graph.call(access, "PATCH", url, json=body, if_match=row.standing.etag)
            if not _is_outdated(answer):
                row = await self._answered(access, place, target, answer)
                return await self._settled(access, place, row, wants_teams=asks_teams)
        raise Outdated("somebody else keeps writing this event")

    async def remove(self, access: Access, place: Place, target: Target, *, notify: bool, strict: bool) -> None:
        """DELETE, which cancels a meeting of one's own; a guest's copy goes, and nobody hears of it."""
        for _ in range(TIMES):
            etag = None
            if strict or not notify:
                try:
                    row = await self._get(access, place, target.provider_event_id)
                    event = row.event(_lens(access, place))
                except EventGone:
                    return
                if not notify and row.standing.is_organizer and row.standing.guests:
                    raise CannotBeSilent(UNTOLD)
                if strict:
                    await self._is_made(access, place, target, Patch(), event)
                    if row.standing.recurrence and not target.is_series:
                        raise Outdated("the event is a series by now")
                    etag = row.standing.etag
            if await self._delete(access, place, target.provider_event_id, if_match=etag):
                return
        raise Outdated("somebody else keeps writing this event")

    async def read(self, access: Access, place: Place, target: Target) -> Written:
        """GET of one event; of a series its master's id."""
        row = await self._get(access, place, target.provider_event_id)
        return row.written(_lens(access, place))

    async def _is_made(self, access: Access, place: Place, target: Target, patch: Patch, current: Event) -> bool:
        """Whether the patch was made already. Raises Outdated where the event is not what `target.raw` shows, and not that."""
        lens = _lens(access, place)
        seen = seen_of(target, lens)
        if seen is None:
            return False
        if seen.provider_event_id != current.provider_event_id:
            # Of a series the caller knows an occurrence: the series is as it was if that one is.
            try:
                current = (await self._get(access, place, seen.provider_event_id)).event(lens)
            except EventGone:
                raise Outdated("the occurrence is gone") from None
        if seen == current:
            return False
        if patch != Patch() and is_made(seen, current, patch):
            return True
        raise Outdated("the event was changed since it was read")

    async def _require_teams(self, access: Access, place: Place) -> None:
        """Raise RequestRefused where the calendar has no Teams: Graph would make the event, and no meeting."""
        allowed = (await self._calendar(access, place)).allowed_online_meeting_providers
        if allowed is not None and TEAMS_PROVIDER not in allowed:
            raise RequestRefused("this calendar does not offer Microsoft Teams")

    async def _calendar(self, access: Access, place: Place) -> _Calendar:
        url = self._graph.url(_path(place), {"$select": "canEdit,allowedOnlineMeetingProviders"})
        try:
            return _calendar.decode((await self._graph.get(access, url)).body)
        except UNREADABLE:
            raise TransientFault("the calendar cannot be read") from None

    async def _marked(self, access: Access, place: Place, key: str) -> list[str]:
        """The ids of the events that we made with this key: one, or none."""
        bears = f"ep/id eq '{MARK}' and ep/value eq '{_transaction(key)}'"
        params = {"$filter": f"singleValueExtendedProperties/Any(ep: {bears})", "$select": "id", "$top": "10"}
        found: list[str] = []
        async for page in self._graph.pages(access, self._graph.url(f"{_path(place)}/events", params)):
            found += [event_id for row in page.value or () if (event_id := Standpoint(bytes(row)).standing.id)]
        return found

    async def _get(self, access: Access, place: Place, event_id: str) -> Standpoint:
        url = self._graph.url(f"{_path(place)}/events/{segment(event_id)}", {"$select": STANDING_FIELDS})
        answer = await self._graph.call(access, "GET", url)
        if not answer.is_good:
            await self._blame(access, place, self._judge(answer))
        return Standpoint(answer.body)

    async def _answered(self, access: Access, place: Place, target: Target, answer: Answer) -> Standpoint:
        """The event after a PATCH, which may answer 200 with it, or 204."""
        if not answer.is_good:
            await self._blame(access, place, self._judge(answer))
        if answer.body.strip():
            return Standpoint(answer.body)
        return await self._get(access, place, target.provider_event_id)

    async def _delete(self, access: Access, place: Place, event_id: str, *, if_match: str | None = None) -> bool:
        """Whether it is gone now; False where the etag no longer holds."""
        url = self._graph.url(f"{_path(place)}/events/{segment(event_id)}")
        answer = await self._graph.call(access, "DELETE", url, if_match=if_match)
        if if_match and _is_outdated(answer):
            return False
        if not answer.is_good:
            error = self._judge(answer)
            if not isinstance(error, EventGone | CalendarGone):
                await self._blame(access, place, error)
        return True

    async def _settled(self, access: Access, place: Place, row: Standpoint, *, wants_teams: bool) -> Written:
        """What was written, with the way into its online meeting, or the word that there is none (yet)."""
        for pause in self._waits if wants_teams and row.standing.is_online_meeting else ():
            if row.standing.join_url:
                break
            await asyncio.sleep(pause)
            row = await self._get(access, place, row.standing.id or "")
        written = row.written(_lens(access, place))
        if not wants_teams or row.standing.join_url:
            return written
        return msgspec.structs.replace(written, conference="pending" if row.standing.is_online_meeting else "failed")

    async def _good(self, access: Access, place: Place, answer: Answer) -> bytes:
        if not answer.is_good:
            error = self._judge(answer)
            if isinstance(error, CalendarGone | EventGone):
                # Where an event is made, the only id in the request is the calendar's.
                raise CalendarGone(error.reason)
            await self._blame(access, place, error)
        return answer.body

    async def _blame(self, access: Access, place: Place, error: ProviderError) -> NoReturn:
        """Raise the error as what it is: a 403 may be the calendar's or the consent's, a 404 the event's or the calendar's."""
        if isinstance(error, ScopeMissing) and (await self._calendar(access, place)).can_edit is False:
            raise ReadOnly(error.reason) from error
        if isinstance(error, CalendarGone):
            await self._calendar(access, place)
            raise EventGone(error.reason) from error
        raise error

    def _judge(self, answer: Answer) -> ProviderError:
        return judge_write(answer.status, answer.headers, answer.body, self._graph.clock())


def _path(place: Place) -> str:
    # By its calendar an event is found in the mailboxes of others, too.
    return f"/me/calendars/{segment(place.raw_calendar_id)}"


def _lens(access: Access, place: Place) -> Lens:
    return Lens(zone_name=place.time_zone, rules=place.rules, email=access.email)


def _transaction(key: str) -> str:
    return str(UUID(key))


def _is_outdated(answer: Answer) -> bool:
    return answer.status == 412 or (answer.status == 409 and b"ErrorIrresolvableConflict" in answer.body)


def _refuse_to_mail(patch: Patch, standing: Standing) -> None:
    """Raise CannotBeSilent where guests would be told of a change although the caller asked that they be not."""
    has_guests = bool(standing.guests) or bool(patch.attendees)
    if not patch.notify and has_guests and standing.is_organizer and given(patch).keys() - _OWN:
        raise CannotBeSilent(UNTOLD)

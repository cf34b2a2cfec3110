"""What a script may do to events: add, move, edit, cancel, split, answer, and read the truth."""

from copy import deepcopy
from datetime import timedelta
from html import escape
from typing import Any

from simulator.microsoft.bodies import address_of
from simulator.microsoft.changes import merged, remove
from simulator.microsoft.edits import find_event, insert_event, patch_event, respond, split_series
from simulator.microsoft.errors import invalid
from simulator.microsoft.moments import end_of, parse_bound, parse_moment, windows_name
from simulator.microsoft.rows import Row, row_of, view
from simulator.microsoft.sharing import mark_cancelled, withdraw
from simulator.microsoft.state import Calendar, Record, State
from simulator.microsoft.subscriptions import notify_subscribers
from simulator.microsoft.views import Preference, is_organizer, show_event

SHOWN = Preference(immutable=True)
# Google's words for the same answers.
RESPONSES = {"tentative": "tentativelyAccepted", "needsAction": "notResponded"}


class EventScript(State):
    """The part of a world that scripts events. Wherever a calendar's id is wanted, an address means its default one."""

    def add_event(self, calendar_id: str, event: dict[str, Any]) -> dict[str, Any]:
        """Store an event given as Graph spells it; unlike the API it accepts any organizer and online meeting."""
        calendar = self.find_calendar(calendar_id)
        return self._done(calendar, insert_event(self, calendar, event, trusted=True))

    def add_invitation(
        self, calendar_id: str, uid: str, event: dict[str, Any], organizer: str = "host@google.example"
    ) -> dict[str, Any]:
        """The copy of an invitation that came by mail from elsewhere, with the UID it had there."""
        calendar = self.find_calendar(calendar_id)
        guest = {"emailAddress": {"address": calendar.owner}}
        whole = {"attendees": [guest], "showAs": "tentative", **event, "organizer": address_of(organizer)}
        return self._done(calendar, insert_event(self, calendar, whole, trusted=True, uid=uid))

    def add_meeting(
        self,
        calendar_id: str,
        summary: str,
        in_minutes: float = 30,
        minutes: int = 30,
        teams: bool = True,
        zoom: str | None = None,
        attendees: list[str] | None = None,
        **event: Any,
    ) -> dict[str, Any]:
        """A timed meeting from now on, in the short form that a person types."""
        calendar = self.find_calendar(calendar_id)
        zone = windows_name(self.accounts[calendar.owner].time_zone)
        start = (self.now() + timedelta(minutes=in_minutes)).replace(microsecond=0)
        body: dict[str, Any] = {
            "subject": summary,
            "start": {"dateTime": start.isoformat(), "timeZone": zone},
            "end": {"dateTime": (start + timedelta(minutes=minutes)).isoformat(), "timeZone": zone},
        }
        if zoom is not None:
            body["location"] = {"displayName": zoom}
            body["body"] = {
                "contentType": "html",
                "content": f'<p>Join: <a href="{escape(zoom)}">{escape(zoom)}</a></p>',
            }
        elif teams:
            body["isOnlineMeeting"] = True
        if attendees:
            body["attendees"] = [{"emailAddress": {"address": each}} for each in attendees if each != calendar.owner]
        return self.add_event(calendar_id, {**body, **event})

    def edit_event(self, calendar_id: str, event_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change an event, a series or one occurrence; nulls clear."""
        calendar, record = self._find(calendar_id, event_id)
        return self._done(calendar, patch_event(self, calendar, record, changes, trusted=True))

    def move_event(
        self, calendar_id: str, event_id: str, start: Any = None, by_minutes: float | None = None
    ) -> dict[str, Any]:
        """Move to a start (a dateTimeTimeZone, or ISO 8601 text in UTC) or by minutes, keeping the length."""
        calendar, record = self._find(calendar_id, event_id)
        body = merged(calendar, record)
        if isinstance(start, str):
            start = {"dateTime": start, "timeZone": "UTC"}
        if start is None:
            new_start = body["start"].shifted(int((by_minutes or 0) * 60))
        else:
            new_start = parse_moment(start, "start", all_day=body["isAllDay"])
        changes = {"start": new_start, "end": end_of(new_start, body["start"], body["end"])}
        return self._done(calendar, patch_event(self, calendar, record, changes, trusted=True))

    def cancel_event(self, calendar_id: str, event_id: str) -> None:
        """The organizer cancels an event, a series or one occurrence.

        It vanishes from his own calendar, and stays on those of the guests with `isCancelled`; so it does here, when
        this is the calendar of a guest.
        """
        calendar, record = self._find(calendar_id, event_id)
        body = merged(calendar, record)
        if is_organizer(self.accounts[calendar.owner], body):
            withdraw(self, calendar, record)
        elif body["isCancelled"]:
            raise invalid("The event is cancelled.")
        else:
            mark_cancelled(self, calendar, record)
        notify_subscribers(self)

    def cancel_occurrence(self, calendar_id: str, event_id: str) -> None:
        """Cancel one occurrence of a series. Deltas have no row for it where the organizer's calendar is read."""
        _, record = self._find(calendar_id, event_id)
        if record.master is None:
            raise invalid("The event is not an occurrence of a series.")
        self.cancel_event(calendar_id, event_id)

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        """The owner of the mailbox removes it from this calendar alone; nobody else hears of it."""
        calendar, record = self._find(calendar_id, event_id)
        remove(self, calendar, record)
        notify_subscribers(self)

    def split_series(self, calendar_id: str, instance_id: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do "this and following": end the series before the occurrence and begin a new one, with changes."""
        calendar, record = self._find(calendar_id, instance_id)
        return self._done(calendar, split_series(self, calendar, record, deepcopy(changes or {})))

    def respond(self, calendar_id: str, event_id: str, email: str, response: str) -> None:
        """A guest answers `accepted`, `declined`, `tentativelyAccepted` or `notResponded`."""
        calendar, record = self._find(calendar_id, event_id)
        respond(self, calendar, record, email, RESPONSES.get(response, response))
        notify_subscribers(self)

    def add_poison(self, calendar_id: str, row: dict[str, Any]) -> None:
        """Put a raw row, however malformed, into the deltas of a calendar."""
        calendar = self.find_calendar(calendar_id)
        calendar.poison.append((self.bump(calendar, "poison", "updated"), row))
        notify_subscribers(self)

    def clear_poison(self, calendar_id: str) -> None:
        self.find_calendar(calendar_id).poison.clear()

    def read_event(self, calendar_id: str, event_id: str) -> dict[str, Any]:
        return self._show(*self._find(calendar_id, event_id))

    def read_truth(
        self, calendar_id: str, time_min: str | None = None, time_max: str | None = None
    ) -> list[dict[str, Any]]:
        """The expanded events in a window, by start, in UTC and with immutable ids: what a perfect consumer has.

        Those that their organizer has cancelled are among them, as in Outlook.
        """
        calendar = self.find_calendar(calendar_id)
        if calendar.deleted:
            return []
        low = parse_bound(time_min, "time_min") if time_min else None
        high = parse_bound(time_max, "time_max") if time_max else None
        return [show_event(self, calendar, row, SHOWN) for row in view(self, calendar, low, high)]

    def read_calendars(self) -> list[dict[str, Any]]:
        """All calendars, with the number of stored events."""
        return [
            {"id": each.id, "owner": each.owner, "summary": each.name, "kind": "primary" if each.is_default else "secondary",
             "time_zone": self.accounts[each.owner].time_zone, "events": len(each.records), "deleted": each.deleted}
            for each in self.calendars.values()
        ]  # fmt: skip

    def find_calendar(self, calendar_id: str) -> Calendar:
        """A calendar by its id, or the default calendar of an address."""
        account = self.accounts.get(calendar_id)
        return self.calendars[account.default_calendar if account is not None else calendar_id]

    def _find(self, calendar_id: str, event_id: str) -> tuple[Calendar, Record]:
        return find_event(self, [self.find_calendar(calendar_id)], event_id)

    def _done(self, calendar: Calendar, record: Record) -> dict[str, Any]:
        notify_subscribers(self)
        return self._show(calendar, record)

    def _show(self, calendar: Calendar, record: Record) -> dict[str, Any]:
        stored = record.key in calendar.records or record.master is None
        row = row_of(record) if stored else Row(record.key, calendar.records[record.master or ""], record.slot)
        return show_event(self, calendar, row, SHOWN)

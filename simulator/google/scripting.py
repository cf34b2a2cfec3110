"""What a script may do to events: add, move, edit, cancel, split, answer, and read the truth."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

from simulator.google.access import role_of
from simulator.google.bodies import addon_conference, meet_conference
from simulator.google.changes import end_of, merged
from simulator.google.channels import notify_watchers
from simulator.google.edits import cancel, find_event, insert_event, patch_event, respond
from simulator.google.errors import gone
from simulator.google.moments import parse_bound, parse_moment
from simulator.google.rows import Reader, Row, bounds, overlaps, show_row, walk
from simulator.google.series import split_series
from simulator.google.state import Calendar, Record, State


class EventScript(State):
    """The part of a world that scripts events."""

    def add_event(self, calendar_id: str, event: dict[str, Any]) -> dict[str, Any]:
        """Store an event given as Google spells it; unlike the API it accepts any organizer and conference."""
        calendar = self.calendars[calendar_id]
        return self._done(calendar, insert_event(self, calendar, calendar.owner, event, trusted=True))

    def add_meeting(
        self,
        calendar_id: str,
        summary: str,
        in_minutes: float = 30,
        minutes: int = 30,
        meet: bool = True,
        zoom: str | None = None,
        attendees: list[str] | None = None,
        **event: Any,
    ) -> dict[str, Any]:
        """A timed meeting from now on, in the short form that a person types."""
        calendar = self.calendars[calendar_id]
        start = (self.now() + timedelta(minutes=in_minutes)).replace(microsecond=0)
        body: dict[str, Any] = {
            "summary": summary,
            "start": {"dateTime": start.isoformat(), "timeZone": calendar.time_zone},
            "end": {"dateTime": (start + timedelta(minutes=minutes)).isoformat(), "timeZone": calendar.time_zone},
        }
        if zoom is not None:
            body["conferenceData"] = addon_conference(zoom, "Zoom Meeting", zoom.rstrip("/").rpartition("/")[2])
        elif meet:
            body["conferenceData"] = meet_conference(self)
        if attendees:
            own = [{"email": calendar.id, "responseStatus": "accepted"}] if calendar.kind == "primary" else []
            body["attendees"] = [*own, *({"email": each} for each in attendees if each != calendar.id)]
        return self.add_event(calendar_id, {**body, **event})

    def edit_event(self, calendar_id: str, event_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change an event, a series or one instance; nulls clear."""
        calendar = self.calendars[calendar_id]
        return self._done(calendar, patch_event(self, calendar, event_id, changes, trusted=True))

    def move_event(
        self, calendar_id: str, event_id: str, start: Any = None, by_minutes: float | None = None
    ) -> dict[str, Any]:
        """Move to a start (an EventDateTime, or RFC 3339 text) or by minutes, keeping the length."""
        calendar = self.calendars[calendar_id]
        body = merged(calendar, find_event(self, calendar, event_id))
        if isinstance(start, str):
            start = {"dateTime": start} if "T" in start else {"date": start}
        if start is None:
            new_start = body["start"].shifted(int((by_minutes or 0) * 60))
        else:
            new_start = parse_moment(start, body["start"].zone, "start")
        changes = {"start": new_start, "end": end_of(new_start, body["start"], body["end"])}
        return self._done(calendar, patch_event(self, calendar, event_id, changes, trusted=True))

    def cancel_event(self, calendar_id: str, event_id: str) -> None:
        """Cancel an event, a whole series, or one instance, for everybody invited."""
        calendar = self.calendars[calendar_id]
        record = find_event(self, calendar, event_id)
        if record.cancelled:
            raise gone()
        cancel(self, calendar, record)
        notify_watchers(self)

    def split_series(self, calendar_id: str, instance_id: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do "this and following": end the series before the instance and begin a new one, with changes."""
        calendar = self.calendars[calendar_id]
        return self._done(calendar, split_series(self, calendar, instance_id, deepcopy(changes or {})))

    def respond(self, calendar_id: str, event_id: str, email: str, response: str) -> None:
        """A guest answers `accepted`, `declined`, `tentative` or `needsAction`."""
        respond(self, self.calendars[calendar_id], event_id, email, response)
        notify_watchers(self)

    def add_poison(self, calendar_id: str, row: dict[str, Any]) -> None:
        """Put a raw row, however malformed, into the listings of a calendar."""
        calendar = self.calendars[calendar_id]
        calendar.poison.append((self.bump(calendar), row))
        notify_watchers(self)

    def clear_poison(self, calendar_id: str) -> None:
        self.calendars[calendar_id].poison.clear()

    def read_event(self, calendar_id: str, event_id: str) -> dict[str, Any]:
        calendar = self.calendars[calendar_id]
        return self._show(calendar, find_event(self, calendar, event_id))

    def read_truth(
        self, calendar_id: str, time_min: str | None = None, time_max: str | None = None, email: str | None = None
    ) -> list[dict[str, Any]]:
        """The live, expanded events in a window, by start: what a perfect consumer has."""
        calendar = self.calendars[calendar_id]
        if calendar.deleted:
            return []
        low = parse_bound(time_min, "time_min") if time_min else None
        high = parse_bound(time_max, "time_max") if time_max else None
        role = role_of(self, calendar, email or calendar.owner) or "owner"
        rows = [
            row
            for row in walk(self, calendar, expanded=True, window=(low, high))
            if row.record is not None and not row.cancelled and overlaps(self, calendar, row, low, high)
        ]
        rows.sort(key=lambda row: (bounds(calendar, row)[0], row.id))
        return [show_row(calendar, row, Reader(role)) for row in rows]

    def read_calendars(self) -> list[dict[str, Any]]:
        """All calendars, with the number of stored events."""
        return [
            {"id": each.id, "owner": each.owner, "summary": each.summary, "time_zone": each.time_zone,
             "kind": each.kind, "events": len(each.records), "deleted": each.deleted}
            for each in self.calendars.values()
        ]  # fmt: skip

    def _done(self, calendar: Calendar, record: Record) -> dict[str, Any]:
        notify_watchers(self)
        return self._show(calendar, record)

    def _show(self, calendar: Calendar, record: Record) -> dict[str, Any]:
        return show_row(calendar, Row(record.id, record.revision, record), Reader())

"""Events that are written here: what the settings of their connection make of a draft, and what to do when they differ.

draft ──complete──► whole ──shown──► what the provider is given
                                          │ written, and later changed there
verdict ◄────────────judge────────────────┘
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from service.core.call_blocks import is_same_text
from service.core.connection import EventPrivacy, Settings
from service.core.drafts import Draft, Guest, Patch
from service.core.event import DECLINED, Attendee, Event, FieldChange

HIDDEN_TITLE: Final = "Busy"
MOST_WRITE_BACKS: Final = 3
"""So often an event is set right that somebody else keeps changing; then the provider's word stands."""

_COMPARED: Final = ("title", "description", "location", "starts_at", "ends_at", "start_date", "end_date")


class Nothing(msgspec.Struct, frozen=True):
    """The event is as it was written, or what differs is nobody's matter."""


class Cancel(msgspec.Struct, frozen=True):
    """The event is to be cancelled at the provider, because its guests have declined it."""


class Gone(msgspec.Struct, frozen=True):
    """The provider does not have the event any more: what hangs on it is to go, too."""


class WriteBack(msgspec.Struct, frozen=True):
    """The provider is to be given again what the author said."""

    patch: Patch


class Adopt(msgspec.Struct, frozen=True):
    """What somebody said at the provider is what the event says from now on."""

    draft: Draft


Verdict = Nothing | Cancel | Gone | WriteBack | Adopt


def complete(draft: Draft, settings: Settings) -> Draft:
    """The draft with the connection's defaults for what it leaves out."""
    defaults = settings.event_defaults
    return msgspec.structs.replace(
        draft,
        visibility=draft.visibility or defaults.visibility,
        reminders=draft.reminders if draft.reminders is not None else defaults.reminders,
    )


def shown(draft: Draft, privacy: EventPrivacy) -> Draft:
    """What the provider is given of a whole draft. A link to join stands there in any case, added afterwards."""
    return msgspec.structs.replace(
        draft,
        title=draft.title if privacy.show_title else HIDDEN_TITLE,
        description=draft.description if privacy.show_description else None,
        location=draft.location if privacy.show_location else None,
        attendees=draft.attendees if privacy.show_attendees else [],
    )


def with_link(draft: Draft, url: str | None) -> Draft:
    """The draft with the link of a call that the provider knows nothing of: in the text, and as the place if it has none."""
    if url is None:
        return draft
    line = f"Join the call: {url}"
    text = draft.description or ""
    return msgspec.structs.replace(
        draft,
        conference=None,
        location=draft.location or url,
        description=text if url in text else f"{text}\n\n{line}".strip(),
    )


def difference(old: Draft, new: Draft) -> Patch:
    """What a provider that was given `old` has to be told so that it has `new`; times go together."""
    fields: dict[str, Any] = {
        name: getattr(new, name)
        for name in Draft.__struct_fields__
        if name != "notify" and getattr(old, name) != getattr(new, name)
    }
    if fields.keys() & {"starts_at", "ends_at", "start_date", "end_date", "time_zone", "recurrence"}:
        times = ("start_date", "end_date") if new.is_all_day else ("starts_at", "ends_at")
        fields |= {name: getattr(new, name) for name in times}
        fields = {name: value for name, value in fields.items() if value is not None or name not in _TIMES}
    return Patch(**fields, notify=new.notify)


def newly_declined(fields: Mapping[str, FieldChange]) -> list[Attendee]:
    """The attendees of a changed event who have declined it by this change."""
    change = fields.get("attendees")
    if change is None:
        return []
    before = {person.email for person in change.old or [] if person.response_status == DECLINED}
    return [person for person in change.new or [] if person.response_status == DECLINED and person.email not in before]


def judge(draft: Draft, event: Event, settings: Settings, *, given: Draft, write_backs: int) -> Verdict:
    """What to do about a managed event that is there, and not as it was written.

    `draft` is what its author said, `given` what the provider was given of it, `event` what it shows now.
    """
    direction = settings.sync_direction
    if settings.cancel_if_declined_or_deleted and direction != "inbound" and _is_declined(event):
        return Cancel()
    if direction == "outbound":
        patch = _restored(given, event)
        return WriteBack(patch) if patch is not None and write_backs < MOST_WRITE_BACKS else Nothing()
    adopted = adopt(draft, given, event)
    return Adopt(adopted) if adopted != draft else Nothing()


def adopt(draft: Draft, given: Draft, event: Event) -> Draft:
    """The draft with what somebody has changed of the event at the provider; what was hidden from there stays ours."""
    changed = {name: getattr(event, name) for name in _changed(given, event)}
    guests = _guests(event)
    if {guest.email for guest in guests} != {guest.email for guest in given.attendees}:
        changed["attendees"] = guests
    if changed.keys() & _TIMES:
        timed = not event.is_all_day
        changed |= {
            "starts_at": event.starts_at if timed else None,
            "ends_at": event.ends_at if timed else None,
            "start_date": event.start_date,
            "end_date": event.end_date,
        }
    return msgspec.structs.replace(draft, **changed)


_TIMES: Final = frozenset({"starts_at", "ends_at", "start_date", "end_date"})


def _restored(given: Draft, event: Event) -> Patch | None:
    """The patch that makes the provider's event again what it was given; None where it is."""
    names = _changed(given, event)
    if not names:
        return None
    if _TIMES.intersection(names):
        names = [name for name in names if name not in _TIMES]
        names += ["start_date", "end_date"] if given.is_all_day else ["starts_at", "ends_at"]
    return Patch(**{name: getattr(given, name) for name in names}, notify=given.notify)


def _changed(given: Draft, event: Event) -> list[str]:
    """The fields that the provider shows otherwise than it was given them; its own text about a call is no change."""
    names = []
    for name in _COMPARED:
        ours, theirs = getattr(given, name), getattr(event, name)
        if name in {"starts_at", "ends_at"} and given.is_all_day and event.is_all_day:
            continue
        if name == "description" and is_same_text(ours, theirs):
            continue
        if (ours or None) != (theirs or None):
            names.append(name)
    return names


def _guests(event: Event) -> list[Guest]:
    return [
        Guest(email=person.email, name=person.name, optional=person.optional)
        for person in event.attendees
        if person.email is not None and not person.organizer and not person.self
    ]


def _is_declined(event: Event) -> bool:
    """Whether nobody is left who was invited and might come."""
    invited = [person for person in event.attendees if not person.organizer and not person.self and not person.resource]
    return bool(invited) and all(person.response_status == DECLINED for person in invited)

"""Events that are written here: what the settings of their connection make of a draft, and what to do when they differ.

draft ──complete──► whole ──shown──► what the provider is given
                                          │ written, and later changed there
verdict ◄────────────judge────────────────┘
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from service.core.call_blocks import is_same_text
from service.core.connection import EventPrivacy, Settings
from service.core.drafts import D, Draft, Guest, Patch, patched
from service.core.drafts import given as fields_of
from service.core.event import DECLINED, Attendee, Event, FieldChange

HIDDEN_TITLE: Final = "Busy"
MOST_WRITE_BACKS: Final = 3
"""So often an event is set right that somebody else keeps changing; then the provider's word stands."""

_COMPARED: Final = (
    "title", "description", "location", "starts_at", "ends_at", "start_date", "end_date", "visibility", "is_busy",
)  # fmt: skip
_OWN: Final = frozenset({"visibility", "is_busy", "reminders"})
"""What only concerns the owner's copy: guests need no mail about it."""

_HIDEABLE: Final = ("title", "description", "location", "attendees")
_VEILED: Final = frozenset({"private", "confidential"})


class Remembered(Draft, frozen=True, kw_only=True):
    """A draft as it is kept: of the fields that are `hidden` the provider has not been shown what the author said.

    `guests` are the addresses that the provider showed after our last write; some write one in another way. None: not noted.
    """

    hidden: list[str] | None = None
    guests: list[str] | None = None


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


def complete(draft: D, settings: Settings) -> D:
    """The draft with the connection's defaults for what it leaves out."""
    defaults = settings.event_defaults
    return msgspec.structs.replace(
        draft,
        visibility=draft.visibility or defaults.visibility,
        reminders=draft.reminders if draft.reminders is not None else defaults.reminders,
    )


def remembered(draft: Draft, privacy: EventPrivacy) -> Remembered:
    """A draft that is to be written, or was written before it was noted what is hidden of it."""
    if isinstance(draft, Remembered) and draft.hidden is not None:
        return draft
    return Remembered(**(msgspec.structs.asdict(draft) | {"hidden": _hidden_by(privacy)}))


def said_anew(draft: Remembered, patch: Patch, privacy: EventPrivacy) -> Remembered:
    """The draft with its author's patch. Of what that says the provider sees what it may today, of the rest as much as it did."""
    said = fields_of(patch).keys()
    hidden = [name for name in draft.hidden or () if name not in said]
    hidden += [name for name in _hidden_by(privacy) if name in said]
    guests = None if "attendees" in said else draft.guests
    return msgspec.structs.replace(patched(draft, patch), hidden=hidden, guests=guests)


def followed(draft: Draft, before: Remembered) -> Remembered:
    """What somebody has made of a draft at the provider, where what they have changed is hidden from nobody."""
    hidden = [name for name in before.hidden or () if getattr(draft, name) == getattr(before, name)]
    guests = before.guests if draft.attendees == before.attendees else _addresses(draft.attendees)
    return Remembered(**(msgspec.structs.asdict(draft) | {"hidden": hidden, "guests": guests}))


def shown(draft: Remembered) -> Draft:
    """What the provider is given of a whole draft. A link to join stands there in any case, added afterwards."""
    blank: dict[str, Any] = {"title": HIDDEN_TITLE, "description": None, "location": None, "attendees": []}
    return msgspec.structs.replace(draft, **{name: blank[name] for name in draft.hidden or ()})


def _hidden_by(privacy: EventPrivacy) -> list[str]:
    return [name for name in _HIDEABLE if not getattr(privacy, f"show_{name}")]


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
    # What the settings add today was not written then.
    given = msgspec.structs.replace(given, visibility=draft.visibility, reminders=draft.reminders)
    direction = settings.sync_direction
    if settings.cancel_if_declined_or_deleted and direction != "inbound" and is_declined(event):
        return Cancel()
    if direction == "outbound":
        patch = _restored(given, event)
        return WriteBack(patch) if patch is not None and write_backs < MOST_WRITE_BACKS else Nothing()
    adopted = adopt(draft, given, event)
    return Adopt(adopted) if adopted != draft else Nothing()


def adopt(draft: Draft, given: Draft, event: Event) -> Draft:
    """The draft with what somebody has changed of the event at the provider; what was hidden from there stays ours."""
    changed = {name: getattr(event, name) for name in _changed(given, event)}
    if not _has_guests(given, event):
        changed["attendees"] = guests_of(event)
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
    """The patch that makes the provider's event again what it was given; None where it is.

    Nobody reads reminders: those that were given are given again with whatever else is.
    """
    names = _changed(given, event)
    if not _has_guests(given, event):
        names.append("attendees")
    if not names:
        return None
    if given.reminders is not None:
        names.append("reminders")
    if _TIMES.intersection(names):
        names = [name for name in names if name not in _TIMES]
        names += ["start_date", "end_date"] if given.is_all_day else ["starts_at", "ends_at"]
    notify = given.notify and not _OWN.issuperset(names)
    return Patch(**{name: getattr(given, name) for name in names}, notify=notify)


def _changed(given: Draft, event: Event) -> list[str]:
    """The fields that the provider shows otherwise than it was given them; its own text about a call is no change."""
    names = []
    for name in _COMPARED:
        ours, theirs = getattr(given, name), getattr(event, name)
        if name in {"starts_at", "ends_at"} and given.is_all_day and event.is_all_day:
            continue
        if name == "description" and is_same_text(ours, theirs):
            continue
        # Outlook does not tell public from default, and some take confidential for private.
        if name == "visibility" and (ours in _VEILED) == (theirs in _VEILED):
            continue
        if (ours or None) != (theirs or None):
            names.append(name)
    return names


def _has_guests(given: Draft, event: Event) -> bool:
    """Whether the provider's list has whom it had after our last write, else whom it was given; who answered what is theirs.

    The organizer and the calendar's owner are on a list or not, whoever was invited.
    """
    there = set(_addresses(guests_of(event)))
    if isinstance(given, Remembered) and given.guests is not None:
        return there == set(given.guests)
    invited = set(_addresses(given.attendees))
    others = {person.email for person in event.attendees} | {event.organizer.email if event.organizer else None}
    return there <= invited <= there | others


def left_on_list(draft: Draft, event: Event | None) -> list[Guest] | UnsetType:
    """The provider's list where guests are hidden: of whom the author invites those who are on it; UNSET where it is that already.

    Nobody is put onto it, and who is there stays: to be struck off is to be called off.
    """
    there = guests_of(event) if event is not None else []
    on_it = {guest.email.lower(): guest.optional for guest in there}
    stay = [guest for guest in draft.attendees if guest.email.lower() in on_it]
    return UNSET if {guest.email.lower(): guest.optional for guest in stay} == on_it else stay


def _addresses(guests: Iterable[Guest]) -> list[str]:
    return sorted({guest.email.lower() for guest in guests})


def seen(draft: Remembered, event: Event) -> Remembered:
    """The draft with what the provider shows after it was written."""
    return msgspec.structs.replace(draft, guests=_addresses(guests_of(event)))


def guests_of(event: Event) -> list[Guest]:
    """Who is invited, but for who invites and whose calendar it is."""
    return [
        Guest(email=person.email, name=person.name, optional=person.optional)
        for person in event.attendees
        if person.email is not None and not person.organizer and not person.self
    ]


def is_declined(event: Event) -> bool:
    """Whether nobody is left who was invited and might come."""
    invited = [person for person in event.attendees if not person.organizer and not person.self and not person.resource]
    return bool(invited) and all(person.response_status == DECLINED for person in invited)

"""Which copies are one meeting: by any provider's spelling of a UID, on any calendar, whatever moved meanwhile."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest

from service.core.event import Event, Meeting
from service.core.meeting_key import LONGEST, global_uid, meeting_key

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SLOT = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
ANN, BOB = UUID(int=1), UUID(int=2)
ROOM = Meeting(url="https://zoom.us/j/12345678901", platform="zoom", found_in="conferenceData")

PLAIN = Event(provider_event_id="a", starts_at=NOW, ends_at=NOW + timedelta(hours=1), meeting=ROOM)
HEADER = "040000008200E00074C5B7101A82E008"
DATED = HEADER + "07EA0309" + "5025D461E473C801" + "0" * 16 + "10000000" + "2A5844B3A444F74A9C246C60886F116B"
OUTLOOK = DATED.replace("07EA0309", "0" * 8)


def wrapped(uid: bytes, date_: str = "0" * 8, *, size: int | None = None) -> str:
    """A UID of another system's as Outlook writes it (MS-ASEMAIL 4.3, example 2)."""
    data = b"vCal-Uid\x01\x00\x00\x00" + uid + b"\0"
    length = (len(data) if size is None else size).to_bytes(4, "little")
    return HEADER + date_ + "0" * 32 + (length + data).hex().upper()


def changed(event: Event, **fields: Any) -> Event:
    return msgspec.structs.replace(event, **fields)


INVITED = changed(PLAIN, ical_uid="4k8n3q@google.com")
OCCURRENCE = changed(INVITED, provider_event_id="s_20260309", series_id="s", original_starts_at=SLOT)
ON_A_DAY = changed(OCCURRENCE, original_starts_at=SLOT - timedelta(hours=9), original_start_date=date(2026, 3, 9))


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        pytest.param(INVITED, changed(INVITED, provider_event_id="b"), True, id="another calendar's id"),
        pytest.param(INVITED, changed(INVITED, starts_at=SLOT, ends_at=SLOT), True, id="moved"),
        pytest.param(INVITED, changed(INVITED, meeting=None), True, id="without its link"),
        pytest.param(INVITED, changed(INVITED, ical_uid="7j2m5p@google.com"), False, id="one room, two meetings"),
        pytest.param(INVITED, changed(INVITED, ical_uid="4K8n3q@google.com"), False, id="case is meant"),
        pytest.param(INVITED, changed(INVITED, ical_uid=" 4k8n3q@goo\r\n gle.com\t"), True, id="folded"),
        pytest.param(INVITED, changed(INVITED, ical_uid=wrapped(b"4k8n3q@google.com")), True, id="Google's in Outlook"),
        pytest.param(
            changed(PLAIN, ical_uid=OUTLOOK), changed(PLAIN, ical_uid=OUTLOOK.lower()), True, id="case of hex"
        ),
        pytest.param(OCCURRENCE, changed(OCCURRENCE, starts_at=NOW), True, id="moved occurrence"),
        pytest.param(
            OCCURRENCE, changed(OCCURRENCE, provider_event_id="other", series_id="t"), True, id="occurrence elsewhere"
        ),
        pytest.param(OCCURRENCE, changed(OCCURRENCE, original_starts_at=NOW), False, id="another occurrence"),
        pytest.param(
            OCCURRENCE,
            changed(OCCURRENCE, original_starts_at=SLOT.astimezone(timezone(timedelta(hours=5)))),
            True,
            id="slot in another zone",
        ),
        pytest.param(OCCURRENCE, changed(OCCURRENCE, series_id=None), True, id="invited to one occurrence alone"),
        pytest.param(OCCURRENCE, INVITED, False, id="an occurrence and a single event"),
        pytest.param(
            changed(OCCURRENCE, ical_uid=OUTLOOK), changed(OCCURRENCE, ical_uid=DATED), True, id="Outlook's occurrence"
        ),
        pytest.param(
            OCCURRENCE,
            changed(OCCURRENCE, ical_uid=wrapped(b"4k8n3q@google.com", "07EA0309"), provider_event_id="AAMk="),
            True,
            id="Google's occurrence in Outlook",
        ),
        pytest.param(
            ON_A_DAY,
            changed(ON_A_DAY, original_starts_at=SLOT - timedelta(hours=14), starts_at=SLOT - timedelta(hours=14)),
            True,
            id="a day in another zone",
        ),
        pytest.param(
            ON_A_DAY, changed(ON_A_DAY, is_all_day=False, starts_at=SLOT, ends_at=SLOT), True, id="a day given a time"
        ),
        pytest.param(ON_A_DAY, changed(ON_A_DAY, original_start_date=date(2026, 3, 10)), False, id="another day"),
        pytest.param(
            changed(OCCURRENCE, original_starts_at=None, starts_at=SLOT),
            changed(OCCURRENCE, original_starts_at=None, starts_at=NOW),
            False,
            id="occurrences whose slots nobody told",
        ),
        pytest.param(
            OCCURRENCE,
            changed(OCCURRENCE, ical_uid="4k8n3q_R20260309T090000@google.com"),
            False,
            id="this and following",
        ),
        pytest.param(
            changed(PLAIN, ical_uid=DATED),
            changed(PLAIN, ical_uid=DATED.replace("07EA0309", "07EA0310")),
            False,
            id="two occurrences that somebody was invited to alone",
        ),
        pytest.param(changed(PLAIN, ical_uid="x" * 1024), changed(PLAIN, ical_uid="x" * 1024), True, id="long"),
        pytest.param(
            changed(PLAIN, ical_uid="x" * 1024), changed(PLAIN, ical_uid="x" * 1023 + "y"), False, id="long, another"
        ),
        pytest.param(
            changed(OCCURRENCE, ical_uid="x" * 1024),
            changed(OCCURRENCE, ical_uid="x" * 1024, original_starts_at=NOW),
            False,
            id="long, another occurrence",
        ),
    ],
)
def test_copies_of_one_meeting_have_one_key(one: Event, two: Event, is_same: bool) -> None:
    assert (meeting_key(one, ANN) == meeting_key(two, BOB)) is is_same
    assert meeting_key(one, ANN) == meeting_key(one, BOB)


@pytest.mark.parametrize("uid", [None, "", " \n", "1", "event-1", "\N{PARTY POPPER}" * 11])
def test_without_a_uid_that_is_unique_in_the_world_a_meeting_is_its_calendars_alone(uid: str | None) -> None:
    event = changed(PLAIN, ical_uid=uid)

    assert meeting_key(event, ANN) == meeting_key(changed(event, starts_at=SLOT), ANN)
    assert meeting_key(event, ANN) != meeting_key(event, BOB)
    assert meeting_key(event, ANN) != meeting_key(changed(event, provider_event_id="b"), ANN)


@pytest.mark.parametrize("character", ["x", "\u00e4", "\N{PARTY POPPER}"])
@pytest.mark.parametrize("length", [12, 49, 50, 51, 199, 200, 201, 1024])
def test_a_key_is_bounded_in_bytes_and_repeats(length: int, character: str) -> None:
    uid = character * length
    event = changed(PLAIN, ical_uid=uid)

    key = meeting_key(event, ANN)

    assert len(key.encode()) <= LONGEST
    assert key.startswith("sha256:") is (len(uid.encode()) > LONGEST)
    assert meeting_key(event, BOB) == key
    assert len(meeting_key(changed(PLAIN, provider_event_id=character * length), ANN).encode()) <= LONGEST


SAMPLE = "E040C9C12685C4010000000000000000100000000BF0ED4B6E4EE94E9E39E3867B378EF3"


# The examples of MS-ASEMAIL 4.3, and what is broken about them.
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            HEADER + "07D40910" + SAMPLE,
            (HEADER + "00000000" + SAMPLE, "20040916"),
            id="Outlook's, with a day",
        ),
        pytest.param(
            "040000008200e00074c5b7101a82e008000000000000000000000000000000000000000033000000"
            "7643616c2d556964010000007b38313431324433432d324132342d344539442d423230452d3131463742424539323739397d00",
            ("{81412D3C-2A24-4E9D-B20E-11F7BBE92799}", None),
            id="foreign",
        ),
        pytest.param(wrapped("caf\u00e9-2026@example.com".encode()), ("caf\u00e9-2026@example.com", None), id="UTF-8"),
        pytest.param(wrapped(b"a@example.com", size=0xFFFF), ("a@example.com", None), id="a size beyond the end"),
        pytest.param(wrapped(b"a@b\x00c"), (wrapped(b"a@b\x00c"), None), id="NUL inside"),
        pytest.param(wrapped(b"\xff\xfe"), (wrapped(b"\xff\xfe"), None), id="not UTF-8"),
        pytest.param(wrapped(b""), (wrapped(b""), None), id="empty"),
        pytest.param(
            wrapped(b"a@example.com", size=3), (wrapped(b"a@example.com", size=3), None), id="a size too small"
        ),
        pytest.param(OUTLOOK + "F", (OUTLOOK + "F", None), id="odd"),
        pytest.param(OUTLOOK[:-2] + "xy", (OUTLOOK[:-2] + "xy", None), id="not hex"),
        pytest.param(HEADER.lower(), (HEADER.lower(), None), id="too short"),
        pytest.param(" " + OUTLOOK[:40] + "\r\n " + OUTLOOK[40:], (OUTLOOK, None), id="folded hex"),
        pytest.param("0400" + "A" * 100, ("0400" + "A" * 100, None), id="another hex"),
        pytest.param("0b5e3c2a-ABCD", ("0b5e3c2a-ABCD", None), id="any other"),
    ],
)
def test_outlooks_uids_read_as_what_everybody_else_has(given: str, expected: tuple[str, str | None]) -> None:
    assert global_uid(given) == expected

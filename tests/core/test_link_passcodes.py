"""Which of the codes that a text has is a meeting's, and what is no code at all."""

import pytest

from service.core.meeting_links.evidence import Evidence, Passage
from service.core.meeting_links.finding import find

LINK = "https://zoom.us/j/81234567890"
NONE = [
    "Wifi password: hunter2",
    "Guest WLAN Passwort: hunter2",
    "Wifi: Guest, password: hunter2",
    "Wi-Fi network CorpGuest / password: hunter2",
    "Password: not required",
    "Passcode: none",
    "The passcode: will be sent later",
    "Notes: https://docs.google.com/x (password: sesame99)",
    "Door code / passcode: 4711#",
    "Meeting ID: 899 9999 9999\nPasscode: 777777",
    "Host passcode: 123456",
]
SOME = [
    ("Passcode: 482913", "482913"),
    ("Join https://zoom.us/j/81234567890 (Passcode: 482913)", "482913"),
    ("Wi-Fi password: hunter2\nPasscode: 482913", "482913"),
    ("Passcode: 482913\nWi-Fi password: hunter2", "482913"),
    ("Meeting ID: 812 3456 7890\nPasscode: 482913\n\nMeeting ID: 899 9999 9999\nPasscode: 777777", "482913"),
    ("Meeting ID: 899 9999 9999\nPasscode: 777777\n\nMeeting ID: 812 3456 7890\nPasscode: 482913", "482913"),
]


def code_in(text: str) -> str | None:
    found = find(Evidence((), [Passage(text=LINK, found_in="location"), Passage(text=text, found_in="description")]))
    assert found.meeting is not None
    return found.meeting.passcode


@pytest.mark.parametrize("text", NONE)
def test_a_password_of_something_else_is_no_passcode(text: str) -> None:
    assert code_in(text) is None


@pytest.mark.parametrize(("text", "code"), SOME)
def test_the_code_beside_the_meetings_own_number_or_the_first_is_its_passcode(text: str, code: str) -> None:
    assert code_in(text) == code

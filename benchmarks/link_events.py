"""Events as calendars have them, with the meeting where it usually is: seeded, in the shares of an office's calendars."""

import random
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from service.core.meeting_links.evidence import Evidence
from service.providers.google import links as google
from service.providers.microsoft import links as microsoft
from service.providers.vevent import links as vevent

WORDS: Final = re.findall(
    r"\w+",
    "agenda review budget quarter please bring the numbers we talked about last week and a list of open questions for "
    "design rollout customers hiring plan see notes in the shared folder thanks everybody looking forward",
)
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def prose(chance: random.Random, words: int) -> str:
    """Sentences without a link."""
    return " ".join(chance.choices(WORDS, k=words)).capitalize() + "."


def meet(chance: random.Random) -> str:
    """A Meet link."""
    code = "".join(chance.choices(LETTERS, k=10))
    return f"https://meet.google.com/{code[:3]}-{code[3:7]}-{code[7:]}"


def zoom(chance: random.Random) -> str:
    """A Zoom link with its passcode."""
    return f"https://us0{chance.randint(2, 6)}web.zoom.us/j/{chance.randint(8 * 10**10, 9 * 10**10)}?pwd={chance.randbytes(16).hex()}.1"


def teams(chance: random.Random) -> str:
    """A Teams link in its long form."""
    context = f'{{"Tid":"{chance.randbytes(16).hex()}","Oid":"{chance.randbytes(16).hex()}"}}'
    return f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{chance.randbytes(24).hex()}%40thread.v2/0?context={quote(context)}"


def google_meet(chance: random.Random) -> Evidence:
    """A Meet that Google added, and some words."""
    link = meet(chance)
    conference = {
        "entryPoints": [{"entryPointType": "video", "uri": link}, {"entryPointType": "phone", "uri": "tel:+1"}]
    }
    return google.read_evidence(
        {
            "conferenceData": conference,
            "hangoutLink": link,
            "summary": prose(chance, 4),
            "description": prose(chance, 60),
        }
    )


def google_zoom(chance: random.Random) -> Evidence:
    """A Zoom invitation as people paste it, in HTML as Google's editor leaves it."""
    link = zoom(chance)
    wrapped = f"https://www.google.com/url?q={quote(link, safe=':/?')}&amp;sa=D&amp;source=calendar&amp;usg=AOvVaw0{chance.randbytes(8).hex()}"
    description = (
        f'{prose(chance, 30)}<br><br>Join Zoom Meeting<br><a href="{wrapped}" target="_blank">{link}</a><br><br>'
        f"Meeting ID: 812 3456 7890<br>Passcode: 482915<br><br>One tap mobile<br>+15550100123,,81234567890#,,,,*482915# US<br>"
        f'Find your local number: <a href="https://us02web.zoom.us/u/k{chance.randbytes(5).hex()}">numbers</a>'
    )
    return google.read_evidence({"summary": prose(chance, 4), "location": prose(chance, 3), "description": description})


def outlook_teams(chance: random.Random) -> Evidence:
    """What Outlook writes for a Teams meeting, its structured field included."""
    link = teams(chance)
    return microsoft.read_evidence(
        {
            "onlineMeeting": {"joinUrl": link},
            "location": {"displayName": "Microsoft Teams Meeting"},
            "subject": prose(chance, 4),
            "body": {"contentType": "html", "content": outlook_page(chance, link)},
        }
    )


def outlook_wrapped(chance: random.Random) -> Evidence:
    """A link behind Safe Links in Outlook's HTML, and nowhere else."""
    wrapped = (
        f"https://eur01.safelinks.protection.outlook.com/?url={quote(zoom(chance), safe='')}"
        f"&amp;data=05%7C02%7C{chance.randbytes(40).hex()}&amp;sdata={chance.randbytes(20).hex()}&amp;reserved=0"
    )
    return microsoft.read_evidence(
        {
            "location": {"displayName": "Room 4.12"},
            "subject": prose(chance, 4),
            "body": {"contentType": "html", "content": outlook_page(chance, wrapped)},
        }
    )


def outlook_page(chance: random.Random, link: str) -> str:
    """A page of Word's HTML with a link among the words."""
    paragraphs = "".join(
        f'<p class="MsoNormal"><span lang="EN-US">{prose(chance, 25)}<o:p></o:p></span></p>\r\n' for _ in range(6)
    )
    return (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office">\r\n<head>\r\n<style><!--\r\np.MsoNormal {margin:0cm;}\r\n'
        f'--></style>\r\n</head>\r\n<body lang="EN-GB">\r\n<div class="WordSection1">\r\n{paragraphs}'
        f'<div><a class="me-email-headline" href="{link}">Join the meeting now</a></div>\r\n'
        '<div><a href="https://aka.ms/JoinTeamsMeeting?omkt=en-US">Need help?</a></div></div></body></html>'
    )


def feed_text(chance: random.Random) -> Evidence:
    """An event of a feed, the link in its location."""
    return vevent.read_evidence(
        {"SUMMARY": prose(chance, 4), "LOCATION": zoom(chance), "DESCRIPTION": prose(chance, 120)}
    )


def no_link(chance: random.Random) -> Evidence:
    """Words, and a page that is no meeting."""
    return google.read_evidence(
        {
            "summary": prose(chance, 4),
            "location": prose(chance, 4),
            "description": f"{prose(chance, 50)} https://docs.example.com/d/{chance.randbytes(12).hex()} {prose(chance, 20)}",
        }
    )


SHAPES: Final[Mapping[str, tuple[Callable[[random.Random], Evidence], int]]] = {
    "Meet that Google added": (google_meet, 40),
    "Zoom invitation in Google's HTML": (google_zoom, 15),
    "Teams in Outlook": (outlook_teams, 15),
    "Safe Links in Outlook's HTML": (outlook_wrapped, 5),
    "location of a feed": (feed_text, 5),
    "no meeting": (no_link, 20),
}
"""Each shape with its share in percent."""


def make_events(count: int, seed: int = 1) -> dict[str, list[Evidence]]:
    """So many events in all, by shape."""
    chance = random.Random(seed)
    return {name: [make(chance) for _ in range(count * share // 100)] for name, (make, share) in SHAPES.items()}

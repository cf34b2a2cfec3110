"""Addresses in a provider's field that are no meeting although nobody knows them: pages of other kinds, and lookalikes."""

from typing import Final

import idna

from service.core.meeting_links.addresses import suffixes
from service.core.meeting_links.platforms.forms import words

_PAGES: Final = frozenset(
    words(
        # calendars' own pages, and what adds to them
        "www.google.com calendar.google.com calendar.app.google drive.google.com docs.google.com maps.google.com "
        "support.google.com accounts.google.com maps.app.goo.gl forms.gle outlook.com outlook.office.com "
        "outlook.office365.com outlook.live.com outlook.cloud.microsoft icloud.com addevent.com add-to-calendar-pro.com "
        "addtocalendar.com calendarlink.com eventbrite.com meetup.com bookings.cloud.microsoft "
        # who books
        "calendly.com cal.com hubspot.com calendar.notion.so notion.so notion.site savvycal.com doodle.com tidycal.com "
        "acuityscheduling.com oncehub.com youcanbook.me chilipiper.com book.ms "
        # what is watched
        "youtube.com youtu.be youtube-nocookie.com vimeo.com loom.com sharepoint.com microsoftstream.com twitch.tv wistia.com "
        # who takes notes
        "otter.ai fireflies.ai fathom.video read.ai tldv.io gong.io grain.com "
        # help, numbers and help for rooms' devices
        "tel.meet aka.ms microsoft.com lync.com pexip.me zoomcrc.com dialin.teams.microsoft.com "
        # other sites with paths like a meeting's
        "t.me telegram.me github.com gitlab.com slack.com facebook.com instagram.com linkedin.com x.com twitter.com "
        "platform.linuxfoundation.org jitsi.org jitsi.github.io skype.com apple.com dropbox.com box.com wikipedia.org"
    )
)
_FIRMS: Final = (
    "zoom", "webex", "google", "microsoft", "gotomeet", "gotowebinar", "whereby", "bluejeans", "ringcentral", "meetjit",
)  # fmt: skip
_LOOKS_LIKE: Final = {
    ord(other): letter
    for letter, others in {
        "a": "\u0430\u03b1\u00e1\u00e0\u00e2\u00e4\u00e3\u00e5\u0101",
        "e": "\u0435\u03b5\u00e9\u00e8\u00ea\u00eb\u0113",
        "o": "\u043e\u03bf\u00f8\u00f6\u0151\u00f3\u00f2\u00f4\u014d\u00f50",
        "p": "\u0440\u03c1",
        "c": "\u0441\u03f2",
        "y": "\u0443",
        "x": "\u0445",
        "i": "\u0456\u03b9\u01311\u00ed\u00ec\u00ee\u00ef\u012b",
        "j": "\u0458",
        "s": "\u04555",
        "d": "\u0501",
        "g": "\u0261",
        "h": "\u04bb",
        "l": "\u04cf\u0142",
        "v": "\u03bd",
        "u": "\u03c5\u00fa\u00f9\u00fb\u00fc\u016b",
        "k": "\u03ba\u043a",
        "t": "\u03c4\u0442",
        "b": "\u042c\u042a\u0432",
        "m": "\u043c",
        "z": "\u1d22\u017e",
        "w": "\u0461\u051d",
        "r": "\u0433",
        "n": "\u043f",
    }.items()
    for other in others
}
"""Cyrillic and Greek letters, digits and letters with marks that are taken for Latin ones (as UTS 39 lists them)."""


def is_stranger(host: str) -> bool:
    """Whether a host is known for other things than meetings, or looks like a firm's that it is not."""
    return any(name in _PAGES for name in suffixes(host)) or _is_lookalike(host)


def _is_lookalike(host: str) -> bool:
    shown = _shown(host).translate(_LOOKS_LIKE).replace("-", "")
    return any(firm in shown for firm in _FIRMS)


def _shown(host: str) -> str:
    """The host as a browser shows it: lookalike letters hide behind `xn--` (RFC 3492)."""
    if "xn--" not in host:
        return host
    try:
        return idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        return host

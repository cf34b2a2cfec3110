"""The platforms that are recognised and named, and that no bot joins: those that are still there, M to Z."""

from typing import Final

from service.core.meeting_links.platforms.forms import Platform, form, room

_ZOHO: Final = ["com", "eu", "in", "com.au", "com.cn", "jp", "sa", "uk", "ca", "ae"]

THIRD_TIER_REST: Final = (
    Platform(
        name="meetecho",
        tier=3,
        forms=(
            form("conf.meetecho.com", r"/(?P<id>[\w-]+)", needs="session"),
            form("conf.meetecho.com", r"/(?P<id>[\w-]+)", needs="group"),
            form("=meetings.conf.meetecho.com", "/" + room()),
        ),
    ),
    Platform(
        name="mts_link",
        tier=3,
        forms=(form("=my.mts-link.ru", r"/j/(?P<id>\d+/\d+)(?:/session/\d+|/stream-new/\d+)?"),),
    ),
    Platform(name="nextcloud_talk", tier=3, forms=()),
    Platform(
        name="ovice",
        tier=3,
        strangers=frozenset({"www.ovice.com", "www.ovice.in", "tour.ovice.in", "help.ovice.com"}),
        forms=(
            form("*.ovice.in", r"(?P<id>(?:/lobby/enter|/@\d+,\d+|/lobby)?)"),
            form("=app.ovice.com", r"/ws/(?P<id>[\w-]+).*"),
        ),
    ),
    Platform(name="pop", tier=3, forms=(form("=pop.com =www.pop.com", r"/j/(?P<id>\d{3}-\d{3}-\d{3})"),)),
    Platform(
        name="preply",
        tier=3,
        forms=(form("=preply.com =www.preply.com", r"/[a-z]{2}(?:-[a-z]{2})?/chat/t-room/(?P<id>\d+)"),),
    ),
    Platform(
        name="proton_meet",
        tier=3,
        forms=(form("=meet.proton.me", r"/(?:guest/)?join/(?P<id>id-[\w-]+)", fragment=r"(?:pwd-(?P<code>\S+)|.*)"),),
    ),
    Platform(name="pumble", tier=3, forms=(form("=meet.pumble.com", r"/(?P<id>[a-z]{3}-[a-z]{4}-[a-z]{3})"),)),
    Platform(
        name="riverside",
        tier=3,
        forms=(
            form(
                "=riverside.com =riverside.fm =www.riverside.com =www.riverside.fm",
                r"/studio/(?P<id>[\w.-]+)",
                token_in="t",
            ),
        ),
    ),
    Platform(name="roam", tier=3, forms=(form("=ro.am", r"/r", fragment=r"/(?P<id>.+)"),)),
    Platform(
        name="sber_jazz",
        tier=3,
        forms=(
            form("=salutejazz.ru", r"/calls/(?P<id>\w+)", code_in="psw"),
            form("=jazz.sber.ru", "/" + room(), code_in="psw"),
        ),
    ),
    Platform(
        name="signal",
        tier=3,
        forms=(form("=signal.link", r"/call", fragment=r"key=(?P<id>\S+)"),),
    ),
    Platform(
        name="streamyard",
        tier=3,
        forms=(
            form("=streamyard.com =www.streamyard.com", r"/guest/(?P<id>[a-z0-9]{8,16})"),
            form(
                "=streamyard.com =www.streamyard.com",
                r"/(?!affiliates$|enterprise$|livestream$|multistream$|broadcast$|resources$|podcasting$|changelog$)"
                r"(?P<id>[a-z0-9]{10,12})",
            ),
        ),
    ),
    Platform(
        name="teamviewer_meeting",
        tier=3,
        forms=(
            form("=go.teamviewer.com", r"/v\d+/m(?P<id>\d+)"),
            form("=go.teamviewer.com =meeting.teamviewer.com", r"/(?:meet|join)/m?(?P<id>\d[\d-]*)"),
        ),
    ),
    Platform(
        name="teemyco",
        tier=3,
        forms=(form("=app.teemyco.com", r"/room/(?P<id>\w+/\w+)"),),
    ),
    Platform(name="tuple", tier=3, forms=(form("=tuple.app", r"/c/(?P<id>[\w-]+)"),)),
    Platform(
        name="vk_calls",
        tier=3,
        forms=(form("=vk.com =m.vk.com =vk.ru =m.vk.ru", r"/call/join/(?P<id>[\w-]+)"),),
    ),
    Platform(
        name="vonage",
        tier=3,
        forms=(
            form("=meetings.vonage.com", r"/(?P<id>\d{9})"),
            form("=meetings.vonage.com", r"", needs="room_token", id_in="room_token"),
        ),
    ),
    Platform(
        name="vsee",
        tier=3,
        forms=(
            form("=vsee.com =www.vsee.com =my.vsee.com", r"/(?:c|u)/(?P<id>[\w.-]+)"),
            form("*.vsee.me", r"/u/(?P<id>[\w.-]+)"),
        ),
    ),
    Platform(
        name="whatsapp",
        tier=3,
        forms=(form("=call.whatsapp.com", r"/(?:video|voice)/(?P<id>[\w-]+)"),),
    ),
    Platform(
        name="yandex_telemost",
        tier=3,
        forms=(form("=telemost.yandex.ru =telemost.yandex.com =telemost.360.yandex.ru", r"/j/(?P<id>\d+)"),),
    ),
    Platform(
        name="zhumu",
        tier=3,
        forms=(form("zhumu.com zhumu.me", r"/j/(?P<id>\d+)", token_in="pwd", typed=True),),
    ),
    Platform(
        name="zoho_cliq",
        tier=3,
        forms=(form(" ".join(f"=cliq.zoho.{tld}" for tld in _ZOHO), r"/(?:company/\w+/)?meetings/(?P<id>[\w-]+)"),),
    ),
    Platform(
        name="zoho_meeting",
        tier=3,
        forms=(
            form(
                " ".join(f"=meeting.zoho.{tld}" for tld in _ZOHO),
                r"/(?:meeting/)?(?:login/)?join(?:\.jsp|\.do)?",
                needs="key",
                id_in="key",
                code_in="pwd",
            ),
            form(
                " ".join(f"=meet.zoho.{tld} =meeting.zoho.{tld}" for tld in _ZOHO),
                r"/(?:meeting|webinar)/register.*",
                outcome="registration",
            ),
            form(" ".join(f"=meet.zoho.{tld}" for tld in _ZOHO), "/" + room(), code_in="pwd"),
        ),
    ),
)

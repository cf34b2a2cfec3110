"""The platforms that nearly every bot can join."""

from typing import Final

from service.core.meeting_links.platforms.forms import SIGN_IN, Platform, form, words
from service.core.meeting_links.platforms.roundabout import (
    TEAMS_THREAD,
    teams_coordinates,
    teams_fragment,
    teams_launcher,
)

_ZOOM: Final = "zoom.us zoom.com zoom.com.cn zoomgov.com zoom-x.de"
_ZOOM_STRANGERS: Final = words(
    "support docs applications events go scheduler marketplace explore blog learn developers status click.mail "
    "investors success community devforum"
)
_TEAMS: Final = (
    "=teams.microsoft.com =teams.live.com =teams.cloud.microsoft =teams.microsoft.us =gov.teams.microsoft.us "
    "=dod.teams.microsoft.us =teams.microsoftonline.cn"
)
_WEBEX: Final = "*.webex.com *.webex.com.cn *.webexgov.us"
_WEBEX_STRANGERS: Final = words("www help blog developer api hub admin status settings web apphub community essentials")

FIRST_TIER: Final = (
    Platform(
        name="zoom",
        tier=1,
        same="platform",
        strangers=frozenset(f"{name}.{host}" for name in _ZOOM_STRANGERS for host in _ZOOM.split()),
        forms=(
            form(
                _ZOOM,
                r"/[jws]/(?P<id>\d{9,11})(?!\d)",
                glued=True,
                token_in="pwd tk",
                typed=True,
            ),
            form(_ZOOM, r"/my/(?P<id>[a-z0-9][\w.-]*)", token_in="pwd tk", typed=True),
            form(_ZOOM, r"/wc/join/(?P<id>\d{9,11})", token_in="pwd tk", typed=True),
            form(_ZOOM, r"/wc/(?P<id>\d{9,11})(?:/(?:join|start))?", token_in="pwd tk", typed=True),
            form(_ZOOM, r"/(?:wc/)?join", needs="confno", id_in="confno", token_in="pwd tk", typed=True),
            form(_ZOOM, r"/(?:meeting|webinar)/register/[^/]+.*", outcome="registration"),
        ),
    ),
    Platform(
        name="google_meet",
        tier=1,
        same="platform",
        forms=(
            form("=meet.google.com", r"/(?:_meet/)?(?P<id>[a-z]{3}-[a-z]{4}-[a-z]{3})", glued=True),
            form("=meet.google.com", r"/(?:_meet/)?(?P<id>lookup/[\w-]+)", hint=SIGN_IN),
            form("=g.co", r"/(?P<id>meet/[\w-]+)", hint=SIGN_IN),
        ),
    ),
    Platform(
        name="microsoft_teams",
        tier=1,
        same="platform",
        forms=(
            form(_TEAMS, rf"/l/meetup-join/(?P<id>{TEAMS_THREAD})(?:/\d+)?"),
            form(_TEAMS, r"/meet/(?P<id>\d{10,15})(?!\d)", glued=True, code_in="p", typed=True),
            form(_TEAMS, r"/(?:v2|_)?", fragment=r"/.+", inner=teams_fragment, typed=True),
            form(_TEAMS, r"/dl/launcher/launcher\.html", needs="url", inner=teams_launcher, typed=True),
            form(_TEAMS, r"/light-meetings/launch", needs="coords", inner=teams_coordinates, typed=True),
            form("=events.teams.microsoft.com", r"/event/[^/]+.*", outcome="registration"),
        ),
    ),
    Platform(
        name="webex",
        tier=1,
        same="host",
        strangers=frozenset(
            f"{name}.{host.removeprefix('*.')}" for name in _WEBEX_STRANGERS for host in _WEBEX.split()
        ),
        forms=(
            form(_WEBEX, r"/(?P<id>(?:meet|join)/[\w.%+@-]+)", typed=True),
            form(_WEBEX, r"/[^/]+/(?:k2/)?[je]\.php", needs="mtid", id_in="mtid", typed=True),
            form(_WEBEX, r"/[^/]+/onstage/g\.php", needs="mtid", id_in="mtid", typed=True),
            form(
                _WEBEX,
                r"/webappng/sites/[^/]+/meeting/(?:info|download)/(?P<id>[0-9a-f]{6,})",
                id_in="mtid",
                typed=True,
            ),
            form(
                _WEBEX,
                r"/wbxmjs/joinservice/sites/[^/]+/meeting/download/(?P<id>[0-9a-f]{6,})",
                id_in="mtid",
                typed=True,
            ),
            form(_WEBEX, r"/m/(?P<id>[0-9a-f]{8}-[0-9a-f-]{27})", typed=True),
            form(_WEBEX, r"/(?:weblink|webappng/sites/[^/]+/(?:meeting|webinar))/register/.+", outcome="registration"),
        ),
    ),
)

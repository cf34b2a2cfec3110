"""The platforms that are gone, whose links live on in old series: recognised and flagged, never sent a bot to."""

from typing import Final

from service.core.meeting_links.platforms.forms import RETIRED, Platform, form, room

RETIRED_PLATFORMS: Final = (
    Platform(
        name="amazon_chime",
        tier=3,
        forms=(
            form("=chime.aws", r"/(?P<id>\d{4,14})", hint=RETIRED),
            form("=app.chime.aws", r"/meetings/(?P<id>[\w-]+)", hint=RETIRED),
        ),
    ),
    Platform(
        name="around",
        tier=3,
        forms=(form("=meet.around.co =around.co =www.around.co", r"/r/(?P<id>[\w-]+)", hint=RETIRED),),
    ),
    Platform(
        name="bluejeans",
        tier=3,
        forms=(
            form("=primetime.bluejeans.com", r"/a2m/register/.+", outcome="registration"),
            form("=primetime.bluejeans.com", r"/a2m/live-event/(?P<id>\w+)", hint=RETIRED),
            form("bluejeans.com", r"/(?P<id>\d{6,})(?:/(?P<code>\d+))?(?:/(?:webrtc|browser))?", hint=RETIRED),
        ),
    ),
    Platform(
        name="chorus",
        tier=3,
        forms=(form("=go.chorus.ai", r"/(?P<id>[\w-]+)", hint=RETIRED),),
    ),
    Platform(
        name="google_duo",
        tier=3,
        forms=(
            form("=duo.google.com", r"/(?:j|joincall|join)/(?P<id>[\w-]+)", hint=RETIRED),
            form("=duo.app.goo.gl", r"/(?P<id>[\w-]+)", hint=RETIRED),
        ),
    ),
    Platform(
        name="google_hangouts",
        tier=3,
        forms=(
            form(
                "=hangouts.google.com =plus.google.com =talkgadget.google.com", r"/hangouts/_/(?P<id>.+)", hint=RETIRED
            ),
            form("=hangouts.google.com", r"/call/(?P<id>[\w-]+)", hint=RETIRED),
        ),
    ),
    Platform(
        name="joinme",
        tier=3,
        forms=(
            form("=join.me =www.join.me =secure.join.me", "/" + room("blog viewer premium trial mac"), hint=RETIRED),
        ),
    ),
    Platform(
        name="lifesize",
        tier=3,
        forms=(
            form(
                "=call.lifesizecloud.com =guest.lifesizecloud.com", r"/(?:otherroom/)?(?P<id>\d+)(?:/.*)?", hint=RETIRED
            ),
        ),
    ),
    Platform(
        name="skype",
        tier=3,
        forms=(
            form("=join.skype.com", r"/(?!bot/|invite/|widget/)(?:meetnow/|meet/)?(?P<id>[\w-]{6,})", hint=RETIRED),
        ),
    ),
    Platform(
        name="skype_for_business",
        tier=3,
        forms=(form("=meet.lync.com", r"/(?P<id>[^/]+/[^/]+/[a-z0-9]{5,})", hint=RETIRED),),
    ),
    Platform(
        name="starleaf",
        tier=3,
        forms=(form("=meet.starleaf.com", r"/(?P<id>\d+)(?:/app)?", hint=RETIRED),),
    ),
    Platform(
        name="workplace",
        tier=3,
        forms=(
            form("*.workplace.com", r"/groupcall/(?P<id>[^/]+)", hint=RETIRED),
            form("*.workplace.com", r"/meet/(?P<id>[\w-]+)", hint=RETIRED),
        ),
    ),
)

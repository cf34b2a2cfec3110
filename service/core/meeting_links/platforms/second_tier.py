"""The platforms that some bots can join."""

from typing import Final

from service.core.meeting_links.platforms.forms import RETIRED, Platform, form, room

_MEET_CODE: Final = r"[a-z]{3}-[a-z]{4}-[a-z]{3}"
_GOTO_ID: Final = r"\d{9}|\d{3}-\d{3}-\d{3}"
_WHEREBY_PAGES: Final = "video-meetings embedded legal guides pro"

SECOND_TIER: Final = (
    Platform(
        name="goto_meeting",
        tier=2,
        forms=(
            form("=meet.goto.com", rf"/(?P<id>{_GOTO_ID})"),
            form("=meet.goto.com", r"/(?!install/|help/|system-check/)(?P<id>[\w.-]+/[\w.-]+)"),
            form("=app.goto.com", rf"/meeting/(?P<id>{_GOTO_ID})"),
            form("=global.gotomeeting.com =www.gotomeeting.com =gotomeeting.com", rf"/join/(?P<id>{_GOTO_ID})"),
            form(
                "=global.gotomeeting.com =www.gotomeeting.com =app.gotomeeting.com =gotomeeting.com",
                r"(?:/index\.html)?",
                needs="meetingid",
                id_in="meetingid",
            ),
            form("=gotomeet.me =www.gotomeet.me", "/" + room() + r"(?:/\d+)?"),
        ),
    ),
    Platform(
        name="goto_webinar",
        tier=2,
        forms=(
            form("=global.gotowebinar.com", r"/join/(?P<id>\d+)/\d+"),
            form(
                "=attendee.gotowebinar.com =register.gotowebinar.com =global.gotowebinar.com",
                r"/(?:register|rt)/[^/]+.*",
                outcome="registration",
            ),
        ),
    ),
    Platform(
        name="slack_huddle",
        tier=2,
        forms=(form("=app.slack.com", r"/huddle/(?P<id>[TE]\w+/[CDG]\w+)"),),
    ),
    Platform(
        name="jitsi",
        tier=2,
        forms=(
            form(
                "=meet.jit.si",
                r"/(?!(?:static|libs|images|sounds|css|lang|http-bind|colibri-ws|about)(?:/|$))"
                r"(?!config\.js$|interface_config\.js$|manifest\.json$|favicon\.ico$|robots\.txt$)"
                r"(?P<id>[^/]+(?:/[^/]+)?)",
                token_in="jwt",
            ),
            form("=moderated.jitsi.net", r"/(?P<id>[0-9a-f]{16,128})"),
        ),
    ),
    Platform(
        name="8x8",
        tier=2,
        forms=(form("=8x8.vc", r"/(?!static/)(?P<id>[^/]+/[^/]+)", token_in="jwt"),),
    ),
    Platform(
        name="whereby",
        tier=2,
        strangers=frozenset({"docs.whereby.com", "help.whereby.com", "api.whereby.com", "api.whereby.dev"}),
        forms=(form("whereby.com", "/" + room(_WHEREBY_PAGES), token_in="roomkey"),),
    ),
    Platform(
        name="daily",
        tier=2,
        strangers=frozenset(
            f"{name}.daily.co"
            for name in ["www", "docs", "api", "dashboard", "help", "blog", "status", "cdn", "learn", "community"]
        ),
        forms=(form("*.daily.co", r"/(?P<id>[\w-]+)", token_in="t"),),
    ),
    Platform(
        name="ringcentral",
        tier=2,
        forms=(
            form("=v.ringcentral.com =video.ringcentral.com", r"/join/(?P<id>[\w.-]+)", code_in="pw", typed=True),
            form("=meetings.ringcentral.com", r"/[jw]/(?P<id>\d{9,12})", token_in="pwd", typed=True, hint=RETIRED),
        ),
    ),
    Platform(
        name="lark",
        tier=2,
        forms=(form("=vc.larksuite.com", r"/j/(?P<id>\d{9})"),),
    ),
    Platform(
        name="feishu",
        tier=2,
        forms=(form("=vc.feishu.cn", r"/j/(?P<id>\d{9})"),),
    ),
    Platform(
        name="tencent_meeting",
        tier=2,
        forms=(
            form(
                "=meeting.tencent.com =voovmeeting.com =www.voovmeeting.com =meeting.voovmeeting.com",
                r"/(?:dm|dw|s)/(?P<id>\w{6,})",
                code_in="pwd",
                typed=True,
            ),
            form(
                "=meeting.tencent.com =voovmeeting.com =www.voovmeeting.com =meeting.voovmeeting.com",
                r"/p/(?P<id>\d{6,})",
                code_in="pwd",
                typed=True,
            ),
        ),
    ),
    Platform(
        name="dingtalk",
        tier=2,
        forms=(
            form("=meeting.dingtalk.com", r"/j/(?P<id>\w+)"),
            form("=meeting.dingtalk.com", r"/app", needs="roomcode", id_in="roomcode", token_in="token"),
        ),
    ),
    Platform(
        name="livekit",
        tier=2,
        forms=(form("=meet.livekit.io", r"/rooms/(?P<id>[\w.-]+)", fragment=r".*"),),
    ),
    Platform(
        name="element_call",
        tier=2,
        forms=(
            form("=call.element.io", r"/room", fragment=r"/?(?P<id>[^?]+).*", token_in="password"),
            form("=call.element.io", "/" + room(), token_in="password"),
        ),
    ),
    Platform(
        name="lasuite_visio",
        tier=2,
        forms=(form("=visio.numerique.gouv.fr", rf"/(?P<id>{_MEET_CODE})"),),
    ),
)

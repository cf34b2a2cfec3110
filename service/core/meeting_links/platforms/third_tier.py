"""The platforms that are recognised and named, and that no bot joins: those that are still there, A to L."""

from typing import Final

from service.core.meeting_links.platforms.forms import VIEW_ONLY, Platform, form, room

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

THIRD_TIER: Final = (
    Platform(
        name="google_meet_stream",
        tier=3,
        forms=(form("=stream.meet.google.com", rf"/stream/(?P<id>{_UUID})", hint=VIEW_ONLY),),
    ),
    Platform(
        name="adobe_connect",
        tier=3,
        strangers=frozenset({"www.adobeconnect.com", "helpx.adobeconnect.com", "blogs.adobeconnect.com"}),
        forms=(
            form("*.adobeconnect.com", r"/[^/]+/event/(?:registration|event_info)\.html", outcome="registration"),
            # /p with ten or more letters and digits is a recording or a document.
            form(
                "*.adobeconnect.com",
                r"/(?!(?:system|admin|common|content|api|servlet|_a\d+)(?:/|$))(?!p[a-z0-9]{10,}$)(?P<id>[\w.-]+)",
            ),
        ),
    ),
    Platform(
        name="bigbluebutton",
        tier=3,
        forms=(),
    ),
    Platform(
        name="blackboard_collaborate",
        tier=3,
        forms=(
            form(
                "*.bbcollab.com",
                r"/(?:collab/ui/session/)?(?:guest|invite|launch|join)/(?P<id>[\w-]+)",
            ),
        ),
    ),
    Platform(
        name="butter",
        tier=3,
        forms=(
            form(
                "=app.butter.us",
                r"/(?!(?:login|signup|dashboard|settings|auth|account|recordings?)/)(?P<id>[\w.-]+/[\w.-]+)",
            ),
        ),
    ),
    Platform(
        name="cal_video",
        tier=3,
        forms=(form("=app.cal.com =cal.com", r"/video/(?P<id>[\w-]+)"),),
    ),
    Platform(
        name="clickmeeting",
        tier=3,
        strangers=frozenset(
            f"{name}.clickmeeting.com"
            for name in ["www", "knowledge", "account-panel", "api", "blog", "help", "support", "static"]
        ),
        forms=(
            form("*.clickmeeting.com", r"/[^/]+/register", outcome="registration"),
            form("*.clickmeeting.com", "/" + room()),
        ),
    ),
    Platform(
        name="coscreen",
        tier=3,
        forms=(form("=join.coscreen.co", r"/(?P<id>[\w.-]+(?:/[\w.-]+)?)"),),
    ),
    Platform(
        name="demio",
        tier=3,
        forms=(form("=event.demio.com", r"/ref/(?P<id>[\w-]+)"),),
    ),
    Platform(
        name="demodesk",
        tier=3,
        strangers=frozenset({"help.demodesk.com", "developer.demodesk.com"}),
        forms=(
            form(
                "=demodesk.com =www.demodesk.com =app.demodesk.com",
                r"/(?:meet|meetings?|join|demos?)/(?P<id>[\w-]+)",
            ),
            form("=demodesk.com", "/" + room("resources-guides lp glossary") + r"/[\w-]+"),
        ),
    ),
    Platform(
        name="dialpad",
        tier=3,
        forms=(
            form(
                "=meetings.dialpad.com =uberconference.com =www.uberconference.com =dialpad.uberconference.com",
                "/(?:room/)?" + room("international international-numbers conferences"),
            ),
        ),
    ),
    Platform(
        name="discord",
        tier=3,
        forms=(
            form("=discord.gg", "/" + room()),
            form("=discord.com =discordapp.com =www.discord.com", r"/invite/(?P<id>[\w-]+)"),
            form("=discord.com =discordapp.com =ptb.discord.com =canary.discord.com", r"/channels/(?P<id>\d+/\d+)"),
            form("=discord.com =discordapp.com", r"/events/(?P<id>\d+/\d+)"),
        ),
    ),
    Platform(
        name="doxy_me",
        tier=3,
        strangers=frozenset({"help.doxy.me", "status.doxy.me", "api.doxy.me"}),
        forms=(form("doxy.me", "/" + room("features telehealth patients providers clinic check-in")),),
    ),
    Platform(
        name="facetime",
        tier=3,
        forms=(form("=facetime.apple.com", r"/join", fragment=r"(?=.*\bk=).+"),),
    ),
    Platform(
        name="freeconferencecall",
        tier=3,
        forms=(form("=join.freeconferencecall.com", "/" + room()),),
    ),
    Platform(
        name="gather",
        tier=3,
        forms=(
            form(
                "=gather.town =www.gather.town =app.gather.town =app.v2.gather.town",
                r"/(?:v2/)?app/(?P<id>[\w.~%-]+/[^/]+)",
                token_in="spawntoken",
            ),
        ),
    ),
    Platform(
        name="gong",
        tier=3,
        forms=(form("join.gong.io", r"/(?P<id>[\w.-]+(?:/[\w.-]+)?)"),),
    ),
    Platform(
        name="jiomeet",
        tier=3,
        forms=(
            form(
                "=jiomeetpro.jio.com =jiomeet.jio.com",
                r"/(?:shortener|joinmeeting|guest)",
                needs="meetingid",
                id_in="meetingid",
                token_in="pwd",
            ),
        ),
    ),
    Platform(
        name="kontur_talk",
        tier=3,
        strangers=frozenset({"www.ktalk.ru", "help.ktalk.ru", "support.ktalk.ru"}),
        forms=(form("*.ktalk.ru", "/" + room("recordings? records? archive system app")),),
    ),
    Platform(
        name="kumospace",
        tier=3,
        forms=(
            form(
                "=www.kumospace.com =kumospace.com =app.kumospace.com",
                "/" + room("use-cases virtual-office remote-work customer-stories tools"),
            ),
        ),
    ),
    Platform(
        name="livestorm",
        tier=3,
        forms=(
            form("=app.livestorm.co =app.livestorm.com", rf"/p/(?P<id>{_UUID})/live", token_in="s"),
            form("=app.livestorm.co =app.livestorm.com", rf"/p/{_UUID}(?:/form)?", outcome="registration"),
        ),
    ),
    Platform(
        name="luma",
        tier=3,
        forms=(
            form("=lu.ma =luma.com =www.luma.com", r"/join/(?P<id>[\w-]+)"),
            form(
                "=lu.ma =luma.com =www.luma.com",
                r"/(?!(?:discover|calendar|create|home|user|signin|pricing|app|settings|help|join)(?:/|$))"
                r"(?:event/)?[\w.-]+",
                outcome="registration",
            ),
        ),
    ),
)

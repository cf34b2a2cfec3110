"""The table of platforms, row by row: what is a room there, what only looks like one, and what is gone."""

import pytest

from service.core.meeting_links.addresses import read_address
from service.core.meeting_links.platforms import PLATFORMS, forms_of
from service.core.meeting_links.recognition import REGISTRATION_REQUIRED, Room, recognise

UUID = "0f1e2d3c-1111-4222-8333-444455556666"
THREAD = "19%3ameeting_SW52ZW50ZWQ%40thread.v2"
MTID = "m0f1e2d3c0f1e2d3c0f1e2d3c0f1e2d3c"

ROOMS = {
    "zoom": ["zoom.us/j/123456789", "acme.zoom.us/w/12345678901?tk=t", "zoomgov.com/s/1612345678", "zoom-x.de/j/12345678901",
             "us02web.zoom.us/my/ada.b?pwd=x", "zoom.us/wc/join/12345678901", "app.zoom.us/wc/12345678901/start",
             "zoom.us/wc/12345678901", "zoom.com.cn/j/12345678901", "zoom.com/join?confno=12345678901"],
    "google_meet": ["meet.google.com/abc-defg-hij", "meet.google.com/_meet/ABC-DEFG-HIJ", "meet.google.com/lookup/team",
                    "g.co/meet/team"],
    "microsoft_teams": [f"teams.microsoft.com/l/meetup-join/{THREAD}/0?context=x", "teams.live.com/meet/9312345678901?p=x",
                        "teams.cloud.microsoft/meet/2481234567891", "gov.teams.microsoft.us/meet/2481234567891?p=x",
                        f"dod.teams.microsoft.us/l/meetup-join/{THREAD}/0",
                        "teams.microsoft.com/l/meetup-join/19%3aabcdef%40thread.tacv2/1700000000000",
                        "teams.microsoft.com/l/meetup-join/19:meeting_abcd@thread.skype/0",
                        "teams.microsoft.com/v2/?meetingjoin=true#/meet/2481234567891?p=x",
                        f"teams.microsoft.com/_#/l/meetup-join/{THREAD}/0",
                        "teams.microsoft.com/dl/launcher/launcher.html?url=%2F_%23%2Fmeet%2F2481234567891%3Fp%3Dx&type=meet",
                        "teams.live.com/light-meetings/launch?coords=eyJtZWV0aW5nQ29kZSI6ICI5MzEyMzQ1Njc4OTAxIn0%3D"],
    "webex": ["acme.webex.com/meet/ada", "acme.webex.com/join/ada", f"acme.webex.com/acme/j.php?MTID={MTID}",
              f"a.my.webex.com/a.my/k2/j.php?MTID={MTID}", f"acme.webex.com/acme/e.php?MTID={MTID}",
              f"acme.webex.com.cn/acme/onstage/g.php?MTID={MTID}", "a.webexgov.us/webappng/sites/a/meeting/info/0f1e2d3c",
              "acme.webex.com/wbxmjs/joinservice/sites/acme/meeting/download/0f1e2d3c", f"acme.webex.com/m/{UUID}"],
    "goto_meeting": ["meet.goto.com/123456789", "meet.goto.com/acme/room", "app.goto.com/meeting/123-456-789",
                     "global.gotomeeting.com/join/123456789", "app.gotomeeting.com/?meetingId=123456789",
                     "www.gotomeet.me/AdaB/2"],
    "goto_webinar": ["global.gotowebinar.com/join/123/456"],
    "slack_huddle": ["app.slack.com/huddle/T0A/C0B"],
    "jitsi": ["meet.jit.si/Room", "meet.jit.si/tenant/Room?jwt=x", "moderated.jitsi.net/0123456789abcdef0123456789abcdef"],
    "8x8": ["8x8.vc/acme/room"],
    "whereby": ["whereby.com/room", "acme.whereby.com/room?roomKey=x"],
    "daily": ["acme.daily.co/room?t=x"],
    "ringcentral": ["v.ringcentral.com/join/012345098765?pw=x", "video.ringcentral.com/join/ada",
                    "meetings.ringcentral.com/j/1234509876"],
    "lark": ["vc.larksuite.com/j/123456789"],
    "feishu": ["vc.feishu.cn/j/123456789"],
    "tencent_meeting": ["meeting.tencent.com/dm/aBcDeFgH", "voovmeeting.com/dw/aBcDeFgH", "meeting.tencent.com/s/aBcDeFgH",
                        "meeting.tencent.com/p/1234509876"],
    "dingtalk": ["meeting.dingtalk.com/j/aBcDeF", "meeting.dingtalk.com/app?roomCode=123&token=x"],
    "livekit": ["meet.livekit.io/rooms/ab-cd#key"],
    "element_call": ["call.element.io/room/#/standup?password=x"],
    "lasuite_visio": ["visio.numerique.gouv.fr/aaa-bbbb-ccc"],
    "amazon_chime": ["chime.aws/1234567890", "app.chime.aws/meetings/1234567890"],
    "bluejeans": ["bluejeans.com/123450987", "bluejeans.com/123450987/4321", "primetime.bluejeans.com/a2m/live-event/ab"],
    "around": ["meet.around.co/r/room"],
    "skype": ["join.skype.com/aBcDeFgHiJkL"],
    "skype_for_business": ["meet.lync.com/acme/ada/0FAKE1D2"],
    "discord": ["discord.gg/aBc", "discord.com/invite/aBc", "discord.com/channels/1/2", "discord.com/events/1/2"],
    "dialpad": ["meetings.dialpad.com/ada", "meetings.dialpad.com/room/ada", "www.uberconference.com/ada"],
    "livestorm": [f"app.livestorm.co/p/{UUID}/live?s=x"],
    "riverside": ["riverside.com/studio/pod?t=x", "riverside.fm/studio/pod"],
    "streamyard": ["streamyard.com/inv3nt3d01", "streamyard.com/guest/inv3nt3d01"],
    "butter": ["app.butter.us/acme/room"],
    "gather": ["app.gather.town/app/aBc/acme", "gather.town/app/aBc/acme?spawnToken=x"],
    "pop": ["pop.com/j/123-450-987"],
    "tuple": ["tuple.app/c/aBc_d"],
    "vonage": ["meetings.vonage.com/123450987", "meetings.vonage.com/?room_token=123450987"],
    "zoho_meeting": ["meeting.zoho.com/join?key=1", "meeting.zoho.eu/meeting/join?key=1", "meet.zoho.in/abcd-efg-hij"],
    "zoho_cliq": ["cliq.zoho.eu/meetings/aBc"],
    "demio": ["event.demio.com/ref/aBc"],
    "kumospace": ["www.kumospace.com/acme"],
    "preply": ["preply.com/en/chat/t-room/123"],
    "cal_video": ["app.cal.com/video/aBc123"],
    "facetime": ["facetime.apple.com/join#v=1&p=x&k=y"],
    "proton_meet": ["meet.proton.me/join/id-AB12#pwd-x"],
    "signal": ["signal.link/call/#key=aa-bb"],
    "whatsapp": ["call.whatsapp.com/video/aBc"],
    "joinme": ["join.me/ada"],
    "lifesize": ["call.lifesizecloud.com/1234567"],
    "starleaf": ["meet.starleaf.com/123456789/app"],
    "yandex_telemost": ["telemost.yandex.ru/j/123", "telemost.360.yandex.ru/j/123"],
    "kontur_talk": ["acme.ktalk.ru/room1"],
    "sber_jazz": ["salutejazz.ru/calls/ab?psw=x", "jazz.sber.ru/ab?psw=x"],
    "mts_link": ["my.mts-link.ru/j/12/34"],
    "vk_calls": ["vk.com/call/join/aBc"],
    "adobe_connect": ["acme.adobeconnect.com/room/"],
    "doxy_me": ["doxy.me/ada", "acme.doxy.me/ada"],
    "demodesk": ["demodesk.com/acme/demo", "demodesk.com/meet/ada"],
    "ovice": ["acme.ovice.in/lobby/enter", "app.ovice.com/ws/acme"],
    "roam": ["ro.am/r/#/p/aBc"],
    "coscreen": ["join.coscreen.co/acme/aBc"],
    "teamviewer_meeting": ["go.teamviewer.com/v15/m12345678", "go.teamviewer.com/meet/12345678"],
    "pumble": ["meet.pumble.com/abc-defg-hij"],
    "gong": ["join.gong.io/acme/ada"],
    "chorus": ["go.chorus.ai/123"],
    "luma": ["lu.ma/join/g-aBc?pk=x"],
    "vsee": ["vsee.com/c/ada", "acme.vsee.me/u/ada"],
    "jiomeet": ["jiomeetpro.jio.com/shortener?meetingId=1234&pwd=x"],
    "clickmeeting": ["acme.clickmeeting.com/room"],
    "freeconferencecall": ["join.freeconferencecall.com/ada"],
    "blackboard_collaborate": ["us.bbcollab.com/guest/0123ABCD"],
    "meetecho": ["meetings.conf.meetecho.com/conf1/?session=1", "meetings.conf.meetecho.com/conf1/"],
    "zhumu": ["welink.zhumu.com/j/123450987?pwd=x"],
    "workplace": ["acme.workplace.com/groupcall/LINK:x/?call_id=1", "acme.workplace.com/meet/ada"],
    "teemyco": ["app.teemyco.com/room/aBc/dEf"],
    "google_duo": ["duo.google.com/j/aBc", "duo.app.goo.gl/aBc"],
    "google_hangouts": ["hangouts.google.com/hangouts/_/acme.example/standup", "hangouts.google.com/call/aBc"],
    "google_meet_stream": [f"stream.meet.google.com/stream/{UUID}"],
}  # fmt: skip
BY_SHAPE = {"bigbluebutton", "nextcloud_talk"}
"""Only on servers of somebody's own: test_link_hosts.py."""

TRAPS = {
    "zoom": ["zoom.us/j/", "zoom.us/j/12345678", "zoom.us/j/123456789012", "zoom.us/j/your-id", "zoom.us/u/kAbc",
             "zoom.us/zoomconference", "zoom.us/rec/share/x", "zoom.us/rec/play/x", "zoom.us/recording/12345678901",
             "zoom.us/meeting/tZ0/ics", "zoom.us/meeting/tZ0/calendar/google/add", "zoom.us/launch/chat?x=1",
             "zoom.us/launch/jc/12345678901", "zoom.us/launch/edl?muid=1", "zoom.us/postattendee?id=12345678901",
             "zoom.us/wc/home", "zoom.us/wb/doc/x", "zoom.us/clips/share/x", "zoom.us/signin", "zoom.us/test",
             "zoom.us/download", "zoom.us/pricing", "support.zoom.us/j/12345678901", "events.zoom.us/ev/x",
             "applications.zoom.us/addon/invitation/detail?meetingUuid=x", "go.zoom.us/j/12345678901", "zoomcrc.com/j/12345678901"],
    "google_meet": ["meet.google.com/", "meet.google.com/new", "meet.google.com/landing", "meet.google.com/calendar",
                    "meet.google.com/whoops/abc-defg-hij", "meet.google.com/abcd-efg-hij", "tel.meet/abc-defg-hij?pin=1",
                    "support.google.com/abc-defg-hij", "a.meet.google.com/abc-defg-hij"],
    "microsoft_teams": ["teams.microsoft.com/meetingOptions/?threadId=19_meeting_a@thread.v2", "teams.microsoft.com/l/channel/x",
                        f"teams.microsoft.com/l/chat/{THREAD}/0", f"teams.microsoft.com/l/message/{THREAD}/1",
                        "teams.microsoft.com/l/meeting/new?subject=x", "teams.microsoft.com/l/meeting/details?x=1",
                        "teams.microsoft.com/l/meetingrecap?x=1", "teams.microsoft.com/l/call/0/0", "teams.microsoft.com/l/entity/x",
                        "teams.microsoft.com/l/meetup-join/x/y?context=z", "teams.microsoft.com/meet/248",
                        "teams.microsoft.com/dl/launcher/launcher.html?url=%2F_%23%2Fl%2Fchat%2F19%3Ameeting_x%40thread.v2%2F0&type=chat",
                        "teams.microsoft.com/light-meetings/launch?coords=!!", "dialin.teams.microsoft.com/x?id=987654321",
                        "teams.live.com/l/invite/x", "aka.ms/JoinTeamsMeeting", "mysettings.lync.com/x",
                        "teams.microsoft.com/v2/#/l/chat/x", "pexip.me/teams/acme/1234509876"],
    "webex": [f"acme.webex.com/acme/globalcallin.php?MTID={MTID}", "acme.webex.com/acme/j.php", "acme.webex.com/", "acme.webex.com",
              "acme.webex.com/acme/ldr.php?RCID=0f1e2d3c", "acme.webex.com/recordingservice/sites/a/recording/0f1e2d3c/playback",
              "acme.webex.com/webappng/sites/acme/dashboard/home", "www.webex.com/msteams?confid=1", "help.webex.com/meet/x",
              "acme.webex.com/webappng/sites/acme/recording/0f1e2d3c/playback", "webex.com/meet/ada"],
    "goto_meeting": ["meet.goto.com/install", "global.gotomeeting.com/install/123456789", "link.gotomeeting.com/system-check",
                     "transcripts.gotomeeting.com/x", "www.gotomeeting.com/pricing"],
    "goto_webinar": ["attendee.gotowebinar.com/recording/1", "www.gotowebinar.com/"],
    "slack_huddle": ["acme.slack.com/archives/C0/p1", "app.slack.com/client/T0/C0", "join.slack.com/t/acme/shared_invite/x"],
    "jitsi": ["meet.jit.si/", "meet.jit.si/static/dialInInfo.html?room=x", "jitsi.github.io/handbook"],
    "8x8": ["8x8.vc/", "8x8.vc/acme"],
    "whereby": ["whereby.com/", "whereby.com/information", "whereby.com/blog/x", "whereby.com/user/login", "whereby.com/org/x",
                "docs.whereby.com/x"],
    "daily": ["www.daily.co/pricing", "docs.daily.co/reference", "api.daily.co/v1", "dashboard.daily.co/x", "daily.co/x"],
    "ringcentral": ["v.ringcentral.com/teleconference", "support.ringcentral.com/join/x"],
    "lark": ["meetings.larksuite.com/minutes/x", "meetings.larksuite.com/s/x", "acme.larksuite.com/docx/x"],
    "feishu": ["meetings.feishu.cn/minutes/x", "vc.feishu.cn/j/12"],
    "tencent_meeting": ["meeting.tencent.com/crm/aBcDeFgH", "meeting.tencent.com/cw/aBcDeFgH", "meeting.tencent.com/v2/cloud-record/x"],
    "dingtalk": ["meeting.dingtalk.com/app?token=x"],
    "amazon_chime": ["chime.aws/dialinnumbers/"],
    "bluejeans": ["www.bluejeans.com/numbers", "bluejeans.com/"],
    "skype": ["www.skype.com/en/get-skype/", "join.skype.com/bot/aBcDeFgHiJkL"],
    "discord": ["support.discord.com/hc/x", "discord.com/blog/x", "discord.com/channels/@me/1"],
    "dialpad": ["meetings.dialpad.com/international"],
    "riverside": ["riverside.com/blog/x"],
    "streamyard": ["streamyard.com/pricing", "streamyard.com/"],
    "cal_video": ["app.cal.com/booking/x", "app.cal.com/reschedule/x"],
    "facetime": ["facetime.apple.com/join"],
    "signal": ["signal.link/call/"],
    "adobe_connect": ["acme.adobeconnect.com/p1234567890a/", "acme.adobeconnect.com/admin/"],
    "roam": ["ro.am/r/"],
    "vk_calls": ["vk.com/acme"],
    "clickmeeting": ["www.clickmeeting.com/x", "acme.clickmeeting.com/"],
    "google_hangouts": ["hangouts.google.com/"],
}  # fmt: skip
REGISTRATION = [
    "acme.zoom.us/meeting/register/tZ0", "acme.zoom.us/webinar/register/WN_x", f"events.teams.microsoft.com/event/{UUID}@{UUID}",
    "acme.webex.com/weblink/register/r0f1e", f"app.livestorm.co/p/{UUID}/form", "lu.ma/abc123", "attendee.gotowebinar.com/register/1",
    "attendee.gotowebinar.com/rt/1", "meeting.zoho.com/meeting/register?sessionId=1",
]  # fmt: skip


def cases(table: dict[str, list[str]]) -> list[object]:
    return [
        pytest.param(name, f"https://{url}", id=f"{name}-{url[:60]}") for name, urls in table.items() for url in urls
    ]


@pytest.mark.parametrize(("platform", "url"), cases(ROOMS))
def test_a_room_is_named(platform: str, url: str) -> None:
    room = recognise(url, {})

    assert isinstance(room, Room)
    assert (room.platform, room.url) == (platform, url)


@pytest.mark.parametrize(("platform", "url"), cases(TRAPS))
def test_what_else_is_on_those_hosts_is_no_room(platform: str, url: str) -> None:
    assert not isinstance(recognise(url, {}), Room), platform


@pytest.mark.parametrize("url", REGISTRATION)
def test_a_page_to_register_on_is_told(url: str) -> None:
    assert recognise(f"https://{url}", {}) == REGISTRATION_REQUIRED


def test_no_row_lacks_a_case() -> None:
    assert set(ROOMS) | BY_SHAPE == {platform.name for platform in PLATFORMS}
    assert len(PLATFORMS) == 77
    used = {
        host
        for urls in ROOMS.values()
        for url in urls
        if (each := read_address(f"https://{url}"))
        for host in [each.host]
    }
    assert all(forms_of(host) for host in used)
    assert TRAPS.keys() <= ROOMS.keys()


@pytest.mark.parametrize("platform", [row.name for row in PLATFORMS if row.forms])
def test_no_form_lacks_a_case(platform: str) -> None:
    urls = [f"https://{url}" for url in [*ROOMS[platform], *REGISTRATION]]
    addresses = [address for url in urls if (address := read_address(url))]
    for form in next(row for row in PLATFORMS if row.name == platform).forms:
        if form.outcome == "meeting":
            assert any(form.path.match(address.path.rstrip("/")) for address in addresses), form.path.pattern


@pytest.mark.parametrize("platform", ["amazon_chime", "around", "bluejeans", "chorus", "google_duo", "google_hangouts", "joinme",
                                      "lifesize", "skype", "skype_for_business", "starleaf", "workplace"])  # fmt: skip
def test_what_is_gone_is_flagged(platform: str) -> None:
    rooms = [recognise(f"https://{url}", {}) for url in ROOMS[platform]]

    assert {room.hint for room in rooms if isinstance(room, Room)} == {"retired"}


@pytest.mark.parametrize(
    ("url", "meeting_id", "code", "token"),
    [
        ("https://zoom.us/my/ada?pwd=t.1", "my/ada", None, "t.1"),
        ("https://zoom.us/w/12345678901?tk=k&pwd=t.1", "12345678901", None, "t.1"),
        ("https://meet.google.com/ABC-defg-HIJ?authuser=1", "abc-defg-hij", None, None),
        ("https://teams.microsoft.com/meet/2481234567891?p=%41b", "2481234567891", "Ab", None),
        (f"https://teams.microsoft.com/l/meetup-join/{THREAD}/0", "19:meeting_SW52ZW50ZWQ@thread.v2", None, None),
        (f"https://acme.webex.com/acme/j.php?MTID={MTID}&x=1", MTID, None, None),
        ("https://acme.webex.com/join/ada", "join/ada", None, None),
        ("https://bluejeans.com/123450987/4321", "123450987", "4321", None),
        ("https://meet.proton.me/join/id-AB12#pwd-x", "id-AB12", "x", None),
        ("https://call.element.io/room/#/standup?password=x", "standup", None, "x"),
    ],
)  # fmt: skip
def test_what_a_link_says_of_its_room(url: str, meeting_id: str, code: str | None, token: str | None) -> None:
    room = recognise(url, {})

    assert isinstance(room, Room)
    assert (room.meeting_id, room.code, room.token) == (meeting_id, code, token)

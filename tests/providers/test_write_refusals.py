"""What refusals of writes mean, by everything that the simulators know to refuse with; and texts around a way in."""

import msgspec
import pytest
from contracts.provider_contract import NOW

from service.core.drafts import Patch
from service.core.event import Event
from service.errors import (
    AccessRejected,
    CalendarGone,
    ClientRejected,
    EventGone,
    PolicyForbids,
    ReadOnly,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.google.answers import judge_write as judge_google
from service.providers.microsoft.answers import judge_write as judge_graph
from service.providers.microsoft.bodies import patch_body
from service.providers.microsoft.standing import Standpoint
from simulator.google.faults import API_PRESETS
from simulator.microsoft.faults import GRAPH_PRESETS

encode = msgspec.json.encode


@pytest.mark.parametrize(
    ("preset", "kind"),
    [
        ("unauthorized_401", AccessRejected),
        ("rate_limit_403", Throttled),
        ("user_rate_limit_403", Throttled),
        ("rate_limit_429", Throttled),
        ("quota_403", Throttled),
        ("scope_403", ScopeMissing),
        ("api_disabled_403", ClientRejected),
        ("forbidden_403", ReadOnly),
        ("required_access_403", ReadOnly),
        ("non_organizer_403", ReadOnly),
        ("service_account_403", RequestRefused),
        ("not_a_calendar_user_403", PolicyForbids),
        ("domain_policy_403", PolicyForbids),
        ("not_found_404", CalendarGone),
        ("duplicate_409", RequestRefused),
        ("conflict_409", TransientFault),
        ("deleted_410", EventGone),
        ("time_range_empty_400", RequestRefused),
        ("condition_412", TransientFault),
        ("backend_500", TransientFault),
        ("backend_503", TransientFault),
    ],
)
def test_what_google_says_of_a_write(preset, kind):
    status, body = API_PRESETS[preset]
    assert type(judge_google(status, {}, encode(body), NOW)) is kind


@pytest.mark.parametrize(
    ("preset", "kind"),
    [
        ("unauthorized_401", AccessRejected),
        ("access_denied_403", ScopeMissing),
        ("mailbox_not_enabled_404", RequestRefused),
        ("mailbox_move_503", TransientFault),
        ("item_not_found_404", CalendarGone),
        ("conflict_409", TransientFault),
        ("conflict_412", TransientFault),
        ("precondition_412", TransientFault),
        ("invalid_id_400", EventGone),
        ("too_many_requests_429", Throttled),
        ("internal_500", TransientFault),
        ("gateway_timeout_504", TransientFault),
        ("bandwidth_509", TransientFault),
    ],
)
def test_what_graph_says_of_a_write(preset, kind):
    status, code, message = GRAPH_PRESETS[preset]
    assert type(judge_graph(status, {}, encode({"error": {"code": code, "message": message}}), NOW)) is kind


def test_a_refusal_says_what_is_wrong_and_not_for_ever():
    said = {"error": {"code": 400, "message": "x" * 5000, "errors": [{"reason": "invalid"}]}}
    assert judge_google(400, {}, encode(said), NOW).reason == "invalid: " + "x" * 300
    graph = {"error": {"code": "ErrorInvalidRequest", "message": "The start must be before the end."}}
    assert judge_graph(400, {}, encode(graph), NOW).reason == "ErrorInvalidRequest: The start must be before the end."


JOIN = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0?context=%7b%7d&a=1"
LINE = "_" * 80
NEWER = (
    f'<div style="white-space:nowrap">{LINE}</div><div><span>Microsoft Teams</span></div>'
    f'<div><a href="{JOIN.replace("&", "&amp;")}">Join the meeting now</a></div><div>{LINE}</div>'
)
OLDER = f'<span style="color:gray">{LINE}</span><br><p><a href="{JOIN}">Click here to join the meeting</a></p>{LINE}'


def online(content: str) -> Standpoint:
    raw = {"id": "e", "isOnlineMeeting": True, "onlineMeeting": {"joinUrl": JOIN}}
    return Standpoint(encode({**raw, "body": {"contentType": "html", "content": content}}))


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        pytest.param(f"<html><body><div>Old text</div>{NEWER}</body></html>", NEWER, id="newer"),
        pytest.param(f"<html><body><div>Old text</div><br>{OLDER}</BODY></html>", OLDER, id="older"),
        pytest.param(f"<div>Old text {LINE} ruled</div>{NEWER}", NEWER, id="a-line-of-ones-own"),
        pytest.param(f"Old text<div><a href='{JOIN}'>x</a></div>", f"<div><a href='{JOIN}'>x</a></div>", id="no-line"),
        pytest.param(f"Old text<a href='{JOIN}'>x</a>", f"<a href='{JOIN}'>x</a>", id="bare-link"),
        pytest.param("Old text", JOIN.replace("&", "&amp;"), id="lost"),
    ],
)
@pytest.mark.parametrize("text", ["New & short", "<html><head></head><body><p>New</p></body></html>"])
def test_a_new_text_goes_before_the_way_in(content, kept, text):
    body = patch_body(Patch(description=text), EVENT, online(content).standing, None)["body"]
    assert body["contentType"] == "html"
    assert body["content"].count("<body") == 1
    assert body["content"].endswith("</body></html>")
    assert kept in body["content"]
    assert "Old text" not in body["content"]
    assert "New" in body["content"].partition(kept)[0]


EVENT = Event(provider_event_id="e", starts_at=NOW, ends_at=NOW)

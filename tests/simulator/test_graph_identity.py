"""The token endpoint: tenants, clients, rotation, scopes, and every refusal by its number."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from graph_schema import judge
from judged_graph import BARBARA, KAREN, GraphCaller, Reply

from simulator.google.answers import Request
from simulator.microsoft.refusals import REFUSALS
from simulator.microsoft.state import CONSUMERS
from simulator.microsoft.world import MicrosoftWorld

FULL = "offline_access https://graph.microsoft.com/User.Read https://graph.microsoft.com/Calendars.ReadWrite"


def test_every_refresh_rotates(graph, microsoft):
    first = graph.connection["refresh_token"]
    answer = graph.refresh(scope=FULL).json
    assert answer["scope"] == "https://graph.microsoft.com/User.Read https://graph.microsoft.com/Calendars.ReadWrite"
    assert answer["refresh_token"] != first
    assert 3600 <= answer["expires_in"] <= 5400
    assert microsoft.credentials()[0]["refresh_token"] == answer["refresh_token"]
    assert graph.refresh().status == 200


@pytest.mark.parametrize(
    ("rotation", "statuses"),
    [("normal", [200, 200, 200]), ("grace", [200, 200, 400]), ("strict", [200, 400, 400])],
)
def test_how_long_the_old_token_works(microsoft, now, rotation, statuses):
    microsoft.set(rotation=rotation, grace_seconds=30)
    connection = microsoft.connect(BARBARA)
    caller = GraphCaller(microsoft)
    caller.connection = connection
    seen = []
    for pause in (0, 10, 30):
        now[0] += timedelta(seconds=pause)
        seen.append(caller.refresh())
    assert [reply.status for reply in seen] == statuses
    assert all(reply.number == 70000 for reply in seen if reply.status == 400)


def test_the_newest_token_always_works(graph, microsoft):
    microsoft.set(rotation="strict")
    for _ in range(3):
        graph.rotate()
    assert graph.get("/me").status == 200


@pytest.mark.parametrize(
    ("scope", "renewed", "number"),
    [
        pytest.param(FULL, True, None, id="all"),
        pytest.param("https://graph.microsoft.com/Calendars.ReadWrite", False, None, id="no-offline-access"),
        pytest.param("offline_access Calendars.ReadWrite", True, None, id="short-names"),
        pytest.param("https://graph.microsoft.com/.default", True, None, id="default"),
        pytest.param("offline_access openid Mail.Read", False, 65001, id="not-consented"),
        pytest.param("https://example.com/read", False, 70011, id="other-resource"),
        pytest.param(None, True, None, id="none"),
    ],
)
def test_scopes(graph, scope, renewed, number):
    reply = graph.refresh(scope=scope or "")
    assert ("refresh_token" in reply.json) is renewed
    assert (reply.number if number else reply.status) == (number or 200)


def test_what_was_not_consented_is_forbidden(microsoft):
    client = microsoft.add_client()
    caller = GraphCaller(microsoft)
    token = microsoft.grant(BARBARA, client["client_id"], ["offline_access", "Calendars.Read"])
    caller.connection |= client | {"refresh_token": token}
    caller.access_token = caller.refresh().json["access_token"]
    assert caller.first().status == 200
    assert caller.get("/me").code == "Authorization_RequestDenied"
    assert caller.call("POST", "/me/events", {}).code == "ErrorAccessDenied"


@pytest.mark.parametrize(
    ("audience", "email", "path", "number"),
    [
        pytest.param("common", BARBARA, "common", None, id="everybody"),
        pytest.param("common", KAREN, "consumers", None, id="personal"),
        pytest.param("common", KAREN, CONSUMERS, None, id="personal-by-id"),
        pytest.param("common", BARBARA, "own", None, id="own-tenant"),
        pytest.param("common", KAREN, "organizations", 50020, id="personal-at-work"),
        pytest.param("common", BARBARA, "consumers", 50020, id="work-as-personal"),
        pytest.param("common", BARBARA, "11111111-1111-4111-8111-111111111111", 90002, id="no-such-tenant"),
        pytest.param("organizations", BARBARA, "organizations", None, id="work"),
        pytest.param("organizations", BARBARA, "consumers", 9002332, id="work-application"),
        pytest.param("consumers", KAREN, "consumers", None, id="personal-application"),
        pytest.param("consumers", KAREN, "common", 9002346, id="personal-application-on-common"),
        pytest.param("own", BARBARA, "own", None, id="single-tenant"),
        pytest.param("own", BARBARA, "common", 50194, id="single-tenant-on-common"),
        pytest.param("own", BARBARA, CONSUMERS, 700016, id="single-tenant-elsewhere"),
    ],
)
def test_tenants(microsoft, audience, email, path, number):
    own = microsoft.accounts[BARBARA].tenant
    microsoft.add_account(KAREN)
    client = microsoft.add_client(audience=own if audience == "own" else audience)
    caller = GraphCaller(microsoft)
    caller.connection |= client | {"refresh_token": microsoft.grant(email, client["client_id"])}
    reply = caller.refresh(own if path == "own" else path)
    assert (reply.number if number else reply.status) == (number or 200)


@pytest.mark.parametrize(
    ("changes", "status", "number", "error"),
    [
        pytest.param({"client_id": "nobody"}, 400, 700016, "unauthorized_client", id="client"),
        pytest.param({"client_secret": "wrong"}, 401, 7000215, "invalid_client", id="secret"),
        pytest.param({"client_secret": ""}, 401, 7000218, "invalid_client", id="no-secret"),
        pytest.param({"refresh_token": "garbage"}, 400, 9002313, "invalid_grant", id="garbage"),
        pytest.param({"refresh_token": "0.AXoA-unknown"}, 400, 70000, "invalid_grant", id="unknown"),
        pytest.param({"refresh_token": ""}, 400, 900144, "invalid_request", id="no-token"),
        pytest.param({"grant_type": ""}, 400, 900144, "invalid_request", id="no-grant-type"),
        pytest.param({"grant_type": "password"}, 400, 70003, "unsupported_grant_type", id="grant-type"),
    ],
)
def test_refusals(graph, changes, status, number, error):
    reply = graph.refresh(**changes)
    assert (reply.status, reply.number, reply.json["error"]) == (status, number, error)


def test_a_token_of_another_client(graph, microsoft):
    other = microsoft.add_client()
    assert graph.refresh(client_id=other["client_id"], client_secret=other["client_secret"]).number == 70000


def test_revoked_and_inactive_grants(graph, microsoft, now):
    microsoft.revoke_consent(BARBARA)
    assert graph.refresh().number == 50173
    assert graph.get("/me").code == "InvalidAuthenticationToken"
    again = GraphCaller(microsoft)
    now[0] += timedelta(days=90)
    assert again.refresh().number == 700082


def test_a_single_page_application_has_a_day(microsoft, now):
    world = MicrosoftWorld(lambda: now[0])
    world.add_client(single_page=True)
    caller = GraphCaller(world)
    now[0] += timedelta(days=1)
    assert caller.refresh().number == 700084


def test_states_of_client_and_account(graph, microsoft):
    microsoft.set_client(graph.connection["client_id"], status="AADSTS7000222")
    assert graph.refresh().number == 7000222
    microsoft.set_client(graph.connection["client_id"], status="ok", client_secret="renewed")
    assert graph.refresh().number == 7000215
    assert graph.refresh(client_secret="renewed").status == 200
    microsoft.set_account(BARBARA, status="AADSTS50076")
    reply = graph.refresh(client_secret="renewed")
    assert (reply.json["error"], reply.json["suberror"]) == ("invalid_grant", "basic_action")
    assert "capolids" in reply.json["claims"]
    with pytest.raises(ValueError, match="unknown preset"):
        microsoft.set_account(BARBARA, status="tired")


def test_a_loop_is_detected(graph, microsoft, now):
    microsoft.set(loop_limit=3)
    assert [graph.refresh().status for _ in range(3)] == [200, 200, 400]
    assert graph.refresh().number == 50196
    now[0] += timedelta(seconds=301)
    assert graph.refresh().status == 200


@pytest.mark.parametrize("number", REFUSALS)
def test_every_refusal_can_be_scripted(graph, microsoft, number):
    microsoft.add_fault(f"AADSTS{number}", endpoint="token", account=BARBARA)
    reply = graph.refresh()
    refusal = REFUSALS[number]
    assert (reply.status, reply.number, reply.json["error"]) == (refusal.status, number, refusal.error)
    assert reply.json["error_description"].startswith(f"AADSTS{number}: ")
    assert graph.refresh().status == 200


def test_throttled_refreshes(graph, microsoft):
    microsoft.add_fault("token_429", endpoint="token", seconds=17)
    reply = graph.refresh()
    assert (reply.status, reply.headers["Retry-After"]) == (429, "17")


def test_access_tokens_expire(graph, microsoft, now):
    assert graph.get("/me").status == 200
    assert microsoft.expire_access_tokens(BARBARA) == 1
    assert graph.get("/me").code == "InvalidAuthenticationToken"
    graph.rotate()
    now[0] += timedelta(seconds=5401)
    assert graph.get("/me").status == 401
    assert graph.call("GET", "/me", headers={"authorization": ""}).status == 401


def test_a_personal_account_is_in_the_tenant_of_all(microsoft):
    caller = GraphCaller(microsoft, KAREN)
    assert microsoft.accounts[KAREN].tenant == CONSUMERS
    assert caller.access_token.startswith("EwB")
    me = caller.get("/me").json
    assert (me["mail"], len(me["id"])) == (KAREN, 16)


def test_a_upn_need_not_be_the_address(microsoft):
    microsoft.add_account("grete@contoso.example", upn="g.hermann@corp.contoso.example")
    caller = GraphCaller(microsoft, "grete@contoso.example")
    me = caller.get("/me").json
    assert (me["mail"], me["userPrincipalName"]) == ("grete@contoso.example", "g.hermann@corp.contoso.example")
    assert caller.get("/users/g.hermann@corp.contoso.example/calendars").status == 200


def test_what_is_no_form_is_refused_too(microsoft):
    body = urlencode({"nonsense": "1"}).encode()
    reply = Reply(microsoft.handle(Request("POST", "/common/oauth2/v2.0/token", body=body)))
    judge(reply.json, "loginError")
    assert reply.number == 900144

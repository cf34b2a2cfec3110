"""POST and PATCH with the credentials of each provider: what is taken, what is refused, and which field is to blame."""

from typing import Any

import httpx
import pytest
from api.scripted_providers import ScriptedCaldav, ScriptedFeeds
from flows.stage import Stage

from service.api.credentials import CONNECT, LOOK, ConnectIcs, Wish, stated_credentials
from service.core.blame import BLAMES
from service.core.credentials import KINDS
from service.errors import (
    AccessRejected,
    AddressRefused,
    CalendarGone,
    ClientRejected,
    GatewayError,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.flows.connect.admission import provider_of, raise_refusal
from service.providers.guarded_http import AddressBlocked, HostUnknown

pytestmark = pytest.mark.anyio

OAUTH = {"client_id": "c", "client_secret": "hush-secret", "refresh_token": "hush-token"}
ACCOUNT = {"provider": "caldav", "server_url": "https://dav.example.com", "username": "ada", "password": "right"}
FEED = "https://feeds.example.com/hush/ada.ics?key=hush"
OTHER_FEED = "https://other.example.net/hush/ada.ics"


@pytest.fixture
def caldav(stage: Stage) -> ScriptedCaldav:
    found = ScriptedCaldav()
    stage.gateway.providers["caldav"] = found  # type: ignore[index]
    return found


@pytest.fixture
def feeds(stage: Stage) -> ScriptedFeeds:
    found = ScriptedFeeds()
    found.publish(FEED, "Ada's feed", "Europe/Lisbon")
    stage.gateway.providers["ics"] = found  # type: ignore[index]
    return found


async def connected(call: httpx.AsyncClient, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = await call.post("/calendars", json=body)
    assert answer.status_code == status, answer.text
    assert "hush" not in answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        pytest.param({"provider": "google", **OAUTH, "tenant_id": "common"}, "tenant_id", id="google-tenant"),
        pytest.param({"provider": "google", **OAUTH, "url": FEED}, "url", id="google-url"),
        pytest.param({"provider": "microsoft", **OAUTH, "username": "u"}, "username", id="microsoft-username"),
        pytest.param({"provider": "outlook", **OAUTH, "password": "hush"}, "password", id="outlook-password"),
        pytest.param(ACCOUNT | {"refresh_token": "hush"}, "refresh_token", id="caldav-refresh-token"),
        pytest.param({"provider": "ics", "url": FEED, "server_url": FEED}, "server_url", id="ics-server-url"),
    ],
)
@pytest.mark.parametrize("path", ["/calendars", "/calendars/raw"])
async def test_a_field_of_another_provider_is_refused_by_its_name(
    call: httpx.AsyncClient, path: str, given: dict[str, Any], wrong: str
) -> None:
    answer = await call.post(path, json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"] == [{"field": wrong, "message": "is not a field of this request"}]
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        pytest.param("google", ["client_id", "client_secret", "refresh_token"], id="google"),
        pytest.param("microsoft", ["client_id", "client_secret", "refresh_token"], id="microsoft"),
        pytest.param("outlook", ["client_id", "client_secret", "refresh_token"], id="outlook"),
        pytest.param("caldav", ["server_url", "username", "password"], id="caldav"),
        pytest.param("ics", ["url"], id="ics"),
    ],
)
@pytest.mark.parametrize("path", ["/calendars", "/calendars/raw"])
async def test_every_missing_field_of_a_provider_is_named(
    call: httpx.AsyncClient, path: str, provider: str, missing: list[str]
) -> None:
    answer = await call.post(path, json={"provider": provider})
    assert answer.json()["errors"] == [{"field": name, "message": "is required"} for name in missing]


@pytest.mark.parametrize("provider", [None, "zoom", 7, "Google", ""])
async def test_a_wrong_provider_is_told_which_there_are(call: httpx.AsyncClient, provider: Any) -> None:
    answer = await call.post("/calendars", json={"provider": provider, **OAUTH})
    assert answer.json()["errors"] == [{"field": "provider", "message": "accepts caldav, google, ics, microsoft"}]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        pytest.param({"provider": "microsoft", **OAUTH, "tenant_id": "../x"}, "tenant_id", id="tenant-with-a-path"),
        pytest.param({"provider": "microsoft", **OAUTH, "tenant_id": ""}, "tenant_id", id="no-tenant"),
        pytest.param(ACCOUNT | {"password": ""}, "password", id="no-password"),
        pytest.param({"provider": "ics", "url": "https://x.example/" + "a" * 4096}, "url", id="a-long-address"),
        pytest.param(ACCOUNT | {"metadata": {"a": "x" * 4096}}, "metadata", id="metadata"),
        pytest.param({"provider": "ics", "url": FEED, "horizon_days": 0}, "horizon_days", id="horizon"),
        pytest.param({"provider": "ics", "url": FEED, "meeting_hosts": ["x"]}, "meeting_hosts[0]", id="hosts"),
        pytest.param({"provider": "microsoft", **OAUTH, "name": ""}, "name", id="name"),
    ],
)
async def test_the_limits_are_those_of_every_provider(
    call: httpx.AsyncClient, given: dict[str, Any], field: str
) -> None:
    answer = await call.post("/calendars", json=given)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert "hush" not in answer.text


@pytest.mark.parametrize("provider", KINDS)
def test_a_body_becomes_the_credentials_of_its_provider(provider: str) -> None:
    for body in (LOOK, CONNECT):
        shape = next(one for one in body.shape.__args__ if one.__struct_config__.tag == provider)
        assert set(shape.__struct_fields__) - set(Wish.__struct_fields__) == set(KINDS[provider].__struct_fields__)
        credentials = stated_credentials(body.decode(httpx.Response(200, json=body.examples[provider]).content))
        assert (type(credentials), provider_of(credentials)) == (KINDS[provider], provider)
        secret = body.examples[provider][KINDS[provider].renewable]
        assert secret not in repr(shape(**{k: v for k, v in body.examples[provider].items() if k != "provider"}))


def test_outlook_is_microsoft_in_the_common_tenant() -> None:
    body = httpx.Response(200, json={"provider": "outlook", **OAUTH}).content
    assert stated_credentials(CONNECT.decode(body)) == KINDS["microsoft"](**OAUTH, tenant_id="common")


async def test_an_account_without_an_address_connects_and_is_listed(
    call: httpx.AsyncClient, stage: Stage, caldav: ScriptedCaldav
) -> None:
    listed = (await call.post("/calendars/raw", json=ACCOUNT)).json()["calendars"]
    assert [(each["name"], each["is_primary"]) for each in listed] == [("Work", True), ("Home", False)]
    work = await connected(call, ACCOUNT | {"metadata": {"user": "42"}, "horizon_days": 60})
    assert (work["provider"], work["email"], work["calendar_name"]) == ("caldav", None, "Work")
    assert (work["metadata"], work["horizon_days"]) == ({"user": "42"}, 60)
    assert await stage.sync() == 1
    for query, count in (("provider=caldav", 1), ("provider=google", 0), ("email=ada", 0), ("status=active", 1)):
        assert len((await call.get(f"/calendars?{query}")).json()["data"]) == count, query
    assert "right" not in (await call.get(f"/calendars/{work['id']}")).text


async def test_the_second_calendar_of_an_account_is_under_the_same_connection(
    call: httpx.AsyncClient, stage: Stage, caldav: ScriptedCaldav
) -> None:
    await connected(call, ACCOUNT)
    await connected(call, ACCOUNT | {"raw_calendar_id": "https://dav.example.com/ada/home/"})
    assert await stage.count("connections") == 1
    await connected(call, ACCOUNT | {"username": "grace"})
    assert (await stage.count("connections"), await stage.count("oauth_clients")) == (2, 1)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"password": "new"}, id="password"),
        pytest.param({"provider": "caldav", "password": "new"}, id="provider-and-password"),
        pytest.param(ACCOUNT | {"password": "new"}, id="everything"),
        pytest.param(None, id="post"),
    ],
)
async def test_a_new_password_revives_every_calendar_of_the_account(
    call: httpx.AsyncClient, stage: Stage, caldav: ScriptedCaldav, given: dict[str, Any] | None
) -> None:
    work = await connected(call, ACCOUNT)
    home = await connected(call, ACCOUNT | {"raw_calendar_id": "https://dav.example.com/ada/home/"})
    caldav.passwords["ada"] = "new"
    for _ in range(2):
        stage.clock.advance(hours=2)
        await stage.sync()
    for each in (work, home):
        row = (await call.get(f"/calendars/{each['id']}")).json()
        assert (row["status"], row["error_code"]) == ("disconnected", "credentials_rejected")
        assert "app-specific password" in row["error_message"]
    stale = await call.patch(f"/calendars/{work['id']}", json={"password": "right"})
    assert (stale.status_code, stale.json()["code"]) == (422, "credentials_rejected")
    assert stale.json()["errors"] == [{"field": "password", "message": "http_401"}]

    if given is None:
        await connected(call, ACCOUNT | {"password": "new"}, 200)
    else:
        assert (await call.patch(f"/calendars/{work['id']}", json=given)).status_code == 200

    await stage.sync()
    states = [(await call.get(f"/calendars/{each['id']}")).json()["status"] for each in (work, home)]
    assert states == ["active", "active"]
    assert await stage.count("connections") == 1


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        pytest.param({"refresh_token": "t"}, ["refresh_token"], id="a-token"),
        pytest.param({"url": FEED}, ["url"], id="an-address"),
        pytest.param(OAUTH, ["client_id", "client_secret", "refresh_token"], id="a-client"),
        pytest.param({"username": "ada", "password": "right"}, ["server_url"], id="half-an-account"),
        pytest.param({"server_url": "https://dav.example.com"}, ["username", "password"], id="a-server-alone"),
        pytest.param({"provider": "ics", "url": FEED}, ["provider"], id="another-provider"),
    ],
)
async def test_patch_names_what_does_not_belong_to_the_calendars_provider(
    call: httpx.AsyncClient, caldav: ScriptedCaldav, given: dict[str, Any], fields: list[str]
) -> None:
    calendar = await connected(call, ACCOUNT)
    answer = await call.patch(f"/calendars/{calendar['id']}", json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert "hush" not in answer.text
    assert (await call.get(f"/calendars/{calendar['id']}")).json() == calendar


async def test_another_account_is_not_the_same_calendar(call: httpx.AsyncClient, caldav: ScriptedCaldav) -> None:
    calendar = await connected(call, ACCOUNT)
    answer = await call.patch(f"/calendars/{calendar['id']}", json=ACCOUNT | {"username": "grace"})
    assert (answer.status_code, answer.json()["code"]) == (422, "credentials_rejected")
    assert answer.json()["errors"] == [{"field": "username", "message": "other account"}]


async def test_a_feed_gets_another_address_and_stays_the_same_calendar(
    call: httpx.AsyncClient, stage: Stage, feeds: ScriptedFeeds
) -> None:
    calendar = await connected(call, {"provider": "ics", "url": FEED})
    assert (calendar["calendar_name"], calendar["raw_calendar_id"], calendar["email"]) == ("Ada's feed", "feed", None)
    assert await connected(call, {"provider": "ics", "url": FEED}, 200) | {"version": 1} == calendar
    feeds.publish(OTHER_FEED, "Ada elsewhere", "Asia/Tokyo")
    del feeds.feeds[FEED]
    await stage.sync()
    path = f"/calendars/{calendar['id']}"
    sick = (await call.get(path)).json()
    assert (sick["status"], sick["error_code"]) == ("error", "feed_refused")

    moved = await call.patch(path, json={"url": OTHER_FEED})

    assert moved.status_code == 200, moved.text
    assert "hush" not in moved.text
    shown = {name: moved.json()[name] for name in ("id", "status", "calendar_name", "time_zone", "error_code")}
    assert shown == {
        "id": calendar["id"],
        "status": "syncing",
        "calendar_name": "Ada elsewhere",
        "time_zone": "Asia/Tokyo",
        "error_code": None,
    }
    assert (await stage.count("connections"), await stage.count("oauth_clients")) == (1, 1)
    await stage.sync()
    assert (await call.get(path)).json()["status"] == "active"
    assert (await call.delete(path)).status_code == 204
    assert (await stage.count("connections"), await stage.count("oauth_clients")) == (0, 0)


async def test_two_calendars_do_not_share_one_address(
    call: httpx.AsyncClient, stage: Stage, feeds: ScriptedFeeds
) -> None:
    feeds.publish(OTHER_FEED, "Other")
    first = await connected(call, {"provider": "ics", "url": FEED})
    second = await connected(call, {"provider": "ics", "url": OTHER_FEED})
    answer = await call.patch(f"/calendars/{second['id']}", json={"url": FEED})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "hush" not in answer.text
    for calendar in (first, second):
        assert (await call.get(f"/calendars/{calendar['id']}")).json() == calendar
    await stage.sync()
    states = [row["status"] for row in (await call.get("/calendars?provider=ics")).json()["data"]]
    assert states == ["active", "active"]


def caused(reason: str, cause: Exception) -> ProviderError:
    error = TransientFault(reason)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("path", ["/calendars", "/calendars/raw"])
@pytest.mark.parametrize(
    ("fault", "status", "code", "field"),
    [
        pytest.param(AddressRefused("http_410"), 422, "credentials_rejected", "url", id="refused"),
        pytest.param(RequestRefused("a web page"), 422, "validation_failed", "url", id="no-feed"),
        pytest.param(CalendarGone("http_404"), 422, "validation_failed", "url", id="gone"),
        pytest.param(
            GatewayError(422, "blocked_url", "The URL must begin with https://."),
            422,
            "blocked_url",
            "url",
            id="judged",
        ),
        pytest.param(
            RequestRefused("blocked_url: The URL has a fragment."), 422, "blocked_url", "url", id="judged-by-a-provider"
        ),
        pytest.param(
            caused("network: AddressBlocked", AddressBlocked("x")), 422, "blocked_url", "url", id="a-private-address"
        ),
        pytest.param(caused("network: HostUnknown", HostUnknown("x")), 422, "blocked_url", "url", id="no-such-host"),
        pytest.param(TransientFault("network: HostUnknown"), 422, "blocked_url", "url", id="no-such-host-by-name"),
        pytest.param(TransientFault("timeout"), 503, "provider_unavailable", None, id="outage"),
        pytest.param(Throttled("http_429"), 503, "provider_throttled", None, id="throttled"),
    ],
)
async def test_a_feeds_refusal_is_about_its_address(
    call: httpx.AsyncClient,
    stage: Stage,
    feeds: ScriptedFeeds,
    path: str,
    fault: Exception,
    status: int,
    code: str,
    field: str | None,
) -> None:
    feeds.fault = fault
    answer = await call.post(path, json={"provider": "ics", "url": FEED})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])
    assert "hush" not in answer.text
    assert ("retry-after" in answer.headers) is (status == 503)
    assert ("The URL" in problem["detail"]) is (code == "blocked_url")
    assert await stage.count("connections") == 0


@pytest.mark.parametrize(
    ("provider", "error", "code", "field", "word"),
    [
        pytest.param("google", GrantRejected("x"), "credentials_rejected", "refresh_token", "sign in", id="g-grant"),
        pytest.param("google", ClientRejected("x"), "client_rejected", "client_secret", "Calendar API", id="g-client"),
        pytest.param("google", ScopeMissing("x"), "insufficient_scope", "refresh_token", "tick", id="g-scope"),
        pytest.param("google", RequestRefused("x"), "validation_failed", None, "refuses to list", id="g-refused"),
        pytest.param("microsoft", GrantRejected("x"), "credentials_rejected", "refresh_token", "tenant_id", id="m-grant"),
        pytest.param(
            "microsoft", AccessRejected("x", needs_sign_in=True), "credentials_rejected", "refresh_token", "sign in", id="m-claims"
        ),
        pytest.param("microsoft", ClientRejected("x"), "client_rejected", "client_secret", "Value", id="m-client"),
        pytest.param("microsoft", ScopeMissing("x"), "insufficient_scope", "refresh_token", "Calendars.Read", id="m-scope"),
        pytest.param("microsoft", PolicyForbids("x"), "insufficient_scope", "refresh_token", "administrator", id="m-policy"),
        pytest.param("microsoft", RequestRefused("x"), "validation_failed", None, "refuses to list", id="m-refused"),
        pytest.param("caldav", GrantRejected("x"), "credentials_rejected", "password", "app-specific", id="c-grant"),
        pytest.param("caldav", ScopeMissing("x"), "insufficient_scope", "username", "administrator", id="c-scope"),
        pytest.param("caldav", RequestRefused("x"), "validation_failed", "server_url", "CalDAV", id="c-refused"),
        pytest.param("ics", AddressRefused("x"), "credentials_rejected", "url", "secret address", id="i-refused"),
        pytest.param("ics", RequestRefused("x"), "validation_failed", "url", ".ics", id="i-no-feed"),
        pytest.param("ics", ClientRejected("x"), "client_rejected", None, "refuses", id="i-unheard-of"),
    ],
)  # fmt: skip
def test_each_refusal_names_the_field_and_the_remedy_of_its_provider(
    provider: str, error: ProviderError, code: str, field: str | None, word: str, clock: Any
) -> None:
    with pytest.raises(GatewayError) as caught:
        raise_refusal(provider, error, clock())
    told = caught.value
    assert (told.status, told.code) == (422, code)
    assert [problem.field for problem in told.errors] == ([field] if field else [])
    assert word in told.detail
    assert told.detail.endswith("(x)")


def test_an_oauth_providers_hosts_are_the_operators_affair(clock: Any) -> None:
    for provider in ("google", "microsoft"):
        with pytest.raises(GatewayError) as caught:
            raise_refusal(provider, caused("network: HostUnknown", HostUnknown("x")), clock())
        assert (caught.value.status, caught.value.code, caught.value.errors) == (503, "provider_unavailable", ())
        with pytest.raises(GatewayError) as caught:
            raise_refusal(provider, AccessRejected("x"), clock())
        assert caught.value.code == "provider_unavailable"


def test_only_fields_that_there_are_get_the_blame() -> None:
    assert set(BLAMES) == set(KINDS)
    for provider, blames in BLAMES.items():
        fields = set(KINDS[provider].__struct_fields__)
        blamed = {blame.field for blame in blames.by_code.values()} | {blames.owner, blames.address}
        assert blamed - {None} <= fields


def test_no_secret_is_in_the_name_of_a_body() -> None:
    assert "hush" not in repr(ConnectIcs(url=FEED))

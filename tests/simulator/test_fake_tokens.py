"""The token endpoint answers as Google's does."""

from datetime import timedelta

import pytest
from judged_caller import ADA

REFUSALS = [
    pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="wrong-secret"),
    pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="unknown-client"),
    pytest.param({"client_id": ""}, 400, "invalid_request", id="no-client"),
    pytest.param({"refresh_token": ""}, 400, "invalid_request", id="no-refresh-token"),
    pytest.param({"refresh_token": "1//unknown"}, 400, "invalid_grant", id="unknown-refresh-token"),
    pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="other-grant-type"),
]


def test_a_refresh_gives_a_token_that_opens_the_api(google):
    answer = google.refresh().json
    assert answer["expires_in"] == 3599
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == "https://www.googleapis.com/auth/calendar"
    assert "refresh_token" not in answer
    assert google.events().status == 200


@pytest.mark.parametrize(("change", "status", "error"), REFUSALS)
def test_a_refusal_is_flat(google, change, status, error):
    reply = google.refresh(**change)
    assert (reply.status, reply.json["error"]) == (status, error)
    assert isinstance(reply.json["error_description"], str)


def test_the_token_of_another_client_is_unauthorized(google, world):
    other = world.add_client()
    reply = google.refresh(client_id=other["client_id"], client_secret=other["client_secret"])
    assert (reply.status, reply.json["error"]) == (401, "unauthorized_client")


@pytest.mark.parametrize("status", ["deleted", "disabled"])
def test_a_client_may_end(google, world, status):
    world.set_client(google.connection["client_id"], status=status)
    assert google.refresh().json["error"] == f"{status}_client"


@pytest.mark.parametrize(
    ("status", "error", "subtype"),
    [
        ("deleted", "invalid_grant", None),
        ("reauth", "invalid_grant", "invalid_rapt"),
        ("admin_policy", "admin_policy_enforced", None),
    ],
)
def test_an_account_may_end(google, world, status, error, subtype):
    world.set_account(ADA, status=status)
    reply = google.refresh()
    assert (reply.status, reply.json["error"], reply.json.get("error_subtype")) == (400, error, subtype)
    assert google.events().status == 401


def test_revoking_one_token_ends_the_whole_grant(google, world):
    second = world.grant(ADA, google.connection["client_id"])
    assert google.post_form("/revoke", {"token": second}).status == 200
    assert google.refresh().json["error"] == "invalid_grant"
    assert google.events().status == 401
    assert google.post_form("/revoke", {"token": second}).json["error"] == "invalid_token"


def test_a_new_consent_after_revocation_works(google, world):
    world.revoke_consent(ADA)
    google.connection = world.connect(ADA)
    google.access_token = google.refresh().json["access_token"]
    assert google.events().status == 200


def test_rotation_makes_the_old_token_useless(google, world):
    world.set_account(ADA, rotates_refresh_tokens=True)
    rotated = google.refresh().json["refresh_token"]
    assert google.refresh().json["error"] == "invalid_grant"
    assert google.refresh(refresh_token=rotated).status == 200


def test_the_oldest_of_too_many_refresh_tokens_dies(google, world):
    for _ in range(100):
        world.grant(ADA, google.connection["client_id"])
    assert google.refresh().json["error"] == "invalid_grant"


def test_access_tokens_expire(google, world, now):
    now[0] += timedelta(hours=1)
    assert (google.events().status, google.events().reason) == (401, "authError")
    google.access_token = google.refresh().json["access_token"]
    assert google.events().status == 200
    assert world.expire_access_tokens(ADA) >= 1
    assert google.events().status == 401


def test_a_withheld_scope_is_a_403(google, world):
    world.grant(ADA, google.connection["client_id"], ["openid"])
    reply = google.events()
    assert (reply.status, reply.reason) == (403, "insufficientPermissions")
    assert reply.json["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


def test_a_narrow_scope_reads_events_and_no_list(google, world):
    world.grant(ADA, google.connection["client_id"], ["https://www.googleapis.com/auth/calendar.events.readonly"])
    assert google.events().status == 200
    assert google.get("/users/me/calendarList").status == 403
    assert google.call("DELETE", "/calendars/primary/events/abcde").status == 403

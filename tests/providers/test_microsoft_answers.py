"""What Microsoft's refusals mean: its token endpoint's, Graph's, and those of subscriptions, row by row."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import (
    AccessRejected,
    CalendarGone,
    ClientRejected,
    CursorExpired,
    GrantRejected,
    PushUnsupported,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.microsoft.answers import judge, judge_subscription
from service.providers.microsoft.grants import judge_refresh
from service.providers.tokens import PAIRING
from simulator.microsoft.faults import GRAPH_PRESETS
from simulator.microsoft.refusals import REFUSALS, describe

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

TOKEN_TABLE = {
    # The grant is dead.
    GrantRejected: [
        70000, 70008, 700082, 50173, 50132, 50133, 70043, 700084, 50089, 54005, 9002341, 9002313,
        # A code, with another redirect_uri or verifier.
        500112, 501481, 50148,
        # The account.
        50057, 50034, 51004, 50055, 50144, 50053, 50020,
        # A second factor or a policy asks for the user.
        50076, 50079, 50078, 50072, 50074, 50158, 53000, 53001, 53002, 53003, 53004, 530032, 530033, 530034, 16000, 50058,
        # Unknown, as the next one will be.
        7777777,
    ],
    # Somebody has to consent: the user, or an administrator.
    ScopeMissing: [65001, 65004, 90094, 90095, 90008, 50105, 7000112, 70001, 500011],
    ClientRejected: [
        7000215, 7000222, 7000216, 7000218, 700027, 70002, 50013,
        700016, 700025, 50194, 9002331, 9002332, 9002346, 900144, 70003, 70011, 650057, 28002, 90002,
    ],
    TransientFault: [90033, 90006, 90024, 90090, 90091, 50000, 50033, 50087, 70012, 90012, 80002, 50166, 50196],
    Throttled: [90055],
    RequestRefused: [7777778],
}  # fmt: skip


def refusal(number: int) -> tuple[int, bytes]:
    status, body = describe(number, None, ("trace", "correlation"), "2026-03-02 09:00:00Z")
    return status, json.dumps(body).encode()


@pytest.mark.parametrize(
    ("number", "kind"),
    [pytest.param(number, kind, id=f"AADSTS{number}") for kind, numbers in TOKEN_TABLE.items() for number in numbers],
)
def test_a_refusal_of_the_token_endpoint(number: int, kind: type[Exception]):
    status, body = refusal(number)
    with pytest.raises(kind) as caught:
        judge_refresh(status, {}, body, NOW)
    assert type(caught.value) is kind
    assert "Trace" not in caught.value.reason
    assert len(caught.value.reason) < 100


def test_the_table_has_every_refusal_that_is_known():
    assert {number for numbers in TOKEN_TABLE.values() for number in numbers} == set(REFUSALS)


@pytest.mark.parametrize("number", [700016, 700025])
def test_an_app_that_one_directory_lacks_is_not_refused_for_all(number: int):
    with pytest.raises(ClientRejected) as caught:
        judge_refresh(*_answer(*refusal(number)), NOW)
    assert caught.value.reason in PAIRING


def test_a_loop_is_left_alone_for_five_minutes():
    with pytest.raises(TransientFault) as caught:
        judge_refresh(*_answer(*refusal(50196)), NOW)
    assert caught.value.retry_at == NOW + timedelta(minutes=5)


def _answer(status: int, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, headers, body


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(400, {"error": "invalid_grant", "error_codes": [1]}, GrantRejected, id="unknown-grant"),
        pytest.param(400, {"error": "invalid_grant"}, GrantRejected, id="no-code"),
        pytest.param(
            400, {"error": "interaction_required", "error_codes": [1]}, GrantRejected, id="unknown-interaction"
        ),
        pytest.param(400, {"error": "consent_required"}, ScopeMissing, id="consent"),
        pytest.param(401, {"error": "invalid_client", "error_codes": [1]}, ClientRejected, id="unknown-client"),
        pytest.param(400, {"error": "unauthorized_client", "error_codes": [1]}, ClientRejected, id="unknown-app"),
        pytest.param(400, {"error": "invalid_request", "error_codes": [9002313]}, RequestRefused, id="malformed"),
        pytest.param(400, {"error": "brand_new", "error_codes": [1]}, RequestRefused, id="unknown"),
        pytest.param(400, {"error": "temporarily_unavailable"}, TransientFault, id="unavailable"),
        pytest.param(503, {"error": "invalid_grant"}, TransientFault, id="server-error-blames-nobody"),
        pytest.param(400, {}, TransientFault, id="not-an-error-of-theirs"),
        pytest.param(400, {"error": 7, "error_codes": "x"}, TransientFault, id="other-types"),
        pytest.param(302, {}, TransientFault, id="redirect"),
        pytest.param(429, {"error": "invalid_grant"}, Throttled, id="throttled"),
    ],
)
def test_a_word_decides_where_no_code_is_known(status: int, body: object, kind: type[Exception]):
    with pytest.raises(kind) as caught:
        judge_refresh(status, {}, json.dumps(body).encode(), NOW)
    assert type(caught.value) is kind


def test_a_grant_with_its_new_refresh_token():
    body = {"token_type": "Bearer", "scope": "a b", "expires_in": 4000, "access_token": "at", "refresh_token": "rt"}
    grant = judge_refresh(200, {}, json.dumps(body).encode(), NOW)
    assert (grant.access_token, grant.refresh_token) == ("at", "rt")
    assert grant.expires_at == NOW + timedelta(seconds=4000)


GRAPH_TABLE = {
    CursorExpired: [
        "sync_state_410", "sync_state_invalid_410", "resync_required_410", "full_sync_required_410", "sync_state_400",
        "sync_state_404", "sync_state_invalid_400", "invalid_id_400",
    ],
    AccessRejected: ["unauthorized_401", "claims_401"],
    ScopeMissing: ["access_denied_403", "authorization_denied_403", "forbidden_403"],
    RequestRefused: [
        "mailbox_not_enabled_404", "mailbox_not_enabled_403", "mailbox_not_hosted_404", "resource_not_found_404",
        "invalid_user_404",
    ],
    CalendarGone: ["item_not_found_404"],
    Throttled: ["too_many_requests_429", "application_throttled_429", "activity_limit_429"],
    TransientFault: [
        "mailbox_move_503", "conflict_409", "conflict_412", "precondition_412", "internal_500", "bad_gateway_502",
        "service_503", "server_busy_503", "gateway_timeout_504", "bandwidth_509",
    ],
}  # fmt: skip
SUBSCRIPTION_TABLE = {
    TransientFault: ["validation_failed_400", "validation_timeout_400", "subscription_exists_409", "internal_500"],
    PushUnsupported: ["subscription_forbidden_403", "access_denied_403"],
    Throttled: ["too_many_requests_429"],
    AccessRejected: ["unauthorized_401"],
    CalendarGone: ["item_not_found_404"],
    RequestRefused: ["subscription_gone_404"],
}


def rows(table: dict[type[Exception], list[str]]):
    return [pytest.param(preset, kind, id=preset) for kind, presets in table.items() for preset in presets]


def graph_answer(preset: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    status, code, message = GRAPH_PRESETS[preset]
    return status, headers, json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize(("preset", "kind"), rows(GRAPH_TABLE))
def test_a_refusal_of_graphs(preset: str, kind: type[Exception]):
    found = judge(*graph_answer(preset), NOW)
    assert type(found) is kind
    assert found.reason == GRAPH_PRESETS[preset][1]


@pytest.mark.parametrize(("preset", "kind"), rows(SUBSCRIPTION_TABLE))
def test_a_refusal_of_a_subscription(preset: str, kind: type[Exception]):
    assert type(judge_subscription(*graph_answer(preset), NOW)) is kind


def test_every_refusal_that_is_known_has_a_row():
    tested = {preset for table in (GRAPH_TABLE, SUBSCRIPTION_TABLE) for presets in table.values() for preset in presets}
    assert tested == set(GRAPH_PRESETS)


def test_only_a_challenge_with_claims_needs_the_user():
    plain = judge(*graph_answer("unauthorized_401"), NOW)
    challenge = 'Bearer realm="", error="insufficient_claims", claims="eyJ9"'
    asked = judge(*graph_answer("unauthorized_401", **{"www-authenticate": challenge}), NOW)
    assert isinstance(plain, AccessRejected)
    assert isinstance(asked, AccessRejected)
    assert (plain.needs_sign_in, asked.needs_sign_in) == (False, True)
    assert "eyJ9" not in asked.reason


@pytest.mark.parametrize(
    ("headers", "until", "scope"),
    [
        ({"retry-after": "40"}, NOW + timedelta(seconds=40), "user"),
        ({"retry-after": "Mon, 02 Mar 2026 09:01:00 GMT"}, NOW + timedelta(minutes=1), "user"),
        ({"retry-after": "99999999"}, NOW + timedelta(days=1), "user"),
        ({}, None, "user"),
        ({"x-ms-throttle-scope": "Application/ReadWrite/7/8"}, None, "client"),
        ({"x-ms-throttle-scope": "Tenant_Application/ReadWrite/7/8"}, None, "user"),
    ],
)
def test_throttling_says_until_when_and_whom(headers: dict[str, str], until: datetime | None, scope: str):
    found = judge(*graph_answer("application_throttled_429", **headers), NOW)
    assert isinstance(found, Throttled)
    assert (found.retry_at, found.scope) == (until, scope)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(404, b"<html>", TransientFault, id="a-proxys-404"),
        pytest.param(403, b"<html>", TransientFault, id="a-proxys-403"),
        pytest.param(200, b"{}", TransientFault, id="an-answer-that-is-no-refusal"),
        pytest.param(400, b'{"error": {"code": "BrandNew", "message": "x"}}', RequestRefused, id="unknown"),
        pytest.param(403, b'{"error": {"code": "BrandNew", "message": "x"}}', ScopeMissing, id="unknown-403"),
        pytest.param(410, b"", CursorExpired, id="gone-without-a-word"),
        pytest.param(503, b"", TransientFault, id="outage-without-a-word"),
        pytest.param(401, b"", AccessRejected, id="401-without-a-word"),
        pytest.param(429, b"", Throttled, id="429-without-a-word"),
        pytest.param(400, b'{"error": {"code": 7}}', TransientFault, id="other-types"),
    ],
)
def test_an_answer_that_names_nothing_known(status: int, body: bytes, kind: type[Exception]):
    assert type(judge(status, {}, body, NOW)) is kind

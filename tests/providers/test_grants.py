import json
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import (
    ClientRejected,
    GrantRejected,
    PolicyForbids,
    RequestRefused,
    Throttled,
    TransientFault,
)
from service.providers.grants import judge_refresh
from service.providers.protocol import TokenGrant

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def refused(error: str, description: str = "", **more: str) -> bytes:
    return json.dumps({"error": error, "error_description": description, **more}).encode()


DENIALS = [
    pytest.param(400, refused("invalid_grant", "Token has been expired or revoked."), GrantRejected, id="revoked"),
    pytest.param(400, refused("invalid_grant", "Bad Request"), GrantRejected, id="bad-request"),
    pytest.param(400, refused("invalid_grant", "The account has been deleted"), GrantRejected, id="account-deleted"),
    pytest.param(400, refused("invalid_grant", error_subtype="invalid_rapt"), GrantRejected, id="invalid-rapt"),
    pytest.param(400, refused("invalid_grant", error_subtype="rapt_required"), GrantRejected, id="rapt-required"),
    pytest.param(401, refused("invalid_client", "The OAuth client was not found."), ClientRejected, id="no-client"),
    pytest.param(401, refused("invalid_client", "Unauthorized"), ClientRejected, id="wrong-secret"),
    pytest.param(401, refused("deleted_client"), ClientRejected, id="deleted-client"),
    pytest.param(401, refused("disabled_client"), ClientRejected, id="disabled-client"),
    pytest.param(400, refused("unauthorized_client"), ClientRejected, id="other-clients-token-400"),
    pytest.param(401, refused("unauthorized_client"), ClientRejected, id="other-clients-token-401"),
    pytest.param(400, refused("invalid_request", "Missing parameter"), RequestRefused, id="our-bug"),
    pytest.param(400, refused("invalid_scope"), PolicyForbids, id="scope"),
    pytest.param(400, refused("admin_policy_enforced"), PolicyForbids, id="admin-policy"),
    pytest.param(403, refused("org_internal"), PolicyForbids, id="org-internal"),
    pytest.param(429, refused("rate_limit_exceeded"), Throttled, id="429"),
    pytest.param(429, b"", Throttled, id="429-empty"),
    pytest.param(429, b"<html>", Throttled, id="429-html"),
    pytest.param(500, refused("internal_failure"), TransientFault, id="500"),
    pytest.param(502, b"<html>Bad gateway</html>", TransientFault, id="502-html"),
    pytest.param(503, refused("temporarily_unavailable"), TransientFault, id="503"),
    pytest.param(504, b"", TransientFault, id="504"),
    pytest.param(500, refused("invalid_grant"), TransientFault, id="500-that-says-invalid-grant"),
    pytest.param(400, refused("internal_failure"), TransientFault, id="internal-failure-as-400"),
    pytest.param(400, refused("server_error"), TransientFault, id="server-error-as-400"),
    pytest.param(400, refused("temporarily_unavailable"), TransientFault, id="unavailable-as-400"),
    pytest.param(400, refused("invalid_grant", "internal_failure"), TransientFault, id="failure-in-the-description"),
    pytest.param(400, refused("something_new"), TransientFault, id="unknown-word"),
    pytest.param(400, b"<html>Sign in</html>", TransientFault, id="400-html"),
    pytest.param(401, b"<html>Sign in</html>", TransientFault, id="401-html"),
    pytest.param(403, b"", TransientFault, id="403-empty"),
    pytest.param(404, b"not found", TransientFault, id="404"),
    pytest.param(400, b'{"error": {"code": 400}}', TransientFault, id="the-other-envelope"),
    pytest.param(400, b'{"error": "invalid_', TransientFault, id="cut-off"),
    pytest.param(400, b'"invalid_grant"', TransientFault, id="a-bare-string"),
    pytest.param(302, b"", TransientFault, id="redirect"),
    pytest.param(200, b"<!doctype html><title>Sign in</title>", TransientFault, id="200-html"),
    pytest.param(200, b"", TransientFault, id="200-empty"),
    pytest.param(204, b"", TransientFault, id="204"),
    pytest.param(200, b"[]", TransientFault, id="200-array"),
    pytest.param(200, b"{}", TransientFault, id="200-without-token"),
    pytest.param(200, b'{"access_token": "", "expires_in": 3599}', TransientFault, id="empty-token"),
    pytest.param(200, b'{"access_token": null}', TransientFault, id="null-token"),
    pytest.param(200, b'{"access_token": 7}', TransientFault, id="number-for-a-token"),
    pytest.param(200, b'{"access_token": "a\\r\\nx-evil: 1"}', TransientFault, id="token-with-line-break"),
    pytest.param(200, '{"access_token": "ä"}'.encode(), TransientFault, id="token-not-ascii"),
    pytest.param(200, b'{"access_token": "' + b"x" * 10_000_000 + b'"}', TransientFault, id="ten-megabytes"),
    pytest.param(200, b"[" * 100_000, TransientFault, id="deep-nesting"),
    pytest.param(200, b'{"access_token": "\xff"}', TransientFault, id="not-utf-8"),
]


@pytest.mark.parametrize(("status", "body", "kind"), DENIALS)
def test_whose_fault_it_is(status, body, kind):
    with pytest.raises(kind) as caught:
        judge_refresh(status, {}, body, NOW)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        pytest.param({"expires_in": 3599}, 3599, id="number"),
        pytest.param({"expires_in": "3599"}, 3599, id="string"),
        pytest.param({"expires_in": 3599.5}, 3599.5, id="fraction"),
        pytest.param({"expires_in": -1}, 600, id="negative"),
        pytest.param({"expires_in": 0}, 600, id="zero"),
        pytest.param({"expires_in": 1e308}, 86_400, id="huge"),
        pytest.param({"expires_in": "1e999"}, 600, id="infinite"),
        pytest.param({"expires_in": "soon"}, 600, id="words"),
        pytest.param({"expires_in": None}, 600, id="null"),
        pytest.param({"expires_in": True}, 600, id="boolean"),
        pytest.param({}, 600, id="missing"),
    ],
)
def test_how_long_a_token_is_good(answer, seconds):
    grant = judge_refresh(200, {}, json.dumps({"access_token": "ya29.x", **answer}).encode(), NOW)
    assert grant == TokenGrant(access_token="ya29.x", expires_at=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param("1//new", "1//new", id="rotated"),
        pytest.param(None, None, id="null"),
        pytest.param("", None, id="empty"),
        pytest.param("a\0b", None, id="nul"),
    ],
)
def test_a_rotated_refresh_token(value, kept):
    body = {"access_token": "ya29.x", "expires_in": 3599, "refresh_token": value, "refresh_token_expires_in": 604_799}
    assert judge_refresh(200, {}, json.dumps(body).encode(), NOW).refresh_token == kept


def test_the_granted_scopes():
    body = {
        "access_token": "ya29.x",
        "expires_in": 3599,
        "scope": "a b  c",
        "token_type": "Bearer",
        "id_token": "e.y.J",
    }
    assert judge_refresh(200, {}, json.dumps(body).encode(), NOW).scopes == {"a", "b", "c"}


def test_the_reauthentication_policy_is_named():
    with pytest.raises(GrantRejected) as caught:
        judge_refresh(400, {}, refused("invalid_grant", error_subtype="invalid_rapt"), NOW)
    assert caught.value.reason == "invalid_grant: invalid_rapt"


@pytest.mark.parametrize(("status", "kind"), [(429, Throttled), (503, TransientFault)])
def test_a_pause_that_the_server_asks_for(status, kind):
    with pytest.raises(kind) as caught:
        judge_refresh(status, {"retry-after": "30"}, b"", NOW)
    assert caught.value.retry_at == NOW + timedelta(seconds=30)


def test_no_description_of_theirs_reaches_our_words():
    with pytest.raises(ClientRejected) as caught:
        judge_refresh(401, {}, refused("invalid_client", "secret GOCSPX-abc is wrong"), NOW)
    assert caught.value.reason == "invalid_client"

"""Bodies that are not plainly the documented shape are refused, and the answer says which field and no value."""

import json
from typing import Any

import httpx
import msgspec
import pytest

from service.api.bodies import parse
from service.errors import GatewayError

pytestmark = pytest.mark.anyio

CREDENTIALS = {"provider": "google", "client_id": "c", "client_secret": "hush-secret", "refresh_token": "hush-token"}
JSON = {"content-type": "application/json"}


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b'{"name": "\xff"}', 400, "malformed_body", id="not-utf-8"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "malformed_body", id="10000-objects-deep"),
        pytest.param(b"[" * 100_000, 400, "malformed_body", id="100000-brackets"),
        pytest.param(b'{"metadata": ' + b"[" * 80 + b"]" * 80 + b"}", 400, "malformed_body", id="80-deep"),
        pytest.param(b"", 400, "malformed_body", id="empty"),
        pytest.param(b'{"name": ', 400, "malformed_body", id="cut-off"),
        pytest.param(b'{"name": "a"} x', 400, "malformed_body", id="trailing"),
        pytest.param(b'\xef\xbb\xbf{"name": "a"}', 400, "malformed_body", id="byte-order-mark"),
        pytest.param(
            b'{"refresh_token": "hush1", "refresh_token": "hush2"}', 400, "malformed_body", id="duplicate-names"
        ),
        pytest.param(b'{"metadata": {"a": 1, "\\u0061": 2}}', 400, "malformed_body", id="duplicate-by-escape"),
        pytest.param(b'{"metadata": {"a": NaN}}', 400, "malformed_body", id="nan"),
        pytest.param(b'{"metadata": {"a": -Infinity}}', 400, "malformed_body", id="infinity"),
        pytest.param(b'{"name": "\\ud800"}', 400, "malformed_body", id="lone-surrogate"),
        pytest.param(b'{"name": "a\\u0000b"}', 422, "validation_failed", id="nul"),
        pytest.param(b'{"metadata": {"a": ["\\u0000"]}}', 422, "validation_failed", id="nul-inside"),
        pytest.param(b'{"metadata": {"\\u0000": 1}}', 422, "validation_failed", id="nul-in-name"),
        pytest.param(b'{"metadata": {"a": %d}}' % 2**70, 422, "validation_failed", id="2-to-the-70"),
        pytest.param(b'{"horizon_days": ' + b"9" * 5000 + b"}", 422, "validation_failed", id="5000-digits"),
        pytest.param(b'{"metadata": {"a": 1e999}}', 422, "validation_failed", id="float-overflow"),
        pytest.param(b"[]", 422, "validation_failed", id="an-array"),
        pytest.param(b"null", 422, "validation_failed", id="null"),
    ],
)
async def test_hostile_json(call: httpx.AsyncClient, body: bytes, status: int, code: str) -> None:
    answer = await call.post("/calendars", content=body, headers=JSON)
    is_problem(answer, status, code)


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        pytest.param({"is_admin": True}, "is_admin", "is not a field of this request", id="mass-assignment"),
        pytest.param({"tenant_id": "x"}, "tenant_id", "is not a field of this request", id="other-tenant"),
        pytest.param({"refresh_token": None}, "refresh_token", "Expected `str`, got `null`", id="null"),
        pytest.param({"client_secret": ""}, "client_secret", "Expected `str` of length >= 1", id="empty"),
        pytest.param({"name": "n" * 2**18}, "name", "Expected `str` of length <= 255", id="long-name"),
        pytest.param({"horizon_days": 366}, "horizon_days", "Expected `int` <= 365", id="horizon"),
        pytest.param({"horizon_days": "30"}, "horizon_days", "Expected `int | null`, got `str`", id="text-for-number"),
        pytest.param({"horizon_days": True}, "horizon_days", "Expected `int | null`, got `bool`", id="true-for-number"),
        pytest.param(
            {"metadata": {str(n): n for n in range(1000)}},
            "metadata",
            "is larger than 4096 bytes of JSON",
            id="metadata",
        ),
        pytest.param({"provider": "hush-zoom"}, "provider", "accepts caldav, google, ics, microsoft", id="provider"),
    ],
)
async def test_a_wrong_field_is_named(call: httpx.AsyncClient, wrong: dict[str, Any], field: str, message: str) -> None:
    answer = await call.post("/calendars", json=CREDENTIALS | wrong)
    is_problem(answer, 422, "validation_failed")
    assert answer.json()["errors"] == [{"field": field, "message": message}]
    assert (await call.get("/calendars")).json()["data"] == []


async def test_missing_fields_are_named(call: httpx.AsyncClient) -> None:
    answer = await call.post("/calendars", json={"provider": "google", "client_id": "c"})
    is_problem(answer, 422, "validation_failed")
    required = [{"field": name, "message": "is required"} for name in ("client_secret", "refresh_token")]
    assert answer.json()["errors"] == required
    answer = await call.post("/calendars", json={"client_id": "c"})
    assert answer.json()["errors"] == [{"field": "provider", "message": "accepts caldav, google, ics, microsoft"}]


async def test_odd_but_harmless_text_is_stored_as_it_is(
    call: httpx.AsyncClient, stage: Any, credentials: dict[str, Any]
) -> None:
    name = "\u202egnirts\u200b\U0001f600 \r\n\x1b[31m"
    answer = await call.post("/calendars", json=credentials | {"name": name})
    assert (answer.status_code, answer.json()["name"]) == (201, name)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content-type": "text/plain"}, id="text"),
        pytest.param({"content-type": "application/x-www-form-urlencoded"}, id="form"),
        pytest.param({"content-type": "multipart/form-data; boundary=x"}, id="multipart"),
        pytest.param({}, id="none"),
        pytest.param({"content-type": "application/json; charset=utf-16"}, id="utf-16"),
        pytest.param({**JSON, "content-encoding": "gzip"}, id="gzip"),
        pytest.param({"content-type": "application/jsonx"}, id="almost"),
    ],
)
async def test_other_media_types_are_415(call: httpx.AsyncClient, headers: dict[str, str]) -> None:
    is_problem(await call.post("/calendars", content=b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", "application/merge-patch+json"]
)
async def test_json_by_any_of_its_names_is_read(call: httpx.AsyncClient, kind: str) -> None:
    is_problem(
        await call.post("/calendars", content=b'{"provider":"x"}', headers={"content-type": kind}),
        422,
        "validation_failed",
    )


async def test_two_mebibytes_are_413(call: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(32):
            yield b" " * 65536

    is_problem(await call.post("/calendars", content=b" " * 2**21, headers=JSON), 413, "body_too_large")
    is_problem(await call.post("/calendars", content=chunks(), headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize(
    "tree", [{}, {"a": [1, -1, 2**63 - 1, 0.5, -0.0, True, None, "é", {"b": []}]}, "text", 0, [[[]]]]
)
def test_plain_json_is_read_as_the_standard_library_reads_it(tree: Any) -> None:
    assert parse(msgspec.json.encode(tree)) == tree == json.loads(json.dumps(tree))


def test_depth_is_counted_and_not_suffered() -> None:
    assert parse(b"[" * 60 + b"]" * 60)
    with pytest.raises(GatewayError) as caught:
        parse(b"[" * 900 + b"]" * 900)
    assert caught.value.code == "malformed_body"

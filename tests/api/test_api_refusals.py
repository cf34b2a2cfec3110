"""What a provider refuses while somebody connects: the contract's code, and a remedy that fits the moment."""

from typing import Any

import httpx
import pytest
from flows.stage import Stage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/calendars", "/calendars/raw"])
@pytest.mark.parametrize(
    ("fault", "endpoint", "status", "code"),
    [
        pytest.param("invalid_grant", "token", 422, "credentials_rejected", id="grant"),
        pytest.param("invalid_client_secret", "token", 422, "client_rejected", id="client"),
        pytest.param("scope_403", "calendarList.list", 422, "insufficient_scope", id="scope"),
        pytest.param("domain_policy_403", "calendarList.list", 422, "insufficient_scope", id="policy"),
        pytest.param("required_400", "calendarList.list", 422, "validation_failed", id="refused"),
        pytest.param("unauthorized_401", "calendarList.list", 503, "provider_unavailable", id="a-fresh-token-refused"),
        pytest.param("rate_limit_429", "calendarList.list", 503, "provider_throttled", id="throttled"),
    ],
)
async def test_the_remedy_is_one_for_somebody_who_is_just_connecting(
    call: httpx.AsyncClient,
    stage: Stage,
    credentials: dict[str, Any],
    path: str,
    fault: str,
    endpoint: str,
    status: int,
    code: str,
) -> None:
    stage.world.add_fault(fault, endpoint=endpoint, times=50)
    answer = await call.post(path, json=credentials)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert "PATCH" not in answer.text
    assert "post any of its calendars" not in answer.text
    assert ("retry-after" in answer.headers) is (status == 503)
    names_a_field = code in {"credentials_rejected", "client_rejected", "insufficient_scope"}
    assert ("errors" in problem) is names_a_field
    assert (code != "validation_failed") or "(required)" in problem["detail"]
